"""A training on JAX on four host devices, by each of Keras's distributions, and on one device.

`main` prints what became of the weights, by distribution, as JSON; run it in a process of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import warnings
from typing import Any

import numpy as np

os.environ["KERAS_BACKEND"] = "jax"
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4"
sys.modules["tensorflow"] = None  # type: ignore[assignment]  # as if it were not installed

COLLECTIVES = ("all-gather", "all-to-all", "collective-permute", "all-reduce")


def distributions() -> dict[str, Any]:
    import keras

    devices = keras.distribution.list_devices()
    assert len(devices) == 4
    mesh = keras.distribution.DeviceMesh((2, 2), ("batch", "model"), devices=devices)
    layout = keras.distribution.LayoutMap(mesh)
    layout[".*hidden/kernel"], layout[".*hidden/bias"] = (None, "model"), ("model",)
    layout[".*out/kernel"] = ("model", None)
    return {
        "one": None,
        "data": keras.distribution.DataParallel(devices=devices),
        "model": keras.distribution.ModelParallel(layout_map=layout, batch_dim_name="batch"),
    }


def train(distribution: Any, *callbacks: Any) -> Any:
    import keras

    keras.distribution.set_distribution(distribution)
    keras.utils.set_random_seed(1)
    layers = [keras.layers.Dense(16, activation="tanh", name="hidden"), keras.layers.Dense(4, name="out")]
    model = keras.Sequential([keras.Input((8,)), *layers], name="net")
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse")
    x = np.random.default_rng(0).normal(size=(64, 8)).astype("float32")
    model.fit(x, x[:, :4], batch_size=16, epochs=2, shuffle=False, verbose=0, callbacks=list(callbacks))
    return model


def compare(name: str, distribution: Any, directory: str) -> dict[str, Any]:
    from tbx_keras import TbxLogger

    logger = TbxLogger(
        f"{directory}/{name}", gradient_freq=1, update_freq=1, distance_freq=1, embeddings_freq=1
    )
    having, without = train(distribution, logger), train(distribution)
    pairs = zip(having.weights, without.weights, strict=True)
    return {
        "identical": all(np.array_equal(np.asarray(a.value), np.asarray(b.value)) for a, b in pairs),
        "errors": logger.report.errors,
        "collectives": collectives(having.layers[0].kernel.value),
    }


def collectives(array: Any) -> dict[str, int]:
    """How often a summary of an array talks to other devices, by kind."""
    import jax

    from tbx_keras.backends.jax.kernels import summarize

    text = jax.jit(summarize).lower([array]).compile().as_text()
    return {name: text.count(name) for name in COLLECTIVES}


def main(directory: str) -> None:
    with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = {name: compare(name, one, directory) for name, one in distributions().items()}
    messages = [str(one.message) for one in said if str(one.message).startswith("tbx_keras")]
    print(json.dumps({"found": found, "messages": messages}))


if __name__ == "__main__":
    main(sys.argv[1])
