"""Models and variables that are measured."""

from __future__ import annotations

from typing import Any

import numpy as np


def bert_base_shapes() -> list[tuple[int, ...]]:
    """The 199 variables of a BERT-base-shaped model, 109 million elements."""
    width = 768
    shapes: list[tuple[int, ...]] = [(30522, width), (512, width), (2, width), (width,), (width,)]
    for _ in range(12):
        shapes += [(width, width), (width,)] * 4 + [(width,), (width,)]
        shapes += [(width, 4 * width), (4 * width,), (4 * width, width), (width,), (width,), (width,)]
    return [*shapes, (width, width), (width,)]


class Holder:
    """Stands for a model that has only weights, so that no time goes into building one."""

    def __init__(self, shapes: list[tuple[int, ...]], dtype: str = "float32") -> None:
        import keras

        random = np.random.default_rng(0)
        self.weights = [
            keras.Variable(random.normal(0, 0.02, shape).astype(dtype), dtype=dtype, name=f"variable_{index}")
            for index, shape in enumerate(shapes)
        ]
        self.layers = [self]


def bert_mini(length: int = 64, width: int = 256, depth: int = 4, heads: int = 4, words: int = 30522) -> Any:
    """A transformer encoder of 11 million parameters for two classes."""
    import keras

    layers, tokens = keras.layers, keras.Input((length,), dtype="int32")
    x = layers.Embedding(words, width, name="words")(tokens)
    # Not of a constant: on PyTorch it would be computed once, and differentiated once.
    places = layers.Embedding(length, width, name="places")(
        keras.ops.cumsum(keras.ops.ones_like(tokens), 1) - 1
    )
    x = layers.LayerNormalization(name="norm")(x + places)
    for number in range(depth):
        seen = layers.MultiHeadAttention(heads, width // heads, name=f"attention_{number}")(x, x)
        x = layers.LayerNormalization(name=f"norm_a_{number}")(x + seen)
        inner = layers.Dense(4 * width, "gelu", name=f"wide_{number}")(x)
        x = layers.LayerNormalization(name=f"norm_b_{number}")(
            x + layers.Dense(width, name=f"narrow_{number}")(inner)
        )
    x = layers.Dense(width, "tanh", name="pooler")(x[:, 0])
    return keras.Model(tokens, layers.Dense(2, name="classes")(x))


def chain(variables: int = 60, width: int = 16) -> Any:
    """A chain of small dense layers: many variables, a short step."""
    import keras

    layers = [keras.layers.Dense(width, "tanh") for _ in range(variables // 2)]
    return keras.Sequential([keras.Input((width,)), *layers])
