"""Loops of the user's own, in which the hooks of callbacks are called by hand."""

import numpy as np
import tensorflow as tf

from tests.wild.registry import program


def looped(run, model, epochs, batches, step, before=lambda batch: None):
    """The hooks of every callback around `step(batch)`, as `fit` calls them."""
    for callback in run.callbacks:
        callback.set_model(model)
        callback.on_train_begin()
    for epoch in range(epochs):
        for callback in run.callbacks:
            callback.on_epoch_begin(epoch)
        for batch in range(batches):
            before(batch)
            for callback in run.callbacks:
                callback.on_train_batch_begin(batch)
            logs = step(batch)
            for callback in run.callbacks:
                callback.on_train_batch_end(batch, logs)
        for callback in run.callbacks:
            callback.on_epoch_end(epoch, logs)
    for callback in run.callbacks:
        callback.on_train_end()


@program(captures=False, says="gradients of this loop", eager=False)
def actor_critic(k, run):
    """One episode a step, played in a small world of its own; the tape and the optimizer are the loop's."""
    inputs = k.Input((3,))
    common = k.layers.Dense(8, activation="relu")(inputs)
    model = k.Model(inputs, [k.layers.Dense(2, activation="softmax")(common), k.layers.Dense(1)(common)])
    run.compile(model, optimizer=k.optimizers.Adam(0.01))
    optimizer, huber = model.optimizer, k.losses.Huber()

    def episode(_):
        state = np.random.normal(size=3).astype("float32")
        with tf.GradientTape() as tape:
            logs, values, rewards = [], [], []
            for _ in range(4):
                chances, value = model(state[None])
                action = np.random.choice(2, p=np.squeeze(chances) / np.sum(chances))
                logs.append(tf.math.log(chances[0, action]))
                values.append(value[0, 0])
                rewards.append(float(state[0] > 0) * (1 if action else -1))
                state = np.roll(state, 1) * (1 if action else -1)
            returns = np.cumsum(rewards[::-1])[::-1].astype("float32")
            actor = [-log * (gain - float(value)) for log, gain, value in zip(logs, returns, values)]
            critic = [huber(tf.constant([gain]), value[None]) for value, gain in zip(values, returns)]
            loss = tf.add_n(actor) + tf.add_n(critic)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return {"loss": float(loss), "reward": float(sum(rewards))}

    looped(run, model, 2, 3, episode)
    return model


@program(captures=False, says="gradients of this loop", eager=False)
def compiled_loop_of_ones_own(k, run):
    """A `tf.function` of the user's own; the model is never compiled."""
    model = k.Sequential([k.Input((4,)), k.layers.Dense(6, activation="relu"), k.layers.Dense(1)])
    optimizer = k.optimizers.Adam(0.01)
    x = np.random.normal(size=(24, 4)).astype("float32")

    @tf.function
    def update(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(tf.nn.dropout(x, 0.3), training=True) - y))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    def step(batch):
        chosen = slice(batch * 8, batch * 8 + 8)
        return {"loss": update(x[chosen], x[chosen, :1])}

    callbacks = k.callbacks.CallbackList(run.callbacks, model=model)
    callbacks.on_train_begin()
    for epoch in range(2):
        callbacks.on_epoch_begin(epoch)
        for batch in range(3):
            callbacks.on_train_batch_begin(batch)
            logs = step(batch)
            callbacks.on_train_batch_end(batch, logs)
        callbacks.on_epoch_end(epoch, logs)
    callbacks.on_train_end()
    return model


@program(captures=False, says="gradients of this loop", eager=False)
def reptile_in_a_loop(k, run):
    """Weights read and set by NumPy around a few eager steps."""
    model = k.Sequential([k.Input((1,)), k.layers.Dense(6, activation="tanh"), k.layers.Dense(1)])
    run.compile(model, optimizer=k.optimizers.SGD(0.02))

    def step(_):
        before = model.get_weights()
        x = np.random.uniform(-3, 3, (6, 1)).astype("float32")
        y = np.sin(x + np.random.uniform(0, 3))
        for chosen in np.random.permutation(6).reshape(2, 3):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(model(x[chosen]) - y[chosen]))
            gradients = tape.gradient(loss, model.trainable_weights)
            model.optimizer.apply_gradients(zip(gradients, model.trainable_weights))
        after = model.get_weights()
        model.set_weights([old + 0.5 * (new - old) for old, new in zip(before, after)])
        return {"loss": float(loss)}

    looped(run, model, 2, 3, step)
    return model


@program(kerases=("keras", "tf_keras"), fast=True)
def train_on_batch(k, run):
    """Keras' own step, called by hand, with hooks."""
    layers = [k.layers.Dense(6, activation="relu"), k.layers.Dropout(0.3), k.layers.Dense(1)]
    model = k.Sequential([k.Input((4,)), *layers])
    run.compile(model, optimizer=k.optimizers.Adam(0.01), loss="mse", metrics=["mae"])
    x = np.random.normal(size=(24, 4)).astype("float32")

    def step(batch):
        chosen = slice(batch * 8, batch * 8 + 8)
        return model.train_on_batch(x[chosen], x[chosen, :1], return_dict=True)

    looped(run, model, 2, 3, step)
    return model


@program()
def gan_by_train_on_batch(k, run):
    """The classical loop: a stacked model with a frozen critic; hooks are around its steps alone."""
    critic = k.Sequential([k.Input((4,)), k.layers.Dense(6, activation="relu"), k.layers.Dense(1)])
    run.compile(critic, optimizer=k.optimizers.Adam(0.01), loss=k.losses.BinaryCrossentropy(from_logits=True))
    generator = k.Sequential([k.Input((2,)), k.layers.Dense(6, activation="relu"), k.layers.Dense(4)])
    critic.trainable = False
    noise = k.Input((2,))
    stacked = k.Model(noise, critic(generator(noise)))
    run.compile(
        stacked, optimizer=k.optimizers.Adam(0.01), loss=k.losses.BinaryCrossentropy(from_logits=True)
    )
    real = np.random.normal(size=(24, 4)).astype("float32")

    def train_critic(batch):
        chosen = real[batch * 8 : batch * 8 + 8]
        fake = generator.predict_on_batch(np.random.normal(size=(8, 2)).astype("float32"))
        critic.trainable = True
        critic.train_on_batch(chosen, np.ones((8, 1)))
        critic.train_on_batch(fake, np.zeros((8, 1)))
        critic.trainable = False

    def train_generator(_):
        latent = np.random.normal(size=(8, 2)).astype("float32")
        return {"loss": stacked.train_on_batch(latent, np.ones((8, 1)))}

    looped(run, stacked, 2, 3, train_generator, before=train_critic)
    return [critic, generator]
