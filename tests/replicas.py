"""A training on several logical devices, with a logger and without, and on one device.

`main` prints what became of the weights as JSON; run it in a process of its own, since logical devices have
to be made before anything else.
"""

from __future__ import annotations

import contextlib
import json
import sys
import warnings
from typing import Any

import numpy as np

from tests import zoo

EXAMPLES, BATCH = 64, 16


def own_step(k: Any) -> Any:
    """A training step of the user's; each replica computes its part of the loss of the global batch."""
    import tensorflow as tf

    class Own(k.Model):
        def __init__(self):
            super().__init__(name="net")
            self.out = k.layers.Dense(1, name="out")

        def call(self, x):
            return self.out(x)

        def train_step(self, data):
            x, y = data
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(tf.square(self(x) - y)) / BATCH
            gradients = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))
            return {"loss": loss}

    return Own()


def dense(k: Any) -> Any:
    layers = [k.layers.Dense(8, activation="tanh", name="hidden"), k.layers.Dense(1, name="out")]
    return k.Sequential([k.Input((zoo.FEATURES,)), *layers], name="net")


def embedded(k: Any) -> Any:
    x = k.Input((zoo.FEATURES,))
    numbers = k.layers.Lambda(lambda x: abs(x * 3) % 20)(x) if k.__name__ == "tf_keras" else abs(x * 3) % 20
    y = k.layers.Flatten(name="flat")(k.layers.Embedding(20, 3, name="table")(numbers))
    return k.Model(x, k.layers.Dense(1, name="out")(y), name="net")


MODELS = {"dense": dense, "own_step": own_step, "embedded": embedded}
ARGUMENTS = {
    "graph": {"jit_compile": False},
    "eager": {"run_eagerly": True},
    "2_steps": {"jit_compile": False, "steps_per_execution": 2},
}


def train(k: Any, scope: Any, name: str, how: str, *callbacks: Any) -> list[np.ndarray]:
    k.utils.set_random_seed(1)
    with scope:
        model = MODELS[name](k)
        # Not Adam, which divides by tiny numbers; without clipping, by which Keras 3 means that of a replica.
        model.compile(k.optimizers.SGD(0.01, momentum=0.9), "mse", **ARGUMENTS[how])
    x, y = zoo.batch(EXAMPLES)
    model.fit(x, y, batch_size=BATCH, epochs=2, shuffle=False, verbose=0, callbacks=list(callbacks))
    return [np.array(one) for one in model.get_weights()]


def main(which: str, devices: str, name: str, how: str, directory: str) -> None:
    import keras
    import tensorflow as tf
    import tf_keras

    from tbx_keras import TbxLogger

    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * int(devices))
    k = {"keras": keras, "tf_keras": tf_keras}[which]
    names = [f"CPU:{number}" for number in range(int(devices))]

    def several(*callbacks: Any) -> list[np.ndarray]:
        """Under a strategy of its own, as in a notebook: TensorFlow numbers collectives by process."""
        return train(k, tf.distribute.MirroredStrategy(names).scope(), name, how, *callbacks)

    with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        loggers = {
            where: TbxLogger(f"{directory}/{where}", gradient_freq=1, update_freq=1)
            for where in ("one", "all")
        }
        before = several()
        train(k, contextlib.nullcontext(), name, how, loggers["one"])
        having = several(loggers["all"])
        after = several()
        columns = list(zip(having, before, after, strict=True))
    print(
        json.dumps(
            {
                "identical": all(a.tobytes() == b.tobytes() == c.tobytes() for a, b, c in columns),
                "difference": max(float(np.abs(a - b).max()) for a, b, _ in columns),
                "errors": loggers["all"].report.errors,
                "messages": [str(one.message) for one in said if str(one.message).startswith("tbx_keras")],
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
