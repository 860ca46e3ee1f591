"""Summaries of many arrays on the host, by all cores and without a copy, where Numba is installed.

Long arrays are cut into chunks; each thread takes the next chunk until there is none.

Guarantees: the threads end before the call does. An array is read only during the call. Importing this
module imports no framework and not Numba.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from tbx_keras.backends.buckets import BUCKET_COUNT
from tbx_keras.backends.float16 import BIT_PATTERNS, bit_pattern_table
from tbx_keras.error_reporting import warn

CHUNK = 1 << 20  # elements: half a millisecond, so that no thread is left with much more than the others
_CORES = 8  # more of them wait for memory
_FLOAT16 = ("float16", "bfloat16")
# Its place in the order of all float32: its bits. That of minus infinity is less than minus this one.
_INFINITY = 0x7F800000
Statistics = tuple[float, float, float, float]  # min, max, sum, sum of squares


@functools.cache
def is_compiled() -> bool:
    """Check that Numba is installed and works; the first call imports it, which takes about half a second."""
    if importlib.util.find_spec("numba") is None:
        return False
    try:
        import tbx_keras.backends.numpy.numba_kernels  # noqa: F401
    except Exception as error:  # made for other versions of NumPy, a broken installation
        hint = "pip install --upgrade numba, or uninstall it."
        message = f"tbx_keras: Numba does not work here ({error}), histograms take longer. {hint}"
        warn(message, category=UserWarning)
        return False
    return True


def serves(dtype: Any) -> bool:
    """Check that `summarize` takes arrays of a dtype.

    Args:
        dtype: A dtype of NumPy or of a framework.
    """
    return getattr(dtype, "name", str(dtype)) in ("float32", *_FLOAT16)


def summarize(arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Count the buckets and the statistics of each array.

    Args:
        arrays: float32, float16 or bfloat16 arrays of any shape, also empty, in the machine's
            byte order.

    Returns:
        int64 array `(n, 4096)`, elements by bucket index, and float64 array `(n, 4)`: min, max, sum, sum
        of squares of the finite elements, all 0 without any.
    """
    counts, statistics = np.zeros((len(arrays), BUCKET_COUNT), np.int64), np.zeros((len(arrays), 4))
    statistics[:, :2] = np.inf, -np.inf
    run_parallel(ChunkQueue(arrays, counts, statistics))
    return counts, np.where(np.isfinite(statistics[:, :1]), statistics, 0.0)


def run_parallel(work: Callable[[], None]) -> None:
    """Run a function on each core at once, one of them in this thread."""
    with ThreadPoolExecutor(_cores(), thread_name_prefix="tbx_keras-count") as others:
        started = [others.submit(work) for _ in range(_cores() - 1)]
        work()
        for one in started:
            one.result()


def _cores() -> int:
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    return min(_CORES, len(allowed))


class ChunkQueue:
    """Queue of chunks of arrays; each thread that calls it counts chunks until none is left."""

    def __init__(self, arrays: Sequence[np.ndarray], counts: np.ndarray, statistics: np.ndarray) -> None:
        # An iterator over a list gives each chunk to one thread only.
        self._todo = iter([(row, chunk) for row, array in enumerate(arrays) for chunk in _chunks(array)])
        self._counts, self._statistics, self._adding = counts, statistics, threading.Lock()

    def __call__(self) -> None:
        describe = _Describe()
        for row, chunk in self._todo:
            low, high, total, squares = describe(chunk)
            with self._adding:
                self._counts[row] += describe.counts
                kept = self._statistics[row]
                kept[:] = min(kept[0], low), max(kept[1], high), kept[2] + total, kept[3] + squares


def _chunks(array: np.ndarray) -> Iterator[np.ndarray]:
    flat = np.ravel(array).view()
    flat.flags.writeable = False  # one kind of array: kernels are compiled for each
    for start in range(0, flat.size, CHUNK):
        yield flat[start : start + CHUNK]


class _Describe:
    """Statistics of a chunk, which is not empty, and its counts until the next one.

    In memory that one thread uses again and again.
    """

    def __init__(self) -> None:
        from tbx_keras.backends.numpy import numba_kernels as kernels

        self._kernels = kernels
        self._tables = np.zeros((kernels.TABLES, BUCKET_COUNT), np.uint32)
        self.counts = np.zeros(BUCKET_COUNT, np.int64)

    def __call__(self, chunk: np.ndarray) -> Statistics:
        if chunk.dtype.name not in _FLOAT16:
            return self._of_float32(chunk)
        if chunk.size >= BIT_PATTERNS:
            return self._of_float16(chunk)
        wide = chunk.astype(np.float32)  # fewer elements than there are bit patterns
        wide.flags.writeable = False
        return self._of_float32(wide)

    def _of_float32(self, chunk: np.ndarray) -> Statistics:
        self._kernels.count_buckets(chunk.view(np.uint32), self._tables, self.counts)
        low, high, total, squares = self._kernels.fast_statistics(chunk, chunk.view(np.int32))
        if low >= -_INFINITY and high < _INFINITY:
            return _number(int(low)), _number(int(high)), total, squares
        return self._kernels.finite_only_statistics(chunk)

    def _of_float16(self, chunk: np.ndarray) -> Statistics:
        patterns = np.zeros(BIT_PATTERNS, np.uint32)
        self._kernels.count_bit_patterns(chunk.view(np.uint16), patterns)
        return self._kernels.statistics_of_bit_patterns(
            patterns, *bit_pattern_table(chunk.dtype), self.counts
        )


def _number(place: int) -> float:
    """The float32 at a place in the order of all."""
    return float(np.int32(place ^ ((place >> 31) & 0x7FFFFFFF)).view(np.float32))
