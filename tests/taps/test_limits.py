"""What cannot be captured is said in one sentence, and training is untouched."""

import functools
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tbx_keras import TbxLogger
from tbx_keras.taps.limits import KEPT
from tests import zoo
from tests.reading import accumulate, scalar_tags

KERASES = pytest.mark.parametrize("k", [keras, tf_keras], ids=["keras", "tf_keras"])


def stepping(k, step):
    class Stepping(k.Model):
        def __init__(self):
            super().__init__()
            self.out = k.layers.Dense(1, name="out")
            self.calls = 0

        def call(self, x):
            return self.out(x)

        train_step = step

    return Stepping()


def loss_and_gradients(model, data):
    x, y = data
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(x) - y))
    return loss, list(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))


def by_assigning(self, data):
    loss, pairs = loss_and_gradients(self, data)
    for gradient, variable in pairs:
        variable.assign(variable - 0.1 * gradient)
    return {"loss": loss}


def in_a_branch(self, data):
    loss, pairs = loss_and_gradients(self, data)
    self.optimizer.build(self.trainable_variables)

    def update():
        self.optimizer.apply_gradients(pairs)
        return 1

    tf.cond(loss < 1e9, update, lambda: 0)
    return {"loss": loss}


def counting_in_python(self, data):
    loss, pairs = loss_and_gradients(self, data)
    self.calls += 1
    if self.calls == 1:  # true in the first trace only: a second one would never update
        self.optimizer.apply_gradients(pairs)
    return {"loss": loss}


def fit(k, step, callbacks, **compiled):
    k.utils.set_random_seed(1)
    model, (x, y) = stepping(k, step), zoo.batch(16)
    model(x)
    model.compile(k.optimizers.SGD(0.1), **compiled)
    if hasattr(model.optimizer, "build"):
        model.optimizer.build(model.trainable_variables)
    for callback in callbacks:
        model.fit(x, y, batch_size=4, epochs=2, verbose=0, shuffle=False, callbacks=callback)
    return [np.asarray(weight).tobytes() for weight in model.get_weights()]


def sentences(caught):
    return [str(one.message) for one in caught if str(one.message).startswith("tbx_keras")]


@KERASES
@pytest.mark.parametrize(
    ("step", "sentence"),
    [(by_assigning, "calls no Keras optimizer"), (in_a_branch, "all optimizer calls")],
    ids=["by_assigning", "in_a_branch"],
)
def test_one_sentence_and_the_same_weights(k, step, sentence, tmp_path):
    logger = TbxLogger(tmp_path, gradient_freq=1, update_freq="batch")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        weights = fit(k, step, [[logger], [logger]])
    assert weights == fit(k, step, [[], []])
    assert len(sentences(caught)) == 1
    assert sentence in sentences(caught)[0]
    assert logger.report.errors == 0
    assert "batch_loss" in scalar_tags(accumulate(tmp_path, "train"))


@KERASES
@pytest.mark.parametrize("frequency", [1, 2], ids=["traced_by_us", "traced_before"])
def test_a_function_of_ones_own_in_an_eager_step(k, frequency, tmp_path):
    """Its tensors stay within it, although the step around it has no graph."""

    @tf.function
    def step(self, data):
        loss, pairs = loss_and_gradients(self, data)
        self.optimizer.apply_gradients(pairs)
        return {"loss": loss}

    logger = TbxLogger(tmp_path, gradient_freq=frequency, update_freq="batch")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        weights = fit(k, step, [[logger]], run_eagerly=True)
    assert weights == fit(k, step, [[]], run_eagerly=True)
    (sentence,) = sentences(caught)
    assert "a tf.function of its own" in sentence
    assert logger.report.errors == 0


@KERASES
def test_state_in_python_is_traced_as_often_as_without_the_logger(k, tmp_path):
    logger = TbxLogger(tmp_path, gradient_freq=3)
    assert fit(k, counting_in_python, [[logger]]) == fit(k, counting_in_python, [[]])
    assert logger.report.errors == 0


