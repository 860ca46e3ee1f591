"""Optimizers that are no attribute of the model: in layers, in globals, in closures, in dicts of lists."""

import numpy as np
import tensorflow as tf

from tests.wild.registry import program

OPTIMIZER = None


def classes(examples: int = 24) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.normal(size=(examples, 6)).astype("float32")
    return x, np.argmax(x[:, :3], axis=1).astype("int32")


def update(optimizer, tape, loss, variables):
    optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))


@program(kerases=("keras", "tf_keras"), everywhere=True)
def forward_forward(k, run):
    """Each layer learns by itself: goodness of real labels up, of wrong ones down."""

    class Goodness(k.layers.Layer):
        def __init__(self, units):
            super().__init__()
            self.dense = k.layers.Dense(units, activation="relu")
            self.optimizer = k.optimizers.Adam(0.03)

        def call(self, x):
            direction = x / (tf.norm(x, axis=1, keepdims=True) + 1e-4)
            return self.dense(direction)

        def forward_forward(self, positive, negative):
            for _ in range(2):
                with tf.GradientTape() as tape:
                    good = tf.reduce_mean(self(positive) ** 2, axis=1)
                    bad = tf.reduce_mean(self(negative) ** 2, axis=1)
                    loss = tf.reduce_mean(tf.math.softplus(tf.concat([0.5 - good, bad - 0.5], 0)))
                update(self.optimizer, tape, loss, self.dense.trainable_weights)
            return tf.stop_gradient(self(positive)), tf.stop_gradient(self(negative)), loss

    class ForwardForward(k.Model):
        def __init__(self):
            super().__init__()
            self.blocks = [Goodness(5), Goodness(4)]

        def call(self, x):
            for block in self.blocks:
                x = block(x)
            return x

        def train_step(self, data):
            x, y = data
            labels = tf.one_hot(y, 3)
            wrong = tf.random.shuffle(labels)
            positive, negative = tf.concat([x, labels], 1), tf.concat([x, wrong], 1)
            losses = []
            for block in self.blocks:
                positive, negative, loss = block.forward_forward(positive, negative)
                losses.append(loss)
            return {"loss": tf.add_n(losses)}

    model = ForwardForward()
    model(np.zeros((1, 9), "float32"))
    run.compile(model)
    run.fit(model, *classes(), epochs=2, batch_size=8)
    return model


def classifier(k, step):
    """A model whose `train_step` is `step(model, x, y)`; its layers are built by the first step."""

    class Classifier(k.Model):
        def __init__(self):
            super().__init__()
            self.features = k.layers.Dense(5, activation="tanh")
            self.head = k.layers.Dense(3)
            self.loss_of = k.losses.SparseCategoricalCrossentropy(from_logits=True)

        def call(self, x):
            return self.head(self.features(x))

        def train_step(self, data):
            return step(self, *data)

    return Classifier()


@program(kerases=("keras", "tf_keras"))
def optimizer_in_a_closure(k, run):
    optimizer = k.optimizers.Adam(0.02)

    def step(model, x, y):
        x = tf.nn.dropout(x, 0.2)
        with tf.GradientTape() as tape:
            loss = model.loss_of(y, model(x, training=True))
        update(optimizer, tape, loss, model.trainable_variables)
        return {"loss": loss}

    model = classifier(k, step)
    run.compile(model)
    run.fit(model, *classes(), epochs=2, batch_size=8)
    return model


@program()
def optimizer_in_a_global(k, run):
    global OPTIMIZER
    OPTIMIZER = k.optimizers.SGD(0.1, momentum=0.9)

    def step(model, x, y):
        with tf.GradientTape() as tape:
            loss = model.loss_of(y, model(x + tf.random.uniform(tf.shape(x)), training=True))
        OPTIMIZER.apply_gradients(
            zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        )
        return {"loss": loss}

    model = classifier(k, step)
    run.compile(model)
    run.fit(model, *classes(), epochs=2, batch_size=8)
    return model


@program()
def optimizers_in_a_dict_of_lists(k, run):
    """One optimizer for kernels and one for biases of each part, as layer-wise learning rates are done."""

    def step(model, x, y):
        with tf.GradientTape(persistent=True) as tape:
            loss = model.loss_of(y, model(x, training=True))
        for name, part in {"features": model.features, "head": model.head}.items():
            for optimizer, variable in zip(model.groups[name], part.trainable_variables):
                update(optimizer, tape, loss, [variable])
        return {"loss": loss}

    model = classifier(k, step)
    model.groups = {
        "features": [k.optimizers.Adam(0.001), k.optimizers.SGD(0.01)],
        "head": [k.optimizers.RMSprop(0.01), k.optimizers.SGD(0.02)],
    }
    model(np.zeros((1, 6), "float32"))
    run.compile(model)
    run.fit(model, *classes(), epochs=2, batch_size=8)
    return model


@program()
def optimizer_made_in_the_step(k, run):
    """Built when the step is traced, kept in a plain Python object that no Keras class knows."""

    class Trainer:
        optimizer = None

    trainer = Trainer()

    def step(model, x, y):
        with tf.GradientTape() as tape:
            loss = model.loss_of(y, model(x, training=True))
        if trainer.optimizer is None:
            trainer.optimizer = k.optimizers.Adagrad(0.1)
        update(trainer.optimizer, tape, loss, model.trainable_variables)
        return {"loss": loss}

    model = classifier(k, step)
    run.compile(model)
    run.fit(model, *classes(), epochs=2, batch_size=8)
    return model
