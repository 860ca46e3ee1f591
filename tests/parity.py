"""The same models, weights and batches on one backend, with a logger and without.

`main` trains each model in a directory of its own and prints what became of the weights, by model, as JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

MODES = {
    "graph": {"KERAS_BACKEND": "tensorflow"},
    "xla": {"KERAS_BACKEND": "tensorflow"},
    "eager": {"KERAS_BACKEND": "tensorflow"},
    "tf_keras": {"KERAS_BACKEND": "tensorflow"},
    "jax": {"KERAS_BACKEND": "jax"},
    "jax_eager": {"KERAS_BACKEND": "jax"},
    "torch": {"KERAS_BACKEND": "torch"},
}
COMPILED = {
    "xla": {"jit_compile": True},
    "eager": {"run_eagerly": True},
    "graph": {"jit_compile": False},
    "jax_eager": {"run_eagerly": True},
}
EXAMPLES, BATCH = 40, 8


def dense(k: Any) -> Any:
    """With normalization, and clipping by the norm of each gradient."""
    layers = [
        k.layers.Dense(8, activation="relu", name="hidden"),
        k.layers.BatchNormalization(name="norm"),
        k.layers.Dense(1, name="out"),
    ]
    model = k.Sequential([k.Input((6,)), *layers], name="net")
    model.compile(k.optimizers.Adam(0.01, clipnorm=0.5), "mse")
    return model


def convolution(k: Any) -> Any:
    """With a weight decay, and clipping of each element."""
    x = k.Input((8, 8, 1))
    y = k.layers.Conv2D(4, 3, activation="tanh", name="conv", kernel_regularizer="l2")(x)
    y = k.layers.Flatten(name="flat")(k.layers.MaxPooling2D(name="pool")(y))
    model = k.Model(x, k.layers.Dense(1, name="out")(y), name="net")
    model.compile(k.optimizers.SGD(0.05, momentum=0.9, clipvalue=0.1), "mse")
    return model


def sequence(k: Any) -> Any:
    """With an embedding, whose gradient is sparse on TensorFlow.

    There RMSprop and clipping take repeated rows apart; to this optimizer they make no difference.
    """
    x = k.Input((5,), dtype="int32")
    y = k.layers.GRU(6, name="gru")(k.layers.Embedding(20, 4, name="table")(x))
    model = k.Model(x, k.layers.Dense(1, name="out")(y), name="net")
    model.compile(k.optimizers.SGD(0.1), "mse")
    return model


def deep(k: Any) -> Any:
    """With the norm of all gradients clipped, and a layer that does not train."""
    sizes = (8, 6, 4, 1)
    layers = [k.layers.Dense(size, activation="tanh", name=f"dense_{size}") for size in sizes]
    layers[1].trainable = False
    model = k.Sequential([k.Input((6,)), *layers], name="net")
    model.compile(k.optimizers.SGD(0.1, global_clipnorm=0.2), "mse")
    return model


def regular(k: Any) -> Any:
    """Draws random numbers in each step: those of frameworks differ."""
    layers = [k.layers.Dense(8, name="hidden"), k.layers.Dropout(0.5), k.layers.Dense(1, name="out")]
    model = k.Sequential([k.Input((6,)), *layers], name="net")
    model.compile("adam", "mse")
    return model


MODELS: dict[str, tuple[Callable[[Any], Any], tuple[int, ...]]] = {
    "dense": (dense, (6,)),
    "convolution": (convolution, (8, 8, 1)),
    "sequence": (sequence, (5,)),
    "deep": (deep, (6,)),
    "regular": (regular, (6,)),
}
COMPARED = ("dense", "convolution", "sequence", "deep")  # over backends


def data(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(5)
    if shape == (5,):
        return draw.integers(0, 20, (EXAMPLES, 5)).astype("int32"), draw.normal(size=(EXAMPLES, 1)).astype(
            "f"
        )
    return draw.normal(size=(EXAMPLES, *shape)).astype("f"), draw.normal(size=(EXAMPLES, 1)).astype("f")


def model_of(k: Any, mode: str, name: str) -> Any:
    """A model that begins with the same weights everywhere."""
    k.utils.set_random_seed(1)
    model = MODELS[name][0](k)
    draw = np.random.default_rng(9)
    for layer in model.layers:
        shapes = [one.shape for one in layer.get_weights()]
        if not layer.name.startswith("norm"):
            layer.set_weights([draw.normal(0, 0.3, shape).astype("f") for shape in shapes])
    config = COMPILED.get(mode, {})
    if config:
        model.compile(model.optimizer, "mse", **config)
    return model


def train(k: Any, mode: str, name: str, *callbacks: Any) -> list[np.ndarray]:
    model = model_of(k, mode, name)
    x, y = data(MODELS[name][1])
    model.fit(x, y, batch_size=BATCH, epochs=2, shuffle=False, verbose=0, callbacks=list(callbacks))
    return [np.array(one) for one in model.get_weights()]


def compare(k: Any, mode: str, name: str, directory: str) -> dict[str, Any]:
    from tbx_keras import TbxLogger

    without, found = train(k, mode, name), {}
    for frequency in (1, "epoch"):
        where = os.path.join(directory, f"{name}-{frequency}")
        logger = TbxLogger(where, gradient_freq=frequency, update_freq=2, distance_freq=1)
        having = train(k, mode, name, logger)
        found[str(frequency)] = {
            "identical": all(a.tobytes() == b.tobytes() for a, b in zip(without, having, strict=True)),
            "difference": max(float(np.abs(a - b).max()) for a, b in zip(without, having, strict=True)),
            "errors": logger.report.errors,
        }
    return found


def main(mode: str, directory: str) -> None:
    if mode in ("jax", "jax_eager", "torch"):
        sys.modules["tensorflow"] = None  # type: ignore[assignment]  # as if it were not installed
    if mode == "tf_keras":
        import tf_keras as k
    else:
        import keras as k
    with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = {name: compare(k, mode, name, directory) for name in MODELS}
    messages = [str(one.message) for one in said if str(one.message).startswith("tbx_keras")]
    print(json.dumps({"models": found, "messages": messages}))


if __name__ == "__main__":
    main(*sys.argv[1:])
