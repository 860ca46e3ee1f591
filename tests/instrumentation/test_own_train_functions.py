"""A train function of the model's own, or of somebody else, runs as it does without the logger."""

import functools
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tbx_keras import TbxLogger
from tbx_keras.instrumentation.limits import REPLACED
from tests import zoo
from tests.cases import mostly_slow
from tests.reading import accumulate, scalar, scalar_tags

KERASES = pytest.mark.parametrize("k", [keras, tf_keras], ids=["keras", "tf_keras"])
SHORT = {"batch_size": 4, "verbose": 0, "shuffle": False}


def overriding(k, make, **members):
    """A class of models whose `make_train_function` keeps what `make(model)` returns."""

    def make_train_function(self, force=False):
        self.train_function = make(self)
        return self.train_function

    return type("Overriding", (k.Sequential,), {"make_train_function": make_train_function, **members})


def own_step(model):
    return tf.function(lambda iterator: model.train_step(next(iterator)))


def kept_by_a_method(k, around=lambda function: function):
    one_step = tf.function(lambda self, data: self.train_step(data))
    return overriding(
        k, lambda model: around(lambda iterator: model.one_step(next(iterator))), one_step=one_step
    )


def kept_within_another(k):
    return kept_by_a_method(k, around=tf.function)


def kept_in_an_attribute(k):
    def make(model):
        model.mine = own_step(model)
        return lambda iterator: model.mine(iterator)

    return overriding(k, make)


def stored_elsewhere_too(k):
    def make(model):
        model.mine = own_step(model)
        return model.mine

    return overriding(k, make)


def made_around_kerass_own(k):
    def make(model):
        made = k.Sequential.make_train_function(model, force=True) or model.train_function
        return functools.partial(lambda function, iterator: function(iterator), made)

    return overriding(k, make)


def kept_as_a_concrete_function(k):
    def one_concrete_step(self, x, y):
        if self.concrete is None:
            step = tf.function(lambda x, y: self.train_step((x, y)))
            self.concrete = step.get_concrete_function(x, y)
        return self.concrete(x, y)

    def make(model):
        return lambda iterator: model.one_concrete_step(*next(iterator))

    return overriding(k, make, concrete=None, one_concrete_step=one_concrete_step)


def around_the_step(around):
    """What a model's own train function does with what a step returns, in the `tf.function` or around it."""

    def outside(k):
        def make(model):
            function = own_step(model)
            return lambda iterator: around(function(iterator))

        return overriding(k, make)

    def inside(k):
        def make(model):
            function = tf.function(lambda iterator: around(model.train_step(next(iterator))))
            return lambda iterator: function(iterator)

        return overriding(k, make)

    inside.__name__, outside.__name__ = f"inside_{around.__name__}", f"outside_{around.__name__}"
    return [inside, outside]


def adding_a_log(logs):
    return {**logs, "added": tf.constant(1.0)}


def reading_the_loss(logs):
    return {"loss": logs["loss"], "doubled": 2 * logs["loss"]}


def renaming(logs):
    return {f"my_{name}": value for name, value in logs.items()} | {"loss": logs["loss"]}


def two_steps_in_one(k):
    def make(model):
        def both(iterator):
            data = next(iterator)
            return {**model.train_step(data), "second": model.train_step(data)["loss"]}

        return tf.function(both)

    return overriding(k, make)


def noise_after_the_step(k):
    """A place in a random sequence that the step itself does not have."""

    def make(model):
        def noisy(iterator):
            logs = model.train_step(next(iterator))
            for weight in model.trainable_variables:
                weight.assign_add(0.01 * tf.random.normal(weight.shape, seed=1))
            return logs

        return tf.function(noisy)

    return overriding(k, make)


def noise_in_a_function_beside(k):
    def make(model):
        step = tf.function(lambda data: model.train_step(data))
        noisy = tf.function(lambda x, y: (x + tf.random.normal(tf.shape(x), seed=1), y))
        return lambda iterator: step(noisy(*next(iterator)))

    return overriding(k, make)


def a_counter_of_its_own(k):
    def make(model):
        calls = tf.Variable(0.0)

        def counting(iterator):
            calls.assign_add(1.0)
            x, y = next(iterator)
            return model.train_step((x / calls, y))

        return tf.function(counting)

    return overriding(k, make)


OWN_TRAIN_FUNCTIONS = [
    kept_by_a_method, kept_in_an_attribute, kept_within_another, kept_as_a_concrete_function,
    made_around_kerass_own, two_steps_in_one, noise_after_the_step, noise_in_a_function_beside,
    a_counter_of_its_own, stored_elsewhere_too,
    *around_the_step(adding_a_log), *around_the_step(reading_the_loss), *around_the_step(renaming),
]  # fmt: skip
CASES = mostly_slow({make.__name__: make for make in OWN_TRAIN_FUNCTIONS}, fast=("kept_in_an_attribute",))


def seeded(k, make_class):
    k.utils.set_random_seed(1)
    return make_class(k)([k.Input((zoo.FEATURES,)), k.layers.Dense(1, name="out")])


def fit(model, *callbacks, epochs=1):
    """Return the history, in numbers."""
    x, y = zoo.batch(16)
    history = model.fit(x, y, epochs=epochs, callbacks=list(callbacks), **SHORT).history
    return {name: list(map(float, one)) for name, one in history.items()}


