"""A step that takes something from Python when it is traced trains as it would alone, to the last bit."""

import random
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tbx_keras import TbxLogger
from tbx_keras.backends.tensorflow.traces import are_same
from tbx_keras.instrumentation.random_sequences import RandomSequences
from tests import zoo
from tests.cases import mostly_slow
from tests.reading import accumulate, scalar

KERASES = pytest.mark.parametrize("k", [keras, tf_keras], ids=["keras", "tf_keras"])


class Step:
    """A model whose training step scales its input by a number of Python's."""

    def train_step(self, data):
        x, y = data[:2]
        return super().train_step((x * float(self.number()), y))


def scaled_by(number):
    def make(k):
        model = type("Scaled", (Step, k.Sequential), {"number": number})
        return model([k.Input((zoo.FEATURES,)), k.layers.Dense(4), k.layers.Dense(1)])

    make.__name__ = number.__name__
    return make


def drawn_by_numpy(model):
    return np.random.beta(0.4, 0.4)


def drawn_by_python(model):
    return random.random()


def counted_in_private(model):
    model._calls = getattr(model, "_calls", 0) + 1
    return model._calls


def counted_in_a_list(model):
    seen = vars(model).setdefault("seen_by_step", [])
    seen.append(len(seen))
    return 1 + len(seen)


def layers_that_are_dropped_by_chance(k):
    class Perhaps(k.layers.Layer):
        def call(self, x):
            return x * 0.5 if random.random() < 0.5 else x

    return k.Sequential([k.Input((zoo.FEATURES,)), *(Perhaps() for _ in range(6)), k.layers.Dense(1)])


def a_loss_that_counts(k):
    model = zoo.sequential(k)
    weight = iter(range(1, 100))
    model.loss_for_test = lambda y, p: tf.reduce_mean(tf.square(y - p)) * float(next(weight))
    return model


def another_layer_in_turn(k):
    """The layers have one shape, so that the traces differ in nothing but in whose weights they change."""

    class InTurn(k.Sequential):
        def train_step(self, data):
            x, y = data
            self._turn = getattr(self, "_turn", -1) + 1
            layer = self.layers[self._turn % 2]
            if self._turn == 0:
                self.optimizer.build(self.trainable_variables)
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(y - self(x, training=True)))
            gradients = tape.gradient(loss, layer.trainable_variables)
            self.optimizer.apply_gradients(zip(gradients, layer.trainable_variables))
            return {"loss": loss}

    width = zoo.FEATURES
    return InTurn([k.Input((width,)), k.layers.Dense(width), k.layers.Dense(width), k.layers.Dense(1)])


def masks_in_turn(k):
    masks = [
        tf.constant(np.random.default_rng(one).random((8, zoo.FEATURES)), tf.float32) for one in range(3)
    ]

    class Masked(Step, k.Sequential):
        def train_step(self, data):
            x, y = data
            self._turn = getattr(self, "_turn", -1) + 1
            return k.Sequential.train_step(self, (x * masks[self._turn % 3][: tf.shape(x)[0]], y))

    return Masked([k.Input((zoo.FEATURES,)), k.layers.Dense(4), k.layers.Dense(1)])


TAKE_FROM_PYTHON = [
    *map(scaled_by, (drawn_by_numpy, drawn_by_python, counted_in_private, counted_in_a_list)),
    layers_that_are_dropped_by_chance,
    a_loss_that_counts,
    another_layer_in_turn,
    masks_in_turn,
]
CASES = mostly_slow({make.__name__: make for make in TAKE_FROM_PYTHON}, fast=("masks_in_turn",))


def trained(k, make, *fits, jit_compile=False, between=lambda model: None):
    k.utils.set_random_seed(1)
    model, (x, y) = make(k), zoo.batch(24)
    model.compile("sgd", vars(model).get("loss_for_test", "mse"), jit_compile=jit_compile)
    for callbacks in fits:
        model.fit(x, y, epochs=3, batch_size=8, shuffle=False, verbose=0, callbacks=callbacks)
        between(model)
    return [*model.get_weights(), np.random.random(2)]


def same(one, other, jit_compile):
    if jit_compile:
        return all(np.allclose(*pair, rtol=1e-4, atol=1e-6) for pair in zip(one, other))
    return all(np.array_equal(*pair) for pair in zip(one, other))


