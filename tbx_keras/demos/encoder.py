"""The same reviews with Keras 3: a small transformer encoder from Keras layers, trained from nothing.

Load, vectorize, compile, fit with `TbxLogger`, evaluate, save, load again.
"""

from __future__ import annotations

import os
from typing import Any

import keras
import numpy as np

from tbx_keras.demos.imdb import Outcome, Settings
from tbx_keras.demos.reviews import Reviews
from tbx_keras.errors import ArgumentError

VOCABULARY = 20_000
WIDTH, HEADS, LAYERS = 64, 4, 2
FROM_NOTHING = 1e-3  # learning rate of a model without pretrained weights


@keras.saving.register_keras_serializable("tbx_keras")
class Positions(keras.layers.Layer):
    """Adds a learned vector for each place in the sequence."""

    supports_masking = True

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Make a vector for each place."""
        self.table = self.add_weight(shape=shape[1:], initializer="uniform", name="table")

    def call(self, x: Any) -> Any:
        """Add them."""
        return x + self.table


def train_encoder(settings: Settings, train: Reviews, validation: Reviews, callbacks: list[Any]) -> Outcome:
    """Build, train, evaluate and save.

    Args:
        settings: How; `freeze` may be `"nothing"` or `"embeddings"`.
        train: Reviews to train on.
        validation: Reviews to validate with.
        callbacks: Further callbacks, such as a progress display.

    Returns:
        The outcome.

    Raises:
        ArgumentError: What to freeze is wrong.
    """
    from tbx_keras import TbxLogger

    vectorize = keras.layers.TextVectorization(VOCABULARY, output_sequence_length=settings.max_length)
    vectorize.adapt(train.texts)
    model = build_encoder(vectorize.vocabulary_size(), settings.max_length)
    freeze(model, settings.freeze)
    model.compile(
        keras.optimizers.Adam(settings.learning_rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    x, x_val = (vectorize(np.array(part.texts)) for part in (train, validation))
    logger = TbxLogger(settings.log_dir, update_freq=10, drift_freq=1, overhead_budget=0.5)
    model.fit(
        x,
        train.labels,
        validation_data=(x_val, validation.labels),
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        verbose=0,
        callbacks=[logger, *callbacks],
    )
    _, accuracy = model.evaluate(x_val, validation.labels, batch_size=settings.batch_size, verbose=0)
    saved = save(vectorize, model, os.path.join(logger.log_dir, "model"))
    return Outcome(float(accuracy), saved, logger)


def build_encoder(vocabulary: int, length: int) -> Any:
    """A transformer encoder for two classes.

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


def _block(x: Any, name: str) -> Any:
    layers = keras.layers
    attended = layers.MultiHeadAttention(HEADS, WIDTH // HEADS, dropout=0.1, name=f"{name}_attention")(x, x)
    x = layers.LayerNormalization(name=f"{name}_attention_norm")(x + attended)
    hidden = layers.Dense(4 * WIDTH, activation="gelu", name=f"{name}_wide")(x)
    return layers.LayerNormalization(name=f"{name}_norm")(
        x + layers.Dense(WIDTH, name=f"{name}_narrow")(hidden)
    )


def freeze(model: Any, what: str) -> None:
    """Mark what does not train; there is nothing pretrained here but what a person loads."""
    if what not in ("nothing", "embeddings"):
        raise ArgumentError("freeze", what, "nothing or embeddings; the encoder has no pretrained layers")
    model.get_layer("embeddings").trainable = what == "nothing"


def save(vectorize: Any, model: Any, directory: str) -> str:
    """Write one model from texts to logits, as `model.keras` and as a SavedModel; returns the directory."""
    os.makedirs(directory, exist_ok=True)
    whole = keras.Sequential([keras.Input((), dtype="string"), vectorize, model], name="reviews")
    whole.save(os.path.join(directory, "model.keras"))
    whole.export(os.path.join(directory, "saved_model"), verbose=False)
    return directory


def load_again(directory: str) -> Any:
    """The model from texts `(batch,)` to logits `(batch, 2)`."""
    return keras.saving.load_model(os.path.join(directory, "model.keras"))
