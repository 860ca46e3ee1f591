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
    [(by_assigning, "calls no Keras optimizer"), (in_a_branch, "1 of 1 optimizer calls")],
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
