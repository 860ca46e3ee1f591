"""Training steps that update the weights in ways of their own: gradients are right, or said to be missing.

Each backend runs in a process of its own. TensorFlow is installed there, and nobody imports it.
"""

import json

import numpy as np
import pytest

from tests.own_updates import jax_programs, torch_programs
from tests.processes import found_by_module, once
from tests.reading import accumulate, scalar, scalar_tags

pytestmark = pytest.mark.slow
BACKENDS = ("jax", "torch")
RECORDED = {
    "torch": {
        "closure": range(1, 13),
        "named_closure": range(1, 13),
        "quasi_newton": range(1, 13),
        "scaled": range(1, 13),
        "accumulates": (3, 9),  # the first update after the first step of an epoch
        "accumulates_every_step": (3, 6, 9, 12),
    },
    "jax": {"own": range(1, 13)},
}
MISSING = {
    "torch": {
        "never": "calls no optimizer of Keras or torch.optim",
        "hidden": "update parameters that are no weights of the model",
    },
    "jax": {
        "several": "differentiates by its weights several times",
        "monitored": "or also in a function of its own",
        "sharpness": "differentiates by its weights several times",
        "imported": "by that name",
    },
}
PARTLY = "changes 2 of the trainable weights without an optimizer"
DRAWS = ("drawspython", "drawsnumpy", "drawsown", "drawsglobal", "counts", "countsprivately")


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    def of(backend):
        pytest.importorskip(backend)
        directory, found = once(
            tmp_path_factory,
            f"own-updates-{backend}",
            lambda path: found_by_module(
                "tests.own_updates", str(path), environment={"KERAS_BACKEND": backend}
            ),
        )
        return directory, json.loads(found)

    return of


def names(backend):
    return ["half", *RECORDED[backend], *MISSING[backend], *(DRAWS if backend == "jax" else ())]


@pytest.mark.parametrize(("backend", "name"), [(one, name) for one in BACKENDS for name in names(one)])
def test_training_is_the_same(ran, backend, name):
    found = ran(backend)[1][name]
    assert found["difference"] <= (1e-6 if backend == "jax" else 0)
    assert found["errors"] == 0


@pytest.mark.parametrize(
    ("backend", "name"), [(one, name) for one, known in RECORDED.items() for name in known]
)
def test_the_gradients_are_those_of_the_step(ran, backend, name):
    directory, found = ran(backend)
    recorded = scalar(accumulate(directory, name, "train"), "gradient_norm/global")
    assert list(recorded) == list(RECORDED[backend][name])
    expected = found[name]["norms"]
    if name == "accumulates":
        expected = [expected[0], expected[2]]
    assert list(recorded.values()) == pytest.approx(expected, rel=1e-5)
    assert found[name]["messages"] == []


@pytest.mark.parametrize(
    ("backend", "name"), [(one, name) for one, known in MISSING.items() for name in known]
)
def test_what_is_missing_is_said_once(ran, backend, name):
    directory, found = ran(backend)
    (sentence,) = found[name]["messages"]
    assert MISSING[backend][name] in sentence
    tags = scalar_tags(accumulate(directory, name, "train"))
    assert "batch_loss" in tags
    assert not [tag for tag in tags if tag.startswith("gradient_norm")]


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients_of_some_weights_are_said_to_be_of_some(ran, backend):
    directory, found = ran(backend)
    (sentence,) = found["half"]["messages"]
    assert PARTLY in sentence
    tags = scalar_tags(accumulate(directory, "half", "train"))
    assert {tag for tag in tags if tag.startswith("gradient_norm/")} == {
        "gradient_norm/global",
        *(tag for tag in tags if tag.startswith("gradient_norm/") and "inner" in tag),
    }


@pytest.mark.parametrize("name", DRAWS)
def test_a_step_with_state_in_python_is_traced_once(ran, name):
    directory, found = ran("jax")
    recorded = scalar(accumulate(directory, name, "train"), "gradient_norm/global")
    assert list(recorded) == [2, 4, 6, 8, 10, 12]
    assert list(recorded.values()) == pytest.approx(found[name]["norms"][1::2], rel=1e-5)
    assert found[name]["messages"] == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_profilers_do_not_overlap(ran, backend):
    directory, found = ran(backend)
    assert found["profiled"]["errors"] == [0, 1, 1]
    assert found["profiled"]["own"] > 0
    pattern = "plugins/profile/*/*.xplane.pb" if backend == "jax" else "*.pt.trace.json"
    assert len(list((directory / "profiled" / "first" / "train").glob(pattern))) == 1
    assert not list((directory / "profiled" / "inner" / "train").glob(pattern))
    assert len(found["profiled"]["messages"]) == 2


@pytest.mark.parametrize("backend", BACKENDS)
def test_warnings_as_errors_keep_nothing_from_being_recorded(ran, backend):
    directory, found = ran(backend)
    assert found["strict"]["errors"] == 0
    tags = scalar_tags(accumulate(directory, "strict", "train"))
    assert {"epoch_loss", "epoch_learning_rate", "weight_distance/global", "batch_loss"} <= tags


@pytest.mark.parametrize("backend", BACKENDS)
def test_tensorflow_is_not_imported(ran, backend):
    assert not ran(backend)[1]["tensorflow"]["imported"]


def test_every_program_is_looked_at():
    assert np.isin(list(names("torch")), list(torch_programs())).all()
    assert sorted(jax_programs()) == sorted(names("jax"))
