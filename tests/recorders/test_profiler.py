from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from tbx_keras.errors import ArgumentError
from tbx_keras.recorders.profiler import batch_range


@pytest.mark.parametrize(
    ("received", "batches"),
    [(0, (0, 0)), (5, (5, 5)), ((2, 4), (2, 4)), ([2, 4], (2, 4)), ("3", (3, 3)), ("3,9", (3, 9))],
)
def test_ranges(received, batches):
    assert batch_range(received) == batches


@pytest.mark.parametrize(
    "received",
    [
        -1,
        None,
        True,
        1.0,
        (1, 2, 3),
        (),
        (3, 1),
        (0, 4),
        "x",
        "1,2,3",
        (1, None),
        np.True_,
        Decimal(1),
        Fraction(1),
    ],
)
def test_what_is_no_range(received):
    with pytest.raises(ArgumentError, match="profile_batch"):
        batch_range(received)