@KERASES
def test_a_step_that_draws_and_was_compiled_before_is_named(k, tmp_path):
    def drawing(self, data):
        x, y = data
        loss, pairs = loss_and_gradients(self, (x + tf.random.normal(tf.shape(x)), y))
        self.optimizer.apply_gradients(pairs)
        return {"loss": loss}

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(k, drawing, [[], [TbxLogger(tmp_path, gradient_freq=1)]])
    assert len(sentences(caught)) == 1
    assert "model.compile()" in sentences(caught)[0]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(k, drawing, [[TbxLogger(tmp_path / "alone", gradient_freq=1)]])
    assert sentences(caught) == []


def without_force(k):
    """`make_train_function` overridden as in TensorFlow's guides of old: Keras never passes `force`."""

    class Overrides(k.Sequential):
        def make_train_function(self):
            return super().make_train_function()

    return Overrides([k.layers.Dense(1, name="out")])


def with_one_function(k):
    """The train function is kept by the model's own code: no second one can be had."""

    class Keeps(k.Sequential):
        function = None

        def make_train_function(self, force=False):
            if self.function is None:
                self.function = tf.function(lambda iterator: self.train_step(next(iterator)))
            self.train_function = self.function
            return self.function

    return Keeps([k.layers.Dense(1, name="out")])


def fit_once(k, make, *callbacks):
    k.utils.set_random_seed(1)
    model, (x, y) = make(k), zoo.batch(16)
    model.compile(k.optimizers.SGD(0.1), "mse")
    history = model.fit(x, y, batch_size=4, verbose=0, shuffle=False, callbacks=list(callbacks))
    return history.history, [np.asarray(weight).tobytes() for weight in model.get_weights()]


@KERASES
def test_an_override_without_force_hides_nothing(k, tmp_path):
    logger = TbxLogger(tmp_path, gradient_freq=1)
    assert fit_once(k, without_force, logger) == fit_once(k, without_force)
    assert logger.report.errors == 0
    assert any(tag.startswith("gradient_norm/") for tag in scalar_tags(accumulate(tmp_path, "train")))


def test_a_train_function_that_is_only_returned(tmp_path):
    """Which tf_keras lets a model do."""

    class Returns(tf_keras.Sequential):
        def make_train_function(self, force=False):
            return tf.function(lambda iterator: self.train_step(next(iterator)))

    def make(k):
        return Returns([k.layers.Dense(1, name="out")])

    logger = TbxLogger(tmp_path, gradient_freq=1)
    assert fit_once(tf_keras, make, logger) == fit_once(tf_keras, make)
    assert logger.report.errors == 0
    assert any(tag.startswith("gradient_norm/") for tag in scalar_tags(accumulate(tmp_path, "train")))


@KERASES
def test_a_train_function_that_the_model_keeps_is_left_alone(k, tmp_path):
    logger = TbxLogger(tmp_path, gradient_freq=2, update_freq="batch")
    with pytest.warns(RuntimeWarning, match="makes no second train function"):
        logged = fit_once(k, with_one_function, logger)
    assert logged == fit_once(k, with_one_function)


@KERASES
def test_an_object_that_is_no_model_trains_in_a_loop_of_its_own(k, tmp_path):
    """A layer with a `train_step` and a train function, and nothing else that a model has."""

    class Trains(k.layers.Layer):
        train_function = None

        def __init__(self):
            super().__init__()
            self.out, self.optimizer = k.layers.Dense(1), k.optimizers.SGD(0.1)

        def call(self, x):
            return self.out(x)

        def train_step(self, data):
            loss, pairs = loss_and_gradients(self, data)
            self.optimizer.apply_gradients(pairs)
            return {"loss": loss}

        def make_train_function(self):
            if self.train_function is None:
                self.train_function = tf.function(lambda iterator: self.train_step(next(iterator)))

    def loop(*callbacks):
        k.utils.set_random_seed(1)
        model, (x, y) = Trains(), zoo.batch(16)
        model(x[:4])
        hooks = k.callbacks.CallbackList(list(callbacks), model=model, epochs=1)
        model.make_train_function()
        hooks.on_train_begin()
        hooks.on_epoch_begin(0)
        iterator = iter(tf.data.Dataset.from_tensor_slices((x, y)).batch(4))
        for step in range(4):
            hooks.on_train_batch_begin(step)
            hooks.on_train_batch_end(step, {"loss": float(model.train_function(iterator)["loss"])})
        hooks.on_epoch_end(0, {})
        hooks.on_train_end()
        return [np.asarray(weight).tobytes() for weight in model.get_weights()]

    logger = TbxLogger(tmp_path, gradient_freq=1, update_freq="batch")
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        assert loop(logger) == loop()
    assert logger.report.errors == 0
    assert any(tag.startswith("gradient_norm/") for tag in scalar_tags(accumulate(tmp_path, "train")))


