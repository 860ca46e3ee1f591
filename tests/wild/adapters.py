"""Layers that change how other layers train: LoRA, quantisation-aware training."""

import numpy as np
import tensorflow as tf

from tests.wild.registry import program


def classes(examples: int = 24) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.normal(size=(examples, 5)).astype("float32")
    return x, np.argmax(x[:, :3], axis=1)


@program(kerases=("keras", "tf_keras"))
def lora_by_hand(k, run):
    """A wrapper with a frozen layer inside and two thin matrices beside it."""

    class Lora(k.layers.Layer):
        def __init__(self, frozen, rank=2, alpha=4.0, **options):
            super().__init__(**options)
            self.frozen, self.rank, self.scale = frozen, rank, alpha / rank
            self.frozen.trainable = False

        def build(self, shape):
            units = self.frozen.kernel.shape[-1]
            self.down = self.add_weight(name="down", shape=(shape[-1], self.rank), initializer="he_uniform")
            self.up = self.add_weight(name="up", shape=(self.rank, units), initializer="zeros")
            self.built = True

        def call(self, x):
            return self.frozen(x) + self.scale * tf.matmul(tf.matmul(x, self.down), self.up)

    x, y = classes()
    dense = k.layers.Dense(6)
    pretrained = k.Sequential([k.Input((5,)), dense, k.layers.ReLU(), k.layers.Dense(3)])
    pretrained.compile("sgd", k.losses.SparseCategoricalCrossentropy(from_logits=True))
    pretrained.fit(x, y, epochs=1, verbose=0)
    inputs = k.Input((5,))
    model = k.Model(inputs, pretrained.layers[-1](k.layers.ReLU()(Lora(dense)(inputs))))
    run.compile(
        model,
        optimizer=k.optimizers.Adam(0.01),
        loss=k.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    run.fit(model, x, y, epochs=2, batch_size=8)
    return model


@program()
def lora_enabled(k, run):
    """Keras' own, between two fits: other variables train in the second."""
    x, y = classes()
    model = k.Sequential([k.Input((5,)), k.layers.Dense(6, activation="relu"), k.layers.Dense(3)])
    loss = k.losses.SparseCategoricalCrossentropy(from_logits=True)
    run.compile(model, optimizer=k.optimizers.Adam(0.01), loss=loss)
    run.fit(model, x, y, epochs=1, batch_size=8)
    for layer in model.layers:
        layer.enable_lora(2)
    run.compile(model, optimizer=k.optimizers.Adam(0.01), loss=loss)
    run.fit(model, x, y, epochs=2, batch_size=8)
    return model


@program(kerases=("keras", "tf_keras"), everywhere=True)
def quantisation_aware(k, run):
    """Rounded forward, straight through backward; ranges of activations are tracked by assigning."""

    def rounded(x, scale):
        whole = tf.clip_by_value(tf.round(x / scale), -127.0, 127.0) * scale
        return x + tf.stop_gradient(whole - x)

    class QuantDense(k.layers.Layer):
        def __init__(self, units):
            super().__init__()
            self.units = units

        def build(self, shape):
            self.kernel = self.add_weight(name="kernel", shape=(shape[-1], self.units))
            self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros")
            self.range = self.add_weight(name="range", shape=(), initializer="ones", trainable=False)
            self.built = True

        def call(self, x, training=False):
            if training:
                self.range.assign(0.9 * self.range + 0.1 * tf.reduce_max(tf.abs(x)))
            largest = tf.reduce_max(tf.abs(tf.convert_to_tensor(self.kernel)))
            kernel = rounded(tf.convert_to_tensor(self.kernel), largest / 127.0)
            return tf.matmul(rounded(x, self.range / 127.0), kernel) + self.bias

    class LearntRange(k.layers.Layer):
        def build(self, shape):
            self.low = self.add_weight(name="low", shape=(), initializer=k.initializers.Constant(-2.0))
            self.high = self.add_weight(name="high", shape=(), initializer=k.initializers.Constant(2.0))
            self.built = True

        def call(self, x):
            low, high = tf.convert_to_tensor(self.low), tf.convert_to_tensor(self.high)
            return tf.quantization.fake_quant_with_min_max_vars(x, low, high)

    model = k.Sequential([QuantDense(6), LearntRange(), k.layers.ReLU(), QuantDense(3)])
    loss = k.losses.SparseCategoricalCrossentropy(from_logits=True)
    run.compile(model, optimizer=k.optimizers.Adam(0.01), loss=loss)
    run.fit(model, *classes(), epochs=2, batch_size=8)
    return model
