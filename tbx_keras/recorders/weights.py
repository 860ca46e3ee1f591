"""Histograms of weights and biases.

Guarantees: weights are reduced where they are, and only counts leave the device; where the backend cannot do
that, they are copied to the host at once, because training may change them before they are counted.
"""

from __future__ import annotations

from tbx_keras.backends.base import Summarizer, backend_of
from tbx_keras.backends.buckets import histograms_from_counts
from tbx_keras.framework_types import Model, Variable
from tbx_keras.keras_model import VariablePaths, variable_key, weights
from tbx_keras.recorders.base import Moment, Recorder
from tbx_keras.scheduling.triggers import EveryNEpochs
from tbx_keras.values import Deferred, Histogram

GROUP = "weights"  # biases too: the path says which


class WeightHistograms(Recorder):
    """Records `weights/<path>` of all variables of a model.

    Args:
        trigger: When to record.
    """

    name = GROUP
    hint = "histogram_freq=0 turns it off."

    def __init__(self, trigger: EveryNEpochs) -> None:
        self.trigger = trigger
        self._counter: WeightCounter | None = None

    def set_model(self, model: Model) -> None:
        """Take the model."""
        self._counter = WeightCounter(model)

    def will_trace(self) -> bool:
        """Check whether the variables are others than those of the last record."""
        return self._counter is not None and self._counter.will_trace()

    def record(self, moment: Moment) -> Deferred:
        """Reduce the weights as they are now."""
        return self._counter() if self._counter is not None else Deferred(list, 0)


class WeightCounter:
    """Counts all weights of a model.

    Args:
        model: A Keras 3 or tf_keras model; layers may be added between two calls.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._keys: list[int] = []
        self._tags: list[str] = []
        self._summarize: Summarizer | None = None

    def __call__(self) -> Deferred:
        """Reduce the weights as they are now; the histograms are made later, on the host."""
        variables = self._variables()
        if not variables:
            return Deferred(list, 0)
        pending, tags = self._prepared(variables)(), self._tags

        def fetch() -> list[Histogram]:
            return histograms_from_counts(tags, *pending.fetch())

        return Deferred(fetch, pending.nbytes)

    def will_trace(self) -> bool:
        """Check whether the next call traces, which takes longer than the call itself."""
        return [variable_key(variable) for variable in self._variables()] != self._keys

    def _variables(self) -> list[Variable]:
        return [variable for variable in weights(self._model) if _is_numeric(variable)]

    def _prepared(self, variables: list[Variable]) -> Summarizer:
        keys = [variable_key(variable) for variable in variables]
        if self._summarize is None or keys != self._keys:
            paths = VariablePaths(self._model)
            self._keys, self._tags = keys, [f"{GROUP}/{paths(variable)}" for variable in variables]
            self._summarize = backend_of(self._model).summarizer(variables)
        return self._summarize


def _is_numeric(variable: Variable) -> bool:
    name = getattr(variable.dtype, "name", str(variable.dtype))
    return not any(word in name for word in ("string", "complex", "resource", "variant"))