def kept_by_a_method(k):
    class Keeps(k.Sequential):
        @tf.function
        def one_step(self, data):
            return self.train_step(data)

        def make_train_function(self, force=False):
            self.train_function = lambda iterator: self.one_step(next(iterator))
            return self.train_function

    return Keeps


def kept_in_an_attribute(k):
    class Keeps(k.Sequential):
        def make_train_function(self, force=False):
            self.mine = tf.function(lambda iterator: self.train_step(next(iterator)))
            self.train_function = lambda iterator: self.mine(iterator)
            return self.train_function

    return Keeps


def kept_within_another(k):
    class Keeps(kept_by_a_method(k)):
        def make_train_function(self, force=False):
            self.train_function = tf.function(super().make_train_function())
            return self.train_function

    return Keeps


def made_around_kerass_own(k):
    class Wraps(k.Sequential):
        def make_train_function(self, force=False):
            made = super().make_train_function(force=True) or self.train_function
            self.train_function = functools.partial(lambda function, iterator: function(iterator), made)
            return self.train_function

    return Wraps


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (kept_by_a_method, KEPT),
        (kept_in_an_attribute, KEPT),
        (kept_within_another, KEPT),
        (made_around_kerass_own, None),
    ],
    ids=lambda make: getattr(make, "__name__", ""),
)
@KERASES
def test_a_tf_function_that_the_model_keeps_returns_what_it_did(k, make, says, tmp_path):
    def trained(callbacks):
        k.utils.set_random_seed(1)
        model = make(k)([k.Input((zoo.FEATURES,)), k.layers.Dense(1, name="out")])
        model.compile("sgd", "mse")
        x, y = zoo.batch(16)
        history = model.fit(x, y, batch_size=4, epochs=3, verbose=0, callbacks=callbacks).history
        return {name: [float(one) for one in values] for name, values in history.items()}

    logger = TbxLogger(tmp_path, gradient_freq=2, update_freq="batch")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RuntimeWarning)
        assert trained([logger]) == trained([])
    assert [str(one.message) for one in caught if "tbx_keras" in str(one.message)] == [says] * bool(says)
    assert logger.report.errors == 0
    recorded = [tag for tag in scalar_tags(accumulate(tmp_path, "train")) if tag.startswith("gradient_norm/")]
    assert bool(recorded) is (says is None)


@pytest.mark.parametrize("kind", [object, tf.Module])
def test_a_loop_around_what_is_no_model(kind, tmp_path):
    """Nothing that a model has, not even weights: metrics are recorded, and one sentence says what is not."""

    class Trainer(kind):
        def train(self, *hooks):
            for step in range(4):
                [hook.on_train_batch_begin(step) for hook in hooks]
                [hook.on_train_batch_end(step, {"loss": 1.0}) for hook in hooks]

    logger, trainer = TbxLogger(tmp_path, gradient_freq=1), Trainer()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RuntimeWarning)
        logger.set_model(trainer)
        logger.on_train_begin()
        logger.on_epoch_begin(0)
        trainer.train(logger)
        logger.on_epoch_end(0, {"loss": 1.0})
        logger.on_train_end()
    assert [str(one.message).split(",")[0] for one in caught] == [
        "tbx_keras: gradients of this loop are not recorded"
    ]
    assert logger.report.errors == 0
    assert "epoch_loss" in scalar_tags(accumulate(tmp_path, "train"))
