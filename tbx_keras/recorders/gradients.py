"""Gradients of a training step: histograms, norms, update ratios, and variables that get none.

Guarantees: values are made of fetched arrays, on the writer's thread. Histograms are over the finite
elements; a norm is NaN where the gradient holds a non-finite element, so that a chart shows the hole. A
variable without a gradient is named once.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np

from tbx_keras.backends.buckets import histograms_from_counts
from tbx_keras.instrumentation.base import GRADIENTS, CaptureSchema
from tbx_keras.memory import held_bytes
from tbx_keras.recorders.base import Moment, Recorder
from tbx_keras.scheduling.triggers import StepTrigger
from tbx_keras.values import Deferred, Histogram, Scalar, Text, Value

GROUP = "gradients"
Arrays: TypeAlias = dict[str, np.ndarray]


class Gradients(Recorder):
    """Records `gradients/<path>` and the scalars made of them.

    Args:
        trigger: When to record.
    """

    name = GROUP
    captures = frozenset({GRADIENTS})
    hint = "gradient_freq=0 turns it off."

    def __init__(self, trigger: StepTrigger) -> None:
        self.trigger = trigger
        self._schema: CaptureSchema | None = None
        self._reported: set[str] = set()

    def record(self, moment: Moment) -> Deferred:
        """Keep the captured tensors, to be fetched later."""
        if moment.captured is None:
            return Deferred(list, 0)
        schema, tensors = moment.captured
        news = unconnected(self._news(schema))
        size = sum(map(held_bytes, tensors.values()))

        def fetch() -> list[Value]:
            arrays = {name: np.asarray(tensor) for name, tensor in tensors.items()}
            return [*news, *(gradient_values(schema, arrays) if "counts" in arrays else [])]

        return Deferred(fetch, size)

    def _news(self, schema: CaptureSchema) -> list[str]:
        if schema is self._schema:
            return []
        self._schema = schema
        new = [path for path in schema.unconnected if path not in self._reported]
        self._reported.update(new)
        return new


def gradient_values(schema: CaptureSchema, arrays: Arrays) -> list[Value]:
    """Make histograms, norms, update ratios and counts of non-finite elements.

    Args:
        schema: Names of the rows.
        arrays: The captured tensors, fetched.

    Returns:
        For each path `gradients/<path>`, `gradient_norm/<path>`, `update_ratio/<path>` and
        `nonfinite/<path>`; `gradient_norm/global`, where an optimizer clips `gradient_norm/clipped`, and of
        several replicas `replica_gradient_spread`.
    """
    tags = [f"{GROUP}/{path}" for path in schema.paths]
    found = histograms_from_counts(tags, arrays["counts"], arrays["statistics"])
    norms = [math.nan if one.nonfinite else math.sqrt(one.sum_squares) for one in found]
    ratios = _update_ratios(arrays)
    values: list[Value] = [*found, Scalar("gradient_norm/global", _root_sum_squares(norms))]
    for path, histogram, norm, ratio in zip(schema.paths, found, norms, ratios):
        values += _of_variable(path, histogram, norm, ratio)
    return values + _clipped_norm(schema, arrays, norms) + _replica_spread(arrays, norms)


def unconnected(paths: list[str]) -> list[Value]:
    """List, as a text, the variables that got no gradient since the loss does not depend on them."""
    if not paths:
        return []
    lines = "\n".join(f"- `{path}`" for path in paths)
    return [Text(f"{GROUP}/unconnected", f"No gradient reaches these trainable variables:\n\n{lines}")]


def _of_variable(path: str, histogram: Histogram, norm: float, ratio: float) -> list[Scalar]:
    return [
        Scalar(f"gradient_norm/{path}", norm),
        Scalar(f"update_ratio/{path}", ratio),
        Scalar(f"nonfinite/{path}", float(histogram.nonfinite)),
    ]


def _update_ratios(arrays: Arrays) -> list[float]:
    """Divide the norm of each update by that of the weights before it; infinite for weights of zeros."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.sqrt(arrays["change"]) / np.sqrt(arrays["before"])
    return np.where(arrays["change"] == 0, 0.0, ratios).tolist()


def _clipped_norm(schema: CaptureSchema, arrays: Arrays, norms: list[float]) -> list[Scalar]:
    """Compute the global norm after clipping; Keras allows one of three ways of clipping in an optimizer."""
    if "clipped" in arrays:
        clipped = math.sqrt(float(arrays["clipped"].sum()))
    elif any(limit is not None for limit in schema.clipnorm):
        pairs = zip(norms, schema.clipnorm)
        clipped = _root_sum_squares([norm if limit is None else min(norm, limit) for norm, limit in pairs])
    elif schema.global_clipnorm is not None:
        clipped = min(_root_sum_squares(norms), schema.global_clipnorm)
    else:
        return []
    return [Scalar("gradient_norm/clipped", math.nan if any(map(math.isnan, norms)) else clipped)]


def _replica_spread(arrays: Arrays, norms: list[float]) -> list[Scalar]:
    """Compute how far the gradients of replicas lie apart, relative to the norm of the reduced gradient.

    Of all variables together: the root of the mean squared distance of a replica's gradient, which of a batch
    as large as the whole would be the reduced one. About 1 where noise is as large as the gradient.
    """
    whole = _root_sum_squares(norms)
    if "spread" not in arrays or not whole > 0:
        return []
    return [Scalar("replica_gradient_spread", math.sqrt(float(arrays["spread"].sum())) / whole)]


def _root_sum_squares(norms: list[float]) -> float:
    return math.sqrt(math.fsum(norm * norm for norm in norms))
