"""One model, several fits: after an exception, compiled anew, with another optimizer, with layers frozen."""

import numpy as np
import tensorflow as tf

from tests.wild.registry import program


def regression(examples: int = 24) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.normal(size=(examples, 4)).astype("float32")
    return x, x[:, :1] - 2 * x[:, 1:2]


def network(k):
    layers = [k.layers.Dense(6, activation="relu", name="hidden"), k.layers.Dropout(0.2)]
    return k.Sequential([k.Input((4,)), *layers, k.layers.Dense(1, name="out")])


def noisy(k):
    """A model whose step draws by `tf.random`, and whose optimizer the first step builds."""

    class Noisy(k.Model):
        def __init__(self):
            super().__init__()
            self.net, self.built = network(k), True

        def call(self, x, training=False):
            return self.net(x, training=training)

        def train_step(self, data):
            x, y = data
            with tf.GradientTape() as tape:
                x += 0.1 * tf.random.normal(tf.shape(x))
                loss = tf.reduce_mean(tf.square(self(x, training=True) - y))
            gradients = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))
            return {"loss": loss}

    return Noisy()


@program(kerases=("keras", "tf_keras"), everywhere=True)
def resumed_after_a_callback_raised(k, run):
    class Impatient(k.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 1:
                raise KeyboardInterrupt

    model, (x, y) = noisy(k), regression()
    run.compile(model, optimizer=k.optimizers.Adam(0.01))
    try:
        run.fit(model, x, y, epochs=2, batch_size=8, callbacks=[Impatient()])
    except KeyboardInterrupt:
        pass
    run.fit(model, x, y, epochs=2, batch_size=8)
    return model


@program()
def resumed_after_the_data_raised(k, run):
    """The first fit ends in its second epoch, before any epoch of the second fit."""
    x, y = regression()
    broken = [True]

    def batches():
        for _ in range(3):
            for start in range(0, 24, 8):
                yield x[start : start + 8], y[start : start + 8]
                if broken[0] and start == 8:
                    raise OSError("the disk of the data went away")

    model = noisy(k)
    run.compile(model, optimizer=k.optimizers.Adam(0.01))
    try:
        run.fit(model, batches(), steps_per_epoch=3, epochs=2)
    except Exception as error:  # TensorFlow wraps it
        if "went away" not in str(error):
            raise
    broken[0] = False
    run.fit(model, batches(), steps_per_epoch=3, epochs=2)
    return model


@program(raises=ZeroDivisionError, captures=False, kerases=("keras", "tf_keras"))
def raised_in_the_step(k, run):
    """A bug in the user's step is the user's exception, with a logger too."""

    class Broken(k.Model):
        def call(self, x):
            return x

        def train_step(self, data):
            self.weight.assign_add(1.0)
            return {"loss": 1 / 0}

    model = Broken()
    model.weight = model.add_weight(name="weight", shape=())
    model.built = True
    run.compile(model)
    run.fit(model, *regression(), epochs=2, batch_size=8)
    return model


@program(kerases=("keras", "tf_keras"))
def compiled_between_fits(k, run):
    """The same model with a loss of its own kind in each stage; iterations start anew."""
    model, (x, y) = network(k), regression()
    for loss in ("mse", "mae", k.losses.Huber()):
        run.compile(model, optimizer=k.optimizers.Adam(0.01), loss=loss)
        run.fit(model, x, y, epochs=2, batch_size=8)
    return model


@program()
def another_optimizer_between_fits(k, run):
    """Adam first, then SGD: an unbuilt optimizer meets a step that draws."""
    model, (x, y) = noisy(k), regression()
    for optimizer in (k.optimizers.Adam(0.01), k.optimizers.SGD(0.01, momentum=0.9, nesterov=True)):
        run.compile(model, optimizer=optimizer)
        run.fit(model, x, y, epochs=2, batch_size=8)
    return model


@program(kerases=("keras", "tf_keras"))
def frozen_between_fits(k, run):
    """Transfer learning: the head alone, then everything at a small rate, then all but the head."""
    model, (x, y) = network(k), regression()
    model.get_layer("hidden").trainable = False
    run.compile(model, optimizer=k.optimizers.Adam(0.01), loss="mse")
    run.fit(model, x, y, epochs=1, batch_size=8)
    model.get_layer("hidden").trainable = True
    run.compile(model, optimizer=k.optimizers.Adam(0.001), loss="mse")
    run.fit(model, x, y, epochs=2, batch_size=8, initial_epoch=1)
    model.get_layer("out").trainable = False
    run.compile(model, optimizer=k.optimizers.Adam(0.001), loss="mse")
    run.fit(model, x, y, epochs=1, batch_size=8)
    return model


@program()
def two_models_take_turns(k, run):
    """One logger in the fits of two models in turn, as in alternating training."""
    models, (x, y) = [noisy(k), network(k)], regression()
    for model in models:
        run.compile(model, optimizer=k.optimizers.Adam(0.01), loss="mse")
    for _ in range(2):
        for model in models:
            run.fit(model, x, y, epochs=1, batch_size=8)
    return models
