"""The NumPy kernels are the oracle."""

import numpy as np
import pytest
import tensorflow as tf

from tbx_keras.backends.buckets import histograms_from_counts
from tbx_keras.backends.numpy.kernels import float_bits_histogram
from tbx_keras.backends.tensorflow import chunks as tensorflow_chunks
from tbx_keras.backends.tensorflow import kernels

WAYS = pytest.mark.parametrize("way", ["eager", "graph", "xla"])


def summarize(tensors, way="eager"):
    function = lambda: kernels.summarize(tensors, xla=way == "xla")  # noqa: E731
    if way != "eager":
        function = tf.function(function, autograph=False, jit_compile=way == "xla")
    counts, statistics = function()
    return histograms_from_counts(
        [str(index) for index in range(len(tensors))], counts.numpy(), statistics.numpy()
    )


def assert_same(found, array):
    expected = float_bits_histogram("t", array)
    np.testing.assert_allclose(found.edges, expected.edges, rtol=1e-6)
    assert found.counts.tolist() == expected.counts.tolist()
    for name in ("min", "max", "sum", "sum_squares"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-5, abs=1e-30)
    assert (found.num, found.nonfinite) == (expected.num, expected.nonfinite)


@WAYS
@pytest.mark.parametrize("dtype", [tf.float32, tf.float64, tf.float16, tf.bfloat16], ids=lambda one: one.name)
def test_as_numpy_for_every_float(way, dtype):
    tensor = tf.cast(tf.constant(np.random.default_rng(0).normal(size=(50, 7))), dtype)
    assert_same(summarize([tensor], way)[0], tensor.numpy())


@pytest.mark.parametrize("dtype", [tf.int32, tf.int64, tf.uint8, tf.bool], ids=lambda one: one.name)
def test_as_numpy_for_integers(dtype):
    tensor = tf.cast(tf.constant([[0, 1, 1], [1, 0, 1]]), dtype)
    assert_same(summarize([tensor])[0], tensor.numpy())


@WAYS
@pytest.mark.parametrize(
    "array",
    [
        np.array([1.0, np.nan, -np.inf, np.inf, 3.0]),
        np.array([np.nan, np.nan]),
        np.array([1e30, -3e38, 1e-40, 0.0, -0.0]),
        np.zeros(0),
        np.array(2.5),
        np.full(3, 7.0),
    ],
    ids=["mixed", "nan", "extreme", "empty", "scalar", "equal"],
)
def test_as_numpy_for_awkward_values(way, array):
    array = array.astype("float32")
    found = summarize([tf.constant(array)], way)[0]
    # Compiled code may take denormals for zero; the count of all is the same.
    if way == "xla" and array.size and (np.abs(array) < 1e-38).any():
        assert found.counts.sum() == array.size
    else:
        assert_same(found, array)


@WAYS
def test_chunks_make_no_difference(way, monkeypatch):
    array = np.random.default_rng(1).normal(size=1000).astype("float32")
    monkeypatch.setattr(tensorflow_chunks, "CHUNK", 64)
    kernels._shared.cache_clear()  # what was traced has the other size
    monkeypatch.setattr(kernels, "_shared", lambda describe, xla: describe)
    assert_same(summarize([tf.constant(array)], way)[0], array)


def test_rows_are_in_the_order_of_the_tensors():
    arrays = [np.full(count, float(count), "float32") for count in (3, 1, 2)]
    assert [one.max for one in summarize([tf.constant(array) for array in arrays])] == [3, 1, 2]


@WAYS
def test_slices_are_described_as_the_dense_tensor(way):
    slices = tf.IndexedSlices(
        tf.constant([[1.0, 2.0], [3.0, 4.0], [10.0, -20.0]]), tf.constant([2, 2, 0]), tf.constant([4, 2])
    )
    assert_same(summarize([slices], way)[0], tf.convert_to_tensor(slices).numpy())


def test_nothing_is_copied_to_float64():
    """Guards speed and memory: no operation makes a float64 tensor of the size of its input."""
    tensor = tf.ones([1000])
    graph = tf.function(lambda: kernels.summarize([tensor]), autograph=False).get_concrete_function().graph
    wide = [out for op in graph.get_operations() for out in op.outputs if out.dtype == tf.float64]
    assert all(out.shape.num_elements() is not None and out.shape.num_elements() <= 4 for out in wide)


def test_everything_leaves_in_two_tensors():
    """Guards speed: the number of transfers does not grow with the number of variables."""
    assert len(kernels.summarize([tf.ones([3])] * 20)) == 2


@WAYS
def test_complex_numbers_are_two_numbers_each(way):
    array = np.random.default_rng(1).normal(size=(5, 3, 2)).astype("float32")
    (found,) = summarize([tf.complex(array[..., 0], array[..., 1])], way)
    assert (found.num, found.sum_squares) == pytest.approx((array.size, (array**2).sum()))
    assert float(kernels.sum_squares(tf.complex(array[..., 0], array[..., 1]))) == pytest.approx(
        (array**2).sum()
    )
