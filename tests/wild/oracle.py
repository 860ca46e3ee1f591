"""Measure the gradients that optimizers get, by means that the package does not use.

The oracle has wrappers of its own around the methods of optimizer classes, and computes in NumPy, by a call
from within the step each time that the step runs.
"""

from __future__ import annotations

import functools
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import numpy as np
import tensorflow as tf

from tbx_keras.keras_model import VariablePaths


class Oracle:
    """Norms by variable path and batch, counted from 1 over all `fit` calls.

    Args:
        k: The Keras module.
    """

    def __init__(self, k: Any) -> None:
        self.norms: dict[str, dict[int, float]] = defaultdict(dict)
        self.batch = 0
        self._k = k
        self._depth = 0
        self._thread = 0
        self.in_batch = False
        self._unnamed: list[tuple[Any, int, float]] = []
        self._paths: VariablePaths | None = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Measure what every optimizer class loaded by now or within the block is given."""
        with ExitStack() as self._stack:
            self._watched: set[type] = set()
            self._watch_classes()
            yield

    def callback(self) -> Any:
        """What counts batches and names variables as the weights of the model that trains."""
        return _counting(self._k, self)

    def begin_fit(self) -> None:
        """A program may have defined an optimizer class since; names are those of this `fit`'s model."""
        self._thread = threading.get_ident()
        self._watch_classes()
        self._paths = None

    def end_batch(self, model: Any) -> None:
        """Name what was measured, now that everything is built."""
        self.in_batch = False
        self._paths = self._paths or VariablePaths(model)
        for variable, batch, norm in self._unnamed:
            self.norms[self._paths(variable)][batch] = norm
        self._unnamed.clear()

    def _watch_classes(self) -> None:
        for owner, name in _methods(self._k):
            if owner not in self._watched:
                self._watched.add(owner)
                self._stack.enter_context(mock.patch.object(owner, name, self._wrapped(owner, name)))

    def _wrapped(self, owner: type, name: str) -> Any:
        method, enter, leave = vars(owner)[name], self._enter, self._leave

        @functools.wraps(method)
        def applied(optimizer, grads, *args, **kwargs):
            if threading.get_ident() != self._thread:  # another model, which trains at the same time
                return method(optimizer, grads, *args, **kwargs)
            given = enter(optimizer, grads, args, kwargs)
            try:
                return method(optimizer, given, *args, **kwargs)
            finally:
                leave()

        return applied

    @tf.autograph.experimental.do_not_convert
    def _enter(self, optimizer: Any, given: Any, args: tuple, kwargs: dict) -> list[Any]:
        given = list(given)
        self._depth += 1
        if self._depth == 1:  # what an optimizer passes on to itself or to an inner one is the same update
            gradients, variables = _pairs(optimizer, given, args, kwargs)
            got = [pair for pair in zip(gradients, variables) if pair[0] is not None]
            scale = _loss_scale(optimizer) if hasattr(optimizer, "apply") else 1.0
            note = functools.partial(self._note, [variable for _, variable in got])
            tf.numpy_function(note, [scale, *(tf.convert_to_tensor(gradient) for gradient, _ in got)], [])
        return given

    def _leave(self) -> None:
        self._depth -= 1

    def _note(self, variables: list[Any], scale: np.ndarray, *gradients: np.ndarray) -> None:
        if not self.in_batch:  # a callback or the loop trains something else in between
            return
        for variable, gradient in zip(variables, gradients, strict=True):
            norm = float(np.linalg.norm(gradient.astype("float64").ravel())) / float(scale)
            # The logger counts elements that are not finite, and has no norm for them.
            self._unnamed.append((variable, self.batch, norm if np.isfinite(norm) else float("nan")))


def _methods(k: Any) -> list[tuple[type, str]]:
    """The optimizer classes that define how gradients are applied, with the name of that method."""
    name = "apply" if hasattr(k.optimizers.Optimizer, "apply") else "apply_gradients"
    legacy = getattr(getattr(k.optimizers, "legacy", None), "Optimizer", None)
    roots = [one for start in (k.optimizers.Optimizer, legacy) if start for one in start.__mro__[:-1]]
    classes = {one for root in roots if name in vars(root) for one in _with_subclasses(root)}
    return [(one, name) for one in classes if name in vars(one)]


def _with_subclasses(owner: type) -> set[type]:
    return {owner}.union(*(_with_subclasses(one) for one in owner.__subclasses__()))


def _pairs(optimizer: Any, given: list[Any], args: tuple, kwargs: dict) -> tuple[list[Any], list[Any]]:
    if not hasattr(optimizer, "apply"):  # tf_keras
        return [pair[0] for pair in given], [pair[1] for pair in given]
    variables = args[0] if args else kwargs.get("trainable_variables")
    return given, list(optimizer._trainable_variables if variables is None else variables)


def _loss_scale(optimizer: Any) -> Any:
    """Keras 3 takes it out only within `apply`."""
    if hasattr(optimizer, "inner_optimizer"):
        return tf.convert_to_tensor(optimizer.dynamic_scale if optimizer.built else optimizer.initial_scale)
    return getattr(optimizer, "loss_scale_factor", None) or 1.0


def _counting(k: Any, oracle: Oracle) -> Any:
    class Counting(k.callbacks.Callback):
        def on_train_begin(self, logs=None):
            oracle.begin_fit()

        def on_train_batch_begin(self, batch, logs=None):
            oracle.batch += 1
            oracle.in_batch = True

        def on_train_batch_end(self, batch, logs=None):
            oracle.end_batch(self.model)

    return Counting()
