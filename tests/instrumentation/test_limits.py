"""What cannot be captured is said in one sentence, and training is untouched."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tbx_keras import TbxLogger
from tests import zoo
from tests.reading import accumulate, scalar_tags

KERASES = pytest.mark.parametrize("k", [keras, tf_keras], ids=["keras", "tf_keras"])


def by_assigning(self, data):
    loss, pairs = zoo.loss_and_gradients(self, *data)
    for gradient, variable in pairs:
        variable.assign(variable - 0.1 * gradient)
    return {"loss": loss}


def in_a_branch(self, data):
    loss, pairs = zoo.loss_and_gradients(self, *data)
    self.optimizer.build(self.trainable_variables)

    def update():
        self.optimizer.apply_gradients(pairs)
        return 1

    tf.cond(loss < 1e9, update, lambda: 0)
    return {"loss": loss}


def counting_in_python(self, data):
    loss, pairs = zoo.loss_and_gradients(self, *data)
    self.calls = getattr(self, "calls", 0) + 1
    if self.calls == 1:  # true in the first trace only: a second one would never update
        self.optimizer.apply_gradients(pairs)
    return {"loss": loss}


def fit(k, step, callbacks, **compiled):
    k.utils.set_random_seed(1)
    model, (x, y) = zoo.stepping(k, step), zoo.batch(16)
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

    logger = TbxLogger(tmp_path, gradient_freq=frequency, update_freq="batch")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        weights = fit(k, tf.function(zoo.plain_step), [[logger]], run_eagerly=True)
    assert weights == fit(k, tf.function(zoo.plain_step), [[]], run_eagerly=True)
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
        return zoo.plain_step(self, (x + tf.random.normal(tf.shape(x)), y))

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(k, drawing, [[], [TbxLogger(tmp_path, gradient_freq=1)]])
    assert len(sentences(caught)) == 1
    assert "model.compile()" in sentences(caught)[0]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(k, drawing, [[TbxLogger(tmp_path / "alone", gradient_freq=1)]])
    assert sentences(caught) == []


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

        train_step = zoo.plain_step

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


class WithSlots:
    __slots__ = ("anything",)


class EqualToAll:
    """Not hashable, as a dataclass is."""

    __hash__ = None

    def __eq__(self, other):
        return True


class WithOddWeights:
    weights = None
    variables = {"kernel": 1.0}  # noqa: RUF012

    def trainable_weights(self):
        raise AssertionError("nobody has to call this")


@pytest.mark.parametrize("update_freq", ["epoch", "batch"])
@pytest.mark.parametrize("kind", [object, tf.Module, WithSlots, EqualToAll, WithOddWeights])
def test_a_loop_around_what_is_no_model(kind, update_freq, tmp_path):
    """Nothing that a model has, not even weights: metrics are recorded, and one sentence says what is not."""

    class Trainer(kind):
        __slots__ = ()

        def train(self, *hooks):
            for step in range(4):
                [hook.on_train_batch_begin(step) for hook in hooks]
                [hook.on_train_batch_end(step, {"loss": 1.0}) for hook in hooks]

    logger, trainer = TbxLogger(tmp_path, gradient_freq=1, update_freq=update_freq), Trainer()
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
