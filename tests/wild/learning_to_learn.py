"""Steps that move weights there and back: Reptile, MAML, sharpness-aware minimisation."""

import numpy as np
import tensorflow as tf

from tests.wild.registry import program


def sines(tasks: int = 8, shots: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Few-shot regression: each task is a sine of its own amplitude and phase."""
    x = np.random.uniform(-3, 3, (tasks, shots, 1)).astype("float32")
    amplitude, phase = np.random.uniform(0.5, 2, (2, tasks, 1, 1)).astype("float32")
    return x, amplitude * np.sin(x + phase)


@program(kerases=("keras", "tf_keras"), aligned=False)
def reptile(k, run):
    """Inner steps by the optimizer, then the weights are set to a point on the way."""

    class Reptile(k.Model):
        def __init__(self):
            super().__init__()
            self.net = k.Sequential([k.Input((1,)), k.layers.Dense(6, activation="tanh"), k.layers.Dense(1)])
            self.built = True

        def call(self, x):
            return self.net(x)

        def train_step(self, data):
            x, y = data
            variables = self.net.trainable_variables
            start = [tf.convert_to_tensor(variable) for variable in variables]
            for _ in range(2):
                chosen = tf.random.shuffle(tf.range(tf.shape(x)[1]))[:4]
                with tf.GradientTape() as tape:
                    error = self(tf.gather(x[0], chosen), training=True) - tf.gather(y[0], chosen)
                    loss = tf.reduce_mean(tf.square(error))
                self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
            for variable, old in zip(variables, start):
                variable.assign(old + 0.3 * (variable - old))
            return {"loss": loss}

    model = Reptile()
    run.compile(model, optimizer=k.optimizers.Adam(0.02))
    run.fit(model, *sines(), epochs=2, batch_size=2)
    return model


@program(kerases=("keras", "tf_keras"))
def maml(k, run):
    """Second-order: the outer gradient goes through the inner update that is made by hand."""

    class Maml(k.Model):
        def __init__(self, inner_rate=0.05):
            super().__init__()
            self.hidden = k.layers.Dense(6, activation="tanh")
            self.out = k.layers.Dense(1)
            self.inner_rate = inner_rate

        def call(self, x):
            return self.out(self.hidden(x))

        def predict_with(self, weights, x):
            kernel, bias, out_kernel, out_bias = weights
            return tf.tanh(x @ kernel + bias) @ out_kernel + out_bias

        def train_step(self, data):
            x, y = data
            self(x[0])  # builds the layers when the step is traced
            losses = []
            with tf.GradientTape() as outer:
                for task in range(2):
                    weights = [tf.convert_to_tensor(variable) for variable in self.trainable_variables]
                    with tf.GradientTape() as inner:
                        inner.watch(weights)
                        error = tf.reduce_mean((self.predict_with(weights, x[task, :3]) - y[task, :3]) ** 2)
                    steps = inner.gradient(error, weights)
                    fast = [weight - self.inner_rate * step for weight, step in zip(weights, steps)]
                    losses.append(tf.reduce_mean((self.predict_with(fast, x[task, 3:]) - y[task, 3:]) ** 2))
                loss = tf.add_n(losses) / len(losses)
            gradients = outer.gradient(loss, self.trainable_variables)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))
            return {"loss": loss}

    model = Maml()
    run.compile(model, optimizer=k.optimizers.Adam(0.01))
    run.fit(model, *sines(), epochs=2, batch_size=2)
    return model


@program(kerases=("keras", "tf_keras"), everywhere=True)
def sharpness_aware(k, run):
    """Climb to the worst point nearby, take the gradient there, go back, update."""

    class SharpnessAware(k.Model):
        def __init__(self, net, rho=0.05):
            super().__init__()
            self.net, self.rho, self.built = net, rho, True

        def call(self, x, training=False):
            return self.net(x, training=training)

        def gradients(self, x, y):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(self(x, training=True) - y))
            return loss, tape.gradient(loss, self.net.trainable_variables)

        def train_step(self, data):
            x, y = data
            variables = self.net.trainable_variables
            loss, uphill = self.gradients(x, y)
            scale = self.rho / (tf.linalg.global_norm(uphill) + 1e-12)
            climbs = [gradient * scale for gradient in uphill]
            for variable, climb in zip(variables, climbs):
                variable.assign_add(climb)
            _, gradients = self.gradients(x, y)
            for variable, climb in zip(variables, climbs):
                variable.assign_sub(climb)
            self.optimizer.apply_gradients(zip(gradients, variables))
            return {"loss": loss}

    net = k.Sequential(
        [
            k.Input((4,)),
            k.layers.Dense(6, activation="relu"),
            k.layers.GaussianNoise(0.1),
            k.layers.Dense(1),
        ]
    )
    model = SharpnessAware(net)
    run.compile(model, optimizer=k.optimizers.SGD(0.05, momentum=0.9))
    x = np.random.normal(size=(24, 4)).astype("float32")
    run.fit(model, x, x[:, :1] * x[:, 1:2], epochs=2, batch_size=8)
    return model
