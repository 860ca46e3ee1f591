"""On JAX several devices record what one device records, and sharded weights stay where they are."""

import json

import pytest

from tests.processes import found_by_module, once
from tests.reading import accumulate, histogram_tags, scalar, scalar_tags

pytest.importorskip("jax")
pytestmark = pytest.mark.slow
SEVERAL = ["data", "model"]


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    work = lambda path: found_by_module("tests.jax_devices", str(path))  # noqa: E731
    directory, found = once(tmp_path_factory, "jax-devices", work)
    return directory, json.loads(found)


@pytest.mark.parametrize("name", SEVERAL)
def test_weights_are_what_they_are_without_a_logger(ran, name):
    assert ran[1]["found"][name]["identical"]
    assert ran[1]["found"][name]["errors"] == 0
    assert ran[1]["messages"] == []


@pytest.mark.parametrize("name", SEVERAL)
def test_the_same_is_recorded(ran, name):
    one, several = (accumulate(ran[0], where, "train") for where in ("one", name))
    assert scalar_tags(one) == scalar_tags(several)
    for tag in scalar_tags(one):
        if tag.startswith(("gradient_norm/", "update_ratio/", "step_loss", "weight_distance/")):
            assert scalar(several, tag) == pytest.approx(scalar(one, tag), rel=1e-5), tag
    for tag in histogram_tags(one):
        first, other = (events.Histograms(tag)[0].histogram_value for events in (one, several))
        assert (first.num, list(first.bucket)) == (other.num, list(other.bucket)), tag


def test_a_sharded_weight_is_reduced_where_its_shards_lie(ran):
    """Sums travel between devices, and no weight does."""
    found = ran[1]["found"]["model"]["collectives"]
    assert found.pop("all-reduce") > 0
    assert set(found.values()) == {0}
