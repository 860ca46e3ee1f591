"""Read event files back with TensorBoard's own reader."""

from __future__ import annotations

import os

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

EVERYTHING = {"scalars": 0, "histograms": 0, "images": 0, "tensors": 0, "audio": 0, "graph": 1}


def accumulate(*path: str | os.PathLike[str]) -> EventAccumulator:
    """All events of a run directory."""
    return EventAccumulator(os.path.join(*path), size_guidance=EVERYTHING).Reload()


def scalar(events: EventAccumulator, tag: str) -> dict[int, float]:
    """Values of a series by step; a step that comes twice is an error."""
    found = {event.step: event.value for event in events.Scalars(tag)}
    assert len(found) == len(events.Scalars(tag)), f"{tag}: a step came twice"
    return found


def scalar_tags(events: EventAccumulator) -> set[str]:
    return set(events.Tags()["scalars"])


def histogram_tags(events: EventAccumulator) -> set[str]:
    return set(events.Tags()["histograms"])


def same_weights(one, other) -> bool:
    """Whether two models hold the same bits."""
    pairs = zip(one.weights, other.weights, strict=True)
    return all(as_bytes(a) == as_bytes(b) for a, b in pairs)


def close_weights(one, other) -> bool:
    """Tell if the weights of two models differ in their last bits at the most."""
    pairs = zip(one.weights, other.weights, strict=True)
    return all(np.allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=1e-6) for a, b in pairs)


def as_bytes(variable) -> bytes:
    return np.asarray(variable.numpy()).tobytes()
