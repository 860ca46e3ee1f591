"""The arguments of `TbxLogger`, checked, and the recorders that they ask for.

Guarantees: after `read_config` every argument is valid; no file is touched but to look whether `log_dir` is
one. What can be known only with a model is checked before training starts.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.request import url2pathname

import numpy as np

from tbx_keras.errors import ArgumentError
from tbx_keras.framework_types import Model
from tbx_keras.instrumentation.base import check_kinds
from tbx_keras.recorders.base import TRAIN, VALIDATION, Recorder
from tbx_keras.recorders.embeddings import Embeddings, check_metadata
from tbx_keras.recorders.gradients import Gradients
from tbx_keras.recorders.metrics import BatchMetrics, EpochMetrics, ValidationMetrics
from tbx_keras.recorders.model_graph import ModelSummary, StepGraph
from tbx_keras.recorders.profiler import Profiler, batch_range
from tbx_keras.recorders.weight_distance import TrainableFraction, WeightDistance
from tbx_keras.recorders.weight_images import WeightImages
from tbx_keras.recorders.weights import WeightHistograms
from tbx_keras.scheduling.overhead_budget import budget_fraction
from tbx_keras.scheduling.triggers import (
    EveryNEpochs,
    StepTrigger,
    epoch_frequency,
    is_active,
    step_frequency,
    update_frequency,
)
from tbx_keras.values import EPOCH, STEP


@dataclass(frozen=True)
class Config:
    """The checked arguments of a logger.

    Args:
        log_dir: Directory of the run.
        update: When batch metrics are recorded.
        write_steps_per_second: Whether speeds are recorded.
        embeddings_metadata: Files of labels.
        overhead_budget: Fraction of wall time.
        on_nonfinite: Action at the first value that is not finite.
        on_existing: Where to record if `log_dir` was used before.
        per_worker: Whether each of several workers records.
        arguments: All arguments, as they were given.
    """

    log_dir: str
    update: StepTrigger
    write_steps_per_second: bool
    embeddings_metadata: str | dict[str, str] | None
    overhead_budget: float
    on_nonfinite: str
    on_existing: str
    per_worker: bool
    arguments: dict[str, Any]

    @property
    def batch_metrics(self) -> bool:
        """Check that metrics of single batches are recorded at all."""
        return is_active(self.update)

    def new_recorders(self) -> list[Recorder]:
        """Make the recorders that are asked for, in the order in which they are asked."""
        return list(_recorders(_Given(self.arguments)))

    def check_model(self, model: Model) -> None:
        """Check what names layers.

        Raises:
            ArgumentError: `embeddings_metadata` names a layer that is no embedding of the model.
        """
        check_metadata(model, self.embeddings_metadata)


def read_config(**arguments: Any) -> Config:
    """Check the arguments of `TbxLogger`.

    Raises:
        ArgumentError: The first one that is wrong.
    """
    arguments["recorders"] = _own_recorders(arguments["recorders"])
    config = Config(
        log_dir=_log_dir(arguments["log_dir"]),
        update=update_frequency("update_freq", arguments["update_freq"]),
        write_steps_per_second=_flag("write_steps_per_second", arguments["write_steps_per_second"]),
        embeddings_metadata=_metadata(arguments["embeddings_metadata"]),
        overhead_budget=budget_fraction(arguments["overhead_budget"]),
        on_nonfinite=_one_of("on_nonfinite", arguments["on_nonfinite"], "record", "warn", "stop"),
        on_existing=_one_of("on_existing", arguments["on_existing"], "new", "append"),
        per_worker=_flag("per_worker", arguments["per_worker"]),
        arguments=arguments,
    )
    config.new_recorders()  # checks the arguments of each kind
    return config


def _recorders(given: _Given) -> Iterator[Recorder]:
    """Make the recorders that arguments ask for, a line for each kind."""
    yield from (ModelSummary(), TrainableFraction(), StepGraph()) if given.flag("write_graph") else ()
    yield from (EpochMetrics(given.flag("write_steps_per_second")), ValidationMetrics())
    yield from given.by_epoch("histogram_freq", WeightHistograms)
    yield from given.by_epoch("histogram_freq", WeightImages) if given.flag("write_images") else ()
    yield from given.by_epoch("distance_freq", WeightDistance)
    yield from given.by_epoch("embeddings_freq", partial(Embeddings, metadata=given.metadata()))
    yield from given.by_step("gradient_freq", Gradients, step_frequency)
    yield from given.by_step("update_freq", BatchMetrics, update_frequency)
    yield from given.by_batch("profile_batch", Profiler)
    yield from given.own("recorders")


def _own_recorders(received: object) -> tuple[Recorder, ...]:
    """Check the recorders of the user's own; a generator gives them only once."""
    hint = "a list of objects of subclasses of tbx_keras.Recorder"
    if isinstance(received, (str, bytes)) or not isinstance(received, Iterable):
        raise ArgumentError("recorders", received, hint)
    try:
        found = tuple(received)
    except TypeError as error:  # an array of no dimension
        raise ArgumentError("recorders", received, hint) from error
    return tuple(map(_checked, found))


