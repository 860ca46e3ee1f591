"""Of several mirrored replicas the reduced gradient is recorded: that of one device with the whole batch."""

import json
import signal

import pytest

from tests.processes import run_module
from tests.reading import accumulate, histogram_tags, scalar, scalar_tags
from tests.strategies import TRIES

pytestmark = pytest.mark.slow
CASES = [
    ("keras", 4, "dense", "graph"),  # of Keras 3 not several steps in an execution: it fails by itself
    ("keras", 2, "own_step", "eager"),
    ("keras", 2, "embedded", "graph"),
    ("tf_keras", 2, "dense", "2_steps"),
    ("tf_keras", 4, "embedded", "graph"),
    ("tf_keras", 2, "own_step", "graph"),
]
SAME = ("gradient_norm/", "update_ratio/", "nonfinite/", "step_loss")


def run(*case, directory):
    for _ in range(TRIES):
        done = run_module("tests.replicas", *map(str, case), str(directory))
        if done.returncode != -signal.SIGSEGV:  # of TensorFlow, now and then: see `tests.strategies`
            break
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case)))
def test_as_on_one_device(case, tmp_path):
    found = run(*case, directory=tmp_path)
    assert found["identical"], found["difference"]
    assert (found["errors"], found["messages"]) == (0, [])
    one, several = (accumulate(tmp_path, where, "train") for where in ("one", "all"))
    assert scalar_tags(several) - scalar_tags(one) == {"replica_gradient_spread"}
    assert scalar_tags(one) <= scalar_tags(several)
    for tag in (tag for tag in scalar_tags(one) if tag.startswith(SAME)):
        assert scalar(several, tag) == pytest.approx(scalar(one, tag), rel=1e-5, abs=1e-9), tag
    assert len(scalar(several, "gradient_norm/global")) == (4 if "2_steps" in case else 8)
    assert all(value > 0 for value in scalar(several, "replica_gradient_spread").values())
    for tag in histogram_tags(one):
        first, other = (events.Histograms(tag)[0].histogram_value for events in (one, several))
        assert (first.num, list(first.bucket)) == (other.num, list(other.bucket)), tag
