"""Shared parts of all demonstrations: the directory, the progress display, and the summary at the end.

Guarantees: a directory that cannot be written and an interface that cannot be listened on are reported before
    a
framework is loaded. An interrupt says how to look at what was recorded until then.
"""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import click

from tbx_keras.cli.missing_packages import require
from tbx_keras.cli.suppress_stderr import suppress_stderr
from tbx_keras.cli.view import HOST_HELP, LOOPBACK, PORT, free_port, serve
from tbx_keras.errors import ArgumentError
from tbx_keras.run_report import size


def recording_options(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate a command: adds the options of `Recording`, which it gets as `recording`.

    Args:
        name: Begins the name of the directory, where none is given.

    Returns:
        The decorator.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @click.option(
            "--log-dir", default=None, help=f"Directory to record in.  [default: logs/{name}-<date>-<time>]"
        )
        @click.option("--view", is_flag=True, help="Start TensorBoard on the result.")
        @click.option("--host", default=LOOPBACK, show_default=True, help=HOST_HELP)
        @click.option(
            "--port", default=PORT, show_default=True, type=click.IntRange(0, 65535), help="Of TensorBoard."
        )
        @functools.wraps(command)
        def with_recording(
            *args: Any, log_dir: str | None, view: bool, host: str, port: int, **options: Any
        ) -> Any:
            path = time.strftime(f"logs/{name}-%Y%m%d-%H%M%S") if log_dir is None else log_dir
            return command(*args, recording=Recording(path, view, host, port), **options)

        return with_recording

    return decorate


class Recording:
    """Directory of a demonstration, and whether and where to show it.

    Args:
        path: Directory of the run.
        view: Whether to start TensorBoard at the end.
        host: Interface for TensorBoard.
        port: Port for TensorBoard.
    """

    def __init__(self, path: str, view: bool, host: str, port: int) -> None:
        self.path = path
        self._view, self._host, self._port = view, host, port
        self._console: Any = None

    def prepare(self) -> None:
        """Check the options, then load what all demonstrations need.

        Raises:
            ArgumentError: `log_dir` is empty.
            LogDirError: It cannot be written.
            click.UsageError: The interface cannot be listened on.
        """
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        self._check()
        require("tensorboard")  # reads back at the end what was recorded
        with suppress_stderr():
            import keras  # noqa: F401 - seconds, and the lines that are held
        from rich.console import Console

        # Into a file or a pipe, lines need not be cut to the width of a screen.
        self._console = Console(width=None if sys.stdout.isatty() else 160)

    def _check(self) -> None:
        from tbx_keras.writers import AsyncEventWriter

        if not self.path:
            raise ArgumentError("log_dir", self.path, "the path of a directory")
        AsyncEventWriter(self.path).check()
        if self._view:
            free_port(self._host, self._port)

    def train(self, run: Callable[[list[Any]], Any]) -> Any:
        """Run a training with a progress display; `run` takes the callbacks, and its result is returned."""
        from tbx_keras.cli.progress import progress_of

        try:
            with progress_of(self._console) as shown:
                return run([shown])
        except KeyboardInterrupt:
            click.echo(f"Interrupted; what was recorded until then:  tbx-keras view {self.path}", err=True)
            raise

    def show(self, logger: Any, *lines: str) -> None:
        """Show what was recorded and what it cost, and further lines; then TensorBoard, if asked for."""
        from tbx_keras.cli.inspect import inspect_table

        report, print_line = logger.report, self._console.print
        print_line(inspect_table(logger.log_dir))  # a directory below, where this one was used before
        for line in lines:
            print_line(line, highlight=False, soft_wrap=True)
        print_line(
            f"Recorded {report.written:,} values, {size(report.bytes)}, {report.dropped} dropped; recording "
            f"took {report.cost()}, and {report.first_time_seconds:.1f} s once for first-time work (tracing)."
        )
        print_line(f"Look at it:  tbx-keras view {self.path}", highlight=False, soft_wrap=True)
        if self._view:
            serve(self.path, self._host, self._port)
