"""Summaries of many arrays on the host, by all cores and without a copy, where Numba is installed.

Long arrays are cut into parts; each thread takes the next part until there is none.

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

from tbx_keras.backends.buckets import KEY_COUNT
from tbx_keras.backends.half import CODES, code_table
from tbx_keras.faults import tell

PART = 1 << 20  # elements: half a millisecond, so that no thread is left with much more than the others
_CORES = 8  # more of them wait for memory
_HALF = ("float16", "bfloat16")
_INFINITY = (
    0x7F800000  # its place in the order of all float32: its bits. Of minus infinity: less than minus that
)
Moments = tuple[float, float, float, float]  # min, max, sum, sum of squares


@functools.cache
def is_compiled() -> bool:
    """Check that Numba is installed and works; the first call imports it, which takes about half a second."""
    if importlib.util.find_spec("numba") is None:
        return False
    try:
        import tbx_keras.backends.numba  # noqa: F401
    except Exception as error:  # made for other versions of NumPy, a broken installation
        remedy = "pip install --upgrade numba, or uninstall it."
        message = f"tbx_keras: Numba does not work here ({error}), histograms take longer. {remedy}"
        tell(message, category=UserWarning)
        return False
    return True


def serves(dtype: Any) -> bool:
    """Check that `summarize` takes arrays of a dtype.

    Args:
        dtype: A dtype of NumPy or of a framework.
    """
    return getattr(dtype, "name", str(dtype)) in ("float32", *_HALF)


def summarize(arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Count the buckets and the moments of each array.

    Args:
        arrays: float32, float16 or bfloat16 arrays of any shape, also empty, in the machine's
            byte order.

    Returns:
        int64 array `(n, 4096)`, elements by float-bits key, and float64 array `(n, 4)`: min, max, sum, sum
        of squares of the finite elements, all 0 without any.
    """
    counts, moments = np.zeros((len(arrays), KEY_COUNT), np.int64), np.zeros((len(arrays), 4))
    moments[:, :2] = np.inf, -np.inf
    _by_all_cores(_Work(arrays, counts, moments))
    return counts, np.where(np.isfinite(moments[:, :1]), moments, 0.0)


def _by_all_cores(work: Callable[[], None]) -> None:
    """Each core does it, one of them in this thread."""
    with ThreadPoolExecutor(_cores(), thread_name_prefix="tbx_keras-count") as others:
        started = [others.submit(work) for _ in range(_cores() - 1)]
        work()
        for one in started:
            one.result()


def _cores() -> int:
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    return min(_CORES, len(allowed))


class _Work:
    """Queue of parts of arrays; each thread that calls it counts parts until none is left."""

    def __init__(self, arrays: Sequence[np.ndarray], counts: np.ndarray, moments: np.ndarray) -> None:
        # An iterator over a list gives each part to one thread only.
        self._todo = iter([(row, part) for row, array in enumerate(arrays) for part in _parts(array)])
        self._counts, self._moments, self._adding = counts, moments, threading.Lock()

    def __call__(self) -> None:
        describe = _Describe()
        for row, part in self._todo:
            low, high, total, squares = describe(part)
            with self._adding:
                self._counts[row] += describe.counts
                kept = self._moments[row]
                kept[:] = min(kept[0], low), max(kept[1], high), kept[2] + total, kept[3] + squares


def _parts(array: np.ndarray) -> Iterator[np.ndarray]:
    flat = np.ravel(array).view()
    flat.flags.writeable = False  # one kind of array: kernels are compiled for each
    for start in range(0, flat.size, PART):
        yield flat[start : start + PART]


class _Describe:
    """Moments of a part, which is not empty, and its counts until the next one.

    In memory that one thread uses again and again.
    """

    def __init__(self) -> None:
        from tbx_keras.backends import numba as kernels

        self._kernels = kernels
        self._tables = np.zeros((kernels.TABLES, KEY_COUNT), np.uint32)
        self.counts = np.zeros(KEY_COUNT, np.int64)

    def __call__(self, part: np.ndarray) -> Moments:
        if part.dtype.name not in _HALF:
            return self._of_single(part)
        if part.size >= CODES:
            return self._of_half(part)
        wide = part.astype(np.float32)  # fewer elements than there are codes
        wide.flags.writeable = False
        return self._of_single(wide)

    def _of_single(self, part: np.ndarray) -> Moments:
        self._kernels.count_keys(part.view(np.uint32), self._tables, self.counts)
        low, high, total, squares = self._kernels.fast_moments(part, part.view(np.int32))
        if low >= -_INFINITY and high < _INFINITY:
            return _number(low), _number(high), total, squares
        return self._kernels.careful_moments(part)

    def _of_half(self, part: np.ndarray) -> Moments:
        codes = np.zeros(CODES, np.uint32)
        self._kernels.count_codes(part.view(np.uint16), codes)
        return self._kernels.moments_of_codes(codes, *code_table(part.dtype), self.counts)


def _number(place: int) -> float:
    """The float32 at a place in the order of all."""
    return float(np.int32(place ^ ((place >> 31) & 0x7FFFFFFF)).view(np.float32))
