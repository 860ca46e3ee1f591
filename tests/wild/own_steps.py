"""Steps and train functions in less usual clothes."""

import numpy as np
import tensorflow as tf

from tests.wild.registry import program


def regression(examples: int = 24) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.normal(size=(examples, 4)).astype("float32")
    return x, x[:, :1] - 2 * x[:, 1:2]


def stepping(k, train_step, **members):
    """A model with this `train_step` and these members, whose network is built and whose optimizer is not."""

    def __init__(self):
        k.Model.__init__(self)
        self.net = k.Sequential([k.Input((4,)), k.layers.Dense(6, activation="relu"), k.layers.Dense(1)])
        self.built = True
        self.calls, self.first = 0, True

    def call(self, x, training=False):
        return self.net(x, training=training)

    def gradients(self, x, y, noise=0.1):
        if noise:
            x += noise * tf.random.normal(tf.shape(x))
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(self(x, training=True) - y))
        return loss, tape.gradient(loss, self.trainable_variables)

    def update(self, gradients):
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))

    own = {"__init__": __init__, "call": call, "gradients": gradients, "update": update}
    return type("Stepping", (k.Model,), {**own, "train_step": train_step, **members})()


@program(kerases=("keras", "tf_keras"), everywhere=True)
def counts_calls_in_python(k, run):
    """`self.calls += 1` in the step: in graph mode a count of traces, which nothing reads."""

    def train_step(self, data):
        self.calls += 1
        loss, gradients = self.gradients(*data)
        self.update(gradients)
        return {"loss": loss}

    model = stepping(k, train_step)
    run.compile(model, optimizer=k.optimizers.Adam(0.01))
    run.fit(model, *regression(), epochs=2, batch_size=8)
    return model


@program()
def every_other_call(k, run):
    """`if self.calls % 2` in the step: the branch that was traced first is the one that runs."""

    def train_step(self, data):
        self.calls += 1
        loss, gradients = self.gradients(*data)
        if self.calls % 2:
            gradients = [0.5 * gradient for gradient in gradients]
        self.update(gradients)
        return {"loss": loss}

    model = stepping(k, train_step)
    run.compile(model, optimizer=k.optimizers.SGD(0.05))
    run.fit(model, *regression(), epochs=2, batch_size=8)
    return model


@program()
def first_call_alone(k, run):
    """A Python flag that the first trace clears; nothing in the step draws at random."""

    def train_step(self, data):
        loss, gradients = self.gradients(*data, noise=0.0)
        if self.first:
            self.first = False
            self.scale = k.Variable(0.5, trainable=False, name="scale")
            gradients = [self.scale * gradient for gradient in gradients]
        self.update(gradients)
        return {"loss": loss}

    model = stepping(k, train_step)
    run.compile(model, optimizer=k.optimizers.SGD(0.05))
    run.fit(model, *regression(), epochs=2, batch_size=8)
    return model


@program()
def variables_made_in_the_first_step(k, run):
    """An average of weights that the step makes when it first runs."""

    def train_step(self, data):
        loss, gradients = self.gradients(*data)
        self.update(gradients)
        if not hasattr(self, "averages"):
            self.averages = [
                tf.Variable(lambda v=v: tf.zeros(v.shape), trainable=False) for v in self.trainable_variables
            ]
        for average, variable in zip(self.averages, self.trainable_variables):
            average.assign(0.9 * average + 0.1 * tf.convert_to_tensor(variable))
        return {"loss": loss}

    model = stepping(k, train_step)
    run.compile(model, optimizer=k.optimizers.Adam(0.05))
    run.fit(model, *regression(), epochs=2, batch_size=8)
    return [model, list(model.averages)]


@program(captures=False, says="a tf.function of its own", kerases=("keras", "tf_keras"))
def decorated_step(k, run):
    """`@tf.function` on `train_step`: its tensors stay within it."""

    @tf.function
    def train_step(self, data):
        loss, gradients = self.gradients(*data)
        self.update(gradients)
        return {"loss": loss}

    model = stepping(k, train_step)
    run.compile(model, optimizer=k.optimizers.Adam(0.01))
    run.fit(model, *regression(), epochs=2, batch_size=8)
    return model


@program()
def train_function_of_ones_own(k, run):
    """`make_train_function` overridden: a plain `tf.function` over the step."""

    def train_step(self, data):
        loss, gradients = self.gradients(*data)
        self.update(gradients)
        return {"loss": loss}

    def make_train_function(self, force=False):
        if self.train_function is None or force:

            def one_step(iterator):
                return self.train_step(next(iterator))

            self.train_function = one_step if self.run_eagerly else tf.function(one_step)
        return self.train_function

    model = stepping(k, train_step, make_train_function=make_train_function)
    run.compile(model, optimizer=k.optimizers.Adam(0.01))
    run.fit(model, *regression(), epochs=2, batch_size=8)
    return model


@program(eager=False, aligned=False)
def several_steps_at_once(k, run):
    """`steps_per_execution` with a step that draws."""

    def train_step(self, data):
        loss, gradients = self.gradients(*data)
        self.update(gradients)
        return {"loss": loss}

    model = stepping(k, train_step)
    run.compile(model, optimizer=k.optimizers.Adam(0.01), steps_per_execution=4)
    run.fit(model, *regression(64), epochs=2, batch_size=8)
    return model


@program()
def scaled_loss(k, run):
    """Mixed precision by hand: the optimizer scales the loss and takes the scale out again."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            predicted = self(x + 0.1 * tf.random.normal(tf.shape(x)), training=True)
            loss = tf.reduce_mean(tf.square(tf.cast(predicted, "float32") - y))
            scaled = self.optimizer.scale_loss(loss)
        self.update(tape.gradient(scaled, self.trainable_variables))
        return {"loss": loss}

    k.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = stepping(k, train_step)
        run.compile(model, optimizer=k.mixed_precision.LossScaleOptimizer(k.optimizers.Adam(0.01)))
        run.fit(model, *regression(), epochs=2, batch_size=8)
    finally:
        k.mixed_precision.set_global_policy("float32")
    return model


@program(kerases=("tf_keras",))
def scaled_loss_tf_keras(k, run):
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            predicted = self(x + 0.1 * tf.random.normal(tf.shape(x)), training=True)
            loss = tf.reduce_mean(tf.square(tf.cast(predicted, "float32") - y))
            scaled = self.optimizer.get_scaled_loss(loss)
        gradients = tape.gradient(scaled, self.trainable_variables)
        self.update(self.optimizer.get_unscaled_gradients(gradients))
        return {"loss": loss}

    k.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = stepping(k, train_step)
        run.compile(model, optimizer=k.mixed_precision.LossScaleOptimizer(k.optimizers.Adam(0.01)))
        run.fit(model, *regression(), epochs=2, batch_size=8)
    finally:
        k.mixed_precision.set_global_policy("float32")
    return model


@program(everywhere=True)
def counts_in_private(k, run):
    """Python state that a trace changes and that no public attribute of the model shows."""
    history = {"calls": 0}

    def train_step(self, data):
        history["calls"] += 1
        loss, gradients = self.gradients(*data, noise=0.0)
        self.update([gradient / history["calls"] for gradient in gradients])
        return {"loss": loss}

    model = stepping(k, train_step)
    run.compile(model, optimizer=k.optimizers.SGD(0.05))
    run.fit(model, *regression(), epochs=2, batch_size=8)
    return model
