"""`read`: recorded values as frames and arrays.

Guarantees: files are read when something of them is asked for, each run once.
"""

from __future__ import annotations

import os
import weakref
from contextlib import ExitStack
from functools import cached_property
from typing import Any

from tbx_keras.errors import ArgumentError, MissingDependencyError
from tbx_keras.reader import events
from tbx_keras.reader.histograms import HistogramSeries, series_of
from tbx_keras.reader.plots import ridgeline

COLUMNS = ("run", "tag", "step", "wall_time", "value")


def read(log_dir: str | os.PathLike[str]) -> EventLog:
    """Read back what was recorded below a directory, by this package or any other writer of event files.

    Args:
        log_dir: The log directory, or a URL of one; all runs below it are read.

    Returns:
        The records.

    Raises:
        ArgumentError: It is no directory, or holds no event file.
        MissingDependencyError: A package of the extra `read` is missing.

    Example:
    ```python
    from tbx_keras import SummaryWriter, read

    with SummaryWriter("logs/read") as writer:
        for step in range(3):
            writer.add_scalar("loss", 1.0 / (step + 1), step)
    frame = read("logs/read").scalars
    assert list(frame.columns) == ["run", "tag", "step", "wall_time", "value"]
    assert frame["value"].iloc[0] == 1.0
    ```
    """
    return EventLog(log_dir)


class EventLog:
    """Everything recorded below a directory.

    Args:
        log_dir: The log directory.
    """

    def __init__(self, log_dir: str | os.PathLike[str]) -> None:
        if not isinstance(log_dir, (str, os.PathLike)):
            raise ArgumentError("log_dir", log_dir, "the path of a directory, or the URL of one")
        self.log_dir = os.fspath(log_dir)
        self._loaded: dict[str, Any] = {}
        # A local copy of an object store goes with this object.
        self._copy = ExitStack()
        weakref.finalize(self, self._copy.close)
        self._directories = events.run_directories(self._copy.enter_context(events.local(log_dir)))

    def __repr__(self) -> str:
        return f"<tbx_keras records of {self.log_dir!r}: runs {', '.join(self.runs)}>"

    @property
    def runs(self) -> tuple[str, ...]:
        """List the names of the runs, as TensorBoard shows them."""
        return tuple(self._directories)

    @cached_property
    def scalars(self) -> Any:
        """All scalars in long form: a `pandas.DataFrame` with run, tag, step, wall_time (s), value."""
        try:
            import pandas
        except ImportError as error:
            raise MissingDependencyError(
                "pandas is not installed", "pip install 'tbx_keras[read]'"
            ) from error
        rows = [
            (run, tag, step, time, float(value))
            for run in self.runs
            for tag in events.tags(self._events(run), "scalars")
            for step, time, value in events.points(self._events(run), tag)
        ]
        return pandas.DataFrame(rows, columns=list(COLUMNS))

    @cached_property
    def histograms(self) -> tuple[tuple[str, str], ...]:
        """List run and tag of each series of histograms."""
        return tuple((run, tag) for run in self.runs for tag in events.tags(self._events(run), "histograms"))

    def histogram(self, tag: str, run: str | None = None) -> HistogramSeries:
        """Get the histograms of a tag.

        Args:
            tag: Name of the series, such as `"weights/dense/kernel"`.
            run: Run that it belongs to; may be left out where only one run has it.

        Returns:
            The series.

        Raises:
            ArgumentError: There is no such series, or several runs have it.
        """
        name = self._run_of(tag, run)
        return series_of(tag, name, list(events.points(self._events(name), tag)))

    def plot_histogram(self, tag: str, run: str | None = None, ax: Any = None) -> Any:
        """Draw a histogram over steps: one ridge for each, the latest in front.

        Args:
            tag: Name of the series.
            run: Run that it belongs to; may be left out where only one run has it.
            ax: Matplotlib axes to draw in; new ones if None.

        Returns:
            The axes; `.figure.savefig("weights.png")` keeps the picture.

        Raises:
            ArgumentError: There is no such series, or several runs have it.
            MissingDependencyError: Matplotlib is not installed.
        """
        return ridgeline(self.histogram(tag, run), ax)

    def _run_of(self, tag: str, run: str | None) -> str:
        if run is not None and run not in self.runs:
            raise ArgumentError("run", run, f"one of {list(self.runs)}")
        having = [name for name, one in self.histograms if one == tag and run in (None, name)]
        if not having:
            near = sorted({one for _, one in self.histograms})[:5]
            raise ArgumentError("tag", tag, f"the tag of a histogram, such as {near}")
        if len(having) > 1:
            raise ArgumentError("run", run, f"one of {having}, which all have this tag")
        return having[0]

    def _events(self, run: str) -> Any:
        if run not in self._loaded:
            self._loaded[run] = events.load(self._directories[run])
        return self._loaded[run]
