"""Scalars and histograms as serialized events, packed by hand.

Scalars come by the hundred thousand, histograms by the hundred, and building a proto takes ten times as
long. Guarantees: pure functions; the bytes are read as those of the proto would be (tests compare them).
"""

from __future__ import annotations

import functools
import math
import struct
from collections.abc import Iterable

import numpy as np

from tbx_keras.values import Histogram

_WALL, _FLOAT = struct.Struct("<Bd"), struct.Struct("<f")
_STATISTICS = struct.Struct("<BdBdBdBdBd")


def scalar_event(tag: str, value: float, step: int, wall_time: float) -> bytes:
    """Serialize one scalar as an event."""
    head = _scalar_head(tag)
    return b"".join((_WALL.pack(9, wall_time), b"\x10", _varint(step), head, _float32(value)))


def scalars_event(scalars: Iterable[tuple[str, float]], step: int, wall_time: float) -> bytes:
    """Serialize the scalars of one step as one event."""
    values = b"".join([_value_head(tag) + _float32(value) for tag, value in scalars])
    return b"".join((_WALL.pack(9, wall_time), b"\x10", _varint(step), b"\x2a", _varint(len(values)), values))


def histogram_event(tag: str, histogram: Histogram, step: int, wall_time: float) -> bytes:
    """Serialize one histogram as an event; see `HistogramProto`."""
    proto = _statistics(histogram) + b"".join(_buckets(histogram))
    value = b"\x0a" + _sized(tag.encode()) + b"\x2a" + _sized(proto)
    summary = b"\x0a" + _sized(value)
    return b"".join((_WALL.pack(9, wall_time), b"\x10", _varint(step), b"\x2a", _sized(summary)))


def _statistics(one: Histogram) -> bytes:
    return _STATISTICS.pack(9, one.min, 0x11, one.max, 0x19, one.num, 0x21, one.sum, 0x29, one.sum_squares)


def _buckets(histogram: Histogram) -> tuple[bytes, ...]:
    """Pack the limits and counts of buckets.

    Kept are those that hold something or bound the next that does, after an empty one whose limit is the left
    edge.
    """
    numbers = np.zeros(len(histogram.counts) + 1, "<f8")
    numbers[1:] = histogram.counts
    some = numbers > 0
    keep = some.copy()
    keep[:-1] |= some[1:]
    keep[0] = keep[-1] = True
    limits = np.asarray(histogram.edges, "<f8")[keep]
    return b"\x32", _sized(limits.tobytes()), b"\x3a", _sized(numbers[keep].tobytes())


def _sized(data: bytes) -> bytes:
    return _varint(len(data)) + data


@functools.lru_cache(maxsize=4096)
def _scalar_head(tag: str) -> bytes:
    """Pack everything between the step and the four bytes of the value."""
    head = _value_head(tag)
    return b"\x2a" + _varint(len(head) + 4) + head


@functools.lru_cache(maxsize=4096)
def _value_head(tag: str) -> bytes:
    """Pack a value of a summary up to its four bytes."""
    name = tag.encode()
    value = b"\x0a" + _varint(len(name)) + name + b"\x15"
    return b"\x0a" + _varint(len(value) + 4) + value


def _varint(number: int) -> bytes:
    number = int(number) & 0xFFFFFFFFFFFFFFFF  # of NumPy's integers `&` would overflow
    if number < 0x80:
        return bytes((number,))
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _float32(value: float) -> bytes:
    try:
        return _FLOAT.pack(value)
    except OverflowError:
        return _FLOAT.pack(math.copysign(math.inf, value))
