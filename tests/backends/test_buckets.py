import numpy as np
import pytest

from tbx_keras.backends.buckets import BUCKET_COUNT, EDGES, histograms_from_counts
from tbx_keras.backends.numpy.kernels import float_bits_histogram


def test_edges_rise_and_are_as_fine_as_promised():
    assert (np.diff(EDGES) > 0).all()
    normal = EDGES[EDGES > 1e-37]
    widths = normal[1:] / normal[:-1] - 1
    assert widths.max() <= 0.125 + 1e-12
    assert widths.min() >= 1 / 15 - 1e-12


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1.0, 1e30])
def test_every_element_is_in_its_bucket(scale):
    values = (np.random.default_rng(0).normal(size=1000) * scale).astype("float32")
    histogram = float_bits_histogram("t", values)
    for edge_low, edge_high, count in zip(histogram.edges[:-1], histogram.edges[1:], histogram.counts):
        inside = ((values >= edge_low) & (values <= edge_high)).sum()
        assert inside >= count  # a value on an edge belongs to one of two
    assert histogram.counts.sum() == 1000


def test_edges_end_at_the_extremes():
    histogram = float_bits_histogram("t", np.array([-1.3, 0.2, 2.9]))
    assert histogram.edges[0] == -1.3
    assert histogram.edges[-1] == 2.9


@pytest.mark.parametrize("value", [0.0, 1.0, -2.5, 1e-45, 3e38])
def test_equal_values_give_one_bucket_with_rising_edges(value):
    histogram = float_bits_histogram("t", np.full(5, value, "float32"))
    assert (np.diff(histogram.edges) > 0).all()
    assert histogram.counts.tolist() == [5]


def test_without_finite_elements():
    (histogram,) = histograms_from_counts(["t"], np.zeros((1, BUCKET_COUNT), int), np.zeros((1, 4)))
    assert histogram.num == 0
    assert (np.diff(histogram.edges) > 0).all()
