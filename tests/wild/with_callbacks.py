"""Beside Keras' own callbacks, and beside callbacks that evaluate, predict and fit themselves."""

import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from tests.wild.registry import program


def regression(examples: int = 24) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.normal(size=(examples, 4)).astype("float32")
    return x, x[:, :1] - 2 * x[:, 1:2]


def network(k, run, rate=0.01):
    """A step that draws by `tf.random`, an optimizer that the first step builds."""

    class Noisy(k.Model):
        def train_step(self, data):
            x, y = data
            with tf.GradientTape() as tape:
                predicted = self(x + 0.1 * tf.random.normal(tf.shape(x)), training=True)
                loss = tf.reduce_mean(tf.square(predicted - y))
            gradients = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))
            return {"loss": loss}

    inputs = k.Input((4,))
    model = Noisy(inputs, k.layers.Dense(1)(k.layers.Dense(6, activation="relu")(inputs)))
    run.compile(model, optimizer=k.optimizers.Adam(rate), loss="mse")
    return model


@program(kerases=("keras", "tf_keras"))
def callbacks_that_steer(k, run):
    """Rates by a schedule and by a plateau, best weights put back."""
    model, (x, y) = network(k, run, 0.3), regression()
    steering = [
        k.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5),
        k.callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=1.0),
        k.callbacks.EarlyStopping("val_loss", patience=1, restore_best_weights=True),
    ]
    run.fit(model, x, y, epochs=4, batch_size=8, validation_data=regression(8), callbacks=steering)
    return model


@program()
def callbacks_that_save(k, run):
    """Checkpoints of the best weights, and one that a fit which was broken off goes on from."""
    model, (x, y) = network(k, run), regression()

    class Stop(k.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise RuntimeError("power cut")

    with tempfile.TemporaryDirectory() as folder:
        best = Path(folder, "best.weights.h5")
        saving = [
            k.callbacks.ModelCheckpoint(best, "loss", save_best_only=True, save_weights_only=True),
            k.callbacks.BackupAndRestore(Path(folder, "backup")),
        ]
        try:
            run.fit(model, x, y, epochs=3, batch_size=8, callbacks=[*saving, Stop()])
        except RuntimeError:
            model = network(k, run)
        run.fit(model, x, y, epochs=3, batch_size=8, callbacks=saving)
        model.load_weights(best)
    return model


@program(kerases=("keras", "tf_keras"))
def beside_tensorboard(k, run):
    model = network(k, run)
    with tempfile.TemporaryDirectory() as folder:
        theirs = k.callbacks.TensorBoard(folder, histogram_freq=1, update_freq="batch", write_graph=True)
        run.fit(model, *regression(), epochs=2, batch_size=8, callbacks=[theirs])
    return model


@program(kerases=("keras", "tf_keras"))
def validated_every_other_epoch(k, run):
    model, (x, y) = network(k, run), regression()
    options = {"validation_data": regression(8), "validation_freq": 2, "validation_batch_size": 4}
    run.fit(model, x, y, epochs=4, batch_size=8, **options)
    run.fit(model, x, y, epochs=2, batch_size=8, validation_split=0.25)
    return model


@program(kerases=("keras", "tf_keras"))
def callbacks_that_use_the_model(k, run):
    """`evaluate` and `predict` at the end of each epoch, `predict` in the middle of one."""
    held_out = regression(8)

    class Watching(k.callbacks.Callback):
        seen = []

        def on_train_batch_end(self, batch, logs=None):
            if batch == 1:
                self.seen.append(self.model.predict(held_out[0], verbose=0))

        def on_epoch_end(self, epoch, logs=None):
            self.seen.append(self.model.evaluate(*held_out, verbose=0))
            self.seen.append(self.model.predict(held_out[0], batch_size=4, verbose=0))

    model = network(k, run)
    run.fit(model, *regression(), epochs=2, batch_size=8, callbacks=[Watching()])
    return model


@program()
def evaluated_with_the_logger_in_a_callback(k, run):
    """A second data set is evaluated each epoch, with the callbacks of the fit."""
    held_out = regression(8)

    class Watching(k.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.evaluate(*held_out, verbose=0, callbacks=run.callbacks)

    model = network(k, run)
    run.fit(model, *regression(), epochs=2, batch_size=8, callbacks=[Watching()])
    return model


@program()
def another_model_fitted_in_a_callback(k, run):
    """A probe on the features, trained anew after each epoch and in the middle of one."""
    x, y = regression()
    probes = []

    class Probing(k.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            probe = network(k, run)
            probe.fit(self.model.predict(x, verbose=0).repeat(4, 1), y, batch_size=12, verbose=0)
            probes.append(probe)

        def on_train_batch_end(self, batch, logs=None):
            if batch == 1:
                self.on_epoch_end(None)

    model = network(k, run)
    model.fit(x, y, epochs=2, batch_size=8, verbose=0, callbacks=[*run.callbacks, Probing()])
    return [model, *probes]
