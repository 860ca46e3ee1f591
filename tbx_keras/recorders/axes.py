"""Which series count epochs; all others count steps."""

from __future__ import annotations

STEP_OF_EPOCH = "tbx/step"  # by epoch: the steps made when it ended
_BY_EPOCH = ("epoch_", "weights/", "biases/", "drift/", "tbx/", "trainable_share")


def counts_epochs(tag: str) -> bool:
    """Whether the series of a tag is recorded at the ends of epochs, with their number as its step."""
    return tag.startswith(_BY_EPOCH)
