"""JAX and PyTorch: what is recorded is right and in order, what is not is said once.

Each backend runs in a process of its own, in which TensorFlow cannot be imported.
"""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from tests.processes import found_by_module, once
from tests.reading import accumulate, histogram_tags, scalar, scalar_tags

ROOT = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.slow
NAMES = {"jax": "JAX", "torch": "PyTorch"}


@pytest.fixture(scope="module", params=sorted(NAMES))
def ran(request, tmp_path_factory):
    """Backend, directory and what the programs of `tests/other_backends.py` returned."""
    backend = request.param
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    environment = {"KERAS_BACKEND": backend}
    directory, found = once(
        tmp_path_factory,
        f"backend-{backend}",
        lambda path: found_by_module("tests.other_backends", str(path), environment=environment),
    )
    return backend, directory, json.loads(found)


PROGRAMS = (
    "in_hand", "elsewhere", "distances", "unknown", "order", "nan", "stop", "default", "batches", "silent",
    "profile", "saved", "backup", "failed", "copied", "evaluated", "by_hand", "custom",
)  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS)
def test_nothing_fails(ran, program):
    found = ran[2][program]
    assert "raised" not in found, found["raised"]
    assert found["errors"] == 0


def steps(directory, program, tag="batch_loss", run="train") -> list[int]:
    """In the order of the file."""
    return [event.step for event in accumulate(directory, program, run).Scalars(tag)]


def test_batch_metrics_come_in_the_order_of_steps(ran):
    """Of each two steps the hook of the second ran first."""
    _, directory, found = ran
    assert steps(directory, "order") == list(range(1, 11))
    recorded = scalar(accumulate(directory, "order", "train"), "batch_loss")
    assert list(recorded.values()) == pytest.approx(found["order"]["losses"])


def test_keras_begins_steps_on_the_training_thread(ran):
    """What the sequencer and the look at weights between steps rest on."""
    assert ran[2]["order"]["begins_on_the_training_thread"]


def test_the_first_bad_step_is_exact(ran):
    _, directory, found = ran
    events, first_bad = accumulate(directory, "nan", "train"), found["nan"]["first_bad"]
    assert first_bad > 1
    assert scalar(events, "first_nonfinite/loss_step") == {first_bad: first_bad}
    ((step, value),) = scalar(events, "first_nonfinite/weights_step").items()
    assert first_bad <= step == value  # looked at between two steps
    (said,) = found["nan"]["messages"]  # one event, one warning: the weights follow from the loss
    assert f"The loss of step {first_bad} is" in said
    assert "first in 'sequential" in said
    assert steps(directory, "nan") == list(range(1, 11))


def test_training_stops_at_a_bad_loss(ran):
    assert ran[2]["stop"]["epochs"] == 1


def test_no_step_syncs_the_state_of_jax(ran):
    _, _, found = ran
    assert "raised" not in found["syncs"]
    assert found["syncs"]["with"] == found["syncs"]["without"]
    assert len(found["syncs"]["with"]) == 21


def test_gradients_of_two_fits(ran):
    events = accumulate(ran[1], "default", "train")
    assert list(scalar(events, "gradient_norm/global")) == [1, 11, 21, 31]
    assert len([tag for tag in histogram_tags(events) if tag.startswith("gradients/")]) == 4


def test_the_loss_of_the_very_batch(ran):
    events = accumulate(ran[1], "batches", "train")
    running, own = scalar(events, "batch_loss"), scalar(events, "step_loss")
    assert list(own) == list(range(1, 21))
    assert own[1] == pytest.approx(running[1])
    assert np.mean(list(own.values())[:10]) == pytest.approx(running[10], rel=1e-5)


@pytest.mark.parametrize("program", [one for one in PROGRAMS if one not in ("nan", "stop", "by_hand")])
def test_nothing_is_said(ran, program):
    assert ran[2][program]["messages"] == []


