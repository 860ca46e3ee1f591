import numpy as np
import pytest
import tensorflow as tf

from tbx_keras.recorders import metrics
from tbx_keras.recorders.base import Moment
from tbx_keras.scheduling.triggers import EveryNSteps
from tbx_keras.values import Scalar


def test_train_and_validation_are_distinguished():
    model = type("Model", (), {"optimizer": None})()
    moment = Moment(model, 0, 1, {"loss": 1.0, "val_loss": 2.0}, 10.0)
    assert metrics.ValidationMetrics().record(moment) == [Scalar("epoch_loss", 2.0)]
    assert metrics.EpochMetrics(speed=False).record(moment) == [Scalar("epoch_loss", 1.0)]
    speed = Scalar("epoch_steps_per_second", 10.0)
    assert metrics.EpochMetrics(speed=True).record(moment) == [Scalar("epoch_loss", 1.0), speed]


@pytest.mark.parametrize(
    ("value", "number"),
    [(1, 1.0), (True, 1.0), (np.float16(0.5), 0.5), (np.array([2.0]), 2.0), (tf.constant(3.0), 3.0)],
)
def test_numbers(value, number):
    assert metrics.as_number(value) == number


@pytest.mark.parametrize("value", [np.array([1, 2]), np.array([[1.0], [2.0]]), tf.constant([1.0, 2.0])])
def test_of_several_numbers_the_mean(value):
    """As a loss for each example, which Keras's progress bar shows so too."""
    assert metrics.as_number(value) == 1.5


@pytest.mark.parametrize("value", [None, "x", np.ones(0), np.array(["x", "y"]), {"a": 1}, object()])
def test_what_is_no_number_is_left_out(value):
    assert metrics.scalars("epoch_", {"a": value, "b": 1.0}) == [Scalar("epoch_b", 1.0)]


def test_evaluation_tags():
    assert metrics.evaluation({"loss": 1.0}) == [Scalar("evaluation_loss_vs_iterations", 1.0)]


def test_logs_of_another_shape_give_nothing():
    recorder = metrics.BatchMetrics(EveryNSteps(1))
    assert recorder.record(Moment(None, 0, 1)).fetch() == []
    with_speed = recorder.record(Moment(None, 0, 1, {}, 10.0)).fetch()
    assert with_speed == [Scalar("batch_steps_per_second", 10.0)]
