"""Training is the same with and without the logger, and the model is left as it was."""

import copy
import importlib
import pickle

import keras
import numpy as np
import pytest
import tf_keras

from tbx_keras import TbxLogger
from tests import zoo
from tests.reading import accumulate, close_weights, same_weights, scalar, scalar_tags
from tests.strategies import run_alone

KERASES = pytest.mark.parametrize("k", [keras, tf_keras], ids=["keras", "tf_keras"])
MODES = pytest.mark.parametrize(
    "options",
    [{}, {"jit_compile": True}, {"run_eagerly": True}, {"steps_per_execution": 8}],
    ids=["graph", "xla", "eager", "8_steps"],
)


def train(k, build, callbacks, optimizer=None, epochs=2, **options):
    k.utils.set_random_seed(3)
    model, (x, y) = build(k), zoo.batch(64)
    model.compile(optimizer or k.optimizers.Adam(0.01), "mse", **options)
    model.fit(x, y, batch_size=4, epochs=epochs, verbose=0, shuffle=False, callbacks=callbacks)
    return model


def train_function(model):
    model.make_train_function()
    return model.train_function


@KERASES
@MODES
@pytest.mark.parametrize("update_freq", ["epoch", "batch"])
def test_weights_are_bit_identical(k, options, update_freq, tmp_path):
    logger = TbxLogger(tmp_path, update_freq=update_freq, gradient_freq=3)
    with_logger = train(k, zoo.functional, [logger], **options)
    # XLA compiles a sampled step apart and may round it differently, on some processors and not on others.
    same = close_weights if options.get("jit_compile") else same_weights
    assert same(with_logger, train(k, zoo.functional, [], **options))
    assert logger.report.errors == 0


@pytest.mark.slow
@KERASES
@pytest.mark.parametrize("options", [{}, {"jit_compile": True}], ids=["graph", "xla"])
def test_weights_counted_where_they_lie_are_not_touched(k, options, tmp_path, monkeypatch):
    """As those of large models are, in the memory of the variables."""
    monkeypatch.setattr("tbx_keras.backends.tensorflow.backend.LARGE", 1)
    logger = TbxLogger(tmp_path, gradient_freq=0)
    with_logger = train(k, zoo.functional, [logger], epochs=4, **options)
    assert same_weights(with_logger, train(k, zoo.functional, [], epochs=4, **options))
    assert logger.report.errors == 0


@pytest.mark.slow
@KERASES
@pytest.mark.parametrize("options", [{}, {"run_eagerly": True}, {"steps_per_execution": 8}], ids=str)
def test_dropout_draws_the_same_sequence(k, options, tmp_path):
    def build(k):
        return zoo.sequential(k, dropout=0.5)

    with_logger = train(k, build, [TbxLogger(tmp_path, gradient_freq=3, update_freq=2)], **options)
    assert same_weights(with_logger, train(k, build, [], **options))


@pytest.mark.slow
@KERASES
@pytest.mark.parametrize("optimizer", ["SGD", "RMSprop", "AdamW", "Adagrad", "Nadam"])
def test_whatever_the_optimizer(k, optimizer, tmp_path):
    def train_with(callbacks):
        return train(k, zoo.sequential, callbacks, getattr(k.optimizers, optimizer)(0.01))

    assert same_weights(train_with([TbxLogger(tmp_path, gradient_freq=2)]), train_with([]))


@KERASES
def test_mixed_precision_too(k, tmp_path):
    k.mixed_precision.set_global_policy("mixed_float16")
    try:
        logger = TbxLogger(tmp_path, gradient_freq=2)
        with_logger, without = train(k, zoo.sequential, [logger]), train(k, zoo.sequential, [])
    finally:
        k.mixed_precision.set_global_policy("float32")
    assert same_weights(with_logger, without)
    norms = scalar(accumulate(tmp_path, "train"), "gradient_norm/global")
    assert 0 < norms[2] < 100  # the loss scale is 32768
    assert logger.report.errors == 0


