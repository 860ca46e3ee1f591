"""The same model records the same on TensorFlow (graph, XLA, eager), in tf_keras, on JAX and on PyTorch."""

import importlib.util
import json
import re

import numpy as np
import pytest

from tests.parity import COMPARED, MODELS, MODES
from tests.processes import found_by_module, once
from tests.reading import accumulate, histogram_tags, scalar, scalar_tags

pytestmark = pytest.mark.slow
PACKAGES = {"jax": "jax", "jax_eager": "jax", "torch": "torch"}
REFERENCE = "graph"
OTHERS = [mode for mode in MODES if mode != REFERENCE]
STEPS = 10


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Runs the programs of a mode, each mode once: directory, and what the programs found."""

    def run(mode):
        if importlib.util.find_spec(PACKAGES.get(mode, "tensorflow")) is None:
            pytest.skip(f"{PACKAGES[mode]} is not installed")
        directory, found = once(
            tmp_path_factory,
            f"parity-{mode}",
            lambda path: found_by_module("tests.parity", mode, str(path), environment=MODES[mode]),
        )
        return directory, json.loads(found)

    return run


@pytest.fixture
def events(trained):
    def read(mode, name, frequency=1):
        return accumulate(trained(mode)[0], f"{name}-{frequency}", "train")

    return read


def without_model(tag: str) -> str:
    """Keras 3 begins the path of a variable with the name of its model, tf_keras does not."""
    return re.sub(r"(^|/)net/", r"\1", tag)


def by_plain_tag(tags):
    return {without_model(tag): tag for tag in tags}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", MODELS)
def test_weights_are_what_they_are_without_a_logger(trained, mode, name):
    found = trained(mode)[1]["models"][name]
    assert set(found) == {"1", "epoch"}
    for one in found.values():
        assert one["errors"] == 0
        # XLA compiles the two steps apart, and may round differently.
        assert one["identical"] or (mode in ("xla", "jax") and one["difference"] < 1e-6), one


@pytest.mark.parametrize("mode", MODES)
def test_nothing_is_missing_and_nothing_is_said(trained, mode):
    assert trained(mode)[1]["messages"] == []


@pytest.mark.parametrize("mode", OTHERS)
@pytest.mark.parametrize("name", COMPARED)
def test_tags_are_the_same(events, mode, name):
    one, other = events(REFERENCE, name), events(mode, name)
    assert set(by_plain_tag(scalar_tags(one))) == set(by_plain_tag(scalar_tags(other)))
    assert set(by_plain_tag(histogram_tags(one))) == set(by_plain_tag(histogram_tags(other)))
    assert {"gradient_norm/global", "step_loss"} <= scalar_tags(other)


@pytest.mark.parametrize("mode", OTHERS)
@pytest.mark.parametrize("name", COMPARED)
def test_norms_are_the_same(events, mode, name):
    one, other = events(REFERENCE, name), events(mode, name)
    others = by_plain_tag(scalar_tags(other))
    compared = 0
    for plain, tag in by_plain_tag(scalar_tags(one)).items():
        if plain.startswith(("gradient_norm/", "update_ratio/", "step_loss", "weight_distance/")):
            expected, found = scalar(one, tag), scalar(other, others[plain])
            assert found == pytest.approx(expected, rel=1e-4), plain
            compared += len(found)
    assert compared > 5 * STEPS


@pytest.mark.parametrize("mode", OTHERS)
@pytest.mark.parametrize("name", COMPARED)
def test_histograms_have_the_same_counts(events, mode, name):
    """At the first step, and of weights after the first epoch: later ones differ in their last bits."""
    one, other = events(REFERENCE, name), events(mode, name)
    others = by_plain_tag(histogram_tags(other))
    for plain, tag in by_plain_tag(histogram_tags(one)).items():
        expected, found = (
            events.Histograms(name)[0].histogram_value
            for events, name in ((one, tag), (other, others[plain]))
        )
        assert (found.num, found.min, found.max) == pytest.approx(
            (expected.num, expected.min, expected.max), rel=1e-4, abs=1e-7
        )
        assert counts(found) == counts(expected), plain


def counts(histogram) -> list[float]:
    return [count for count in np.asarray(histogram.bucket).tolist() if count]
