"""Recordings of earlier processes in a log directory, and the part of them that a resumed run hides.

TensorBoard hides, of a whole run, what comes before the start of a session and has its step or a later one.
In the runs of a training some series count steps and others epochs: hiding the epochs that will be repeated
hides most steps as well. Those that are to stay are then written once more, and so is what others wrote.

Guarantees: earlier files are only read, one record in memory at a time, each up to its first record that is
torn or damaged. Nothing is hidden but what the logger recorded of steps after the one resumed from, and of
epochs from the one resumed at.
"""

from __future__ import annotations

import bisect
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any

from tbx_keras.storage import file_system, is_event_file, is_remote
from tbx_keras.values import EPOCH, Axis
from tbx_keras.writers.axes import recorded_axes
from tbx_keras.writers.names import run_directory
from tbx_keras.writers.records import unframed

_START = 1  # SessionLog.START
Opener = Callable[[], IO[bytes]]


@dataclass(frozen=True)
class Restart:
    """Training goes on after a step that it has been beyond.

    Args:
        step: Last step that stays.
        epoch: First epoch that is repeated.
        file_name: Of the file that says so; files that sort after it belong to the training that goes on.
    """

    step: int
    epoch: int
    file_name: str

    def repeats(self, step: int, axis: Axis | None) -> bool:
        """Check whether a value will come again; never one without an axis, which is not the logger's."""
        return axis is not None and (step >= self.epoch if axis == EPOCH else step > self.step)


def restart_events(directory: str, restart: Restart) -> Iterator[bytes]:
    """Make the events that let TensorBoard hide what will be repeated, and nothing else.

    Args:
        directory: Directory or URL of a run.
        restart: Where training goes on.

    Yields:
        Serialized events; none where nothing will be repeated.
    """
    files = _files(directory, restart.file_name)
    axes = recorded_axes(_raw(files))
    steps = [event.step for event, _ in _visible(files) if _repeated(event, restart, axes)]
    if not steps:
        return
    first = min(steps)
    yield from session_start(first)
    for event, data in _visible(files):
        if event.step >= first and event.summary.value:
            yield from _staying(event, data, _repeated(event, restart, axes))


def _repeated(event: Any, restart: Restart, axes: dict[str, Axis]) -> set[str]:
    """List the tags of an event whose values will be repeated."""
    tags = [value.tag for value in event.summary.value]
    return {tag for tag in tags if restart.repeats(event.step, axes.get(tag))}


def _staying(event: Any, data: bytes, repeated: set[str]) -> Iterator[bytes]:
    """Copy an event without the values of some tags."""
    if not repeated:
        yield data
        return
    kept = [value for value in event.summary.value if value.tag not in repeated]
    if kept:
        rest = type(event)(wall_time=event.wall_time, step=event.step)
        rest.summary.value.extend(kept)
        yield rest.SerializeToString()


def session_start(step: int) -> list[bytes]:
    """Make the events that hide everything before them in a run from `step` on.

    Two, since TensorBoard takes the first of a run for its beginning and only the second for a restart.
    """
    from tensorboardX.proto.event_pb2 import Event, SessionLog

    start = Event(wall_time=time.time(), step=step, session_log=SessionLog(status=SessionLog.START))
    return [start.SerializeToString()] * 2


def numbers(log_dir: str, run: str, tag: str) -> dict[int, float]:
    """Read the scalars of one series by step, the latest where a step was repeated."""
    from tensorboardX.proto.event_pb2 import Event

    name, found = tag.encode(), dict[int, float]()
    for data in _raw(_files(run_directory(log_dir, run))):
        if name in data:  # far cheaper than to parse every event
            event = Event.FromString(data)
            for value in event.summary.value:
                if value.tag == tag:
                    found[event.step] = value.simple_value
    return found


def runs_below(log_dir: str, roots: Iterable[str]) -> list[str]:
    """List the runs with event files: those of `roots`, and all below them."""
    return [run for root in roots for run in _runs(log_dir, root)]


def _runs(log_dir: str, root: str) -> list[str]:
    top = run_directory(log_dir, root)
    if is_remote(top):
        system, path = file_system(top)
        found = system.find(path) if system.exists(path) else []
        directories = {os.path.dirname(one) for one in found if is_event_file(one)}
    else:
        path = top
        directories = {folder for folder, _, names in os.walk(top) if any(map(is_event_file, names))}
    return sorted(os.path.normpath(os.path.join(root, os.path.relpath(one, path))) for one in directories)


def _visible(files: list[Opener]) -> Iterator[tuple[Any, bytes]]:
    """Iterate over parsed and serialized events that no earlier restart has hidden."""
    from tensorboardX.proto.event_pb2 import Event

    hidden = _Hidden(Event.FromString(data) for data in _raw(files))
    for place, data in enumerate(_raw(files)):
        event = Event.FromString(data)
        if not hidden(place, event.step):
            yield event, data


class _Hidden:
    """Events that a later start of a session hides."""

    def __init__(self, found: Iterable[Any]) -> None:
        starts = [(i, event.step) for i, event in enumerate(found) if event.session_log.status == _START]
        self._places = [place for place, _ in starts]
        self._least: list[int] = []  # the least step of this start and all later ones
        for _, step in reversed(starts):
            self._least.append(min(step, self._least[-1] if self._least else step))
        self._least.reverse()

    def __call__(self, place: int, step: int) -> bool:
        later = bisect.bisect_right(self._places, place)
        return later < len(self._least) and step >= self._least[later]


def _raw(files: list[Opener]) -> Iterator[bytes]:
    for opener in files:
        with opener() as file:
            yield from unframed(file)


def _files(directory: str, before: str | None = None) -> list[Opener]:
    """Make a function that opens each event file of a run, in the order in which TensorBoard reads them.

    Args:
        directory: Directory or URL of the run.
        before: Only files whose names sort before this one.
    """
    opens = file_system(directory)[0].open if is_remote(directory) else open
    paths = [path for path in event_files(directory) if before is None or os.path.basename(path) < before]
    return [_opener(opens, path) for path in paths]


def event_files(directory: str) -> list[str]:
    """List the paths of the event files in a directory or below a URL's last part, sorted."""
    if is_remote(directory):
        system, path = file_system(directory)
        paths = system.find(path, maxdepth=1) if system.exists(path) else []
    else:
        names = os.listdir(directory) if os.path.isdir(directory) else []
        paths = [os.path.join(directory, name) for name in names]
    return sorted(path for path in paths if is_event_file(path))


def _opener(opens: Callable[..., Any], path: str) -> Opener:
    return lambda: opens(path, "rb")
