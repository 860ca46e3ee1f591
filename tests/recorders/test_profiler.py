from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from tbx_keras.errors import ArgumentError
from tbx_keras.recorders.profiler import batch_range
from tests.processes import run_python


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


BROKEN_OFF = """
import sys
import keras, numpy as np
from tbx_keras import TbxLogger

class Raises(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if batch == 2:
            raise InterruptedError

def fit(*callbacks):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(x, x[:, :1], batch_size=4, verbose=0, callbacks=list(callbacks))

x = np.ones((40, 4), "float32")
try:
    fit(TbxLogger(sys.argv[1] + "/a", profile_batch=(2, 8)), Raises())
except InterruptedError:
    fit(TbxLogger(sys.argv[1] + "/b"))
    again = TbxLogger(sys.argv[1] + "/c", profile_batch=(2, 3))
    fit(again)
    assert again.report.errors == 0, again.report
fit(TbxLogger(sys.argv[1] + "/d", profile_batch=(2, 8)), Raises())
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_a_fit_that_is_broken_off_leaves_no_profiler_running(backend, tmp_path):
    """The process ends as it would without a logger, and other fits can be profiled."""
    pytest.importorskip(backend)
    done = run_python("-c", BROKEN_OFF, str(tmp_path), environment={"KERAS_BACKEND": backend})
    assert done.returncode == 1, done.stderr
    assert "InterruptedError" in done.stderr.splitlines()
    for run in "acd":
        assert any("profile" in str(one) or "trace" in one.name for one in (tmp_path / run).rglob("*"))