def weights_of(model):
    return [np.asarray(weight).tobytes() for weight in model.get_weights()]


def sentences(caught):
    return [str(one.message) for one in caught if str(one.message).startswith("tbx_keras")]


@pytest.mark.parametrize("eager", [False, True], ids=["graph", "eager"])
@pytest.mark.parametrize("make", CASES)
@KERASES
def test_a_train_function_of_the_models_own(k, make, eager, tmp_path):
    """It sees the logs of its step alone, in whatever it does with them, and nobody steps in twice."""

    def trained(*fits):
        model = seeded(k, make)
        model.compile("sgd", "mse", run_eagerly=eager)
        return [fit(model, *one, epochs=3) for one in fits], weights_of(model)

    logger = TbxLogger(tmp_path, gradient_freq=2, update_freq="batch")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RuntimeWarning)
        assert trained([logger], []) == trained([], [])
    assert sentences(caught) == []
    assert logger.report.errors == 0
    train = accumulate(tmp_path, "train")
    # Two updates in a batch are counted at the next epoch.
    expected = {2, 4} if make is two_steps_in_one else {2, 4, 6, 8, 10, 12}
    assert set(scalar(train, "gradient_norm/global")) >= expected


def without_force(k):
    """`make_train_function` overridden as in TensorFlow's guides of old: Keras never passes `force`."""

    def make_train_function(self):
        return k.Sequential.make_train_function(self)

    return type("Overriding", (k.Sequential,), {"make_train_function": make_train_function})


def only_returned(k):
    """Which tf_keras lets a model do."""

    def make_train_function(self, force=False):
        return own_step(self)

    return type("Overriding", (k.Sequential,), {"make_train_function": make_train_function})


def trained_once(k, make, *callbacks):
    model = seeded(k, make)
    model.compile(k.optimizers.SGD(0.1), "mse")
    return fit(model, *callbacks), weights_of(model)


@pytest.mark.parametrize(
    ("k", "make"), [(keras, without_force), (tf_keras, without_force), (tf_keras, only_returned)]
)
def test_an_override_of_another_shape_hides_nothing(k, make, tmp_path):
    logger = TbxLogger(tmp_path, gradient_freq=1)
    assert trained_once(k, make, logger) == trained_once(k, make)
    assert logger.report.errors == 0
    assert any(tag.startswith("gradient_norm/") for tag in scalar_tags(accumulate(tmp_path, "train")))


def with_one_function(k):
    """The train function is kept by the model's own code: no second one can be had."""

    def make(model):
        model.function = model.function or own_step(model)
        return model.function

    return overriding(k, make, function=None)


@KERASES
def test_a_train_function_that_the_model_keeps_is_left_alone(k, tmp_path):
    logger = TbxLogger(tmp_path, gradient_freq=2, update_freq="batch")
    with pytest.warns(RuntimeWarning, match="makes no second train function"):
        logged = trained_once(k, with_one_function, logger)
    assert logged == trained_once(k, with_one_function)


def set_before(k, model, callbacks):
    model.make_train_function()
    model.train_function = watched(model.train_function)
    return callbacks


def set_by_a_callback(k, model, callbacks, place=0):
    class Sets(k.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.model.train_function = watched(self.model.train_function)

    return [*callbacks[:place], Sets(), *callbacks[place:]]


def set_by_a_callback_behind(k, model, callbacks):
    return set_by_a_callback(k, model, callbacks, place=1)


def watched(function):
    def watching(iterator):
        watching.calls += 1
        return function(iterator)

    watching.calls = 0
    return watching


@pytest.mark.parametrize("put", [set_before, set_by_a_callback, set_by_a_callback_behind])
@KERASES
def test_a_train_function_that_somebody_put_in_place(k, put, tmp_path):
    """Nobody but its author can make another one like it: it runs every step, and one sentence says so."""

    def trained(*callbacks):
        model = seeded(k, lambda k: k.Sequential)
        model.compile("sgd", "mse")
        fit(model, *put(k, model, list(callbacks)), epochs=2)
        return model.train_function.calls, weights_of(model)

    logger = TbxLogger(tmp_path, gradient_freq=2, update_freq="batch")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RuntimeWarning)
        logged = trained(logger)
    assert logged == trained()
    assert logged[0] == 8
    assert sentences(caught) == [REPLACED]
    assert logger.report.errors == 0


@pytest.mark.parametrize("steps", [2, 3])
@KERASES
def test_steps_in_one_execution_that_do_not_divide_the_epoch(k, steps, tmp_path):
    """tf_keras makes another train function where one step of the epoch is left."""
    model = seeded(k, lambda k: k.Sequential)
    model.compile("sgd", "mse", steps_per_execution=steps)
    logger = TbxLogger(tmp_path, gradient_freq=4, update_freq="batch")
    x, y = zoo.batch(28 if steps == 2 else 16)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        model.fit(x, y, epochs=3, callbacks=[logger], **SHORT)
    train = accumulate(tmp_path, "train")
    for tag in ("gradient_norm/global", "step_loss"):
        assert {(step - 1) // (len(x) // 4) for step in scalar(train, tag)} == {0, 1, 2}, "each epoch"
    assert logger.report.errors == 0
