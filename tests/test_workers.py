"""Which worker a process is: what the environment says, and nothing else."""

import json

import pytest

from tbx_keras import TbxLogger
from tbx_keras.errors import ArgumentError
from tbx_keras.workers import ALONE, Worker, this_worker


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
        (tf_config("evaluator", 0, chief=["a"], worker=["b"], evaluator=["e"]), ALONE),
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
        (tf_config("worker", 1, worker=["a", "b"]), ALONE),
    ],
)
def test_on_pytorch(environment, expected, monkeypatch):
    monkeypatch.setattr("tbx_keras.workers.backend_name", lambda: "torch")
    assert this_worker(None, environment) == expected


def test_the_first_is_the_chief():
    assert [Worker(n, 3).is_chief for n in range(3)] == [True, False, False]
    assert Worker(2, 3).name == "worker-2"


def test_what_is_no_flag_is_refused():
    with pytest.raises(ArgumentError, match="`per_worker` is wrong"):
        TbxLogger("logs", per_worker="yes")
