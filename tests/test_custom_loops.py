"""Loops that call the hooks by hand hear once what cannot be recorded that way."""

import warnings

import keras
import pytest
import tensorflow as tf
import tf_keras

from tbx_keras import TbxLogger
from tests import zoo
from tests.reading import accumulate, histogram_tags, scalar

KERASES = pytest.mark.parametrize("k", [keras, tf_keras], ids=["keras", "tf_keras"])


def messages(run) -> list[str]:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        run()
    assert all(one.filename == __file__ for one in found)
    return [str(one.message) for one in found]


def test_the_end_of_an_epoch_alone(tmp_path):
    logger = TbxLogger(tmp_path)
    (message,) = messages(lambda: [logger.on_epoch_end(epoch, {"loss": 1.0}) for epoch in range(3)])
    assert "on_epoch_end was called without on_train_begin" in message
    assert "set_model(model), on_train_begin(), on_epoch_begin(epoch)" in message


def test_the_end_of_a_step_alone(tmp_path):
    logger = TbxLogger(tmp_path)
    (message,) = messages(lambda: [logger.on_train_batch_end(step, {"loss": 1.0}) for step in range(3)])
    assert "on_train_batch_end was called without on_train_begin" in message


def test_training_begins_without_a_model(tmp_path):
    (message,) = messages(TbxLogger(tmp_path, gradient_freq=1).on_train_begin)
    assert "without set_model(model)" in message
    assert "what gradient_freq asked for is not" in message
    assert not messages(TbxLogger(tmp_path, gradient_freq=0).on_train_begin)


def test_epochs_end_that_did_not_begin(tmp_path):
    logger = TbxLogger(tmp_path)
    logger.set_model(zoo.sequential(keras))

    def loop():
        logger.on_train_begin()
        for epoch in range(2):
            logger.on_epoch_end(epoch, {"loss": 1.0})
        logger.on_train_end()

    (message,) = messages(loop)
    assert "on_epoch_end was called without on_epoch_begin(epoch)" in message


def test_a_loop_that_only_ends_epochs_records_them_by_their_numbers(tmp_path):
    """As a tuner's loop of its own does."""
    logger = TbxLogger(tmp_path)
    logger.set_model(zoo.sequential(keras))
    messages(lambda: [logger.on_epoch_end(epoch, {"score": float(epoch)}) for epoch in range(3)])
    logger.flush()
    assert scalar(accumulate(tmp_path, "train"), "epoch_score") == {0: 0.0, 1: 1.0, 2: 2.0}


def loop(logger, step) -> None:
    logger.on_train_begin()
    for epoch in range(2):
        logger.on_epoch_begin(epoch)
        for batch in range(2):
            logger.on_train_batch_begin(batch)
            logger.on_train_batch_end(batch, {"loss": float(step())})
        logger.on_epoch_end(epoch, {"loss": 1.0})
    logger.on_train_end()


@KERASES
def test_train_on_batch_with_all_hooks_records_gradients(k, tmp_path):
    model, (x, y) = zoo.sequential(k), zoo.batch(8)
    model.compile("sgd", "mse")
    logger = TbxLogger(tmp_path)
    logger.set_model(model)
    assert messages(lambda: loop(logger, lambda: model.train_on_batch(x, y))) == []
    assert any(tag.startswith("gradients/") for tag in histogram_tags(accumulate(tmp_path, "train")))


@KERASES
def test_a_step_that_is_not_the_models_has_no_gradients(k, tmp_path):
    model, (x, y) = zoo.sequential(k), zoo.batch(8)
    model.compile("sgd", "mse")
    logger = TbxLogger(tmp_path)
    logger.set_model(model)

    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(x) - y) ** 2)
        gradients = tape.gradient(loss, model.trainable_variables)
        model.optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    (message,) = messages(lambda: loop(logger, step))
    assert "gradients of this loop are not recorded" in message
    assert any(tag.startswith("weights/") for tag in histogram_tags(accumulate(tmp_path, "train")))


@KERASES
def test_fit_says_nothing(k, tmp_path):
    model, (x, y) = zoo.sequential(k), zoo.batch(16)
    model.compile("sgd", "mse")
    logger = TbxLogger(tmp_path, gradient_freq=1)
    run = lambda: model.fit(x, y, epochs=2, batch_size=8, verbose=0, callbacks=[logger])  # noqa: E731
    assert messages(run) == []


def test_gradients_of_a_fit_that_was_broken_off_are_awaited_no_longer(tmp_path):
    """The next `fit` may come to the same step with a model that has no instrument."""

    class Pending:
        traces, is_pending = 0, True

        def begin_fit(self, kinds):
            pass

        def instrument_next(self, owner, kinds, deliver):
            self.deliver = deliver

    dispatcher = TbxLogger(tmp_path, gradient_freq=1)._dispatcher
    dispatcher.instrument = Pending()
    dispatcher.begin_step(3, 3, 0, False)
    assert dispatcher.awaits_capture(3)
    dispatcher.begin_fit()
    assert not dispatcher.awaits_capture(3)
