import ml_dtypes
import numpy as np
import pytest

from tbx_keras.backends.numpy import kernels
from tbx_keras.errors import ArgumentError, UnsupportedValueError


@pytest.mark.parametrize(
    "dtype",
    [
        "float16",
        "float32",
        "float64",
        "int8",
        "int64",
        "uint8",
        "bool",
        ml_dtypes.bfloat16,
        ml_dtypes.float8_e4m3fn,
    ],
    ids=str,
)
@pytest.mark.parametrize("count", [kernels.float_bits_histogram, kernels.linear_histogram])
def test_statistics_of_every_real_dtype(dtype, count):
    array = (np.random.default_rng(1).normal(size=(7, 5)) * 3).astype(dtype)
    histogram, wide = count("t", array), array.astype("float64")
    assert (histogram.min, histogram.max) == (wide.min(), wide.max())
    assert histogram.num == histogram.counts.sum() == wide.size
    assert histogram.sum == pytest.approx(wide.sum())
    assert histogram.sum_squares == pytest.approx(np.square(wide).sum())


@pytest.mark.parametrize("count", [kernels.float_bits_histogram, kernels.linear_histogram])
def test_non_finite_elements_are_counted_apart(count):
    histogram = count("t", np.array([1.0, np.nan, np.inf, -np.inf, 2.0]))
    assert histogram.nonfinite == 3
    assert histogram.counts.sum() == 2
    assert (histogram.min, histogram.max, histogram.sum) == (1.0, 2.0, 3.0)


@pytest.mark.parametrize("count", [kernels.float_bits_histogram, kernels.linear_histogram])
@pytest.mark.parametrize(
    "array", [np.zeros(0), np.array([np.nan]), np.zeros((3, 0))], ids=["empty", "nan", "no_columns"]
)
def test_nothing_to_count(count, array):
    histogram = count("t", array)
    assert histogram.num == 0
    assert np.isfinite(histogram.edges).all()


def test_values_beyond_float32_keep_their_statistics():
    histogram = kernels.float_bits_histogram("t", np.array([1e300, -1e300, 1.0]))
    assert (histogram.min, histogram.max) == (-1e300, 1e300)
    assert histogram.counts.sum() == 3
    assert histogram.nonfinite == 0


def test_chunks_make_no_difference(monkeypatch):
    array = np.random.default_rng(2).normal(size=1000)
    whole = kernels.linear_histogram("t", array, 7)
    monkeypatch.setattr(kernels, "CHUNK", 64)
    parts = kernels.linear_histogram("t", array, 7)
    assert whole.counts.tolist() == parts.counts.tolist()
    assert whole.sum_squares == pytest.approx(parts.sum_squares)


def test_buckets_and_range_as_numpy_has_them():
    array = np.random.default_rng(3).normal(size=500)
    counts, edges = np.histogram(array, 12, (-1, 1))
    histogram = kernels.linear_histogram("t", array, 12, (-1, 1))
    assert histogram.counts.tolist() == counts.tolist()
    np.testing.assert_allclose(histogram.edges, edges)


@pytest.mark.parametrize("buckets", [0, -1, 2.5, "many", True])
def test_wrong_buckets(buckets):
    with pytest.raises(ArgumentError, match="buckets"):
        kernels.linear_histogram("t", np.ones(3), buckets)


@pytest.mark.parametrize("pair", [(1, 1), (2, 1), (0, np.inf), (1,), "ab", 3])
def test_wrong_range(pair):
    with pytest.raises(ArgumentError, match="range"):
        kernels.linear_histogram("t", np.ones(3), 3, pair)


@pytest.mark.parametrize(
    "array", [np.ones(2, complex), np.array(["a"]), np.array([object()])], ids=["complex", "str", "object"]
)
@pytest.mark.parametrize("count", [kernels.float_bits_histogram, kernels.linear_histogram])
def test_what_has_no_order_is_refused_by_tag(count, array):
    with pytest.raises(UnsupportedValueError, match="my/tag"):
        count("my/tag", array)
