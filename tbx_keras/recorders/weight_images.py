"""Weights as images (`write_images`), shaped as `keras.callbacks.TensorBoard` shapes them.

Guarantees: copies the weights to the host when called; scaling and the rest happen on the writer's thread.
Each image is scaled from its least to its greatest finite value; weights of more than 3 dimensions that
fit no image are left out.
"""

from __future__ import annotations

import numpy as np

from tbx_keras.backends.base import backend_of
from tbx_keras.framework_types import Model
from tbx_keras.keras_model import VariablePaths, weights
from tbx_keras.memory import held_bytes
from tbx_keras.recorders.base import Moment, Recorder
from tbx_keras.recorders.weights import GROUP
from tbx_keras.scheduling.triggers import EveryNEpochs
from tbx_keras.values import Deferred, Image

MAX_PIXELS = 1 << 22  # an image of 4 megapixels is more than a page shows
MAX_IMAGES = 64


class WeightImages(Recorder):
    """Records `weights/<path>/image`.

    Args:
        trigger: When to record.
    """

    name = "weight images"
    hint = "write_images=False turns it off."

    def __init__(self, trigger: EveryNEpochs) -> None:
        self.trigger = trigger

    def record(self, moment: Moment) -> Deferred:
        """Copy the weights as they are now."""
        return weight_images(moment.model)


def weight_images(model: Model) -> Deferred:
    """Copy the weights of `model`; the images are made later."""
    paths, copy = VariablePaths(model), backend_of(model).copy_to_host
    pairs = [(f"{GROUP}/{paths(weight)}/image", copy(weight)) for weight in weights(model)]
    size = sum(held_bytes(array) for _, array in pairs)
    return Deferred(lambda: [image for tag, array in pairs for image in _image(tag, array)], size)


def _image(tag: str, array: np.ndarray) -> list[Image]:
    stack = _as_images(np.squeeze(array))
    if stack is None or stack.size == 0 or stack[0].size > MAX_PIXELS:
        return []
    return [Image(tag, to_pixels(stack[:MAX_IMAGES]))]


def _as_images(array: np.ndarray) -> np.ndarray | None:
    """Shape weights as `(n, height, width, 1)`: a row for a vector, an image for each filter of a kernel."""
    if array.ndim == 1:
        return array[None, None, :, None]
    if array.ndim == 2:
        return (array.T if array.shape[0] > array.shape[1] else array)[None, :, :, None]
    if array.ndim == 3:
        return np.moveaxis(array, -1, 0)[..., None]
    if array.ndim == 4:  # convolution: height, width, inputs, filters; an image for each filter's mean
        return np.moveaxis(array.astype(np.float32).mean(axis=2), -1, 0)[..., None]
    return None


def to_pixels(array: np.ndarray) -> np.ndarray:
    """Scale to uint8 over the finite range; NaN and infinities are black."""
    finite = np.isfinite(array)
    values = np.where(finite, array, 0).astype(np.float32)
    low = values.min(where=finite, initial=np.inf) if finite.any() else 0.0
    high = values.max(where=finite, initial=-np.inf) if finite.any() else 0.0
    span = high - low if high > low else 1.0
    return np.where(finite, (values - low) / span * 255.0, 0).astype(np.uint8)
