"""A tap that a broken `fit` left behind belongs to no other `fit`."""

import keras
import pytest
import tf_keras

from tbx_keras import TbxLogger
from tbx_keras.taps.current_fit import current_fit
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
    assert type(model.train_function).__name__ != "_Armed"
    logger.flush()
    assert not list(tmp_path.rglob("*tfevents*"))
    model.fit(x, y, verbose=0, callbacks=[logger])
    assert any(tag.startswith("gradients/") for tag in histogram_tags(accumulate(tmp_path, "train")))


def test_one_fit_has_one_frame_and_another_has_another():
    def fit():
        return current_fit(), current_fit()

    first, again = fit()
    assert first is again is not None
    assert fit()[0] is not first
    assert current_fit() is None
