"""What the tap heard in a training step, as values.

Guarantees: works on fetched arrays only, on any thread. Histograms are over the finite elements; a norm is
NaN where the gradient holds a non-finite element, so that a chart shows the hole.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tbx_keras.backends.buckets import histograms_from_counts
from tbx_keras.values import Histogram, Scalar, Text, Value

if TYPE_CHECKING:
    from tbx_keras.taps.statistics import Layout

Arrays = dict[str, np.ndarray]


def gradient_values(layout: Layout, arrays: Arrays) -> list[Value]:
    """Histograms, norms, update ratios and counts of non-finite elements.

    Args:
        layout: Names of the rows.
        arrays: The tensors of `taps.statistics.gather`, fetched.

    Returns:
        For each path `gradients/<path>`, `gradient_norm/<path>`, `update_ratio/<path>` and
        `nonfinite/<path>`; `gradient_norm/global`, and where an optimizer clips `gradient_norm/clipped`.
    """
    tags = [f"gradients/{path}" for path in layout.paths]
    found = histograms_from_counts(tags, arrays["counts"], arrays["moments"])
    norms = [math.nan if one.nonfinite else math.sqrt(one.sum_squares) for one in found]
    ratios = _update_ratios(arrays)
    values: list[Value] = [*found, Scalar("gradient_norm/global", _root_sum_squares(norms))]
    for path, histogram, norm, ratio in zip(layout.paths, found, norms, ratios):
        values += _of_variable(path, histogram, norm, ratio)
    return values + _clipped_norm(layout, arrays, norms)


def nonfinite(layout: Layout, values: list[Value]) -> list[tuple[str, int]]:
    """Paths of gradients with NaN or infinities, and how many elements, in the order of the model."""
    found = [value for value in values if isinstance(value, Histogram)]
    return [(path, one.nonfinite) for path, one in zip(layout.paths, found) if one.nonfinite]


def missing(paths: list[str]) -> list[Value]:
    """Say which variables got no gradient: they are not part of what the loss depends on."""
    lines = "\n".join(f"- `{path}`" for path in paths)
    return [Text("gradients/missing", f"No gradient reaches these trainable variables:\n\n{lines}")]


def _of_variable(path: str, histogram: Histogram, norm: float, ratio: float) -> list[Scalar]:
    return [
        Scalar(f"gradient_norm/{path}", norm),
        Scalar(f"update_ratio/{path}", ratio),
        Scalar(f"nonfinite/{path}", float(histogram.nonfinite)),
    ]


def _update_ratios(arrays: Arrays) -> list[float]:
    """Norm of the update over norm of the weights before it; an update of zero weights is infinite."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.sqrt(arrays["change"]) / np.sqrt(arrays["before"])
    return np.where(arrays["change"] == 0, 0.0, ratios).tolist()


def _clipped_norm(layout: Layout, arrays: Arrays, norms: list[float]) -> list[Scalar]:
    """Global norm after clipping; Keras allows one of the three ways of clipping in an optimizer."""
    if "clipped" in arrays:
        clipped = math.sqrt(float(arrays["clipped"].sum()))
    elif any(limit is not None for limit in layout.clipnorm):
        pairs = zip(norms, layout.clipnorm)
        clipped = _root_sum_squares([norm if limit is None else min(norm, limit) for norm, limit in pairs])
    elif layout.global_clipnorm is not None:
        clipped = min(_root_sum_squares(norms), layout.global_clipnorm)
    else:
        return []
    return [Scalar("gradient_norm/clipped", clipped)]


def _root_sum_squares(norms: list[float]) -> float:
    return math.sqrt(math.fsum(norm * norm for norm in norms))
