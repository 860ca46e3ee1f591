"""Warnings about recordings that the backend or the kind of model does not allow.

Guarantees: said once by a logger, at the start of `fit`, in a sentence that names the reason.
"""

from __future__ import annotations

from collections.abc import Iterable

from tbx_keras.backends.base import backend_of
from tbx_keras.custom_loops import NO_GRADIENTS
from tbx_keras.error_reporting import ErrorReporter, warn
from tbx_keras.framework_types import Model
from tbx_keras.instrumentation.base import GRADIENTS, LOSS, Instrument, Kinds, is_costly
from tbx_keras.keras_model import backend_name, is_tf_keras
from tbx_keras.recorders.base import Recorder
from tbx_keras.recorders.profiler import Profiler
from tbx_keras.workers import Worker, doubt_of

WORKERS = (
    "tbx_keras: TF_CONFIG names {} workers, which Keras 3 cannot train with on TensorFlow (keras issue "
    "20585). tf_keras can, and so can Keras 3 on JAX and on PyTorch."
)
SILENT = " This process, which is not their first one, records nothing without per_worker=True."
NAMES = {"numpy": "NumPy", "openvino": "OpenVINO"}


def instrument_for(model: Model, kinds: Kinds, reporter: ErrorReporter) -> Instrument | None:
    """Get the instrument of a model.

    Args:
        model: The model, or None for a loop without one.
        kinds: Kinds that will be asked for.
        reporter: Says where nothing inside the steps can be looked at.

    Returns:
        The instrument; None where there is none.
    """
    backend = backend_of(model)
    reason = backend.unreachable(model)
    if reason is not None:
        if kinds:
            reporter.warn_once("unreachable", reason)
        return None
    instrument = backend.instrument(model, reporter.report)
    if instrument is None and backend.instruments and GRADIENTS in kinds:
        reporter.warn_once("gradients by hand", NO_GRADIENTS)
    return instrument


class Unrecorded:
    """Says what one logger does not record.

    Args:
        kinds: Kinds that are to be captured in steps.
        recorders: Recorders; a profiler among them is turned off where it cannot run.
    """

    def __init__(self, kinds: Kinds, recorders: Iterable[Recorder]) -> None:
        self._kinds = kinds
        recorders = list(recorders)
        self._profilers = [one for one in recorders if isinstance(one, Profiler)]
        self._names = [one.name for one in recorders if is_costly(one.captures)]
        self._said: set[str] = set()

    def warn(self, model: Model) -> None:
        """Warn at the start of `fit`."""
        if self._names and not backend_of(model).instruments:
            self._once(_captured(self._kinds, self._names))
        if self._profilers and backend_of(model).profiler() is None:
            self._turn_off_profilers()
            self._once(_profile())

    def join_workers(self, model: Model, worker: Worker, muted: bool) -> None:
        """Warn where several workers cannot train together.

        Args:
            model: The model.
            worker: This process.
            muted: Whether another one records; no batch is profiled then.
        """
        keras3 = not is_tf_keras(model) and backend_of(model).name == "tensorflow"
        if worker.count > 1 and keras3:
            self._once(WORKERS.format(worker.count) + (SILENT if muted else ""))
        doubt = doubt_of(model, worker, muted)
        if doubt is not None:
            self._once(doubt)
        if muted:
            self._turn_off_profilers()

    def _turn_off_profilers(self) -> None:
        for profiler in self._profilers:
            profiler.turn_off()

    def _once(self, sentence: str) -> None:
        if sentence not in self._said:
            self._said.add(sentence)
            warn(sentence)


def _captured(kinds: Kinds, names: Iterable[str]) -> str:
    what = [*names, *(["the loss of each batch alone (`step_loss`)"] if LOSS in kinds else [])]
    hint = "; gradient_freq=0 turns this message off" if set(names) == {GRADIENTS} else ""
    return (
        f"tbx_keras: on Keras's {_name()} backend steps are not looked into: not recorded are "
        f"{' and '.join(what)}{hint}."
    )


def _profile() -> str:
    return (
        f"tbx_keras: Keras's {_name()} backend has no profiler, so no batch is profiled; profile_batch=0 "
        "turns this message off."
    )


def _name() -> str:
    return NAMES.get(backend_name(), backend_name())
