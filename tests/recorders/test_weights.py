import keras
import numpy as np
import pytest
import tensorflow as tf

from tbx_keras.backends import tensorflow as kernels
from tbx_keras.backends.numpy import float_bits_histogram
from tbx_keras.recorders.weights import WeightHistograms


def dense(*units):
    return keras.Sequential([keras.Input((4,)), *[keras.layers.Dense(number) for number in units]])


def test_traced_once_for_the_same_variables():
    """Guards speed: the counting is traced anew when there are other variables, and only then."""
    model = dense(3)
    record = WeightHistograms(model)
    assert record.will_trace()
    for _ in range(3):
        record()
    assert not record.will_trace()
    traced = record._summarize
    assert traced.experimental_get_tracing_count() == 1
    model.add(keras.layers.Dense(2))
    assert record.will_trace()
    assert len(record()()) == 4


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_large_variables_are_counted_as_numpy_would(dtype):
    """Longer than a chunk, and more of them than are worked on at once."""
    random = np.random.default_rng(0)
    variables = [
        keras.Variable(random.normal(0, 0.1, (1 << 20) + extra).astype(dtype), dtype=dtype)
        for extra in (1, 0, 77)
    ]
    found = WeightHistograms(_Holder(variables))()()
    for histogram, variable in zip(found, variables):
        expected = float_bits_histogram("t", np.asarray(variable.value))
        assert histogram.counts.tolist() == expected.counts.tolist()
        assert histogram.sum_squares == pytest.approx(expected.sum_squares, rel=1e-5)
        assert (histogram.min, histogram.max) == (expected.min, expected.max)


class _Holder:
    """Stands for a model that has only weights."""

    def __init__(self, weights):
        self.weights, self.layers = weights, [self]


def test_large_tensors_are_worked_on_a_few_at_a_time():
    """Guards memory: each group waits for the one `LANES` before it."""
    tensors = [tf.ones([kernels.SMALL + 1]) for _ in range(6)]
    graph = tf.function(lambda: kernels.summarize(tensors), autograph=False).get_concrete_function().graph
    calls = [op for op in graph.get_operations() if op.type in ("PartitionedCall", "StatefulPartitionedCall")]
    waiting = [bool(op.control_inputs) for op in calls[:6]]
    assert waiting == [False] * kernels.LANES + [True] * (6 - kernels.LANES)
