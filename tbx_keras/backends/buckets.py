"""Log-scale buckets that a float32 carries in its own bits.

The top 12 bits of a float32 (sign, exponent, 3 bits of mantissa) number 4096 buckets whose width is 1/8 of
their power of two: 6 to 12 % of the value, as fine as the 10 % steps of TensorFlow's own histograms, and
found by a shift instead of a search. NaN and infinities have keys of their own.

Guarantees: pure NumPy; edges are finite and rise strictly; every element is counted once.
"""

from __future__ import annotations

import numpy as np

from tbx_keras.values import Histogram

KEY_COUNT = 4096
_FINITE = 0x7F8  # keys of one sign below that of infinity
_SIGN = 0x800


def _edges() -> np.ndarray:
    """Edges of all finite buckets, from the lowest negative to the highest positive one."""
    keys = np.arange(_FINITE, dtype=np.uint32) << 20
    magnitudes = np.append(keys.view(np.float32).astype(np.float64), 2.0**128)
    return np.concatenate([-magnitudes[:0:-1], magnitudes])


EDGES = _edges()


def histogram_from_counts(
    tag: str, counts: np.ndarray, low: float, high: float, total: float, total_squares: float
) -> Histogram:
    """Turn counts by key into a histogram over the occupied range.

    Args:
        tag: Name of the series.
        counts: int array `(4096,)`, elements by float-bits key.
        low: Least finite element.
        high: Greatest finite element.
        total: Sum of the finite elements.
        total_squares: Sum of their squares.

    Returns:
        The histogram; its outermost edges are `low` and `high` where these lie within their buckets.
    """
    ordered = np.concatenate([counts[_SIGN : _SIGN + _FINITE][::-1], counts[:_FINITE]])
    number = int(ordered.sum())
    nonfinite = int(counts.sum()) - number
    if number == 0:
        return empty_histogram(tag, nonfinite)
    occupied = ordered.nonzero()[0]
    first, last = int(occupied[0]), int(occupied[-1]) + 1
    edges = _tighten(EDGES[first : last + 1].copy(), low, high)
    return Histogram(tag, edges, ordered[first:last], low, high, number, total, total_squares, nonfinite)


def empty_histogram(tag: str, nonfinite: int = 0) -> Histogram:
    """Of no finite element: one empty bucket from 0 to 1."""
    return Histogram(tag, np.array([0.0, 1.0]), np.zeros(1, np.int64), 0.0, 0.0, 0, 0.0, 0.0, nonfinite)


def _tighten(edges: np.ndarray, low: float, high: float) -> np.ndarray:
    if low < edges[1]:
        edges[0] = low
    if high > edges[-2]:
        edges[-1] = high
    if edges[-1] <= edges[-2]:  # one bucket, one value
        edges[-1] = np.nextafter(edges[-2], np.inf)
    return edges
