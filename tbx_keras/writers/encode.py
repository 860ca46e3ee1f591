"""Values -> serialized events, through tensorboardX's protos.

Guarantees: pure functions of their arguments; a value that TensorBoard could not read raises
`ValueRefused` with its tag. Scalars are packed by hand, since they come by the hundred thousand: the bytes
are those of the proto (a test compares them).
"""

from __future__ import annotations

import functools
import io
import math
import struct
import wave
from collections.abc import Callable
from typing import Any

import numpy as np
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.summary_pb2 import HistogramProto, Summary, SummaryMetadata
from tensorboardX.proto.tensor_pb2 import TensorProto
from tensorboardX.proto.tensor_shape_pb2 import TensorShapeProto

from tbx_keras.errors import ValueRefused
from tbx_keras.values import Audio, Histogram, Image, KerasGraph, OpGraph, Scalar, Text

_WALL, _FLOAT = struct.Struct("<Bd"), struct.Struct("<f")
_DT_STRING = 7


def encode(value: Any, step: int, wall_time: float, clean: Callable[[object], str]) -> bytes:
    """Serialize one value as an event.

    Args:
        value: One of `tbx_keras.values`, or an event with step and time set: tensorboardX's, or its bytes.
        step: Step of the value.
        wall_time: Seconds since 1970.
        clean: Makes a tag safe.

    Returns:
        The serialized event.

    Raises:
        ValueRefused: The value is of no known kind.
    """
    if isinstance(value, bytes):
        return value
    if isinstance(value, Event):
        return value.SerializeToString()
    if isinstance(value, Scalar):
        return scalar_event(clean(value.tag), value.value, step, wall_time)
    event = Event(step=step, wall_time=wall_time)
    if isinstance(value, OpGraph):
        event.graph_def = value.graph_def
    else:
        event.summary.CopyFrom(_summary(value, clean(getattr(value, "tag", ""))))
    return event.SerializeToString()


def scalar_event(tag: str, value: float, step: int, wall_time: float) -> bytes:
    """One scalar as a serialized event."""
    head = _scalar_head(tag)
    return b"".join((_WALL.pack(9, wall_time), b"\x10", _varint(step), head, _float32(value)))


@functools.lru_cache(maxsize=4096)
def _scalar_head(tag: str) -> bytes:
    """Everything between the step and the four bytes of the value: all lengths are known by the tag."""
    name = tag.encode()
    value = b"\x0a" + _varint(len(name)) + name + b"\x15"
    inner = b"\x0a" + _varint(len(value) + 4) + value
    return b"\x2a" + _varint(len(inner) + 4) + inner


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


@functools.singledispatch
def _summary(value: Any, tag: str) -> Summary:
    raise ValueRefused(f"{type(value).__name__} cannot be recorded. Received: tag={tag!r}.")


@_summary.register
def _histogram(value: Histogram, tag: str) -> Summary:
    counts = np.asarray(value.counts, np.float64)
    # A bucket is kept if it holds something or bounds the next that does; before the first comes an empty
    # one, whose limit is the left edge.
    limits, numbers = np.asarray(value.edges, np.float64), np.concatenate([[0.0], counts])
    keep = (numbers > 0) | (np.append(numbers[1:], 0.0) > 0)
    keep[0] = keep[-1] = True
    proto = HistogramProto(
        min=value.min,
        max=value.max,
        num=value.num,
        sum=value.sum,
        sum_squares=value.sum_squares,
        bucket_limit=limits[keep].tolist(),
        bucket=numbers[keep].tolist(),
    )
    return Summary(value=[Summary.Value(tag=tag, histo=proto)])


@_summary.register
def _text(value: Text, tag: str) -> Summary:
    return _string_tensor(f"{tag}/text_summary", value.text, "text", b"", shape=(1,))


@_summary.register
def _keras_graph(value: KerasGraph, tag: str) -> Summary:
    return _string_tensor(tag, value.json, "graph_keras_model", b"1", shape=())


@_summary.register
def _image(value: Image, tag: str) -> Summary:
    pictures = value.pixels
    tags = [tag] if len(pictures) == 1 else [f"{tag}/{index}" for index in range(len(pictures))]
    return Summary(value=[Summary.Value(tag=one, image=_png(pixels)) for one, pixels in zip(tags, pictures)])


@_summary.register
def _audio(value: Audio, tag: str) -> Summary:
    samples = np.atleast_2d(np.asarray(value.samples, np.float64).T).T
    whole = (np.clip(np.nan_to_num(samples), -1, 1) * 32767).astype("<i2")
    stream = io.BytesIO()
    with wave.open(stream, "wb") as sound:
        sound.setnchannels(whole.shape[1])
        sound.setsampwidth(2)
        sound.setframerate(value.sample_rate)
        sound.writeframes(whole.tobytes())
    proto = Summary.Audio(
        sample_rate=value.sample_rate,
        num_channels=whole.shape[1],
        length_frames=len(whole),
        encoded_audio_string=stream.getvalue(),
        content_type="audio/wav",
    )
    return Summary(value=[Summary.Value(tag=tag, audio=proto)])


def _png(pixels: np.ndarray) -> Summary.Image:
    from PIL import Image as Pillow

    stream = io.BytesIO()
    height, width, channels = pixels.shape
    Pillow.fromarray(pixels[..., 0] if channels == 1 else pixels).save(stream, "PNG")
    return Summary.Image(
        height=height, width=width, colorspace=channels, encoded_image_string=stream.getvalue()
    )


def _string_tensor(tag: str, text: str, plugin: str, content: bytes, shape: tuple[int, ...]) -> Summary:
    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name=plugin, content=content))
    sizes = TensorShapeProto(dim=[TensorShapeProto.Dim(size=size) for size in shape])
    tensor = TensorProto(dtype=_DT_STRING, string_val=[text.encode()], tensor_shape=sizes)
    return Summary(value=[Summary.Value(tag=tag, metadata=metadata, tensor=tensor)])
