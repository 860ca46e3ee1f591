"""`tbx-keras demo`: train on real data and show what was recorded."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import click

from tbx_keras.cli.view import HOST_HELP, PORT, serve


@click.command()
@click.option("--log-dir", default=None, help="Directory to record in.  [default: logs/demo-<date>-<time>]")
@click.option("--epochs", default=5, show_default=True, type=click.IntRange(1), help="Passes over the data.")
@click.option(
    "--batch-size", default=64, show_default=True, type=click.IntRange(1, 4000), help="Pictures in a step."
)
@click.option("--view", is_flag=True, help="Start TensorBoard on the result.")
@click.option("--host", default="127.0.0.1", show_default=True, help=HOST_HELP)
@click.option(
    "--port", default=PORT, show_default=True, type=click.IntRange(0, 65535), help="Of TensorBoard."
)
def demo(log_dir: str | None, epochs: int, batch_size: int, view: bool, host: str, port: int) -> None:
    """Train a small network on real digits and record everything."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    path = log_dir or time.strftime("logs/demo-%Y%m%d-%H%M%S")
    _check(path)
    from tbx_keras.cli.progress import progress_of
    from tbx_keras.demos.digits import train

    click.echo(f"Training on 4,000 handwritten digits, {epochs} epochs; recording in {path}")
    with progress_of() as shown:
        logger, history = train(path, epochs, batch_size, [shown])
    _tell(path, logger, history)
    if view:
        serve(path, host, port)


def _check(path: str) -> None:
    """Before seconds go into importing a framework."""
    from tbx_keras.writers import EventHub

    EventHub(path).check()


def _tell(path: str, logger: Any, history: Any) -> None:
    from rich.console import Console

    from tbx_keras.cli.contents import contents_table

    # Into a file or a pipe, lines need not be cut to the width of a screen.
    report, console = logger.report, Console(width=None if sys.stdout.isatty() else 160)
    console.print(contents_table(path))
    accuracy = history.history["val_accuracy"][-1]
    console.print(f"Validation accuracy {accuracy:.1%} after {len(history.epoch)} epochs.")
    console.print(
        f"Recorded {report.written:,} values, {report.bytes / 1e6:.1f} MB, {report.dropped} dropped; "
        f"{report.overhead_seconds:.1f} s on the training thread, tracing included "
        f"({report.overhead_share:.0%} of this short run)."
    )
    console.print(f"Look at it:  tbx-keras view {path}", highlight=False, soft_wrap=True)
