"""Steps that draw random numbers train as they would alone, to the last bit."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tbx_keras import TbxLogger
from tbx_keras.backends.tensorflow.stateful_ops import draws_by_seed
from tests import zoo
from tests.reading import accumulate, histogram_tags, scalar

pytestmark = pytest.mark.slow  # many trainings, each twice
KERASES = pytest.mark.parametrize("k", [keras, tf_keras], ids=["keras", "tf_keras"])


def noisy_layer(k):
    class Noise(k.layers.Layer):
        def call(self, x):
            return x + tf.random.normal(tf.shape(x))

    return k.Sequential([k.Input((zoo.FEATURES,)), Noise(), k.layers.Dense(1)])


def noise_between_two_updates(k):
    """A training step that draws after the first of its updates."""

    def twice(self, data):
        x, y = data
        return [zoo.plain_step(self, (x + tf.random.normal(tf.shape(x)), y)) for _ in range(2)][-1]

    return zoo.stepping(k, twice)


def noise_in_a_branch(k):
    class Branch(k.layers.Layer):
        def call(self, x):
            return tf.cond(tf.reduce_sum(x) > -1e9, lambda: x + tf.random.uniform(tf.shape(x)), lambda: x)

    return k.Sequential([k.Input((zoo.FEATURES,)), Branch(), k.layers.Dense(1)])


def dropout(k):
    return zoo.sequential(k, 0.5)


def recurrent(k):
    layers = k.layers
    lstm = layers.LSTM(4, dropout=0.2, recurrent_dropout=0.2)
    return k.Sequential([k.Input((zoo.FEATURES,)), layers.Reshape((zoo.FEATURES, 1)), lstm, layers.Dense(1)])


def trained(k, make, callbacks, seed=1):
    k.utils.set_random_seed(seed)
    model, (x, y) = make(k), zoo.batch(40)
    model.compile(k.optimizers.SGD(0.05), "mse")
    model.fit(x, y, epochs=3, batch_size=16, shuffle=False, verbose=0, callbacks=callbacks)
    return [np.asarray(weight).tobytes() for weight in model.get_weights()]


@pytest.mark.parametrize(
    "make",
    [noisy_layer, noise_between_two_updates, noise_in_a_branch, dropout],
    ids=lambda make: make.__name__,
)
@KERASES
def test_weights_are_those_without_a_logger(k, make, tmp_path):
    alone = trained(k, make, [])
    assert alone == trained(k, make, [])  # else the test would say nothing
    for frequency in ("epoch", 4):
        logger = TbxLogger(tmp_path / str(frequency), gradient_freq=frequency, overhead_budget=1.0)
        assert trained(k, make, [logger]) == alone
        assert logger.reporter.count == 0


@KERASES
def test_a_recurrent_model_with_dropout_is_recorded(k, tmp_path):
    logger = TbxLogger(tmp_path)
    trained(k, recurrent, [logger])
    assert logger.reporter.count == 0
    assert [tag for tag in histogram_tags(accumulate(tmp_path, "train")) if tag.startswith("gradients/")]


@KERASES
def test_a_step_that_draws_nothing_is_left_alone(k, tmp_path):
    """Only sampled steps run a copy, and the first one, which had to be looked at."""
    k.utils.set_random_seed(1)
    model, runs = zoo.sequential(k), []
    model.compile("sgd", "mse")

    class Count(k.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            runs.append(type(self.model.train_function).__name__)

    model.fit(
        *zoo.batch(), batch_size=4, verbose=0, callbacks=[TbxLogger(tmp_path, gradient_freq=4), Count()]
    )
    assert [name == "StandIn" for name in runs] == [True, False, False, True, False, False, False, True]


@pytest.mark.parametrize("seed", [None, 1])
def test_without_a_seed_there_is_no_sequence_to_keep(seed):
    graph = tf.__internal__.FuncGraph("step")
    with graph.as_default():
        tf.compat.v1.set_random_seed(seed)
        graph.outputs.append(tf.random.normal([2]))
        assert draws_by_seed(graph) is (seed is not None)
        graph.outputs.append(tf.random.normal([2], seed=4))
        assert draws_by_seed(graph)


def test_only_what_runs_is_drawn():
    """The initial value of a variable stays in the graph that creates it, and runs elsewhere."""

    def called(x):
        return x + tf.random.normal([2], seed=4)

    def graph_of(function):
        return tf.function(function).get_concrete_function(tf.TensorSpec([2])).graph

    def dead(x):
        tf.random.normal([2], seed=4)
        return x

    inner = tf.function(tf.function(called))
    assert not draws_by_seed(graph_of(dead))
    assert draws_by_seed(graph_of(lambda x: inner(x) * 2.0))  # two functions deep


def test_the_failure_to_make_a_copy_is_reported_and_training_goes_on(tmp_path, monkeypatch):
    def fails(*arguments):
        raise RuntimeError("no copy today")

    monkeypatch.setattr("tbx_keras.backends.tensorflow.train_function.InstrumentedTrainFunction", fails)
    with pytest.warns(RuntimeWarning, match="copying the train function failed"):
        trained(keras, dropout, [TbxLogger(tmp_path)])


class DuringFit:
    """Callback that trains the same model in the middle of a `fit`, without a logger, or ends it."""

    def __init__(self, what):
        super().__init__()
        self.what = what

    def on_train_batch_begin(self, batch, logs=None):
        if self.what == "error" and batch == 2:
            raise KeyError("ends the fit")

    def on_epoch_end(self, epoch, logs=None):
        x, y = zoo.batch(24)
        if self.what == "fit" and epoch == 0:
            self.model.fit(x, y, batch_size=8, verbose=0)
        elif self.what == "train_on_batch":
            self.model.train_on_batch(x, y)


@pytest.mark.parametrize("during", [None, "error", "fit", "train_on_batch"])
@pytest.mark.parametrize("then", ["fit", "train_on_batch", "fit with a logger", "compile"])
@KERASES
def test_random_sequences_go_on_without_the_logger(k, during, then, tmp_path):
    def weights(logged):
        k.utils.set_random_seed(1)
        make = noisy_layer if k is keras else dropout
        model, (x, y) = make(k), zoo.batch(40)
        model.compile(k.optimizers.SGD(0.05), "mse")
        kind = type("During", (DuringFit, k.callbacks.Callback), {})
        loggers = [TbxLogger(tmp_path, gradient_freq=2)] if logged else []
        with contextlib.suppress(KeyError):
            model.fit(x, y, epochs=2, batch_size=8, verbose=0, callbacks=[*loggers, kind(during)])
        if then == "compile":
            model.compile("sgd", "mse")
        if then == "train_on_batch":
            model.train_on_batch(x, y)
        model.fit(x, y, batch_size=8, verbose=0, callbacks=loggers if then == "fit with a logger" else [])
        model.fit(x, y, batch_size=8, verbose=0)
        return [np.asarray(weight).tobytes() for weight in model.get_weights()]

    assert weights(logged=True) == weights(logged=False)


@KERASES
def test_two_fits_of_one_model_at_once_are_both_recorded(k, tmp_path):
    k.utils.set_random_seed(1)
    model, (x, y) = (noisy_layer if k is keras else dropout)(k), zoo.batch(16)
    model.compile("sgd", "mse")

    class Nested(k.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 1:
                self.model.fit(x, y, batch_size=8, verbose=0, callbacks=[logger("inner")])

    def logger(name):
        return TbxLogger(tmp_path / name, gradient_freq=1, overhead_budget=1.0)

    model.fit(x, y, batch_size=4, verbose=0, callbacks=[logger("outer"), Nested()])
    for name, steps in ("outer", [1, 2, 3, 4]), ("inner", [3, 4]):
        assert list(scalar(accumulate(tmp_path / name, "train"), "gradient_norm/global")) == steps
