"""`tbx-keras demo`: train on real data and show what was recorded."""

from __future__ import annotations

from typing import Any

import click

from tbx_keras.cli.imdb import imdb
from tbx_keras.cli.recording import Recording, recording_options
from tbx_keras.framework_types import Callback


@click.group(invoke_without_command=True)
@click.option("--epochs", default=5, show_default=True, type=click.IntRange(1), help="Passes over the data.")
@click.option(
    "--batch-size", default=64, show_default=True, type=click.IntRange(1, 4000), help="Pictures in a step."
)
@recording_options("demo")
@click.pass_context
def demo(context: click.Context, recording: Recording, epochs: int, batch_size: int) -> None:
    """Train a small network on real digits and record everything; or what a command below names."""
    if context.invoked_subcommand is not None:
        _refuse_options(context)
        return
    recording.prepare()
    click.echo(f"Training on 4,000 handwritten digits, {epochs} epochs; recording in {recording.path}")
    logger, history = recording.train(lambda shown: _digits(recording.path, epochs, batch_size, shown))
    accuracy = history.history["val_accuracy"][-1]
    recording.show(logger, f"Validation accuracy {accuracy:.1%} after {len(history.epoch)} epochs.")


demo.add_command(imdb)


def _digits(path: str, epochs: int, batch_size: int, callbacks: list[Callback]) -> tuple[Any, Any]:
    from tbx_keras.demos.digits import train

    return train(path, epochs, batch_size, callbacks)


def _refuse_options(context: click.Context) -> None:
    """Refuse options before the name of a command: they belong to the digits, and nobody would read them."""
    for name in context.params:
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            option, command = f"--{name.replace('_', '-')}", context.invoked_subcommand
            raise click.UsageError(f"{option} comes before {command!r}. Put it after that name.")
