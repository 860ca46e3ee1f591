"""Small models of every kind that the logger has to work with, for Keras 3 and tf_keras alike."""

from __future__ import annotations

from typing import Any

import numpy as np

FEATURES = 6


def batch(examples: int = 32, outputs: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """A regression problem that is the same in each call."""
    random = np.random.default_rng(7)
    x = random.normal(size=(examples, FEATURES)).astype("float32")
    return x, (x @ random.normal(size=(FEATURES, outputs))).astype("float32")


def sequential(k: Any, dropout: float = 0.0) -> Any:
    layers = [k.layers.Dense(8, activation="tanh", name="hidden")]
    layers += [k.layers.Dropout(dropout)] if dropout else []
    return k.Sequential([k.Input((FEATURES,)), *layers, k.layers.Dense(1, name="out")])


def functional(k: Any) -> Any:
    x = k.Input((FEATURES,))
    hidden = k.layers.BatchNormalization()(k.layers.Dense(8, activation="relu")(x))
    return k.Model(x, k.layers.Dense(1)(hidden))


def nested(k: Any) -> Any:
    """Two inner models with layers of the same names, and an embedding below the first level."""
    x = k.Input((FEATURES,))
    towers = []
    for _ in range(2):
        inner = k.Input((FEATURES,))
        towers.append(k.Model(inner, k.layers.Dense(4, name="same")(inner)))
    joined = k.layers.Concatenate()([tower(x) for tower in towers])
    return k.Model(x, k.layers.Dense(1)(joined))


def several_inputs_and_outputs(k: Any) -> Any:
    left, right = k.Input((FEATURES,), name="left"), k.Input((FEATURES,), name="right")
    joined = k.layers.Dense(4)(k.layers.Concatenate()([left, right]))
    outputs = {"one": k.layers.Dense(1, name="one")(joined), "two": k.layers.Dense(1, name="two")(joined)}
    return k.Model({"left": left, "right": right}, outputs)


def subclassed(k: Any) -> Any:
    class Subclassed(k.Model):
        def __init__(self):
            super().__init__()
            self.hidden = k.layers.Dense(8, activation="relu", name="hidden")
            self.out = k.layers.Dense(1, name="out")

        def call(self, x, training=False):
            return self.out(self.hidden(x))

    return Subclassed()


def with_embedding(k: Any) -> Any:
    """Its gradient is sparse: `tf.IndexedSlices`."""
    x = k.Input((4,), dtype="int32")
    table = k.layers.Embedding(20, 3, name="table")(x)
    return k.Model(x, k.layers.Dense(1, name="out")(k.layers.Flatten()(table)))


def with_loose_end(k: Any) -> Any:
    """One of its trainable variables gets no gradient."""

    class LooseEnd(k.Model):
        def __init__(self):
            super().__init__()
            self.used = k.layers.Dense(1, name="used")
            self.idle = k.layers.Dense(1, name="idle")

        def build(self, shape):
            self.used.build(shape)
            self.idle.build(shape)
            self.built = True

        def call(self, x):
            return self.used(x)

    return LooseEnd()


def stepping(k: Any, train_step: Any, *layers: Any) -> Any:
    """A model with a training step of the test's own; one dense layer unless `layers` are given."""

    class Stepping(k.Model):
        def __init__(self):
            super().__init__()
            self.stack = list(layers) or [k.layers.Dense(1, name="out")]

        def call(self, x):
            for layer in self.stack:
                x = layer(x)
            return x

    Stepping.train_step = train_step
    return Stepping()


def loss_and_gradients(model: Any, x: Any, y: Any) -> tuple[Any, list[tuple[Any, Any]]]:
    """A mean squared error, and pairs as an optimizer applies them, both by a tape."""
    import tensorflow as tf

    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(x) - y))
    return loss, list(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))


def plain_step(model: Any, data: Any) -> dict[str, Any]:
    loss, pairs = loss_and_gradients(model, *data)
    model.optimizer.apply_gradients(pairs)
    return {"loss": loss}


def with_train_step(k: Any) -> Any:
    """Everything of it is built by the first step: layers, slots of the optimizer."""
    hidden = k.layers.Dense(4, activation="tanh", name="hidden")
    return stepping(k, plain_step, hidden, k.layers.Dense(1, name="out"))


def gan(k: Any) -> Any:
    """Two optimizers in one step."""
    import tensorflow as tf

    class Gan(k.Model):
        def __init__(self):
            super().__init__()
            self.generator = k.Sequential([k.Input((2,)), k.layers.Dense(FEATURES, name="paint")])
            self.critic = k.Sequential([k.Input((FEATURES,)), k.layers.Dense(1, name="judge")])
            self.built = True

        def compile(self):
            super().compile()
            self.generator_optimizer = k.optimizers.SGD(0.01, name="generator")
            self.critic_optimizer = k.optimizers.SGD(0.02, name="critic")

        def call(self, noise):
            return self.generator(noise)

        def train_step(self, real):
            noise = tf.ones([tf.shape(real)[0], 2])
            with tf.GradientTape() as tape:
                judged = self.critic(real), self.critic(self.generator(noise))
                critic_loss = tf.reduce_mean(judged[1]) - tf.reduce_mean(judged[0])
            _apply(self.critic_optimizer, tape, critic_loss, self.critic.trainable_variables)
            with tf.GradientTape() as tape:
                loss = -tf.reduce_mean(self.critic(self.generator(noise)))
            _apply(self.generator_optimizer, tape, loss, self.generator.trainable_variables)
            return {"critic_loss": critic_loss, "generator_loss": loss}

    def _apply(optimizer, tape, loss, variables):
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))

    return Gan()