@KERASES
def test_steps_that_are_not_sampled_run_the_untouched_function(k, tmp_path, monkeypatch):
    # A function that counts stands for the original, though the model would not make one like it.
    monkeypatch.setattr("tbx_keras.backends.tensorflow.instrumented.are_alike", lambda *pair: True)
    model, (x, y) = zoo.sequential(k), zoo.batch(64)
    model.compile("sgd", "mse")
    original = train_function(model)
    calls = []

    def counting(iterator):
        calls.append(model.train_function)
        return original(iterator)

    model.train_function = counting
    model.fit(x, y, batch_size=4, epochs=2, verbose=0, callbacks=[TbxLogger(tmp_path, gradient_freq=8)])
    # Steps 8, 16, 24 and 32 are sampled; the first is looked at.
    assert len(calls) == 32 - 4 - 1
    assert set(calls) == {counting}
    assert model.train_function is counting


@KERASES
def test_the_instrumented_function_is_traced_once_over_several_fits(k, tmp_path):
    traces = []

    class Counting(k.layers.Layer):
        def call(self, x, training=False):
            if training:
                traces.append(1)
            return x

    model = k.Sequential([k.Input((zoo.FEATURES,)), Counting(), k.layers.Dense(1)])
    x, y = zoo.batch()
    model.compile("sgd", "mse")
    logger = TbxLogger(tmp_path, gradient_freq=2)
    model.fit(x, y, batch_size=8, epochs=1, verbose=0, callbacks=[logger])
    after_first = len(traces)
    for _ in range(2):
        model.fit(x, y, batch_size=8, epochs=1, verbose=0, callbacks=[logger])
    assert len(traces) == after_first


@KERASES
@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt()], ids=["exception", "interrupt"])
@pytest.mark.parametrize("hook", ["on_train_batch_begin", "on_train_batch_end"])
def test_an_exception_leaves_the_records_on_disk_and_the_model_clean(k, error, hook, tmp_path):
    class Failing(k.callbacks.Callback):
        def _fail(self, batch, logs=None):
            if batch == 2:
                raise error

    setattr(Failing, hook, Failing._fail)
    model, (x, y) = zoo.sequential(k), zoo.batch()
    model.compile("sgd", "mse")
    original = train_function(model)
    logger = TbxLogger(tmp_path, update_freq="batch", gradient_freq=1)
    with pytest.raises(type(error)):
        model.fit(x, y, batch_size=8, epochs=1, verbose=0, callbacks=[Failing(), logger])
    assert model.train_function is original
    assert "train_step" not in vars(model)
    assert logger.flush()
    assert set(scalar(accumulate(tmp_path, "train"), "gradient_norm/global")) >= {1, 2}


@KERASES
def test_a_tap_that_never_ran_is_gone_with_the_next_fit(k, tmp_path):
    class Failing(k.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            raise ValueError("mine")

    model, (x, y) = zoo.sequential(k), zoo.batch()
    model.compile("sgd", "mse")
    original = train_function(model)
    with pytest.raises(ValueError, match="mine"):
        model.fit(x, y, verbose=0, callbacks=[TbxLogger(tmp_path), Failing()])
    model.fit(x, y, verbose=0)
    assert model.train_function is original


@KERASES
def test_an_exception_in_the_sampled_step_itself(k, tmp_path):
    model, (x, y) = zoo.sequential(k), zoo.batch()
    model.compile("sgd", "mse")
    original = train_function(model)
    with pytest.raises(Exception, match="(?i)shape|incompatible|expected"):
        model.fit(x[:, :3], y, verbose=0, callbacks=[TbxLogger(tmp_path)])
    assert model.train_function is original
    assert "apply" not in vars(model.optimizer)
    assert "apply_gradients" not in vars(model.optimizer)


@KERASES
def test_an_error_of_the_recording_does_not_reach_training(k, tmp_path, monkeypatch):
    def broken(*_):
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr("tbx_keras.backends.tensorflow.captures.gradients.rows_of", broken)
    monkeypatch.setattr("tbx_keras.recorders.weights.WeightCounter._prepared", broken)
    with pytest.warns(RuntimeWarning, match="broken on purpose"):
        with_logger = train(k, zoo.sequential, [logger := TbxLogger(tmp_path)])
    assert same_weights(with_logger, train(k, zoo.sequential, []))
    assert logger.report.errors >= 2
    assert "epoch_loss" in scalar_tags(accumulate(tmp_path, "train"))


@pytest.mark.slow
@KERASES
@pytest.mark.parametrize(
    "clone", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))], ids=["copy", "pickle"]
)
def test_a_copy_works_like_the_original(k, clone, tmp_path):
    logger = clone(TbxLogger(tmp_path, gradient_freq=2))
    train(k, zoo.sequential, [logger])
    assert 2 in scalar(accumulate(tmp_path, "train"), "gradient_norm/global")
    assert clone(logger).report.written == 0


