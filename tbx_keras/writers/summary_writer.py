"""`SummaryWriter`: tensorboardX's, on a queue and files of this package.

Guarantees: every `add_*` of tensorboardX, with its arguments. None waits for the disk or dies of it; see
`async_writer` for what is kept and dropped. Safe to use from many threads. Tensors and variables of
TensorFlow, Keras, PyTorch and JAX are taken as they are. A copy (also by pickle) writes to the same
directory, into a file of its own.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import tensorboardX
from tensorboardX.summary import hparams as hparams_protos
from tensorboardX.writer import FileWriter

from tbx_keras.backends.numpy.kernels import float_bits_histogram, linear_histogram
from tbx_keras.checked_numbers import count_of, single_number, step_number
from tbx_keras.errors import ArgumentError
from tbx_keras.framework_types import ArrayLike
from tbx_keras.values import Audio, RecordBatch, Value
from tbx_keras.writers.arrays import tagged_numpy, to_host, to_numpy
from tbx_keras.writers.async_writer import MAX_QUEUE, TIMEOUT, AsyncEventWriter, Counts
from tbx_keras.writers.current_writer import as_current

_TAKE_ARRAYS = (
    "add_image", "add_images", "add_image_with_boxes", "add_video", "add_embedding",
    "add_pr_curve", "add_pr_curve_raw", "add_mesh", "add_histogram_raw", "add_text",
)  # fmt: skip


class SummaryWriter(tensorboardX.SummaryWriter):
    """Writes scalars, histograms, images and the rest for TensorBoard.

    Args:
        logdir: Directory of the run; `runs/<date>_<host><comment>` if None.
        comment: Added to the directory's name where `logdir` is None.
        purge_step: TensorBoard hides what was recorded in this directory for this step and later before.
        max_queue: Items that may wait for the writing thread; further ones are dropped and counted.
        flush_secs: Accepted for tensorboardX's sake; records reach the operating system within about 0.1 s.
        filename_suffix: Added to the names of event files.
        write_to_disk: False makes every call do nothing.
        log_dir: Another name for `logdir`.
        **kwargs: `comet_config` as in tensorboardX.

    Example:
    ```python
    from tbx_keras import SummaryWriter, summary

    with SummaryWriter("logs/by_hand") as writer:
        writer.add_scalar("loss", 0.5, global_step=1)
        with writer.as_default(step=2):
            summary.histogram("weights", [0.1, 0.2, 0.4], buckets=10)
    ```
    """

    def __init__(
        self,
        logdir: str | os.PathLike[str] | None = None,
        comment: str = "",
        purge_step: int | None = None,
        max_queue: int = MAX_QUEUE,
        flush_secs: int = 120,
        filename_suffix: str = "",
        write_to_disk: bool = True,
        log_dir: str | os.PathLike[str] | None = None,
        **kwargs: Any,
    ) -> None:
        self._events: AsyncEventWriter | None = None
        path = logdir if logdir is not None else log_dir
        if path is not None and not isinstance(path, (str, os.PathLike)):
            raise ArgumentError("logdir", path, "the path of a directory")
        count_of("max_queue", max_queue, "an integer >= 1")
        for name in kwargs.keys() - {"comet_config"}:
            raise ArgumentError(name, kwargs[name], "arguments of tensorboardX.SummaryWriter only")
        purge_step = None if purge_step is None else step_number(purge_step)
        super().__init__(
            logdir=None if path is None else os.fspath(path),
            comment=comment,
            purge_step=purge_step,
            max_queue=max_queue,
            flush_secs=flush_secs,
            filename_suffix=filename_suffix,
            write_to_disk=write_to_disk,
            **kwargs,
        )
        self._to_comet = not (self._comet_config or {}).get("disabled", False)

    @property
    def log_dir(self) -> str:
        """Directory of the run."""
        return str(self.logdir)

    def _get_file_writer(self) -> Any:
        if not self._write_to_disk:
            return super()._get_file_writer()
        if self._events is None:
            self._events = AsyncEventWriter(
                self.log_dir, max_queue=self._max_queue, suffix=self._filename_suffix
            )
            self.file_writer = _FileWriter(self._events)
            self.all_writers = {self.log_dir: self.file_writer}
            if self.purge_step is not None:
                self._events.purge("", self.purge_step)
        return self.file_writer

    def add_scalar(
        self,
        tag: str,
        scalar_value: ArrayLike,
        global_step: int | None = None,
        walltime: float | None = None,
        display_name: str = "",
        summary_description: str = "",
    ) -> None:
        """Record one number; see tensorboardX."""
        events = self._events
        if events is None or display_name or summary_description or self._to_comet or self._has_metadata():
            value = single_number(tag, tagged_numpy(tag, scalar_value))
            super().add_scalar(tag, value, global_step, walltime, display_name, summary_description)
            return
        if type(scalar_value) is not float:
            scalar_value = single_number(tag, tagged_numpy(tag, scalar_value))
        events.scalar("", tag, scalar_value, _step(global_step), walltime)

    def add_scalars(
        self,
        main_tag: str,
        tag_scalar_dict: dict[str, ArrayLike],
        global_step: int | None = None,
        walltime: float | None = None,
    ) -> None:
        """Record several numbers for one chart, a run each; unlike tensorboardX keeps none in memory."""
        self._get_file_writer()
        if not isinstance(tag_scalar_dict, Mapping):
            raise ArgumentError("tag_scalar_dict", tag_scalar_dict, "a dictionary of names and numbers")
        for tag, value in tag_scalar_dict.items() if self._events is not None else ():
            run = f"{main_tag}/{tag}"
            number = single_number(tag, to_numpy(value))
            self._events.scalar(run, main_tag, number, _step(global_step), walltime)  # type: ignore[union-attr]

    def add_histogram(
        self,
        tag: str,
        values: ArrayLike,
        global_step: int | None = None,
        bins: str | int | Any = "tensorflow",
        walltime: float | None = None,
        max_bins: int | None = None,
    ) -> None:
        """Record the distribution of an array of any shape; NaN and infinities are left out.

        Args:
            tag: Name of the series.
            values: Array, tensor or variable.
            global_step: Step.
            bins: `"tensorflow"` for buckets that grow with the value, a number of equal ones, or what
                `numpy.histogram` takes.
            walltime: Seconds since 1970; now if None.
            max_bins: As in tensorboardX, for the bins of NumPy.
        """
        array = tagged_numpy(tag, values)
        if isinstance(bins, str) and bins == "tensorflow":
            self._put(float_bits_histogram(tag, array), global_step, walltime)
        elif isinstance(bins, (int, np.integer)):
            self._put(linear_histogram(tag, array, int(bins)), global_step, walltime)
        elif np.isfinite(array).any():
            super().add_histogram(tag, array[np.isfinite(array)], global_step, bins, walltime, max_bins)

    def add_audio(
        self,
        tag: str,
        snd_tensor: ArrayLike,
        global_step: int | None = None,
        sample_rate: int = 44100,
        walltime: float | None = None,
    ) -> None:
        """Record a sound `(frames, channels)` within -1 to 1, as WAV."""
        self._put(Audio(tag, to_numpy(snd_tensor), sample_rate), global_step, walltime)

    def add_hparams(
        self,
        hparam_dict: dict[str, Any],
        metric_dict: dict[str, ArrayLike],
        name: str | None = None,
        global_step: int | None = None,
    ) -> None:
        """Record hyperparameters and the metrics they led to, as a run of their own below this one."""
        self._get_file_writer()
        if self._events is None:
            return
        run = name or f"{time.time():.6f}"
        for proto in hparams_protos(dict(hparam_dict), dict(metric_dict)):
            self._events.submit(RecordBatch(run, None, 0, [_event(proto)], droppable=False))
        for tag, value in metric_dict.items():
            number = single_number(tag, to_numpy(value))
            self._events.scalar(run, tag, number, _step(global_step))

    def as_default(self, step: int | None = None) -> AbstractContextManager[SummaryWriter]:
        """Make this the writer of `tbx_keras.summary` for the time of a `with` block.

        Args:
            step: Step for calls in the block that give none.

        Returns:
            A context manager; it yields this writer.
        """
        return as_current(self, step)

    def _has_metadata(self) -> bool:
        return bool(self.file_writer._default_metadata)

    def put(self, value: Value, step: int, wall_time: float | None = None) -> None:
        """Record one of `tbx_keras.values`."""
        self._put(value, step, wall_time)

    def _put(self, value: Value, step: int | None, wall_time: float | None) -> None:
        self._get_file_writer()
        if self._events is not None:
            self._events.submit(RecordBatch("", None, _step(step), [value], wall_time=wall_time))

    def flush(self, timeout: float = TIMEOUT) -> bool:
        """Hand everything recorded so far to the operating system; True if all of it got there."""
        return self._events.flush(timeout) if self._events is not None else True

    def close(self, timeout: float = TIMEOUT) -> bool:
        """Flush and close; a later `add_*` goes on in a new file. True if everything was written."""
        return self._events.close(timeout) if self._events is not None else True

    @property
    def counts(self) -> Counts | None:
        """Values written and dropped, bytes and errors so far; None before the first value."""
        return self._events.counts if self._events is not None else None

    def __getstate__(self) -> dict[str, Any]:
        names = ("logdir", "purge_step", "max_queue", "flush_secs", "filename_suffix", "write_to_disk")
        kept = {name: getattr(self, name, getattr(self, f"_{name}", None)) for name in names}
        return {**kept, "comet_config": self._comet_config}

    def __setstate__(self, state: dict[str, Any]) -> None:
        type(self).__init__(self, **state)


class _FileWriter(FileWriter):
    """tensorboardX's file writer, with an `AsyncEventWriter` in place of its thread."""

    def __init__(self, events: AsyncEventWriter) -> None:
        self.event_writer = _EventWriter(events)
        self._default_metadata: dict[str, Any] = {}


class _EventWriter:
    def __init__(self, events: AsyncEventWriter) -> None:
        self._events = events

    def get_logdir(self) -> str:
        return self._events.log_dir

    def add_event(self, event: Any) -> None:
        self._events.submit(RecordBatch("", None, event.step, [event], wall_time=event.wall_time))

    def flush(self) -> None:
        self._events.flush()

    def close(self) -> None:
        self._events.close()

    def reopen(self) -> None:
        """Do nothing: a file is opened with the next value."""


def _step(received: ArrayLike) -> int:
    return 0 if received is None else step_number(received)


def _event(summary: Any) -> Any:
    from tensorboardX.proto.event_pb2 import Event

    return Event(wall_time=time.time(), summary=summary)


def _taking_arrays(name: str) -> Callable[..., Any]:
    original = getattr(tensorboardX.SummaryWriter, name)

    @functools.wraps(original)
    def add(self: SummaryWriter, *args: Any, **kwargs: Any) -> Any:
        kwargs = {key: to_host(value) for key, value in kwargs.items()}
        return original(self, *(to_host(value) for value in args), **kwargs)

    return add


for _name in _TAKE_ARRAYS:
    setattr(SummaryWriter, _name, _taking_arrays(_name))
