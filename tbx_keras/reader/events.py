"""The runs below a directory, by TensorBoard's own loader.

Guarantees: every point is kept, in the order of the files. Old and new forms of an event come out as one.
A file that ends within a record is read up to there.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tbx_keras.errors import ArgumentError, MissingDependencyError
from tbx_keras.storage import file_system, is_event_file, is_remote

ALL = 0  # to TensorBoard's loader: keep every point instead of a sample


def run_directories(log_dir: str | os.PathLike[str]) -> dict[str, str]:
    """Find the directories that hold event files, by the names that TensorBoard gives to the runs.

    Args:
        log_dir: Directory to look below.

    Returns:
        Paths by run name, sorted; `"."` is the directory itself.

    Raises:
        ArgumentError: It is no directory, or holds no event file at any depth.
    """
    root = os.fspath(log_dir)
    found = {
        os.path.relpath(path, root): path
        for path, _, files in os.walk(root)
        if any(map(is_event_file, files))
    }
    if not found:
        raise ArgumentError(
            "log_dir", root, "a directory that was recorded in; there is no event file below it"
        )
    return dict(sorted(found.items()))


@contextmanager
def local(log_dir: str | os.PathLike[str]) -> Iterator[str]:
    """Get a directory on this machine with the contents of a directory or a URL such as `s3://bucket/run`.

    Raises:
        MissingDependencyError: It is a URL, and a package for it is missing.
        ArgumentError: Nothing can be read there.
    """
    path = os.fspath(log_dir)
    if not is_remote(path):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="tbx_keras_") as directory:
        _fetch(path, directory)
        yield directory


def _fetch(url: str, directory: str) -> None:
    try:
        system, path = file_system(url)
        system.get(f"{path.rstrip('/')}/", f"{directory}/", recursive=True)
    except MissingDependencyError:
        raise
    except Exception as error:  # of many libraries: no such place, no permission, no network
        hint = f"a place that was recorded in and can be read ({type(error).__name__})"
        raise ArgumentError("log_dir", url, hint) from None  # the chain of causes may show what was sent


def load(directory: str) -> Any:
    """Load all events of one run into TensorBoard's accumulator.

    Raises:
        MissingDependencyError: TensorBoard is not installed.
    """
    try:
        from tensorboard.backend.event_processing import plugin_event_accumulator as accumulator
    except ImportError as error:
        raise MissingDependencyError(
            "tensorboard is not installed", "pip install 'tbx_keras[read]'"
        ) from error
    with _without_purge_messages():
        return accumulator.EventAccumulator(directory, {accumulator.TENSORS: ALL}).Reload()


class _NoPurgeMessages(logging.Filter):
    """Suppresses the message that a resumed run hides what it repeats, as it should."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "expired tensor events from Tensorboard display" not in record.getMessage()


@contextmanager
def _without_purge_messages() -> Iterator[None]:
    logger, kept_out = logging.getLogger("tensorboard"), _NoPurgeMessages()
    logger.addFilter(kept_out)
    try:
        yield
    finally:
        logger.removeFilter(kept_out)


def tags(events: Any, plugin: str) -> list[str]:
    """List the tags of one kind: `"scalars"`, `"histograms"`, `"images"`, `"text"`."""
    return list(events.PluginTagToContent(plugin)) if plugin in events.ActivePlugins() else []


def points(events: Any, tag: str) -> Iterator[tuple[int, float, Any]]:
    """Iterate over step, wall time and array of each point of a series."""
    from tensorboard.util.tensor_util import make_ndarray

    for event in events.Tensors(tag):
        yield event.step, event.wall_time, make_ndarray(event.tensor_proto)
