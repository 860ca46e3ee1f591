"""The step of a model is run as the model has it: exchanged, calling itself, with state of its own."""

import types
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tbx_keras import TbxLogger
from tests import zoo
from tests.reading import accumulate, histogram_tags, scalar

KERASES = pytest.mark.parametrize("k", [keras, tf_keras], ids=["keras", "tf_keras"])
EAGER = pytest.mark.parametrize("eager", [False, True], ids=["graph", "eager"])


def same_training(make, fit, tmp_path, frequency=1):
    """History and weights with a logger and without, and the sentences of the logger."""

    def train(callbacks):
        keras.utils.set_random_seed(0)
        tf_keras.utils.set_random_seed(0)
        model = make()
        return model, fit(model, callbacks)

    alone, history = train([])
    logger = TbxLogger(tmp_path, gradient_freq=frequency, overhead_budget=1.0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RuntimeWarning)
        model, with_logger = train([logger])
    assert with_logger == history
    assert all(map(np.array_equal, model.get_weights(), alone.get_weights()))
    assert logger.report.errors == 0
    return [str(one.message) for one in caught if "tbx_keras" in str(one.message)]


def fit(model, callbacks, epochs=2):
    x, y = zoo.batch(32)
    found = model.fit(x, y, batch_size=8, epochs=epochs, shuffle=False, verbose=0, callbacks=callbacks)
    return found.history


def halves(self, data):
    """Steps on both halves of a batch, by the model's own step: `train_step` calls itself."""
    x, y = data
    if self.splits:
        self.splits = False
        logs = [self.train_step((x[:4], y[:4])), self.train_step((x[4:], y[4:]))]
        self.splits = True
        return {"loss": (logs[0]["loss"] + logs[1]["loss"]) / 2}
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(y - self(x, training=True)))
    variables = self.trainable_variables
    self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
    return {"loss": loss}


@EAGER
@KERASES
def test_a_step_that_calls_itself(k, eager, tmp_path):
    def make():
        kind = type("Halves", (k.Sequential,), {"train_step": halves, "splits": True})
        model = kind([k.Input((zoo.FEATURES,)), k.layers.Dense(1)])
        model.compile("sgd", run_eagerly=eager)
        return model

    assert same_training(make, fit, tmp_path) == []
    assert any(tag.startswith("gradients/") for tag in histogram_tags(accumulate(tmp_path, "train")))


def scaled_step(factor):
    def step(self, data):
        x, y = data
        return type(self).train_step(self, (x * factor, y))

    return step


@EAGER
@KERASES
@pytest.mark.parametrize("moment", ["an epoch", "a fit"])
@pytest.mark.parametrize("frequency", [1, 2])
def test_a_step_that_is_exchanged(k, eager, moment, frequency, tmp_path):
    """tf_keras looks its step up in each eager run, Keras 3 keeps the one that it began with."""

    def exchange(model):
        model.train_step = types.MethodType(scaled_step(0.5), model)

    class Exchange(k.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            exchange(self.model)

    def make():
        model = zoo.sequential(k)
        model.compile("sgd", "mse", run_eagerly=eager)
        return model

    def fit_and_exchange(model, callbacks):
        if moment == "an epoch":
            return fit(model, [*callbacks, Exchange()])
        first = fit(model, callbacks)
        exchange(model)
        return first, fit(model, callbacks)

    same_training(make, fit_and_exchange, tmp_path, frequency)


@KERASES
def test_state_that_make_train_function_makes_is_made_once(k, tmp_path):
    """Accumulated gradients of two steps; a second list of variables would be taken for weights."""

    class Accumulating(k.Sequential):
        def make_train_function(self, force=False):
            if self.train_function is None:
                self.sums = [tf.Variable(tf.zeros(one.shape)) for one in self.trainable_variables]
            return super().make_train_function(force)

        def train_step(self, data):
            x, y = data
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(y - self(x, training=True)))
            weights = self.layers[-1].trainable_variables
            for total, gradient in zip(self.sums, tape.gradient(loss, weights), strict=True):
                total.assign_add(gradient)
            self.optimizer.apply_gradients(zip([one / 2 for one in self.sums], weights))
            return {"loss": loss}

    def make():
        model = Accumulating([k.Input((zoo.FEATURES,)), k.layers.Dense(1)])
        model.compile("sgd")
        return model

    assert same_training(make, fit, tmp_path) == []


@EAGER
@KERASES
def test_a_wrong_call_of_an_optimizer_says_what_it_says_alone(k, eager, tmp_path):
    def wrong(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(y - self(x, training=True)))
        self.optimizer.apply_gradients(tape.gradient(loss, self.trainable_variables))  # not in pairs
        return {"loss": loss}

    model = type("Wrong", (k.Sequential,), {"train_step": wrong})(
        [k.Input((zoo.FEATURES,)), k.layers.Dense(1)]
    )
    model.compile("sgd", run_eagerly=eager)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        with pytest.raises((TypeError, ValueError, IndexError)):
            fit(model, [TbxLogger(tmp_path, gradient_freq=1)])


def test_a_vocabulary_of_tf_keras_is_no_weight(tmp_path):
    vectorize = tf_keras.layers.TextVectorization(20, output_sequence_length=4)
    vectorize.adapt(["a b c", "b c d"])
    model = tf_keras.Sequential([vectorize, tf_keras.layers.Embedding(20, 3), tf_keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    logger = TbxLogger(tmp_path, distance_freq=1)
    x, y = tf.constant([["a b"], ["c d"]]), tf.zeros((2, 4, 1))
    model.fit(x, y, epochs=2, verbose=0, callbacks=[logger])
    assert logger.report.errors == 0
    events = accumulate(tmp_path, "train")
    assert scalar(events, "trainable_fraction")
    assert any("embeddings" in tag for tag in histogram_tags(events))