def test_a_profile_without_tensorflow(ran):
    """By the backend's own profiler; where TensorBoard's plugin for it looks."""
    backend, directory, _ = ran
    run = directory / "profile" / "train"
    found = run.glob("plugins/profile/*/*.xplane.pb" if backend == "jax" else "*.pt.trace.json")
    (file,) = found
    assert file.stat().st_size > 1000


def test_every_kind_that_needs_no_gradient_is_recorded(ran):
    _, directory, found = ran
    per_execution = found["silent"]["steps_per_execution"]
    expected = list(range(1, 21)) if per_execution == 1 else [4, 8, 10, 14, 18, 20]
    assert steps(directory, "silent") == expected
    assert steps(directory, "silent", "evaluation_loss_vs_iterations", "validation") == [10, 20]
    events = accumulate(directory, "silent", "train")
    assert {"weight_distance/global", "epoch_learning_rate", "batch_steps_per_second"} <= scalar_tags(events)
    assert len(histogram_tags(events)) == 4
    assert events.Tags()["images"]


@pytest.mark.parametrize("program", ["saved", "backup"])
def test_a_resumed_run_goes_on(ran, program):
    _, directory, _ = ran
    count = 40
    assert steps(directory, program) == list(range(1, count + 1))
    assert steps(directory, program, "epoch_loss") == [0, 1, 2, 3]


def test_a_fit_after_one_that_failed_goes_on(ran):
    assert steps(ran[1], "failed") == list(range(1, 16))


def test_hooks_called_by_hand_may_count_from_one(ran):
    _, directory, found = ran
    events = accumulate(directory, "by_hand", "train")
    assert steps(directory, "by_hand") == list(range(1, 11))
    assert scalar(events, "first_nonfinite/loss_step") == {9: 9.0}
    assert "The loss of step 9 is nan, while all weights are finite" in found["by_hand"]["messages"][0]


def test_an_evaluation_alone(ran):
    _, directory, found = ran
    recorded = scalar(accumulate(directory, "evaluated", "validation"), "evaluation_loss_vs_iterations")
    assert recorded == {10: pytest.approx(found["evaluated"]["loss"])}


def test_what_a_custom_step_returns(ran):
    _, directory, _ = ran
    events = accumulate(directory, "custom", "train")
    losses, twice = scalar(events, "batch_loss"), scalar(events, "batch_twice")
    assert list(losses) == list(range(1, 21))
    assert list(twice.values()) == pytest.approx([2 * loss for loss in losses.values()])


def test_the_distance_is_that_from_the_first_fit(ran):
    """Variables are known again, though JAX puts another array into them at each step."""
    events = accumulate(ran[1], "distances", "train")
    distances = scalar(events, "weight_distance/global")
    assert list(distances) == [0, 1, 2]
    assert sorted(distances.values()) == list(distances.values())
    assert not [tag for tag in scalar_tags(events) if tag.startswith("weight_distance/") and "bias" in tag]
    assert not ran[2]["distances"]["traces_again"]  # else each histogram would count as first-time work


def test_a_step_that_found_no_data_does_not_count(ran):
    directory, found = ran[1], ran[2]["unknown"]
    assert found["iterations"] == 15
    assert scalar(accumulate(directory, "unknown", "train"), "tbx/global_step") == {0: 5, 1: 10, 2: 15}
    assert steps(directory, "unknown") == list(range(1, 16))


def test_the_gradients_of_a_batch_in_hand(ran):
    found = ran[2]["in_hand"]
    assert found["same"]
    assert found["count"] == 6
    assert found["difference"] < 1e-6


def test_an_update_without_an_optimizer_of_keras(ran):
    events = accumulate(ran[1], "elsewhere", "train")
    assert list(scalar(events, "gradient_norm/global")) == list(range(1, 11))
    (kernel,) = [tag for tag in scalar_tags(events) if tag.startswith("update_ratio/") and "kernel" in tag]
    norm = kernel.replace("update_ratio", "gradient_norm")
    assert all(value > 0 for value in scalar(events, kernel).values())
    assert all(value > 0 for value in scalar(events, norm).values())
