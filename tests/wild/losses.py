"""Losses that are computed where people compute them: in layers, in steps, in the model's `compute_loss`."""

import numpy as np
import tensorflow as tf

from tests.wild.registry import program


@program(kerases=("keras", "tf_keras"))
def ctc_endpoint(k, run):
    """Text recognition: an endpoint layer adds the CTC loss, the model is compiled without one."""

    class CtcEndpoint(k.layers.Layer):
        def call(self, labels, logits):
            frames = tf.fill([tf.shape(logits)[0]], tf.shape(logits)[1])
            lengths = tf.reduce_sum(tf.cast(labels > 0, "int32"), axis=1)
            loss = tf.nn.ctc_loss(
                tf.cast(labels, "int32"), logits, lengths, frames, logits_time_major=False, blank_index=0
            )
            self.add_loss(tf.reduce_mean(loss))
            return logits

    image = k.Input((8, 4), name="image")
    labels = k.Input((3,), name="label", dtype="int32")
    x = k.layers.Conv1D(6, 3, padding="same", activation="relu")(image)
    x = k.layers.Bidirectional(k.layers.LSTM(3, return_sequences=True))(x)
    output = CtcEndpoint(name="ctc")(labels, k.layers.Dense(5)(x))
    model = k.Model([image, labels], output)
    run.compile(model, optimizer=k.optimizers.Adam(0.01))
    pictures = np.random.normal(size=(16, 8, 4)).astype("float32")
    words = np.random.randint(1, 5, (16, 3)).astype("int32")
    run.fit(model, {"image": pictures, "label": words}, epochs=2, batch_size=4)
    return model


def pairs(examples: int = 24) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    left = np.random.normal(size=(examples, 4)).astype("float32")
    same = np.random.randint(0, 2, (examples, 1)).astype("float32")
    right = np.where(same > 0, left + 0.1, np.random.normal(size=left.shape)).astype("float32")
    return left, right, same


@program(kerases=("keras", "tf_keras"), everywhere=True)
def siamese(k, run):
    """Two views through one network, contrastive loss in the step."""

    class Siamese(k.Model):
        def __init__(self, margin=1.0):
            super().__init__()
            self.embed = k.Sequential([k.layers.Dense(6, activation="relu"), k.layers.Dense(2)])
            self.margin = margin
            self.loss_tracker = k.metrics.Mean(name="loss")

        @property
        def metrics(self):
            return [self.loss_tracker]

        def call(self, inputs):
            left, right = (self.embed(one) for one in inputs)
            return tf.sqrt(tf.reduce_sum(tf.square(left - right), axis=1, keepdims=True) + 1e-7)

        def train_step(self, data):
            inputs, same = data
            with tf.GradientTape() as tape:
                distance = self(inputs, training=True)
                apart = tf.square(tf.maximum(self.margin - distance, 0.0))
                loss = tf.reduce_mean(same * tf.square(distance) + (1 - same) * apart)
            gradients = tape.gradient(loss, self.embed.trainable_weights)
            self.optimizer.apply_gradients(zip(gradients, self.embed.trainable_weights))
            self.loss_tracker.update_state(loss)
            return {"loss": self.loss_tracker.result()}

    model = Siamese()
    left, right, same = pairs()
    run.compile(model, optimizer=k.optimizers.Adam(0.01))
    run.fit(model, (left, right), same, epochs=2, batch_size=8)
    return model


@program(kerases=("keras", "tf_keras"))
def triplets(k, run):
    """Anchor, positive, negative: a layer adds the loss."""

    class TripletLoss(k.layers.Layer):
        def call(self, anchor, positive, negative):
            near = tf.reduce_sum(tf.square(anchor - positive), -1)
            far = tf.reduce_sum(tf.square(anchor - negative), -1)
            self.add_loss(tf.reduce_mean(tf.maximum(near - far + 0.5, 0.0)))
            return near - far

    embed = k.Sequential([k.Input((4,)), k.layers.Dense(6, activation="relu"), k.layers.Dense(3)])
    inputs = [k.Input((4,)) for _ in range(3)]
    model = k.Model(inputs, TripletLoss()(*[embed(one) for one in inputs]))
    left, right, _ = pairs()
    run.compile(model, optimizer=k.optimizers.Adam(0.01))
    run.fit(model, [left, left + 0.1, right], epochs=2, batch_size=8)
    return model


