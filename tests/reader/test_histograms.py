"""Resampling keeps counts and places, with NumPy as the oracle."""

import numpy as np
import pytest

from tbx_keras import SummaryWriter, read
from tbx_keras.errors import ArgumentError
from tbx_keras.reader.histograms import series_of


def series(*arrays):
    return series_of("tag", "run", [(step, 0.0, np.array(array)) for step, array in enumerate(arrays)])


def test_counts_are_kept_and_spread_evenly():
    edges, counts = series([[0, 2, 4], [2, 3, 6]]).rebin(6)
    assert edges.tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3]
    assert counts.tolist() == [[1, 1, 1, 1, 3, 3]]


def test_buckets_cover_all_steps_and_a_range_cuts():
    both = series([[0, 1, 4]], [[2, 4, 8]])
    edges, counts = both.rebin(4)
    assert edges.tolist() == [0, 1, 2, 3, 4]
    assert counts.tolist() == [[4, 0, 0, 0], [0, 0, 4, 4]]
    assert both.rebin(1, (0.5, 3.0))[1].tolist() == [[2], [4]]


def test_close_to_numpys_histogram_of_the_values(tmp_path):
    data = np.random.default_rng(3).normal(size=100_000)
    with SummaryWriter(tmp_path) as writer:
        writer.add_histogram("normal", data, 0)
    edges, counts = read(tmp_path).histogram("normal").rebin(24, (-3.0, 3.0))
    expected, _ = np.histogram(data, edges)
    assert np.abs(counts[0] - expected).max() < 0.02 * len(data)
    assert len(read(tmp_path).histogram("normal")) == 1


def test_one_number_alone_has_a_bucket_around_it():
    for value in (0.0, -3.0):
        edges, counts = series([[value, value, 7]]).rebin(5)
        assert edges[0] < value < edges[-1]
        assert counts.sum() == 7


def test_nothing_recorded_is_no_count():
    assert series(np.zeros((0, 3))).rebin(3)[1].tolist() == [[0, 0, 0]]
    assert series().rebin(3)[1].shape == (0, 3)


@pytest.mark.parametrize("arguments", [(0,), (True,), (2.5,), (3, (1.0, 1.0)), (3, (0.0, np.inf))])
def test_wrong_arguments_are_refused(arguments):
    with pytest.raises(ArgumentError):
        series([[0, 1, 1]]).rebin(*arguments)