@pytest.mark.parametrize("jit_compile", [False, True], ids=["graph", "xla"])
@pytest.mark.parametrize("frequency", ["epoch", 1])
@pytest.mark.parametrize("make", CASES)
@KERASES
def test_what_a_trace_takes_from_python(k, make, frequency, jit_compile, tmp_path):
    alone = trained(k, make, [], [], jit_compile=jit_compile)
    logger = TbxLogger(tmp_path, gradient_freq=frequency, overhead_budget=1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        assert same(trained(k, make, [logger], [], jit_compile=jit_compile), alone, jit_compile)
    assert logger.report.errors == 0
    steps = {1, 4, 7} if frequency == "epoch" else set(range(1, 10))
    assert set(scalar(accumulate(tmp_path, "train"), "gradient_norm/global")) == steps


def rate(model):
    return model.scale


def with_a_scale(k):
    model = scaled_by(rate)(k)
    model.scale = 1.0
    return model


def frozen_below(k):
    model = zoo.sequential(k)
    model.layers[0].trainable = False
    return model


def scale_up(model):
    model.scale = 3.0


def unfreeze(model):
    model.layers[0].trainable = True


@pytest.mark.parametrize(
    ("make", "change"), [(with_a_scale, scale_up), (frozen_below, unfreeze)], ids=["attribute", "trainable"]
)
@pytest.mark.parametrize("moment", ["an epoch", "a fit"])
@pytest.mark.slow
@KERASES
def test_what_is_changed_after_the_first_step_has_no_effect(k, make, change, moment, tmp_path):
    """Both train functions are traced at the first step, as the one without a logger is."""

    class Changes(k.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if moment == "an epoch":
                change(self.model)

    for frequency in (1, "epoch"):
        alone = trained(k, make, [Changes()], [], between=change)
        logger = TbxLogger(tmp_path, gradient_freq=frequency, overhead_budget=1.0)
        assert same(trained(k, make, [logger, Changes()], [], between=change), alone, jit_compile=False)
        assert logger.report.errors == 0


def graph_of(function):
    return tf.function(function).get_concrete_function(tf.TensorSpec([2], tf.float32)).graph


def test_two_traces_of_one_function_are_the_same():
    def branching(x):
        with tf.name_scope("any"):
            return tf.cond(tf.reduce_sum(x) > 0, lambda: x * 2.0, lambda: x)

    assert are_same(graph_of(branching), graph_of(branching))
    assert not are_same(graph_of(branching), graph_of(lambda x: x * 2.0))
    assert not are_same(graph_of(lambda x: x * 2.0), graph_of(lambda x: x * 3.0))


def test_a_number_within_a_branch_counts():
    def with_number(number):
        return lambda x: tf.cond(tf.reduce_sum(x) > 0, lambda: x * number, lambda: x)

    assert not are_same(graph_of(with_number(2.0)), graph_of(with_number(3.0)))
    assert are_same(graph_of(with_number(2.0)), graph_of(with_number(2.0)))


def test_the_variable_that_an_operation_changes_counts():
    one, other = tf.Variable([1.0, 2.0]), tf.Variable([1.0, 2.0])

    def adding_to(variable):
        def function(x):
            total = one + other  # both are taken from outside in any case
            variable.assign_add(x)
            return total

        return function

    assert are_same(graph_of(adding_to(one)), graph_of(adding_to(one)))
    assert not are_same(graph_of(adding_to(one)), graph_of(adding_to(other)))


def test_a_result_counts_where_the_original_returns_it():
    with_more = graph_of(lambda x: (x * 2.0, tf.constant(1.0)))
    assert are_same(with_more, graph_of(lambda x: x * 2.0))
    assert not are_same(graph_of(lambda x: x * 2.0), with_more)
    assert not are_same(graph_of(lambda x: (x, tf.constant(1.0))), graph_of(lambda x: (x, tf.constant(2.0))))


def test_loops_are_followed():
    def looped(factor):
        return lambda x: tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * factor), (0, x))[1]

    assert are_same(graph_of(looped(2.0)), graph_of(looped(2.0)))
    assert not are_same(graph_of(looped(2.0)), graph_of(looped(3.0)))


def test_what_the_second_trace_draws_is_put_back():
    sequences = RandomSequences()
    before = random.getstate(), np.random.get_state()[1].tolist()
    assert not sequences.restore()
    random.random()
    np.random.random()
    assert sequences.restore()
    assert before == (random.getstate(), np.random.get_state()[1].tolist())


@pytest.mark.slow
@KERASES
@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("built", [True, False])
def test_an_ordinary_step_runs_untouched_where_it_is_not_sampled(k, built, steps, tmp_path):
    """Also where layers draw their first weights in the first trace."""
    layers = [k.layers.Dense(4), k.layers.BatchNormalization(), k.layers.Dense(1)]
    model = k.Sequential([k.Input((zoo.FEATURES,)), *layers] if built else layers)
    model.compile("adam", "mse", steps_per_execution=steps)
    model.fit(*zoo.batch(64), batch_size=8, verbose=0, callbacks=[TbxLogger(tmp_path)])
    (_, copies) = vars(model)["_tbx_keras_copies"]
    assert copies.every_step is False


@KERASES
def test_a_replica_is_compared_too(k, tmp_path):
    def train(callbacks):
        k.utils.set_random_seed(0)
        with tf.distribute.OneDeviceStrategy("/cpu:0").scope():
            model = scaled_by(counted_in_private)(k)
            model.compile("sgd", "mse")
        model.fit(*zoo.batch(40), batch_size=8, shuffle=False, verbose=0, callbacks=callbacks)
        return model.get_weights()

    with_logger = train([TbxLogger(tmp_path, gradient_freq=2)])
    assert all(map(np.array_equal, with_logger, train([])))


@KERASES
def test_a_batch_of_a_loop_by_hand_is_compared_too(k, tmp_path):
    def train(callbacks):
        k.utils.set_random_seed(0)
        model = scaled_by(counted_in_private)(k)
        model.compile("sgd", "mse", jit_compile=False)
        logs, (x, y) = k.callbacks.CallbackList(callbacks, model=model), zoo.batch(8)
        logs.on_train_begin()
        logs.on_epoch_begin(0)
        for batch in range(5):
            logs.on_train_batch_begin(batch)
            logs.on_train_batch_end(batch, {"loss": float(np.ravel(model.train_on_batch(x, y))[0])})
        logs.on_epoch_end(0)
        logs.on_train_end()
        return model.get_weights()

    with_logger = train([TbxLogger(tmp_path, gradient_freq=2)])
    assert all(map(np.array_equal, with_logger, train([])))


def test_what_observes_does_not_count():
    def observed(x):
        y = x * 2.0
        with tf.name_scope("tbx_keras"):
            tf.cond(tf.reduce_sum(x) > 0, lambda: tf.reduce_max(x), lambda: tf.reduce_min(x) + 7.0)
        return y

    assert are_same(graph_of(observed), graph_of(lambda x: x * 2.0))
