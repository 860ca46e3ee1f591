"""Kernels that Numba compiles, for arrays on the host.

Counting is one load, one shift and one addition for each element; with operations of TensorFlow or NumPy
each of these is a pass over the data. Consecutive elements go to four tables in turn, since an addition to
the counter that was just written waits for that write. Least and greatest are found among the bits, as
integers in the order of the numbers: of these the compiler makes vector instructions, which it does not of
comparisons in which a NaN may take part.

They are this plain because Numba takes several times as long to compile anything that makes an array.

Guarantees: importing this module imports Numba; a kernel is compiled at its first call, which takes some
tenths of a second. All run without the interpreter lock and write to nothing but what is said.
"""

from __future__ import annotations

from typing import TypeAlias

import numba
import numpy as np

from tbx_keras.backends.buckets import BUCKET_COUNT

Statistics: TypeAlias = tuple[float, float, float, float]  # min, max, sum, sum of squares
TABLES = 4
_SHIFT = 32 - (BUCKET_COUNT - 1).bit_length()
# 32 bits wide, as what they meet: with Python's integers there would be no vector instructions.
_SIGN, _MAGNITUDE = np.int32(31), np.int32(0x7FFFFFFF)


@numba.njit(nogil=True)
def count_buckets(bits: np.ndarray, tables: np.ndarray, counts: np.ndarray) -> None:
    """Count the elements of each float-bits bucket.

    Args:
        bits: uint32 array, 1-D, contiguous: float32 elements.
        tables: uint32 array `(4, 4096)` of zeros, and zeros again afterwards.
        counts: int64 array `(4096,)`, overwritten.
    """
    one, two, three, four = tables[0], tables[1], tables[2], tables[3]
    whole = bits.size - bits.size % TABLES
    for index in range(0, whole, TABLES):
        one[bits[index] >> _SHIFT] += 1
        two[bits[index + 1] >> _SHIFT] += 1
        three[bits[index + 2] >> _SHIFT] += 1
        four[bits[index + 3] >> _SHIFT] += 1
    for index in range(whole, bits.size):
        one[bits[index] >> _SHIFT] += 1
    for bucket in range(BUCKET_COUNT):
        counts[bucket] = one[bucket] + two[bucket] + three[bucket] + four[bucket]
        one[bucket] = two[bucket] = three[bucket] = four[bucket] = 0


# Sums may be taken in any order, as vector instructions do; NaN and infinities keep their meaning.
@numba.njit(nogil=True, fastmath={"reassoc", "nsz", "contract"})
def fast_statistics(values: np.ndarray, bits: np.ndarray) -> tuple[np.int32, np.int32, float, float]:
    """Compute the statistics of an array without NaN and infinities.

    Args:
        values: float32 array, 1-D, contiguous, not empty.
        bits: The same as int32.

    Returns:
        Min and max, as `ordered` integers, which are those of no finite number where an element is not
        finite; sum and sum of squares, in float64.
    """
    low, high, total, squares = _MAGNITUDE, -_MAGNITUDE, 0.0, 0.0
    for index in range(values.size):
        wide = np.float64(values[index])
        total += wide
        squares += wide * wide
        place = bits[index] ^ ((bits[index] >> _SIGN) & _MAGNITUDE)
        low, high = min(low, place), max(high, place)
    return low, high, total, squares


@numba.njit(nogil=True)
def finite_only_statistics(values: np.ndarray) -> Statistics:
    """Compute min, max, sum and sum of squares of the finite elements; infinity and minus infinity of none.

    Args:
        values: float32 array, 1-D, contiguous.
    """
    low, high, total, squares = np.inf, -np.inf, 0.0, 0.0
    for index in range(values.size):
        wide = np.float64(values[index])
        if np.isfinite(wide):
            low, high = min(low, wide), max(high, wide)
            total += wide
            squares += wide * wide
    return low, high, total, squares


@numba.njit(nogil=True)
def count_bit_patterns(patterns: np.ndarray, counts: np.ndarray) -> None:
    """Count the elements of each 16-bit pattern, on top of `counts`.

    Args:
        patterns: uint16 array, 1-D, contiguous.
        counts: uint32 array `(65536,)`.
    """
    for index in range(patterns.size):
        counts[patterns[index]] += 1


@numba.njit(nogil=True)
def statistics_of_bit_patterns(
    patterns: np.ndarray, indices: np.ndarray, wide: np.ndarray, counts: np.ndarray
) -> Statistics:
    """Turn counts of bit patterns into those of buckets, and into the statistics of the finite elements.

    Args:
        patterns: uint32 array `(65536,)`, from `count_bit_patterns`.
        indices: int32 array `(65536,)`, the bucket index of each bit pattern.
        wide: float32 array `(65536,)`, the value of each pattern.
        counts: int64 array `(4096,)`, overwritten.

    Returns:
        As `finite_only_statistics`.
    """
    low, high, total, squares = np.inf, -np.inf, 0.0, 0.0
    for bucket in range(BUCKET_COUNT):
        counts[bucket] = 0
    for pattern in range(patterns.size):
        number, value = patterns[pattern], np.float64(wide[pattern])
        counts[indices[pattern]] += number
        if number > 0 and np.isfinite(value):
            low, high = min(low, value), max(high, value)
            total += number * value
            squares += number * value * value
    return low, high, total, squares
