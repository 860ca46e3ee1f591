"""`tbx-keras view`: start TensorBoard on a directory.

Guarantees: it listens on the one interface that was named and on no other; 127.0.0.1 unless asked. An
interface that cannot be listened on is reported before TensorBoard, or anything else that is slow, is loaded.
"""

from __future__ import annotations

import os
import socket
import threading

import click

from tbx_keras.cli.suppress_stderr import suppress_stderr
from tbx_keras.storage import is_event_file

LOOPBACK = "127.0.0.1"
PORT = 6006
HOST_HELP = "Interface for TensorBoard; others than 127.0.0.1 show your runs to the network."


@click.command()
@click.argument("log_dir")
@click.option("--host", default=LOOPBACK, show_default=True, help=HOST_HELP)
@click.option(
    "--port", default=PORT, show_default=True, type=click.IntRange(0, 65535), help="0 for any free one."
)
def view(log_dir: str, host: str, port: int) -> None:
    """Start TensorBoard on LOG_DIR."""
    if not os.path.isdir(log_dir):
        raise click.UsageError(
            f"`log_dir` is no directory. Received: {log_dir!r}. Pass one that was recorded in."
        )
    free_port(host, port)
    if not any(is_event_file(name) for _, _, names in os.walk(log_dir) for name in names):
        click.echo(f"Nothing is recorded in {log_dir} yet; TensorBoard will show what comes.", err=True)
    serve(log_dir, host, port)


def serve(log_dir: str, host: str, port: int) -> None:
    """Serve until interrupted.

    Args:
        log_dir: Directory with event files.
        host: Interface to listen on.
        port: Port to listen on; another free one if it is taken, or if it is 0.
    """
    free = free_port(host, port)
    if port and free != port:
        click.echo(f"Port {port} of {host} is taken; TensorBoard gets port {free}.", err=True)
    with suppress_stderr():
        address = _launch(log_dir, host, free)
    try:
        click.echo(f"TensorBoard: {address}  (Ctrl-C ends it)")
        _wait()
    except KeyboardInterrupt:
        click.echo("")


def _launch(log_dir: str, host: str, port: int) -> str:
    from tensorboard import program

    board = program.TensorBoard()
    # The loader in Python: it reads what the compiled one reads, and needs no process of its own.
    board.configure(argv=[None, "--logdir", log_dir, "--host", host, "--port", str(port),
                          "--load_fast", "false"])  # fmt: skip
    return str(board.launch())


def free_port(host: str, port: int) -> int:
    """Find a free port: the one asked for if it is free, else another one.

    Args:
        host: Interface to listen on.
        port: The port that is wanted; 0 for any.

    Returns:
        A free port of the interface.

    Raises:
        click.UsageError: The interface cannot be listened on.
    """
    if not host.strip():  # an empty name means all interfaces to the system
        raise _refused_host(host, "it is empty")
    for candidate in (port, 0):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            try:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, candidate))
                return int(probe.getsockname()[1])
            except (OSError, UnicodeError, TypeError) as error:  # the last two: of odd names
                refused = error
    raise _refused_host(host, getattr(refused, "strerror", None) or str(refused))


def _refused_host(host: str, reason: str) -> click.UsageError:
    return click.UsageError(
        f"`host` cannot be listened on. Received: {host!r} ({reason}). Pass {LOOPBACK}, or an address of "
        "this machine."
    )


def _wait() -> None:
    threading.Event().wait()
