"""A stand-in that a broken `fit` left behind belongs to no other `fit`."""

import gc
import weakref

import keras
import pytest
import tensorflow as tf
import tf_keras

from tbx_keras import TbxLogger
from tbx_keras.instrumentation.current_fit import Fit, fit_frame
from tests import zoo
from tests.reading import accumulate, histogram_tags

KERASES = pytest.mark.parametrize("k", [keras, tf_keras], ids=["keras", "tf_keras"])


@KERASES
def test_a_fit_without_the_logger_records_nothing(k, tmp_path):
    class Boom(k.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            raise RuntimeError("boom")

    model, (x, y) = zoo.sequential(k), zoo.batch()
    model.compile("sgd", "mse")
    logger = TbxLogger(tmp_path)
    with pytest.raises(RuntimeError, match="boom"):
        model.fit(x, y, verbose=0, callbacks=[logger, Boom()])
    model.fit(x, y, verbose=0)
    assert type(model.train_function).__name__ != "StandIn"
    logger.flush()
    assert not list(tmp_path.rglob("*tfevents*"))
    model.fit(x, y, verbose=0, callbacks=[logger])
    assert any(tag.startswith("gradients/") for tag in histogram_tags(accumulate(tmp_path, "train")))


class CallbackList:
    """What a `fit` of Keras makes, calls, and leaves to nobody else."""

    def hook(self, call):
        return call()


def test_a_mark_fits_one_fit_and_keeps_nothing_of_it_alive():
    def fit(callbacks):
        mark = callbacks.hook(Fit.running)
        assert mark.runs_in(fit_frame())
        return mark, weakref.ref(callbacks)

    mark, callbacks = fit(CallbackList())
    assert callbacks() is None
    assert not fit(CallbackList())[0].runs_in(None)

    def second(mark):
        def fit(callbacks):
            return callbacks.hook(lambda: mark.runs_in(fit_frame()))

        return fit(CallbackList())

    assert not any(second(mark) for _ in range(100))  # although frames come to lie where others lay
    assert fit_frame() is None
    assert Fit.running() is None


def test_a_fit_of_the_users_is_marked_too():
    def fit():
        mark = Fit.running()
        return mark, mark.runs_in(fit_frame())

    (mark, runs), (other, _) = fit(), fit()
    assert runs
    assert mark._address != other._address


@KERASES
def test_nothing_that_a_fit_lets_go_of_is_kept(k, tmp_path):
    """As by a copy of the locals of its frame; a hook that lets go of an iterator waits for its threads."""
    alive = []

    class Look(k.callbacks.Callback):
        def on_train_begin(self, logs=None):
            alive.clear()

        def on_train_batch_begin(self, batch, logs=None):
            gc.collect()
            kind = type(iter(tf.data.Dataset.range(1)))
            alive.append(sum(type(one) is kind for one in gc.get_objects()))

    def iterators(*callbacks):
        gc.collect()
        data = tf.data.Dataset.from_tensor_slices(zoo.batch()).batch(8)
        model = zoo.sequential(k)
        model.compile("sgd", "mse")
        model.fit(data, epochs=3, verbose=0, callbacks=[Look(), *callbacks])
        return list(alive)

    assert iterators(TbxLogger(tmp_path, gradient_freq=1)) == iterators()


@KERASES
def test_a_fit_that_breaks_off_before_its_step_keeps_nothing_alive(k, tmp_path):
    class Boom(k.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            raise RuntimeError("boom")

    def broken_off():
        boom = Boom()
        with pytest.raises(RuntimeError, match="boom"):
            model.fit(*zoo.batch(), verbose=0, callbacks=[TbxLogger(tmp_path), boom])
        return weakref.ref(boom)

    model = zoo.sequential(k)
    model.compile("sgd", "mse")
    boom = broken_off()
    gc.collect()
    assert boom() is None
