"""Log-scale buckets that a float32 carries in its own bits.

The top 12 bits of a float32 (sign, exponent, 3 bits of mantissa) number 4096 buckets whose width is 1/8 of
their power of two: 6 to 12 % of the value, as fine as the 10 % steps of TensorFlow's own histograms, and
found by a shift instead of a search. NaN and infinities have buckets of their own.

Guarantees: pure NumPy; edges are finite and rise strictly; every element is counted once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tbx_keras.values import Histogram

BUCKET_COUNT = 4096
_FINITE = 0x7F8  # indices of one sign below that of infinity
_SIGN = 0x800


def _edges() -> np.ndarray:
    """Edges of all finite buckets, from the lowest negative to the highest positive one."""
    indices = np.arange(_FINITE, dtype=np.uint32) << 20
    magnitudes = np.append(indices.view(np.float32).astype(np.float64), 2.0**128)
    return np.concatenate([-magnitudes[:0:-1], magnitudes])


EDGES = _edges()


def histograms_from_counts(
    tags: Sequence[str], counts: np.ndarray, statistics: np.ndarray
) -> list[Histogram]:
    """Turn counts by bucket index into histograms over the occupied range.

    Args:
        tags: A tag for each row.
        counts: int array `(n, 4096)`, elements by bucket index.
        statistics: float64 array `(n, 4)`: min, max, sum, sum of squares of the finite elements.

    Returns:
        A histogram for each row; its outermost edges are min and max where these lie within their buckets.
    """
    counts = np.asarray(counts)
    # The indices of negative numbers rise as these fall.
    rows = np.concatenate([counts[:, _SIGN : _SIGN + _FINITE][:, ::-1], counts[:, :_FINITE]], 1)
    numbers = rows.sum(1, dtype=np.int64)
    nonfinite = counts.sum(1, dtype=np.int64) - numbers
    occupied = rows > 0
    starts, ends = occupied.argmax(1), rows.shape[1] - occupied[:, ::-1].argmax(1)
    columns = (numbers.tolist(), nonfinite.tolist(), starts.tolist(), ends.tolist())
    return [_histogram(*one) for one in zip(tags, rows, np.asarray(statistics).tolist(), *columns)]


def _histogram(
    tag: str, row: np.ndarray, statistics: list[float], number: int, nonfinite: int, start: int, end: int
) -> Histogram:
    if number == 0:
        return empty_histogram(tag, nonfinite)
    low, high, total, squares = statistics
    edges = _tighten(EDGES[start : end + 1].copy(), low, high)
    # A copy: a view would keep the counts of all variables alive.
    return Histogram(tag, edges, row[start:end].copy(), low, high, number, total, squares, nonfinite)


def empty_histogram(tag: str, nonfinite: int = 0) -> Histogram:
    """Make the histogram of no finite element: one empty bucket from 0 to 1."""
    return Histogram(tag, np.array([0.0, 1.0]), np.zeros(1, np.int64), 0.0, 0.0, 0, 0.0, 0.0, nonfinite)


def _tighten(edges: np.ndarray, low: float, high: float) -> np.ndarray:
    if low < edges[1]:
        edges[0] = low
    if high > edges[-2]:
        edges[-1] = high
    if edges[-1] <= edges[-2]:  # one bucket, one value
        edges[-1] = np.nextafter(edges[-2], np.inf)
    return edges