@pytest.mark.slow
@KERASES
def test_several_loggers_at_once(k, tmp_path):
    loggers = [TbxLogger(tmp_path / str(number), gradient_freq=1) for number in range(2)]
    model = train(k, zoo.sequential, loggers, epochs=1)
    one, two = (scalar(accumulate(tmp_path, str(n), "train"), "gradient_norm/global") for n in range(2))
    assert len(one) == len(two) == 16
    np.testing.assert_allclose(list(one.values()), list(two.values()), rtol=1e-6)
    assert same_weights(model, train(k, zoo.sequential, [], epochs=1))


@KERASES
def test_no_step_that_is_not_sampled_reads_the_device(k, tmp_path, monkeypatch):
    """Guards speed: the optimizer's count is read once an epoch and once an evaluation, never in a step."""
    from tbx_keras import keras_model

    reads, original = [], keras_model.iterations
    monkeypatch.setattr(keras_model, "iterations", lambda model: reads.append(1) or original(model))
    model, (x, y) = zoo.sequential(k), zoo.batch(64)
    model.compile("sgd", "mse")
    model.fit(x, y, batch_size=4, epochs=3, verbose=0, callbacks=[TbxLogger(tmp_path)])
    assert len(reads) == 3


def test_no_step_that_is_not_sampled_fetches_from_the_device(tmp_path, monkeypatch):
    """Guards speed: what a logger fetches in a `fit` does not grow with its steps."""
    from tensorflow.python.framework import ops

    fetches, original = [], ops._EagerTensorBase._numpy
    monkeypatch.setattr(ops._EagerTensorBase, "_numpy", lambda self: fetches.append(1) or original(self))

    def fetched(steps, *loggers):
        model, (x, y) = zoo.sequential(keras), zoo.batch(4 * steps)
        model.compile("sgd", "mse")
        before = len(fetches)
        model.fit(x, y, batch_size=4, verbose=0, callbacks=list(loggers))
        return len(fetches) - before

    extra = [fetched(n, TbxLogger(tmp_path / str(n), gradient_freq=1000)) - fetched(n) for n in (8, 64)]
    assert len(fetches) > 64  # it is what Keras calls too
    assert extra[0] == extra[1]


@pytest.mark.slow
@KERASES
def test_a_mirrored_strategy_of_one_device(k, tmp_path):
    run_alone(train_on_one_device, k.__name__, str(tmp_path))


def train_on_one_device(package, log_dir):
    import tensorflow as tf

    k = importlib.import_module(package)
    with tf.distribute.MirroredStrategy().scope():
        model = zoo.sequential(k)
        model.compile("sgd", "mse")
    x, y = zoo.batch(16)
    logger = TbxLogger(log_dir)
    model.fit(x, y, batch_size=8, epochs=2, verbose=0, callbacks=[logger])
    assert logger.report.errors == 0
    assert set(scalar(accumulate(log_dir, "train"), "gradient_norm/global")) == {1, 3}
