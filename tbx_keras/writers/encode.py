"""Values -> serialized events: one encoder for each type of value, found in one registry.

What tensorboardX can already make (PR curves, hyperparameters, custom scalars, meshes, video) is recorded as
the `Summary` proto that its functions return, without an encoder here.

Guarantees: pure functions of their arguments; a value that TensorBoard could not read raises
`UnsupportedValueError` with its tag.
"""

from __future__ import annotations

import io
import struct
import wave
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboardX.proto.tensor_pb2 import TensorProto
from tensorboardX.proto.tensor_shape_pb2 import TensorShapeProto

from tbx_keras.errors import UnsupportedValueError
from tbx_keras.values import Audio, Histogram, Image, KerasGraph, OpGraph, Scalar, Text
from tbx_keras.writers.fast_encode import histogram_event, scalar_event

_DT_STRING = 7


class Place(NamedTuple):
    """Step and time of a value.

    Args:
        step: Step of the value.
        wall_time: Seconds since 1970.
        clean: Makes a tag safe.
    """

    step: int
    wall_time: float
    clean: Callable[[object], str]

    def event(self, summary: Summary) -> bytes:
        """Serialize a summary as an event of this place."""
        return bytes(Event(step=self.step, wall_time=self.wall_time, summary=summary).SerializeToString())


Encoder: TypeAlias = Callable[[Any, Place], bytes]
Registered = TypeVar("Registered", bound=Encoder)
_encoders: dict[type, Encoder] = {}


def encodes(kind: type) -> Callable[[Registered], Registered]:
    """Decorate the encoder of a type of value: a function of a value and its `Place`, to an event's bytes."""

    def register(encoder: Registered) -> Registered:
        _encoders[kind] = encoder
        return encoder

    return register


def encode(value: Any, place: Place) -> bytes:
    """Serialize one value as an event.

    Args:
        value: One of `tbx_keras.values`, a `Summary` of tensorboardX, or an event with step and time set:
            tensorboardX's, or its bytes.
        place: Where the value belongs.

    Returns:
        The serialized event.

    Raises:
        UnsupportedValueError: There is no encoder for its type.
    """
    for kind in type(value).__mro__:
        if kind in _encoders:
            return _encoders[kind](value, place)
    raise _unsupported(value)


def check_value(value: Any) -> None:
    """Check that a value of a recorder is none that only writers of this package make: a whole event.

    Raises:
        UnsupportedValueError: It is one.
    """
    if isinstance(value, (bytes, Event)):
        raise _unsupported(value)


def _unsupported(value: Any) -> UnsupportedValueError:
    return UnsupportedValueError(
        f"A {type(value).__name__} cannot be recorded. Received: {value!r:.80}. Pass a Scalar, a Histogram, "
        "an Image or a Text."
    )


@encodes(bytes)
def _serialized(value: bytes, place: Place) -> bytes:
    return value


@encodes(Event)
def _event(value: Event, place: Place) -> bytes:
    return bytes(value.SerializeToString())


@encodes(Summary)
def _summary(value: Summary, place: Place) -> bytes:
    return place.event(value)


@encodes(Scalar)
def _scalar(value: Scalar, place: Place) -> bytes:
    try:
        return scalar_event(place.clean(value.tag), value.value, place.step, place.wall_time)
    except struct.error as error:
        raise _wrong(value, value.value, "one number") from error


@encodes(Histogram)
def _histogram(value: Histogram, place: Place) -> bytes:
    return histogram_event(place.clean(value.tag), value, place.step, place.wall_time)


@encodes(OpGraph)
def _op_graph(value: OpGraph, place: Place) -> bytes:
    event = Event(step=place.step, wall_time=place.wall_time, graph_def=value.graph_def)
    return bytes(event.SerializeToString())


@encodes(Text)
def _text(value: Text, place: Place) -> bytes:
    if not isinstance(value.text, str):
        raise _wrong(value, value.text, "a string")
    tag = f"{place.clean(value.tag)}/text_summary"
    return place.event(_string_tensor(tag, value.text, "text", b"", shape=(1,)))


@encodes(KerasGraph)
def _keras_graph(value: KerasGraph, place: Place) -> bytes:
    return place.event(
        _string_tensor(place.clean(value.tag), value.json, "graph_keras_model", b"1", shape=())
    )


@encodes(Image)
def _image(value: Image, place: Place) -> bytes:
    images, tag = np.asarray(value.pixels), place.clean(value.tag)
    if images.dtype != np.uint8 or images.ndim != 4 or not len(images) or images.shape[3] not in (1, 3, 4):
        hint = "a uint8 array of shape (n, height, width, channels) with 1, 3 or 4 channels"
        raise _wrong(value, f"{images.dtype} array of shape {images.shape}", hint)
    tags = [tag] if len(images) == 1 else [f"{tag}/{index}" for index in range(len(images))]
    pairs = zip(tags, images)
    return place.event(Summary(value=[Summary.Value(tag=one, image=_png(pixels)) for one, pixels in pairs]))


@encodes(Audio)
def _audio(value: Audio, place: Place) -> bytes:
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
    return place.event(Summary(value=[Summary.Value(tag=place.clean(value.tag), audio=proto)]))


def _wrong(value: Scalar | Text | Image, received: object, hint: str) -> UnsupportedValueError:
    kind = type(value).__name__
    return UnsupportedValueError(
        f"{kind} {value.tag!r} cannot be recorded. Received: {received!s:.80}. Pass {hint}."
    )


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
