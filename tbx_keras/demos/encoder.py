"""The same reviews with Keras 3: a small transformer encoder from Keras layers, trained from scratch.

Load, vectorize, compile, fit with `TbxLogger`, evaluate, save, load again.
"""

from __future__ import annotations

import os
from typing import Any

import keras
import numpy as np

from tbx_keras.demos.reviews import Reviews
from tbx_keras.demos.training import Outcome, Settings, train_classifier
from tbx_keras.errors import ArgumentError
from tbx_keras.framework_types import Callback, Layer, Model, Tensor

VOCABULARY = 20_000
WIDTH, HEADS, LAYERS = 64, 4, 2
FROM_SCRATCH = 1e-3  # learning rate of a model without pretrained weights


@keras.saving.register_keras_serializable("tbx_keras")
class Positions(keras.layers.Layer):
    """Adds a learned vector for each place in the sequence."""

    supports_masking = True

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Make a vector for each place."""
        self.table = self.add_weight(shape=shape[1:], initializer="uniform", name="table")

    def call(self, x: Tensor) -> Tensor:
        """Add them."""
        return x + self.table


def train_encoder(
    settings: Settings, train: Reviews, validation: Reviews, callbacks: list[Callback]
) -> Outcome:
    """Build, train, evaluate and save.

    Args:
        settings: How; `freeze` may be `"none"` or `"embeddings"`.
        train: Reviews to train on.
        validation: Reviews to validate with.
        callbacks: Further callbacks, such as a progress display.

    Returns:
        The outcome.

    Raises:
        ArgumentError: What to freeze is wrong.
    """
    vectorize = keras.layers.TextVectorization(VOCABULARY, output_sequence_length=settings.max_length)
    vectorize.adapt(train.texts)
    model = build_encoder(vectorize.vocabulary_size(), settings.max_length)
    freeze(model, settings.freeze)
    x, x_val = (vectorize(np.array(part.texts)) for part in (train, validation))
    data = (x, train.labels), (x_val, validation.labels)
    logger, accuracy = train_classifier(keras, model, settings, *data, callbacks)
    saved = save(vectorize, model, os.path.join(logger.log_dir, "model"))
    return Outcome(accuracy, saved, logger)


def build_encoder(vocabulary: int, length: int) -> Model:
    """Build a transformer encoder for two classes.

    Args:
        vocabulary: Number of different tokens.
        length: Tokens of a review.

    Returns:
        Model from int tokens `(batch, length)` to logits `(batch, 2)`.
    """
    tokens = keras.Input((length,), dtype="int32")
    x = keras.layers.Embedding(vocabulary, WIDTH, mask_zero=True, name="embeddings")(tokens)
    x = Positions(name="positions")(x)
    for index in range(LAYERS):
        x = _block(x, f"layer_{index}")
    pooled = keras.layers.GlobalAveragePooling1D(name="mean")(x)
    return keras.Model(tokens, keras.layers.Dense(2, name="head")(pooled), name="encoder")


def _block(x: Tensor, name: str) -> Tensor:
    layers = keras.layers
    attended = layers.MultiHeadAttention(HEADS, WIDTH // HEADS, dropout=0.1, name=f"{name}_attention")(x, x)
    x = layers.LayerNormalization(name=f"{name}_attention_norm")(x + attended)
    hidden = layers.Dense(4 * WIDTH, activation="gelu", name=f"{name}_wide")(x)
    return layers.LayerNormalization(name=f"{name}_norm")(
        x + layers.Dense(WIDTH, name=f"{name}_narrow")(hidden)
    )


def freeze(model: Model, what: str) -> None:
    """Mark the layers that do not train."""
    if what not in ("none", "embeddings"):
        raise ArgumentError("freeze", what, "none or embeddings; the encoder has no pretrained layers")
    model.get_layer("embeddings").trainable = what == "none"


def save(vectorize: Layer, model: Model, directory: str) -> str:
    """Write one model from texts to logits, as `model.keras` and as a SavedModel; returns the directory."""
    os.makedirs(directory, exist_ok=True)
    whole = keras.Sequential([keras.Input((), dtype="string"), vectorize, model], name="reviews")
    whole.save(os.path.join(directory, "model.keras"))
    whole.export(os.path.join(directory, "saved_model"), verbose=False)
    return directory


def load_again(directory: str) -> Any:
    """Load the model from texts `(batch,)` to logits `(batch, 2)`."""
    return keras.saving.load_model(os.path.join(directory, "model.keras"))
