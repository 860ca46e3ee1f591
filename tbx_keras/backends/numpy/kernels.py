"""The reference kernels, for anything that NumPy can read.

Guarantees: large arrays are worked through in chunks, so that no second copy of them is made in another
dtype; half, bfloat16 and float8 are widened to float32, a chunk at a time. Statistics are over the finite
elements.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tbx_keras.backends.buckets import BUCKET_COUNT, empty_histogram, histograms_from_counts
from tbx_keras.checked_numbers import count_of
from tbx_keras.errors import ArgumentError, UnsupportedValueError
from tbx_keras.values import Histogram

CHUNK = 1 << 20
DEFAULT_BUCKETS = 30  # that of `tf.summary.histogram`
_LIMIT = float(np.finfo(np.float32).max)


def float_bits_histogram(tag: str, array: np.ndarray) -> Histogram:
    """Count an array in the log-scale buckets of `buckets`.

    Args:
        tag: Name of the series.
        array: Real array of any shape and dtype, also empty.

    Returns:
        The histogram.

    Raises:
        UnsupportedValueError: The array holds no real numbers.
    """
    counts, statistics = count_float_bits(tag, array)
    return histograms_from_counts([tag], counts[None], np.array([statistics]))[0]


def count_float_bits(tag: str, array: np.ndarray) -> tuple[np.ndarray, tuple[float, float, float, float]]:
    """Count the elements of an array in the log-scale buckets, and sum them up.

    Args:
        tag: Name of the series, for the message.
        array: Real array of any shape and dtype, also empty.

    Returns:
        int64 array `(4096,)`, and min, max, sum and sum of squares of the finite elements.

    Raises:
        UnsupportedValueError: The array holds no real numbers.
    """
    counts, statistics = np.zeros(BUCKET_COUNT, np.int64), _Statistics()
    for chunk in _chunks(tag, array):
        clipped = np.where(np.isfinite(chunk), np.clip(chunk, -_LIMIT, _LIMIT), chunk)
        indices = clipped.astype(np.float32).view(np.uint32) >> 20
        counts += np.bincount(indices, minlength=BUCKET_COUNT)
        statistics.add(chunk)
    return counts, statistics.all()


def linear_histogram(
    tag: str, array: np.ndarray, buckets: int | None = None, range: tuple[float, float] | None = None
) -> Histogram:
    """Count an array in buckets of equal width.

    Args:
        tag: Name of the series.
        array: Real array of any shape and dtype, also empty.
        buckets: Number of buckets, 30 if None.
        range: Lower and upper edge; from the least to the greatest finite element if None. Elements
            outside are left out of the buckets, as by `numpy.histogram`; the statistics are over all.

    Returns:
        The histogram.

    Raises:
        ArgumentError: `buckets` is no positive integer or `range` no rising pair of finite numbers.
        UnsupportedValueError: The array holds no real numbers.
    """
    number = _check_buckets(buckets)
    statistics = _Statistics()
    for chunk in _chunks(tag, array):
        statistics.add(chunk)
    if statistics.num == 0:
        return empty_histogram(tag, statistics.nonfinite)
    low, high, total, squares = statistics.all()
    edges = np.linspace(*(_check_range(range) or _widen(low, high)), number + 1)
    counts = np.zeros(number, np.int64)
    for chunk in _chunks(tag, array):
        counts += np.histogram(chunk[np.isfinite(chunk)], edges)[0]
    return Histogram(tag, edges, counts, low, high, statistics.num, total, squares, statistics.nonfinite)


class _Statistics:
    """Running statistics over the finite elements of chunks."""

    def __init__(self) -> None:
        self.num = self.nonfinite = 0
        self.total = self.squares = 0.0
        self.low, self.high = np.inf, -np.inf

    def add(self, chunk: np.ndarray) -> None:
        finite = chunk[np.isfinite(chunk)]
        self.num += finite.size
        self.nonfinite += chunk.size - finite.size
        if finite.size:
            wide = finite.astype(np.float64)
            self.low, self.high = min(self.low, float(wide.min())), max(self.high, float(wide.max()))
            self.total += float(wide.sum())
            with np.errstate(over="ignore"):  # beyond 1e154 the sum of squares is infinite
                self.squares += float(np.dot(wide, wide))

    def all(self) -> tuple[float, float, float, float]:
        if not self.num:
            return 0.0, 0.0, 0.0, 0.0
        return self.low, self.high, self.total, self.squares


def _chunks(tag: str, array: np.ndarray) -> Iterator[np.ndarray]:
    flat = np.ravel(array)
    kind = flat.dtype.kind
    if kind not in "fiub" and not np.can_cast(flat.dtype, np.float32):
        raise UnsupportedValueError(
            f"A histogram needs real numbers. Received: {tag!r} with dtype {flat.dtype}."
        )
    wide = np.float64 if flat.dtype.itemsize > 4 or kind in "iu" else np.float32
    for start in range(0, flat.size, CHUNK):
        yield flat[start : start + CHUNK].astype(wide, copy=False)


def _check_buckets(buckets: int | None) -> int:
    if buckets is None:
        return DEFAULT_BUCKETS
    return count_of("buckets", buckets, "a number of buckets >= 1, or None")


def _check_range(pair: tuple[float, float] | None) -> tuple[float, float] | None:
    if pair is None:
        return None
    try:
        low, high = (float(edge) for edge in pair)
    except (TypeError, ValueError):
        low, high = 0.0, 0.0
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise ArgumentError("range", pair, "a pair of finite numbers (low, high) with low < high")
    return low, high


def _widen(low: float, high: float) -> tuple[float, float]:
    """Equal values get a range around them, as by `numpy.histogram`."""
    return (low, high) if low < high else (low - 0.5, high + 0.5)
