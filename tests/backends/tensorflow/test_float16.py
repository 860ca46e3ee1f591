"""The NumPy kernels are the oracle."""

import numpy as np
import pytest
import tensorflow as tf

from tbx_keras.backends.buckets import histograms_from_counts
from tbx_keras.backends.numpy.kernels import float_bits_histogram
from tbx_keras.backends.tensorflow import chunks as tensorflow_chunks
from tbx_keras.backends.tensorflow import kernels
from tbx_keras.backends.tensorflow.float16 import LARGE, describe_float16

DTYPES = pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16], ids=lambda one: one.name)


def assert_as_numpy(array, counts, statistics):
    (found,) = histograms_from_counts(["t"], counts.numpy()[None], statistics.numpy()[None])
    expected = float_bits_histogram("t", array)
    np.testing.assert_allclose(found.edges, expected.edges, rtol=1e-6)
    assert found.counts.tolist() == expected.counts.tolist()
    assert (found.min, found.max) == (expected.min, expected.max)
    assert found.sum == pytest.approx(expected.sum, rel=1e-9)
    assert found.sum_squares == pytest.approx(expected.sum_squares, rel=1e-9)
    assert (found.num, found.nonfinite) == (expected.num, expected.nonfinite)


@DTYPES
def test_every_value_there_is(dtype):
    """NaN, infinities, both zeros and denormals among them; each another number of times."""
    codes = np.repeat(np.arange(1 << 16, dtype=np.uint16), np.arange(1 << 16) % 3 + 1)
    array = np.random.default_rng(0).permutation(codes).view(dtype.as_numpy_dtype)
    assert_as_numpy(array, *describe_float16(tf.constant(array)))


@DTYPES
@pytest.mark.parametrize(
    "values", [[], [np.nan], [np.inf, -np.inf], [np.inf, 2.0], [-3.0], [0.0, -0.0], [1e-7]], ids=str
)
def test_awkward_values(dtype, values):
    array = np.array(values).astype(dtype.as_numpy_dtype)
    assert_as_numpy(array, *describe_float16(tf.constant(array)))


@DTYPES
def test_chunks_make_no_difference(dtype, monkeypatch):
    monkeypatch.setattr(tensorflow_chunks, "CHUNK", 64)
    array = np.random.default_rng(1).normal(size=1000).astype(dtype.as_numpy_dtype)
    assert_as_numpy(array, *describe_float16(tf.constant(array)))


@DTYPES
def test_large_tensors_go_this_way(dtype):
    """Guards speed: none of their elements is widened."""
    tensor = tf.zeros([LARGE], dtype)
    function = tf.function(lambda: kernels.summarize([tensor]), autograph=False).get_concrete_function()
    defined = function.graph.as_graph_def(add_shapes=True).library.function
    (counting,) = [one for one in defined if any(node.op == "SegmentSum" for node in one.node_def)]
    bodies = {node.attr["body"].func.name for node in counting.node_def if "While" in node.op}
    nodes = [node for one in defined if one.signature.name in bodies for node in one.node_def]
    types = [node.attr["DstT"].type for node in nodes if node.op == "Cast"]
    assert types == [tf.int32.as_datatype_enum]
    assert_as_numpy(tensor.numpy(), *(rows[0] for rows in function()))


def test_the_others_do_not():
    """A table for each of many smaller tensors would cost more than the work; XLA has no fast way."""
    for size, xla in ((LARGE - 1, False), (LARGE, True)):
        tensors = [tf.ones([size], tf.float16)] * 2
        function = tf.function(lambda: kernels.summarize(tensors, xla))  # noqa: B023
        text = str(function.get_concrete_function().graph.as_graph_def())
        assert "SegmentSum" not in text
