"""Directories of further runs below a log directory, `run-2`, `run-3`, ..., and whether they take files."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Sequence

from tbx_keras.errors import LONGEST, LogDirError
from tbx_keras.storage import file_system, is_remote

_NAME = re.compile(r"run-([1-9]\d*)")
TRIES = 100
_probes = itertools.count()


def numbered(log_dir: str) -> dict[int, str]:
    """List the directories of further runs by number, lowest first."""
    found = {int(match.group(1)): name for name in _names(log_dir) if (match := _NAME.fullmatch(name))}
    return {number: os.path.join(log_dir, found[number]) for number in sorted(found)}


def make_next(log_dir: str) -> str:
    """Make the directory of the next run; of two processes that do so at once each gets one of its own.

    An object store has no directories: there it is a name that nothing was recorded under so far.

    Raises:
        OSError: It cannot be made.
    """
    first = max([1, *numbered(log_dir)]) + 1
    for number in range(first, first + TRIES):
        path = os.path.join(log_dir, f"run-{number}")
        if is_remote(log_dir):
            return path
        try:
            os.mkdir(path)
        except FileExistsError:
            continue
        return path
    raise FileExistsError(f"{TRIES} directories of runs came into being below {log_dir!r} meanwhile")


def _names(log_dir: str) -> list[str]:
    if not is_remote(log_dir):
        return os.listdir(log_dir) if os.path.isdir(log_dir) else []
    system, path = file_system(log_dir)
    found = system.ls(path, detail=False) if system.exists(path) else []
    return [os.path.basename(str(one).rstrip("/")) for one in found]


def create_probe(directory: str) -> None:
    """Create a file and remove it.

    Raises:
        OSError: The directory takes no file.
    """
    probe = os.path.join(directory, f".tbx_keras_{os.getpid()}_{next(_probes)}")
    os.close(os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    os.unlink(probe)


def check_writable(log_dir: str, places: Sequence[str]) -> None:
    """Check that a log directory takes files, and so do directories in it that exist.

    Raises:
        LogDirError: It is a file, cannot be made, or takes no file.
    """
    try:
        os.makedirs(log_dir, exist_ok=True)
        for place in (log_dir, *filter(os.path.lexists, places)):
            create_probe(place)
    except (OSError, ValueError, RecursionError) as error:
        # ValueError: a name that the encoding of file names has not; RecursionError: thousands of levels.
        reason = getattr(error, "strerror", None) or error
        raise LogDirError(
            f"`log_dir` cannot be written. Received: log_dir={log_dir[:LONGEST]!r} ({reason}). "
            "Pass a directory that this user may create files in."
        ) from error
