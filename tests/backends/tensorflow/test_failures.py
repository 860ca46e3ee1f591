"""Whatever of the capture fails, at any stage and in any mode: training goes on and ends as without it."""

import functools
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tbx_keras import TbxLogger
from tbx_keras.backends.tensorflow import instrumented, observed_step, train_function
from tbx_keras.backends.tensorflow.captures import CAPTURES, gradients
from tbx_keras.instrumentation.base import CaptureSchema
from tests import zoo
from tests.reading import accumulate, close_weights, same_weights, scalar_tags

pytestmark = pytest.mark.slow  # many trainings
MODES = {"graph": {}, "xla": {"jit_compile": True}, "eager": {"run_eagerly": True}}
STEPS = 12


class Broken(RuntimeError):
    """Raised on purpose."""


def broken(*_, **__):
    raise Broken("broken on purpose")


def trained(k, mode, callbacks):
    k.utils.set_random_seed(1)
    model, (x, y) = zoo.with_train_step(k), zoo.batch(24)
    model.compile(k.optimizers.Adam(0.01), **MODES[mode])
    model.fit(x, y, epochs=STEPS // 6, batch_size=4, shuffle=False, verbose=0, callbacks=callbacks)
    return model


def fails_in_python(name):
    owner, attribute = name
    return lambda patch: patch.setattr(owner, attribute, broken)


def fails_after_the_step(patch):
    """The trace is complete but for what comes after the user's step, out of any handler of errors."""
    run = observed_step.ObservedStep._run

    def run_and_fail(self, data, conversion):
        run(self, data, conversion)
        raise Broken("broken on purpose")

    patch.setattr(observed_step.ObservedStep, "_run", run_and_fail)


def fails_when_it_runs(after):
    """An operation of ours fails, from the given run of a sampled step on.

    It takes what is captured, as ours do: without an input it could fail while the iterator still
    fetches, and cancelling that loses further batches.
    """

    def inject(patch):
        describe = gradients.describe
        runs = []

        def count(_):
            runs.append(1)
            if len(runs) > after:
                raise Broken("broken on purpose")
            return np.float64(0)

        def describe_and_fail(rows, xla):
            tensors = describe(rows, xla)
            failing = tf.numpy_function(count, [tensors["statistics"]], tf.float64)
            tensors["statistics"] = tensors["statistics"] + failing
            return tensors

        patch.setattr(gradients, "describe", describe_and_fail)

    return inject


def returns_what_cannot_leave(patch):
    """A tensor of an inner graph is returned, which only `tf.function` finds."""
    leaked = []

    def _leak():
        leaked.append(tf.constant(1.0) * 2.0)
        return leaked[0]

    def reduce_leaked(self, schema):
        tf.cond(tf.constant(True), _leak, lambda: tf.constant(0.0))
        return CaptureSchema(), {"loss": leaked[-1]}

    patch.setattr(CAPTURES["loss"], "reduce", reduce_leaked)


STAGES = {
    "making": fails_in_python((instrumented.InstrumentedTrainFunction, "_make")),
    "constructing": fails_in_python((train_function, "InstrumentedTrainFunction")),
    "capturing_losses": fails_in_python((CAPTURES["loss"], "intercept")),
    "capturing_updates": fails_in_python((CAPTURES["gradients"], "intercept")),
    "reading_an_update": fails_in_python((gradients, "read_update")),
    "keeping_weights": fails_in_python((gradients, "snapshot_weights")),
    "looking_for_state": fails_in_python((observed_step, "PythonState")),
    "comparing_traces": fails_in_python((instrumented, "are_same")),
    "describing": fails_in_python((CAPTURES["gradients"], "reduce")),
    "describing_losses": fails_in_python((CAPTURES["loss"], "reduce")),
    "comparing_weights": fails_in_python(("tbx_keras.backends.tensorflow.update_norms", "_sums_of_squares")),
    "tracing": fails_after_the_step,
    "leaking": returns_what_cannot_leave,
    "first_run": fails_when_it_runs(0),
    "later_run": fails_when_it_runs(2),
    "delivering": fails_in_python(("tbx_keras.recorders.gradients", "gradient_values")),
    "handing_over": fails_in_python(("tbx_keras.recorders.gradients.Gradients", "_news")),
}


def inject(monkeypatch, stage):
    STAGES[stage](monkeypatch)


@pytest.fixture
def patching(monkeypatch):
    """`setattr` by owner, or by the dotted name of it."""

    class Patching:
        def setattr(self, owner, name, value):
            monkeypatch.setattr(
                f"{owner}.{name}" if isinstance(owner, str) else owner,
                *((value,) if isinstance(owner, str) else (name, value)),
            )

    return Patching()


@functools.cache
def trained_alone(k, mode):
    return trained(k, mode, [])


NOT_EAGER = ("looking_for_state", "comparing_traces", "leaking")  # an eager step has no graph


@pytest.mark.parametrize(
    ("mode", "stage"), [(m, s) for m in MODES for s in STAGES if m != "eager" or s not in NOT_EAGER]
)
@pytest.mark.parametrize("k", [keras, tf_keras], ids=["keras", "tf_keras"])
def test_training_goes_on(k, mode, stage, patching, tmp_path):
    alone = trained_alone(k, mode)
    logger = TbxLogger(tmp_path, update_freq="batch", gradient_freq=1, overhead_budget=1.0)
    STAGES[stage](patching)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = trained(k, mode, [logger])
    assert logger.report.errors > 0
    assert [one for one in caught if "training goes on" in str(one.message)]
    assert "epoch_loss" in scalar_tags(accumulate(tmp_path, "train"))
    steps = int(model.optimizer.iterations.numpy())
    if stage in ("first_run", "later_run"):
        # The batch of the failed step is used up, its update made or not.
        assert STEPS - 1 <= steps <= STEPS + 1
        assert all(np.isfinite(weight).all() for weight in model.get_weights())
    else:
        assert steps == STEPS
        assert (close_weights if mode == "xla" else same_weights)(model, alone)


@pytest.mark.parametrize("error", [MemoryError, ValueError], ids=lambda error: error.__name__)
@pytest.mark.parametrize("at", [1, 2])
def test_an_error_of_the_users_own_operation_ends_fit(error, at, tmp_path):
    """As it does without the logger, also where TensorFlow takes it for a lack of memory."""
    runs = []

    def fail(loss):
        runs.append(1)
        if len(runs) == at:
            raise error("the user's own")
        return loss

    class Failing(keras.layers.Layer):
        def call(self, x):
            return tf.reshape(tf.numpy_function(fail, [x], tf.float32), tf.shape(x))

    model = keras.Sequential([keras.Input((zoo.FEATURES,)), Failing(), keras.layers.Dense(1)])
    model.layers[0].build((None, zoo.FEATURES))
    x, y = zoo.batch(16)
    model.compile("sgd", "mse")
    with pytest.raises((tf.errors.OpError, error), match="the user's own"):
        model.fit(x, y, batch_size=4, verbose=0, callbacks=[TbxLogger(tmp_path, gradient_freq=1)])
    assert len(runs) == at


def test_train_functions_of_one_class_are_not_shared(tmp_path):
    """A bound method as train function has one place for what is kept with it, for all instances."""

    class Bound(keras.Sequential):
        def make_train_function(self, force=False):
            self.train_function = self.run_once
            return self.train_function

        def run_once(self, iterator):
            return self.train_step(next(iterator))

    def fitted():
        model, (x, y) = Bound([keras.layers.Dense(1)]), zoo.batch(16)
        model.compile("sgd", "mse")
        model.fit(x, y, batch_size=8, verbose=0, callbacks=[TbxLogger(tmp_path, gradient_freq=1)])
        return model

    models = [fitted(), fitted()]
    assert [int(model.optimizer.iterations.numpy()) for model in models] == [2, 2]
