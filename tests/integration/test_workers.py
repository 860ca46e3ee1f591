"""Several processes that train one model record one set of curves, or each its own; none waits for others."""

import importlib.util
import json
import time

import pytest

from tests import workers
from tests.processes import once
from tests.reading import accumulate, histogram_tags, scalar, scalar_tags

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
STEPS = 8


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Runs a training by its kind, number of workers and options, each once."""

    def run(kind, count, **options):
        if kind != "tf_keras" and importlib.util.find_spec(kind) is None:
            pytest.skip(f"{kind} is not installed")
        name = "-".join(["workers", kind, str(count), *(f"{key}-{options[key]}" for key in sorted(options))])
        directory, found = once(
            tmp_path_factory, name, lambda path: json.dumps(workers.run(kind, count, str(path), **options))
        )
        return directory / "logs", json.loads(found)

    return run


KINDS = pytest.mark.parametrize(
    ("kind", "count"), [("tf_keras", 2), ("tf_keras", 4), ("jax", 2), ("torch", 2)]
)


@KINDS
def test_the_chief_alone_records(trained, kind, count):
    directory, found = trained(kind, count)
    assert [one["errors"] for one in found] == [0] * count
    assert found[0]["written"] > 0
    assert [one["written"] for one in found[1:]] == [0] * (count - 1)
    assert [path.parent.name for path in directory.rglob("events.*")] == ["train"]
    events = accumulate(directory, "train")
    assert list(scalar(events, "epoch_loss")) == [0, 1]
    assert list(scalar(events, "gradient_norm/global")) == list(range(1, STEPS + 1))
    assert any(tag.startswith("gradients/") for tag in histogram_tags(events))


@KINDS
def test_what_is_recorded_is_the_gradient_of_the_whole_batch(trained, kind, count):
    one, several = (accumulate(trained(kind, number)[0], "train") for number in (1, count))
    assert scalar_tags(one) <= scalar_tags(several)
    for tag in scalar_tags(one):
        if tag.startswith(("gradient_norm/", "update_ratio/")):
            assert scalar(several, tag) == pytest.approx(scalar(one, tag), rel=1e-4), tag


@pytest.mark.parametrize(("kind", "count"), [("tf_keras", 2), ("jax", 2), ("torch", 2)])
def test_weights_are_what_they_are_without_a_logger(trained, kind, count):
    having, without = trained(kind, count)[1], trained(kind, count, logger=False)[1]
    assert [one["weights"] for one in having] == [one["weights"] for one in without]


def test_a_logger_on_the_chief_alone_waits_for_nobody(trained):
    """As many programs have it; it samples steps that the other worker does not."""
    directory, found = trained("tf_keras", 2, chief_only=True)
    assert found[0]["weights"] == trained("tf_keras", 2)[1][0]["weights"]
    assert len(scalar(accumulate(directory, "train"), "gradient_norm/global")) == STEPS


@pytest.mark.parametrize("kind", ["tf_keras", "jax", "torch"])
def test_each_worker_to_its_own_run(trained, kind):
    directory, found = trained(kind, 2, per_worker=True)
    assert all(one["written"] > 0 and one["errors"] == 0 for one in found)
    norms = [scalar(accumulate(directory, f"worker-{n}", "train"), "gradient_norm/global") for n in range(2)]
    assert norms[0] == norms[1]
    assert sorted(path.name for path in directory.iterdir()) == ["worker-0", "worker-1"]


def test_a_job_that_is_killed_and_restarted_draws_one_set_of_curves(tmp_path):
    processes = workers.start("tf_keras", 2, str(tmp_path), epochs=4, backup=True, dies_at=2)
    processes[1].wait(workers.TIMEOUT)
    deadline = time.monotonic() + 5  # the chief waits for the worker that died
    while processes[0].poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    workers.kill(processes)
    found = workers.run("tf_keras", 2, str(tmp_path), epochs=4, backup=True)
    assert [one["errors"] for one in found] == [0, 0]
    events = accumulate(tmp_path / "logs", "train")
    assert list(scalar(events, "epoch_loss")) == [0, 1, 2, 3]
    assert list(scalar(events, "gradient_norm/global")) == list(range(1, 4 * STEPS // 2 + 1))
