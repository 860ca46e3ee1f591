"""Recording that takes more than its share becomes rarer in a real `fit`, and says so once."""

import keras
import pytest
import tf_keras

from tbx_keras import TbxLogger
from tests import zoo
from tests.reading import accumulate, histogram_tags, scalar

EPOCHS = 16


def fit(k, log_dir, **arguments):
    model, (x, y) = zoo.sequential(k), zoo.batch(32)
    model.compile("sgd", "mse")
    logger = TbxLogger(log_dir, **arguments)
    model.fit(x, y, batch_size=8, epochs=EPOCHS, verbose=0, callbacks=[logger])
    assert logger.report.errors == logger.report.dropped == 0
    return accumulate(log_dir, "train")


def gradient_epochs(events) -> list[int]:
    (tag, *_) = [tag for tag in histogram_tags(events) if tag.startswith("gradients/")]
    return [one.step for one in events.Histograms(tag)]


@pytest.mark.parametrize("k", [keras, tf_keras], ids=["keras", "tf_keras"])
def test_above_the_budget_gradients_become_rarer_and_metrics_do_not(k, tmp_path, monkeypatch):
    monkeypatch.setattr("tbx_keras.budget.REVIEW_SECONDS", 0.0)
    with pytest.warns(RuntimeWarning, match="overhead_budget") as told:
        events = fit(k, tmp_path, overhead_budget=1e-9)
    assert len([one for one in told if "overhead_budget" in str(one.message)]) == 1
    assert len(gradient_epochs(events)) < EPOCHS / 2
    assert set(scalar(events, "epoch_loss")) == set(range(EPOCHS))
    stretches = [one.value for one in events.Scalars("tbx/stretch")]
    assert stretches == sorted(stretches)
    assert stretches[-1] > 2


@pytest.mark.parametrize("k", [keras, tf_keras], ids=["keras", "tf_keras"])
def test_within_the_budget_every_record_is_made(k, tmp_path, monkeypatch):
    monkeypatch.setattr("tbx_keras.budget.REVIEW_SECONDS", 0.0)
    events = fit(k, tmp_path, overhead_budget=1.0)
    assert len(gradient_epochs(events)) == EPOCHS
    assert set(scalar(events, "tbx/stretch").values()) == {1.0}
