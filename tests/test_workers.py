"""Which worker a process is: what the environment says, and nothing else."""

import json

import numpy as np
import pytest
import tf_keras

from tbx_keras import TbxLogger
from tbx_keras.errors import ArgumentError
from tbx_keras.workers import ALONE, Worker, doubt_of, this_worker


def tf_config(kind, index, **cluster):
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, ALONE),
        ({"TF_CONFIG": ""}, ALONE),
        ({"TF_CONFIG": "no json"}, ALONE),
        ({"TF_CONFIG": "[]"}, ALONE),
        ({"TF_CONFIG": '{"cluster": {"worker": 3}}'}, ALONE),
        (tf_config("worker", 0, worker=["a"]), Worker(0, 1)),
        (tf_config("worker", 1, worker=["a", "b"]), Worker(1, 2)),
        (tf_config("chief", 0, chief=["a"], worker=["b", "c"], ps=["d"]), Worker(0, 3)),
        (tf_config("worker", 1, chief=["a"], worker=["b", "c"], ps=["d"]), Worker(2, 3)),
        (tf_config("evaluator", 0, chief=["a"], worker=["b"], evaluator=["e"]), Worker(0, 2, "evaluator")),
        (tf_config("ps", 1, chief=["a"], ps=["d", "e"]), Worker(1, 1, "ps")),
        (tf_config("worker", 7, worker=["a", "b"]), ALONE),
        (tf_config("worker", -1, worker=["a", "b"]), ALONE),
        (tf_config("worker", None, worker=["a", "b"]), Worker(0, 2)),
        (tf_config("waiter", 0, worker=["a", "b"]), ALONE),
        ({"TF_CONFIG": '{"cluster": null, "task": null}'}, ALONE),
        ({"RANK": "1", "WORLD_SIZE": "2"}, ALONE),  # of PyTorch
    ],
)
def test_on_tensorflow(environment, expected):
    assert this_worker(None, environment) == expected


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"RANK": "1", "WORLD_SIZE": "2"}, Worker(1, 2)),
        ({"RANK": "1"}, ALONE),
        ({"RANK": "first", "WORLD_SIZE": "2"}, ALONE),
        ({"RANK": "-1", "WORLD_SIZE": "2"}, ALONE),
        ({"RANK": "2", "WORLD_SIZE": "2"}, ALONE),
        ({"RANK": "", "WORLD_SIZE": ""}, ALONE),
        (tf_config("worker", 1, worker=["a", "b"]), ALONE),
    ],
)
def test_on_pytorch(environment, expected, monkeypatch):
    monkeypatch.setattr("tbx_keras.workers.backend_name", lambda: "torch")
    assert this_worker(None, environment) == expected


def test_the_first_is_the_chief():
    assert [Worker(n, 3).is_chief for n in range(3)] == [True, False, False]
    assert Worker(2, 3).name == "worker-2"
    assert not Worker(0, 3, "evaluator").is_chief
    assert Worker(0, 3, "evaluator").name == "evaluator-0"


def doubt(environment, muted=False, model=None):
    return doubt_of(model, this_worker(model, environment), muted, environment)


def test_variables_that_name_no_worker_are_doubted(monkeypatch):
    assert "names no worker" in doubt({"TF_CONFIG": "garbage"})
    assert "names no worker" in doubt(tf_config("worker", 7, worker=["a", "b"]))
    monkeypatch.setattr("tbx_keras.workers.backend_name", lambda: "torch")
    assert doubt({"RANK": "2", "WORLD_SIZE": "2"}).startswith(
        "tbx_keras: RANK=2 WORLD_SIZE=2 names no worker"
    )
    assert "names no worker" in doubt({"RANK": "1"})


@pytest.mark.parametrize("environment", [{}, {"TF_CONFIG": "{}"}, tf_config("worker", 0, worker=["a"])])
def test_what_is_right_is_not_doubted(environment):
    assert doubt(environment) is None


def test_a_worker_that_trains_alone_says_that_it_is_silent(monkeypatch):
    left_over = tf_config("worker", 1, worker=["a", "b"])
    model = tf_keras.Sequential([tf_keras.layers.Dense(1)])
    assert "it is worker 1 of 2" in doubt(left_over, muted=True, model=model)
    assert doubt(left_over, muted=False, model=model) is None
    monkeypatch.setattr("tbx_keras.workers.backend_name", lambda: "torch")
    assert "RANK=1 WORLD_SIZE=2" in doubt({"RANK": "1", "WORLD_SIZE": "2"}, muted=True)


def test_an_evaluator_has_a_run_of_its_own(tmp_path, monkeypatch):
    for name, value in tf_config("evaluator", 0, chief=["a"], worker=["b"]).items():
        monkeypatch.setenv(name, value)
    model = tf_keras.Sequential([tf_keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(np.ones((8, 2)), np.ones((8, 1)), verbose=0)
    model.evaluate(np.ones((8, 2)), np.ones((8, 1)), verbose=0, callbacks=[TbxLogger(tmp_path)])
    assert [one.name for one in tmp_path.iterdir()] == ["evaluator-0"]


def test_what_is_no_flag_is_refused():
    with pytest.raises(ArgumentError, match="`per_worker` is wrong"):
        TbxLogger("logs", per_worker="yes")
