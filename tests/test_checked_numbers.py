"""Steps, counts and single numbers; everything else is refused with its name."""

import numpy as np
import pytest

from tbx_keras.checked_numbers import LAST_STEP, count_of, single_number, step_number
from tbx_keras.errors import ArgumentError, UnsupportedValueError


@pytest.mark.parametrize(
    ("received", "step"),
    [(3, 3), (0, 0), (-1, -1), (np.int64(7), 7), (np.array([4]), 4), (2.0, 2), (LAST_STEP, LAST_STEP)],
)
def test_steps(received, step):
    assert step_number(received) == step


@pytest.mark.parametrize("received", [1.5, "x", None, True, float("nan"), [1, 2], 2**63, 2**70, 1j, np.inf])
def test_what_is_no_step(received):
    with pytest.raises(ArgumentError, match="`step` is wrong"):
        step_number(received)


def test_counts():
    assert [count_of("n", one, "a count") for one in (1, np.int32(5))] == [1, 5]
    assert count_of("n", 0, "a count", least=0) == 0


@pytest.mark.parametrize("received", [0, -1, True, np.True_, 2.0, "3", None])
def test_what_is_no_count(received):
    with pytest.raises(ArgumentError, match="`n` is wrong.*Pass a count"):
        count_of("n", received, "a count")


@pytest.mark.parametrize("received", ["x", 1j, [1.0, 2.0], [], None])
def test_what_is_no_single_number(received):
    with pytest.raises(UnsupportedValueError, match="'loss'"):
        single_number("loss", np.asarray(received))


def test_single_numbers():
    assert [single_number("loss", np.asarray(one)) for one in (1, [2.5], np.float16(3), True)] == [
        1,
        2.5,
        3,
        1,
    ]