@program()
def uncertainty_weighted_tasks(k, run):
    """Two tasks, whose weights are trainable variables of the model itself."""

    class MultiTask(k.Model):
        def __init__(self):
            super().__init__()
            self.trunk = k.layers.Dense(6, activation="relu")
            self.value = k.layers.Dense(1)
            self.kind = k.layers.Dense(3)
            self.log_variances = [
                self.add_weight(shape=(), initializer="zeros", name=f"log_variance_{task}")
                for task in ("value", "kind")
            ]
            self.of_kind = k.losses.SparseCategoricalCrossentropy(from_logits=True)

        def call(self, x):
            shared = self.trunk(x)
            return {"value": self.value(shared), "kind": self.kind(shared)}

        def train_step(self, data):
            x, y = data
            with tf.GradientTape() as tape:
                outputs = self(x, training=True)
                losses = [
                    tf.reduce_mean(tf.square(outputs["value"] - y["value"])),
                    self.of_kind(y["kind"], outputs["kind"]),
                ]
                weighted = [tf.exp(-s) * loss + s for s, loss in zip(self.log_variances, losses)]
                total = tf.add_n(weighted)
            gradients = tape.gradient(total, self.trainable_variables)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))
            return {"loss": total, "value_loss": losses[0], "kind_loss": losses[1]}

    model = MultiTask()
    run.compile(model, optimizer=k.optimizers.Adam(0.01))
    x = np.random.normal(size=(24, 4)).astype("float32")
    y = {"value": x[:, :1], "kind": np.argmax(x[:, :3], axis=1)}
    run.fit(model, x, y, epochs=2, batch_size=8)
    return model


@program(kerases=("keras", "tf_keras"))
def loss_computed_by_the_model(k, run):
    """`compute_loss` overridden: a penalty on the outputs, drawn at random, on top of the compiled loss."""

    class Penalised(k.Model):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **options):
            loss = super().compute_loss(x, y, y_pred, sample_weight, **options)
            return loss + 0.1 * tf.reduce_mean(tf.nn.dropout(tf.abs(y_pred), 0.5))

    inputs = k.Input((4,))
    hidden = k.layers.Dense(6, activation="relu", activity_regularizer=k.regularizers.L2(0.01))(inputs)
    model = Penalised(inputs, k.layers.Dense(1)(hidden))
    run.compile(model, optimizer=k.optimizers.Adam(0.01), loss="mse", metrics=["mae"])
    x = np.random.normal(size=(24, 4)).astype("float32")
    run.fit(model, x, x[:, :1], epochs=2, batch_size=8)
    return model


@program()
def gradients_by_a_helper_of_the_model(k, run):
    """`compute_gradients` of the user's own, with an attack on the inputs as adversarial training does."""

    class Adversarial(k.Model):
        def compute_gradients(self, x, y):
            with tf.GradientTape() as tape:
                loss = self.compute_loss(x, y, self(x, training=True))
            return loss, tape.gradient(loss, self.trainable_variables)

        def attacked(self, x, y, size=0.1):
            with tf.GradientTape() as tape:
                tape.watch(x)
                loss = self.compute_loss(x, y, self(x, training=True))
            return x + size * tf.sign(tape.gradient(loss, x))

        def train_step(self, data):
            x, y = data
            loss, clean = self.compute_gradients(x, y)
            _, adversarial = self.compute_gradients(self.attacked(x, y), y)
            mixed = [(one + other) / 2 for one, other in zip(clean, adversarial)]
            self.optimizer.apply_gradients(zip(mixed, self.trainable_variables))
            return {"loss": loss}

    inputs = k.Input((4,))
    hidden = k.layers.Dropout(0.3)(k.layers.Dense(6, activation="relu")(inputs))
    model = Adversarial(inputs, k.layers.Dense(3)(hidden))
    loss = k.losses.SparseCategoricalCrossentropy(from_logits=True)
    run.compile(model, optimizer=k.optimizers.Adam(0.01), loss=loss)
    x = np.random.normal(size=(24, 4)).astype("float32")
    run.fit(model, x, np.argmax(x[:, :3], axis=1), epochs=2, batch_size=8)
    return model
