"""Axes of the logger's series, kept in the event file itself.

The first value of a series in a file has a description, which TensorBoard shows beside the chart. A run that
is resumed reads there what the steps of the series count. A series without one was not written by the logger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tbx_keras.values import EPOCH, STEP, Axis, Image

DESCRIPTIONS: dict[Axis, str] = {
    EPOCH: "One point per epoch; recorded by tbx_keras.",
    STEP: "One point per step; recorded by tbx_keras.",
}
_AXES = {sentence: axis for axis, sentence in DESCRIPTIONS.items()}
_MARK = b"recorded by tbx_keras."
# Old-style values have no plugin; TensorBoard's readers ask for one where there are metadata.
_PLUGINS = {"simple_value": "scalars", "histo": "histograms", "image": "images", "audio": "audio"}


def described_once(
    event: bytes, value: Any, axis: Axis, clean: Callable[[object], str], described: dict[Any, str]
) -> bytes:
    """Add the description of an axis to the first value of a series in a file.

    Args:
        event: The value as a serialized event.
        value: The value.
        axis: What the steps of its series count.
        clean: Makes a tag safe.
        described: The series that the file describes, with their clean tags; gets this one.

    Returns:
        The event, with a description where the series had none.
    """
    series = _series(value)
    if series in described:
        return event
    found = _describe(event, axis)
    described[series] = clean(getattr(value, "tag", ""))
    return found


def _series(value: Any) -> Any:
    """Identify a series of a run: by the tag, and for images by how many share it."""
    tag = getattr(value, "tag", "")
    return (tag, len(value.pixels)) if isinstance(value, Image) else tag


def _describe(data: bytes, axis: Axis) -> bytes:
    """Add the description of an axis to each value of a serialized event."""
    from tensorboardX.proto.event_pb2 import Event

    event = Event.FromString(data)
    for value in event.summary.value:
        value.metadata.summary_description = DESCRIPTIONS[axis]
        plugin = value.metadata.plugin_data
        plugin.plugin_name = plugin.plugin_name or _PLUGINS.get(value.WhichOneof("value"), "")
    return event.SerializeToString()


def recorded_axes(events: Iterable[bytes]) -> dict[str, Axis]:
    """Read the axis of each series of the logger, by tag as it is written, from all events of a run."""
    from tensorboardX.proto.event_pb2 import Event

    found: dict[str, Axis] = {}
    for data in events:
        if _MARK in data:  # far cheaper than to parse every event
            for value in Event.FromString(data).summary.value:
                axis = _AXES.get(value.metadata.summary_description)
                if axis is not None:
                    found[value.tag] = axis
    return found
