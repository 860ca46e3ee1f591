"""What is recorded: small frozen values, each with a tag and no step.

Guarantees: values are immutable, hold host data only (Python numbers, strings, NumPy arrays) and know
nothing of steps, files or frameworks. Recorders make them, writers turn them into events.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Scalar:
    """One number.

    Args:
        tag: Name of the series, for example `"epoch_loss"`.
        value: The number; NaN and infinities are legal.
    """

    tag: str
    value: float


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Counts of values in buckets, with exact moments over the finite elements.

    Args:
        tag: Name of the series, for example `"weights/dense/kernel"`.
        edges: float64 array of shape `(k + 1,)`, strictly rising, all finite.
        counts: array of shape `(k,)`; `counts[i]` elements lie in `[edges[i], edges[i + 1])`.
        min: Least finite element (0.0 if there is none).
        max: Greatest finite element (0.0 if there is none).
        num: Number of finite elements.
        sum: Sum of the finite elements.
        sum_squares: Sum of the squares of the finite elements.
        nonfinite: Number of NaN and infinite elements; they are in no bucket.
    """

    tag: str
    edges: np.ndarray
    counts: np.ndarray
    min: float
    max: float
    num: float
    sum: float
    sum_squares: float
    nonfinite: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """One or several pictures of one size.

    Args:
        tag: Name of the series.
        pixels: uint8 array of shape `(n, height, width, channels)`, channels 1, 3 or 4.
    """

    tag: str
    pixels: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Audio:
    """One sound.

    Args:
        tag: Name of the series.
        samples: float array of shape `(frames,)` or `(frames, channels)` within -1 to 1.
        sample_rate: Frames in a second (Hz).
    """

    tag: str
    samples: np.ndarray
    sample_rate: int


@dataclass(frozen=True, slots=True)
class Text:
    """A text, shown by TensorBoard as Markdown."""

    tag: str
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """A table of vectors for TensorBoard's projector.

    Args:
        tag: Name of the table, for example that of the layer.
        vectors: float array of shape `(rows, dimensions)`.
        metadata: File with a line of labels for each row, relative to the log directory; or None.
    """

    tag: str
    vectors: np.ndarray
    metadata: str | None = None


@dataclass(frozen=True, slots=True)
class KerasGraph:
    """A Keras model's configuration as JSON, which TensorBoard draws as its conceptual graph."""

    tag: str
    json: str


@dataclass(frozen=True, slots=True)
class OpGraph:
    """A serialized TensorFlow `GraphDef`, which TensorBoard draws as the run's graph."""

    tag: str
    graph_def: bytes


Value = Scalar | Histogram | Image | Audio | Text | Embedding | KerasGraph | OpGraph
