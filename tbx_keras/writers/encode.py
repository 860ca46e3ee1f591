"""Values -> serialized events, through tensorboardX's protos.

Guarantees: pure functions of their arguments; a value that TensorBoard could not read raises
`ValueRefused` with its tag.
"""

from __future__ import annotations

import functools
import io
import wave
from collections.abc import Callable
from typing import Any

import numpy as np
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboardX.proto.tensor_pb2 import TensorProto
from tensorboardX.proto.tensor_shape_pb2 import TensorShapeProto

from tbx_keras.errors import ValueRefused
from tbx_keras.values import Audio, Histogram, Image, KerasGraph, OpGraph, Scalar, Text
from tbx_keras.writers.packed import histogram_event, scalar_event

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
    if isinstance(value, Histogram):
        return histogram_event(clean(value.tag), value, step, wall_time)
    event = Event(step=step, wall_time=wall_time)
    if isinstance(value, OpGraph):
        event.graph_def = value.graph_def
    else:
        event.summary.CopyFrom(_summary(value, clean(getattr(value, "tag", ""))))
    return event.SerializeToString()


@functools.singledispatch
def _summary(value: Any, tag: str) -> Summary:
    raise ValueRefused(f"{type(value).__name__} cannot be recorded. Received: tag={tag!r}.")


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