class _Given:
    """Reads arguments by name."""

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self._arguments = arguments

    def flag(self, name: str) -> bool:
        return _flag(name, self._arguments[name])

    def metadata(self) -> str | dict[str, str] | None:
        return _metadata(self._arguments["embeddings_metadata"])

    def by_epoch(self, name: str, kind: Callable[[EveryNEpochs], Recorder]) -> list[Recorder]:
        trigger = epoch_frequency(name, self._arguments[name])
        return [kind(trigger)] if is_active(trigger) else []

    def by_step(
        self, name: str, kind: Callable[[StepTrigger], Recorder], read: Callable[[str, object], StepTrigger]
    ) -> list[Recorder]:
        trigger = read(name, self._arguments[name])
        return [kind(trigger)] if is_active(trigger) else []

    def by_batch(self, name: str, kind: Callable[[tuple[int, int]], Recorder]) -> list[Recorder]:
        batches = batch_range(self._arguments[name])
        return [kind(batches)] if batches[0] else []

    def own(self, name: str) -> tuple[Recorder, ...]:
        recorders: tuple[Recorder, ...] = self._arguments[name]
        return recorders


def _checked(recorder: object) -> Recorder:
    """Check a recorder of the user's."""
    if not isinstance(recorder, Recorder):
        hint = "objects of subclasses of tbx_keras.Recorder (for a class, call it)"
        raise ArgumentError("recorders", recorder, hint)
    _check_name(recorder)
    trigger: object = recorder.trigger
    axis = None if isinstance(trigger, type) else getattr(trigger, "axis", None)
    if axis not in (EPOCH, STEP) or not callable(getattr(trigger, "due", None)):
        raise ArgumentError(
            f"{recorder.name}.trigger", trigger, "EveryNEpochs(n), EveryNSteps(n) or an object like them"
        )
    if check_kinds(f"{recorder.name}.captures", recorder.captures) and axis == EPOCH:
        hint = "one that counts steps, such as EveryNSteps(n), since the recorder has `captures`"
        raise ArgumentError(f"{recorder.name}.trigger", trigger, hint)
    if not isinstance(recorder.run, str) or recorder.run not in (TRAIN, VALIDATION):
        raise ArgumentError(f"{recorder.name}.run", recorder.run, f'"{TRAIN}" or "{VALIDATION}"')
    for name in ("sampled", "droppable"):
        _flag(f"{recorder.name}.{name}", getattr(recorder, name))
    if not isinstance(recorder.hint, str):
        raise ArgumentError(f"{recorder.name}.hint", recorder.hint, "a sentence")
    return recorder


def _check_name(recorder: Recorder) -> None:
    """Rules and the overhead budget know the recorders of this package by their names."""
    if not isinstance(recorder.name, str) or not recorder.name:
        raise ArgumentError(f"{type(recorder).__name__}.name", recorder.name, "a string that is not empty")
    kinds = [one for one in Recorder.__subclasses__() if one.__module__.startswith("tbx_keras.")]
    if recorder.name in {"loss", *(one.name for one in kinds)} and type(recorder) not in kinds:
        hint = "another name: this one belongs to tbx_keras (the name of a recorder is that of its class)"
        raise ArgumentError(f"{type(recorder).__name__}.name", recorder.name, hint)


def _log_dir(received: object) -> str:
    if not isinstance(received, (str, os.PathLike)) or not os.fspath(received):
        raise ArgumentError("log_dir", received, "the path of a directory")
    path = _path_of(received)
    if path is not None and path.startswith("file:///"):
        path = url2pathname(path.removeprefix("file://"))
    if path is None or os.path.isfile(path):
        raise ArgumentError("log_dir", received, "the path of a directory; this is no directory's")
    return path


def _one_of(name: str, received: object, *known: str) -> str:
    if not isinstance(received, str) or received not in known:
        *some, last = (f'"{one}"' for one in known)
        raise ArgumentError(name, received, f"{', '.join(some)} or {last}")
    return str(received)


def _flag(name: str, received: object) -> bool:
    if not isinstance(received, (int, np.bool_)) or received not in (True, False):
        raise ArgumentError(name, received, "True or False")
    return bool(received)


def _metadata(received: object) -> str | dict[str, str] | None:
    if received is None:
        return None
    if isinstance(received, Mapping):
        paths = {str(name): path for name, one in received.items() if (path := _path_of(one)) is not None}
        if len(paths) == len(received):
            return paths
    elif (path := _path_of(received)) is not None:
        return path
    raise ArgumentError(
        "embeddings_metadata", received, "a file name, or a dictionary of layer name to file name"
    )


def _path_of(received: object) -> str | None:
    """Read what may be the path of a file; None if it cannot be one."""
    try:
        path = os.fspath(received) if isinstance(received, (str, os.PathLike)) else None
    except Exception:  # of an object of the user's, whatever it raises
        return None
    return path if isinstance(path, str) and "\0" not in path else None
