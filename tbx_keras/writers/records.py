"""Events as bytes, and the frame around each in an event file.

The frame is that of TFRecord: length (8 bytes), masked CRC-32C of it, the event, masked CRC-32C of that.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import IO

from crc32c import crc32c

_LENGTH, _CRC = struct.Struct("<Q"), struct.Struct("<I")


def frame(event: bytes) -> bytes:
    """Wrap a serialized event for an event file."""
    length = _LENGTH.pack(len(event))
    return b"".join((length, _masked(length), event, _masked(event)))


def unframed(file: IO[bytes]) -> Iterator[bytes]:
    """Iterate over the events of a file, up to the first that is torn or damaged."""
    while len(length := file.read(_LENGTH.size)) == _LENGTH.size:
        if file.read(_CRC.size) != _masked(length):
            return
        event = file.read(_LENGTH.unpack(length)[0])
        if file.read(_CRC.size) != _masked(event):
            return
        yield event


def _masked(data: bytes) -> bytes:
    # The mask keeps a checksum of data that holds checksums from being weak.
    value = crc32c(data)
    return _CRC.pack((((value >> 15) | (value << 17)) + 0xA282EAD8) & 0xFFFFFFFF)
