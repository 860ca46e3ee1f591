"""`tbx-keras view`: start TensorBoard on a directory."""

from __future__ import annotations

import os
import socket
import threading

import click

PORT = 6006
HOST_HELP = "Interface for TensorBoard; others than 127.0.0.1 show your runs to the network."


@click.command()
@click.argument("log_dir")
@click.option("--host", default="127.0.0.1", show_default=True, help=HOST_HELP)
@click.option(
    "--port", default=PORT, show_default=True, type=click.IntRange(0, 65535), help="0 for any free one."
)
def view(log_dir: str, host: str, port: int) -> None:
    """Start TensorBoard on LOG_DIR."""
    if not os.path.isdir(log_dir):
        raise click.UsageError(
            f"`log_dir` is no directory. Received: {log_dir!r}. Pass one that was recorded in."
        )
    serve(log_dir, host, port)


def serve(log_dir: str, host: str, port: int) -> None:
    """Serve until interrupted.

    Args:
        log_dir: Directory with event files.
        host: Interface to listen on.
        port: Port to listen on; another free one if it is taken, or if it is 0.
    """
    from tensorboard import program

    board = program.TensorBoard()
    # The loader in Python: it reads what the compiled one reads, and needs no process of its own.
    board.configure(argv=[None, "--logdir", log_dir, "--host", host, "--port", str(_free(host, port)),
                          "--load_fast", "false"])  # fmt: skip
    address = board.launch()
    click.echo(f"TensorBoard: {address}  (Ctrl-C ends it)")
    _wait()


def _free(host: str, port: int) -> int:
    for candidate in (port, 0):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            try:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, candidate))
                return int(probe.getsockname()[1])
            except OSError as error:
                refused = error
    raise click.UsageError(
        f"`host` cannot be listened on. Received: {host!r} ({refused.strerror}). Pass 127.0.0.1."
    )


def _wait() -> None:
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        click.echo("")
