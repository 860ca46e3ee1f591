"""The recipes for Ray Train and KerasTuner record what they say, run as they stand on the page."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pages import ROOT, python
from tests.processes import run_python
from tests.reading import accumulate, scalar
from tests.workers import free_ports

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
RAY, TUNER = python((ROOT / "docs" / "engines.md").read_text())


@pytest.fixture
def program(tmp_path):
    """Writes a recipe into a file; its path."""

    def write(code: str) -> str:
        (tmp_path / "recipe.py").write_text(code)
        return str(tmp_path / "recipe.py")

    return write


def runs(directory: Path) -> list[str]:
    """Runs below a directory, each as often as it has files of events."""
    return sorted(str(file.parent.relative_to(directory)) for file in directory.rglob("*tfevents*"))


def test_workers_of_ray_record_one_set_of_curves_in_its_storage_path(program, tmp_path):
    pytest.importorskip("ray")
    environment = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_TRAIN_ENABLE_STATE_TRACKING": "0"}
    ended = run_python(program(RAY), environment=environment, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr[-4000:]
    assert runs(tmp_path / "results" / "regression") == ["logs/train"]
    events = accumulate(tmp_path / "results" / "regression" / "logs", "train")
    assert list(scalar(events, "epoch_loss")) == [0, 1]
    assert len(scalar(events, "gradient_norm/global")) == 2


def test_a_search_in_one_process_has_a_run_for_each_trial(program, tmp_path):
    pytest.importorskip("keras_tuner")
    ended = run_python(program(TUNER), cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr[-4000:]
    assert_each_trial_has_its_runs(tmp_path)


def test_a_search_of_a_chief_and_two_workers_has_a_run_for_each_trial(program, tmp_path):
    pytest.importorskip("keras_tuner")
    names = ["chief", "tuner0", "tuner1"]
    processes = dict(zip(names, started(program(TUNER), names, tmp_path)))
    try:
        for name in names[1:]:
            assert processes[name].wait(300) == 0, (tmp_path / f"{name}.log").read_text()[-4000:]
    finally:
        for process in processes.values():
            process.kill()
            process.wait()
    assert_each_trial_has_its_runs(tmp_path)


def started(path: str, names: list[str], directory: Path) -> Iterator[subprocess.Popen]:
    """Start a process for each part of a search; the chief goes on until it is ended."""
    cluster = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": str(free_ports(1)[0])}
    for name in names:
        environment = {**os.environ, **cluster, "PYTHONPATH": str(ROOT), "KERASTUNER_TUNER_ID": name}
        with open(directory / f"{name}.log", "w") as log:
            yield subprocess.Popen(
                [sys.executable, path], cwd=directory, env=environment, stdout=log, stderr=subprocess.STDOUT
            )
        time.sleep(0.1)


def assert_each_trial_has_its_runs(directory: Path) -> None:
    logs = directory / "results" / "units" / "logs"
    trials = sorted(path.name for path in logs.iterdir())
    assert len(trials) == 4
    assert runs(logs) == sorted(f"{trial}/{run}" for trial in trials for run in ("train", "validation"))
    for trial in trials:
        assert list(scalar(accumulate(logs, trial, "validation"), "epoch_loss")) == [0, 1]
