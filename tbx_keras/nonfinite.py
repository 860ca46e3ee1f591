"""The first step at which a loss, a gradient or a weight was not finite.

Losses are looked at in every step: where Keras hands them over as numbers at once, where as device tensors
in bundles, on the writer's thread. Gradients are looked at in sampled steps, weights with their histograms
and when the loss is found not to be finite.

Guarantees: no device is waited for on the training thread before something was found. Each of the three is
recorded once. One warning says that a step was not finite, whichever of the three was seen first; none
follows about later steps once a weight is spoilt, for they cannot be anything else. On JAX and PyTorch
weights are looked at between two steps, on the training thread: while a step runs, a model on JAX has none,
and one on PyTorch changes them. Keras's loss of a step is the mean over its epoch so far: it is not finite
from the first step on whose own loss is not.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tbx_keras.backends.keras_model import (
    VariablePaths,
    attach_weights,
    host_copy,
    runs_on_tensorflow,
    scales_loss,
    weights,
)
from tbx_keras.faults import tell
from tbx_keras.options import TRAIN
from tbx_keras.values import OBJECT_BYTES, STEP, Deferred, Scalar, Text, held_bytes

BUNDLE = 64  # losses that are still on a device are fetched together
Concerned = Sequence[tuple[str, int]]  # path, elements that are not finite; in the order of the model


class NonFinite:
    """Watches for NaN and infinities.

    Args:
        action: What to do at the first one: `"record"`, `"warn"` too, or `"stop"` training as well.
        hub: The writer.
    """

    def __init__(self, action: str, hub: Any) -> None:
        self._action, self._hub = action, hub
        self._model: Any = None
        self._bundle: list[tuple[int, Any]] = []
        self._found: set[str] = set()
        self._waiting: tuple[int, float] | None = None
        self._warned: set[int] = set()
        self._spoilt: int | None = None  # the first step known to have left a weight that is not finite
        self._lock = threading.Lock()
        self._stops = False  # set on any thread, read on the one that trains
        self._trains_on = threading.get_ident()

    def set_model(self, model: Any) -> None:
        """The losses to come are those of this model."""
        self._model = model

    def see_loss(self, step: int, logs: Mapping[str, Any] | None) -> None:
        """Look at the loss that Keras gives for a step, now or later."""
        if "loss" in self._found or not logs:
            return
        loss = logs.get("loss")
        if isinstance(loss, float):
            if loss - loss != 0.0:  # NaN or infinite
                self._tell_loss(step, loss)
        elif loss is not None:
            self._bundle.append((step, loss))
            if len(self._bundle) >= BUNDLE:
                self.end_epoch()

    def look_between_steps(self, step: int) -> bool:
        """On the training thread: look at the weights if a loss made them suspect.

        Args:
            step: The last one made.

        Returns:
            Whether it did.
        """
        if self._waiting is None or "loss" in self._found:
            return False
        attach_weights(self._model)
        self._tell_with_weights(*self._waiting, step)
        return True

    def end_epoch(self) -> None:
        """Have the losses that are still on a device looked at."""
        bundle, self._bundle = self._bundle, []
        if bundle:
            size = sum(OBJECT_BYTES + held_bytes(loss) for _, loss in bundle)
            self._hub.write(TRAIN, bundle[-1][0], Deferred(lambda: self._look(bundle), size), axis=STEP)

    def see_gradients(self, step: int, concerned: Concerned) -> None:
        """What a sampled step told; on any thread. A loss scale overflows now and then on purpose."""
        if concerned and not scales_loss(self._model):
            self._tell("gradients", step, f"Gradients of step {step} are not finite", concerned)

    def see_weights(self, step: int, concerned: Concerned | None) -> None:
        """What the histograms of weights told; on any thread."""
        if concerned:
            self._tell("weights", step, f"Weights after step {step} are not finite", concerned)

    def _look(self, bundle: list[tuple[int, Any]]) -> list[Any]:
        for step, loss in bundle:
            number = float(np.mean(np.asarray(loss), dtype=np.float64))  # of several, as it is recorded
            if not np.isfinite(number):
                self._tell_loss(step, number)
                break
        return []

    def _tell_loss(self, step: int, loss: float) -> None:
        if runs_on_tensorflow(self._model):
            self._tell_with_weights(step, loss, step)
        elif self._waiting is None:
            self._waiting = step, loss

    def _tell_with_weights(self, step: int, loss: float, weights_step: int) -> None:
        concerned: Concerned | None = None  # of a loop without a model there are none to look at
        try:
            concerned = None if self._model is None else nonfinite_weights(self._model)
        finally:
            self._tell("loss", step, f"The loss of step {step} is {loss}", concerned)
        self.see_weights(weights_step, concerned)

    def _is_news(self, kind: str, step: int, concerned: Concerned | None) -> bool:
        """Whether a finding is not what another one of this step, or of a spoilt model, has said."""
        follows = step in self._warned or (self._spoilt is not None and step >= self._spoilt)
        self._warned.add(step)
        if concerned and kind != "gradients":
            self._spoilt = step if self._spoilt is None else min(step, self._spoilt)
        return not follows

    def _tell(self, kind: str, step: int, sentence: str, concerned: Concerned | None) -> None:
        with self._lock:
            if kind in self._found:
                return
            self._found.add(kind)
            news = self._is_news(kind, step, concerned)
        tag, text = f"first_nonfinite/{kind}", _report(sentence, concerned)
        found = [Text(tag, text), Scalar(f"{tag}_step", step)]
        self._hub.write(TRAIN, step, found, axis=STEP, keep=True)
        if news and self._action != "record":
            tell(f"tbx_keras: {sentence}{_first(concerned)}. {_advice(self._action)}", self._hub.caller)
        if self._action == "stop":
            self._stops = True

    def begin_fit(self) -> None:
        """Remember the thread that trains: it alone stops training."""
        self._trains_on, self._stops = threading.get_ident(), False

    def stop_if_found(self) -> None:
        """Stop training where that was asked for; on another thread than that which trains, do nothing."""
        if self._stops and threading.get_ident() == self._trains_on:
            self._stops = False
            self._model.stop_training = True


def nonfinite_weights(model: Any) -> Concerned:
    """Weights with NaN or infinities and how many of their elements, in the order of the model."""
    paths = VariablePaths(model)
    counts = [(paths(variable), _count(host_copy(variable))) for variable in weights(model)]
    return [(path, count) for path, count in counts if count]


def _count(array: np.ndarray) -> int:
    if array.dtype.kind in "biuSUO":
        return 0
    return int(array.size - np.isfinite(array.astype(np.float32, copy=False)).sum())


def _report(sentence: str, concerned: Concerned | None) -> str:
    if concerned is None:
        return f"{sentence}. The weights could not be looked at."
    if not concerned:
        return f"{sentence}, while all weights are finite: look at the data of this step and at the loss."
    lines = "\n".join(f"- `{path}`: {count:,} elements" for path, count in concerned)
    return f"{sentence}. NaN or infinite, in the order of the model:\n\n{lines}"


def _first(concerned: Concerned | None) -> str:
    if concerned is None:
        return ""
    return f", first in {concerned[0][0]!r}" if concerned else ", while all weights are finite"


def _advice(action: str) -> str:
    if action == "stop":
        return "Training is stopped (on_nonfinite='stop')."
    return "Training goes on (on_nonfinite); first_nonfinite/... has the variables concerned."
