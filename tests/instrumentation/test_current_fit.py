"""A stand-in that a broken `fit` left behind belongs to no other `fit`."""

import gc
import weakref

import keras
import pytest
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
    assert type(model.train_function).__name__ != "_StandIn"
    logger.flush()
    assert not list(tmp_path.rglob("*tfevents*"))
    model.fit(x, y, verbose=0, callbacks=[logger])
    assert any(tag.startswith("gradients/") for tag in histogram_tags(accumulate(tmp_path, "train")))


class Callbacks:
    """What a `fit` of Keras keeps in this name, and nobody else."""


def test_a_mark_fits_one_fit_and_keeps_nothing_of_it_alive():
    def fit(callbacks):
        mark = Fit(fit_frame())
        assert mark.runs_in(fit_frame())
        return mark, weakref.ref(callbacks)

    mark, callbacks = fit(Callbacks())
    assert callbacks() is None
    assert not fit(Callbacks())[0].runs_in(None)

    def second(mark):
        def fit(callbacks):
            return mark.runs_in(fit_frame())

        return fit(Callbacks())

    assert not any(second(mark) for _ in range(100))  # although frames come to lie where others lay
    assert fit_frame() is None


def test_a_fit_of_the_users_is_marked_too():
    def fit():
        mark = Fit(fit_frame())
        return mark, mark.runs_in(fit_frame())

    (mark, runs), (other, _) = fit(), fit()
    assert runs
    assert mark._address != other._address


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
