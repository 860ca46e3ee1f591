"""Events as bytes, and the frame around each in an event file.

The frame is that of TFRecord: length (8 bytes), masked CRC-32C of it, the event, masked CRC-32C of that.
"""

from __future__ import annotations

import struct

from crc32c import crc32c

_LENGTH, _CRC = struct.Struct("<Q"), struct.Struct("<I")


def frame(event: bytes) -> bytes:
    """Wrap a serialized event for an event file."""
    length = _LENGTH.pack(len(event))
    return b"".join((length, _masked(length), event, _masked(event)))


def _masked(data: bytes) -> bytes:
    # The mask keeps a checksum of data that holds checksums from being weak.
    value = crc32c(data)
    return _CRC.pack((((value >> 15) | (value << 17)) + 0xA282EAD8) & 0xFFFFFFFF)
