"""`tbx-keras demo`: train on real data and show what was recorded."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import click

from tbx_keras.cli.quiet import native_messages_held
from tbx_keras.cli.view import HOST_HELP, LOOPBACK, PORT, free_port, serve
from tbx_keras.errors import ArgumentError


@click.command()
@click.option("--log-dir", default=None, help="Directory to record in.  [default: logs/demo-<date>-<time>]")
@click.option("--epochs", default=5, show_default=True, type=click.IntRange(1), help="Passes over the data.")
@click.option(
    "--batch-size", default=64, show_default=True, type=click.IntRange(1, 4000), help="Pictures in a step."
)
@click.option("--view", is_flag=True, help="Start TensorBoard on the result.")
@click.option("--host", default=LOOPBACK, show_default=True, help=HOST_HELP)
@click.option(
    "--port", default=PORT, show_default=True, type=click.IntRange(0, 65535), help="Of TensorBoard."
)
def demo(log_dir: str | None, epochs: int, batch_size: int, view: bool, host: str, port: int) -> None:
    """Train a small network on real digits and record everything."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    path = time.strftime("logs/demo-%Y%m%d-%H%M%S") if log_dir is None else log_dir
    _check(path, view, host, port)
    with native_messages_held():
        import keras  # noqa: F401 - seconds, and the lines that are held
    click.echo(f"Training on 4,000 handwritten digits, {epochs} epochs; recording in {path}")
    _tell(path, *_train(path, epochs, batch_size))
    if view:
        serve(path, host, port)


def _check(path: str, view: bool, host: str, port: int) -> None:
    """Before time goes into importing a framework and training."""
    from tbx_keras.writers import EventHub

    if not path:
        raise ArgumentError("log_dir", path, "the path of a directory")
    EventHub(path).check()
    if view:
        free_port(host, port)


def _train(path: str, epochs: int, batch_size: int) -> tuple[Any, Any]:
    from tbx_keras.cli.progress import progress_of
    from tbx_keras.demos.digits import train

    try:
        with progress_of(_console()) as shown:
            return train(path, epochs, batch_size, [shown])
    except KeyboardInterrupt:
        click.echo(f"Interrupted; what was recorded until then:  tbx-keras view {path}", err=True)
        raise


def _console() -> Any:
    from rich.console import Console

    # Into a file or a pipe, lines need not be cut to the width of a screen.
    return Console(width=None if sys.stdout.isatty() else 160)


def _tell(path: str, logger: Any, history: Any) -> None:
    from tbx_keras.cli.contents import contents_table

    report, console = logger.report, _console()
    console.print(contents_table(path))
    accuracy = history.history["val_accuracy"][-1]
    console.print(f"Validation accuracy {accuracy:.1%} after {len(history.epoch)} epochs.")
    console.print(
        f"Recorded {report.written:,} values, {report.bytes / 1e6:.1f} MB, {report.dropped} dropped; "
        f"{report.overhead_seconds:.1f} s on the training thread, tracing included "
        f"({report.overhead_share:.0%} of this short run)."
    )
    console.print(f"Look at it:  tbx-keras view {path}", highlight=False, soft_wrap=True)
