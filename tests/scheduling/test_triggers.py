import numpy as np
import pytest

from tbx_keras.errors import ArgumentError
from tbx_keras.scheduling.triggers import epoch_frequency, step_frequency, update_frequency


@pytest.mark.parametrize(("frequency", "due"), [(0, []), (1, [0, 1, 2, 3]), (2, [0, 2]), (3, [0, 3])])
def test_epochs_that_the_frequency_divides(frequency, due):
    trigger = epoch_frequency("histogram_freq", frequency)
    assert [epoch for epoch in range(4) if trigger.due(epoch)] == due


@pytest.mark.parametrize(
    ("frequency", "due"), [(0, []), (1, [1, 2, 3, 4, 5, 6]), (3, [3, 6]), ("batch", [1, 2, 3, 4, 5, 6])]
)
def test_steps_that_the_frequency_divides(frequency, due):
    trigger = step_frequency("gradient_freq", frequency)
    assert [step for step in range(1, 7) if trigger.due(step, step, step == 1)] == due


def test_first_step_of_each_epoch():
    trigger = step_frequency("gradient_freq", "epoch")
    assert trigger.due(9, 9, True)
    assert not trigger.due(10, 10, False)


def test_an_execution_of_several_steps_is_due_if_one_of_them_is():
    trigger = step_frequency("gradient_freq", 5)
    assert [trigger.due(first, first + 3, False) for first in (1, 5, 9, 13, 17)] == [
        False,
        True,
        True,
        True,
        True,
    ]


def test_update_freq_epoch_records_no_batch():
    assert not update_frequency("update_freq", "epoch").due(1, 1, True)


def test_numpy_integers_are_integers():
    assert epoch_frequency("histogram_freq", np.int64(2)).n == 2


@pytest.mark.parametrize("received", [-1, 1.5, "often", None, True, [1]])
@pytest.mark.parametrize(
    ("read", "name"), [(epoch_frequency, "histogram_freq"), (step_frequency, "gradient_freq")]
)
def test_a_wrong_frequency_names_argument_value_and_remedy(read, name, received):
    with pytest.raises(ArgumentError) as error:
        read(name, received)
    assert f"{name}={received!r}" in str(error.value)
    assert "Pass " in str(error.value)


@pytest.mark.parametrize("received", [0, -3, "sometimes", 2.0, None])
def test_a_wrong_update_freq(received):
    with pytest.raises(ArgumentError, match="update_freq"):
        update_frequency("update_freq", received)
