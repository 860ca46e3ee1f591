"""Gradients that are changed on their way to the optimizer, or gathered before they get there."""

import numpy as np
import tensorflow as tf

from tests.wild.registry import program


def regression(examples: int = 24) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.normal(size=(examples, 4)).astype("float32")
    return x, np.tanh(x[:, :1] - 2 * x[:, 1:2])


def network(k, name="net"):
    return k.Sequential([k.Input((4,)), k.layers.Dense(6, activation="tanh"), k.layers.Dense(1)], name=name)


def own_step(k, change, net=None):
    """A model whose step is written out, with `change` between the tape and the optimizer."""

    class OwnStep(k.Model):
        def __init__(self):
            super().__init__()
            self.net, self.built = net or network(k), True

        def call(self, x):
            return self.net(x)

        def train_step(self, data):
            x, y = data
            noisy = x + 0.1 * tf.random.normal(tf.shape(x))
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(self(noisy) - y))
            gradients = tape.gradient(loss, self.trainable_variables)
            change(self, gradients, self.trainable_variables)
            return {"loss": loss}

    return OwnStep()


def centred(gradient):
    if len(gradient.shape) < 2:
        return gradient
    return gradient - tf.reduce_mean(gradient, axis=list(range(len(gradient.shape) - 1)), keepdims=True)


@program()
def gradient_centralisation(k, run):
    """An optimizer of the user's own that overrides `apply`."""

    class Centralised(k.optimizers.RMSprop):
        def apply(self, grads, trainable_variables=None):
            return super().apply([centred(gradient) for gradient in grads], trainable_variables)

    model = network(k)
    run.compile(model, optimizer=Centralised(0.01), loss="mse")
    run.fit(model, *regression(), epochs=2, batch_size=8)
    return model


@program(kerases=("tf_keras",))
def gradient_centralisation_tf_keras(k, run):
    """The same where `apply_gradients` is what reaches an optimizer."""

    class Centralised(k.optimizers.RMSprop):
        def apply_gradients(self, grads_and_vars, *args, **kwargs):
            pairs = [(centred(gradient), variable) for gradient, variable in grads_and_vars]
            return super().apply_gradients(pairs, *args, **kwargs)

    model = network(k)
    run.compile(model, optimizer=Centralised(0.01), loss="mse")
    run.fit(model, *regression(), epochs=2, batch_size=8)
    return model


@program(kerases=("keras", "tf_keras"))
def clipped_by_hand(k, run):
    def clip(model, gradients, variables):
        clipped, _ = tf.clip_by_global_norm(gradients, 0.1)
        model.optimizer.apply_gradients(zip(clipped, variables))

    model = own_step(k, clip)
    run.compile(model, optimizer=k.optimizers.Adam(0.01))
    run.fit(model, *regression(), epochs=2, batch_size=8)
    return model


@program()
def clipped_adaptively(k, run):
    """Each gradient by the norm of its weight, and the optimizer clips once more."""

    def clip(model, gradients, variables):
        limits = [0.02 * tf.maximum(tf.norm(tf.convert_to_tensor(variable)), 1e-3) for variable in variables]
        scales = [tf.minimum(1.0, limit / (tf.norm(g) + 1e-6)) for limit, g in zip(limits, gradients)]
        model.optimizer.apply([scale * gradient for scale, gradient in zip(scales, gradients)], variables)

    model = own_step(k, clip)
    run.compile(model, optimizer=k.optimizers.AdamW(0.01, clipnorm=0.05))
    run.fit(model, *regression(), epochs=2, batch_size=8)
    return model


def accumulating(k, every, apply):
    """Sums of gradients in variables of the model; every few steps `apply` uses and empties them."""
    net = network(k)
    sums = [tf.Variable(tf.zeros(variable.shape), trainable=False) for variable in net.trainable_variables]
    count = tf.Variable(0, dtype="int32", trainable=False)

    def change(model, gradients, variables):
        count.assign_add(1)
        for total, gradient in zip(sums, gradients):
            total.assign_add(gradient / every)
        tf.cond(tf.equal(count % every, 0), lambda: apply(model, sums, variables), lambda: tf.constant(0))

    return own_step(k, change, net)


@program(captures=False, says="inside a tf.cond, a loop", kerases=("keras", "tf_keras"))
def accumulated_by_hand(k, run):
    """`apply_gradients` within `tf.cond`: out of reach."""

    def apply(model, sums, variables):
        model.optimizer.apply_gradients(zip([tf.identity(total) for total in sums], variables))
        for total in sums:
            total.assign(tf.zeros_like(total))
        return tf.constant(1)

    model = accumulating(k, 2, apply)
    optimizer = k.optimizers.Adam(0.01)
    optimizer.build(model.trainable_variables)
    run.compile(model, optimizer=optimizer)
    run.fit(model, *regression(32), epochs=2, batch_size=8)
    return model


@program(captures=False, says="inside a tf.cond, a loop", eager=False)  # an eager loop is no graph's
def updated_in_a_loop_of_the_graph(k, run):
    """Several updates of the same batch within `tf.while_loop`: out of reach."""

    class Repeating(k.Model):
        def __init__(self):
            super().__init__()
            self.net, self.built = network(k), True

        def call(self, x):
            return self.net(x)

        def train_step(self, data):
            x, y = data

            def update(index):
                with tf.GradientTape() as tape:
                    loss = tf.reduce_mean(tf.abs(self(x) - y))
                gradients = tape.gradient(loss, self.trainable_variables)
                self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))
                return index + 1

            tf.while_loop(lambda index: index < 3, update, [tf.constant(0)])
            return {"loss": tf.reduce_mean(tf.abs(self(x) - y))}

    model = Repeating()
    optimizer = k.optimizers.SGD(0.05, momentum=0.9)
    optimizer.build(model.trainable_variables)
    run.compile(model, optimizer=optimizer)
    run.fit(model, *regression(), epochs=2, batch_size=8)
    return model


@program(captures=False, says="calls no Keras optimizer")
def descent_by_hand(k, run):
    """Weights updated by `assign_sub`, without any optimizer."""

    def descend(model, gradients, variables):
        for variable, gradient in zip(variables, gradients):
            variable.assign_sub(0.05 * gradient)

    model = own_step(k, descend)
    run.compile(model)
    run.fit(model, *regression(), epochs=2, batch_size=8)
    return model


@program()
def accumulated_by_the_optimizer(k, run):
    model = own_step(k, lambda model, gradients, variables: model.optimizer.apply(gradients, variables))
    run.compile(model, optimizer=k.optimizers.Adam(0.01, gradient_accumulation_steps=2, clipnorm=1.0))
    run.fit(model, *regression(32), epochs=2, batch_size=8)
    return model
