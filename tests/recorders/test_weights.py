import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tbx_keras.backends.numpy import cpu
from tbx_keras.backends.numpy.kernels import float_bits_histogram
from tbx_keras.backends.tensorflow import backend, kernels
from tbx_keras.backends.tensorflow.variables import tensor_of
from tbx_keras.recorders.weights import WeightCounter


def dense(*units):
    return keras.Sequential([keras.Input((4,)), *[keras.layers.Dense(number) for number in units]])


def test_traced_once_for_the_same_variables():
    """Guards speed: the counting is traced anew when there are other variables, and only then."""
    model = dense(3)
    record = WeightCounter(model)
    assert record.will_trace()
    for _ in range(3):
        record()
    assert not record.will_trace()
    traced = record._summarize.function
    assert traced.experimental_get_tracing_count() == 1
    model.add(keras.layers.Dense(2))
    assert record.will_trace()
    assert len(record().fetch()) == 4


@pytest.fixture(params=["traced", "compiled"])
def way(request, monkeypatch):
    """Both ways, whatever the size of the model."""
    monkeypatch.setattr(backend, "LARGE", 1 if request.param == "compiled" else 1 << 62)
    return request.param


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_large_variables_are_counted_as_numpy_would(dtype, way):
    """Longer than a chunk, and more of them than are worked on at once."""
    random = np.random.default_rng(0)
    variables = [
        keras.Variable(random.normal(0, 0.1, (1 << 20) + extra).astype(dtype), dtype=dtype)
        for extra in (1, 0, 77)
    ]
    record = WeightCounter(_Holder(variables))
    found = record().fetch()
    assert hasattr(record._summarize, "function") == (way == "traced")
    for histogram, variable in zip(found, variables):
        expected = float_bits_histogram("t", np.asarray(variable.value))
        assert histogram.counts.tolist() == expected.counts.tolist()
        assert histogram.sum_squares == pytest.approx(expected.sum_squares, rel=1e-5)
        assert (histogram.min, histogram.max) == (expected.min, expected.max)


@pytest.mark.parametrize("k", [keras, tf_keras], ids=["keras", "tf_keras"])
def test_variables_are_counted_where_they_lie(k, monkeypatch):
    """Guards memory, and what TensorFlow promises: an array of a tensor on the host is no copy, and the
    variable goes on in the same memory once the array is gone.
    """
    monkeypatch.setattr(backend, "LARGE", 1)
    seen = []
    empty = np.zeros((0, 4096)), np.zeros((0, 4))
    monkeypatch.setattr(cpu, "summarize", lambda arrays: seen.extend(map(_address, arrays)) or empty)
    model = k.Sequential([k.layers.Input((40,)), k.layers.Dense(50)])
    record = WeightCounter(model)
    record()
    assert seen == [_address(np.asarray(tensor_of(variable))) for variable in model.weights]
    kernel = tf.Variable(tf.ones([1000]))
    before = _address(np.asarray(tensor_of(kernel)))
    kernel.assign_add(tf.ones([1000]))
    assert _address(np.asarray(tensor_of(kernel))) == before


def _address(array):
    return array.__array_interface__["data"][0]


@pytest.mark.parametrize("dtype", ["float64", "int32"])
def test_other_dtypes_are_traced(dtype, monkeypatch):
    monkeypatch.setattr(backend, "LARGE", 1)
    record = WeightCounter(_Holder([keras.Variable(np.arange(9), dtype=dtype), keras.Variable(np.ones(2))]))
    assert [one.num for one in record().fetch()] == [9, 2]
    assert hasattr(record._summarize, "function")


def test_without_numba_all_is_traced(monkeypatch):
    monkeypatch.setattr(backend, "LARGE", 1)
    monkeypatch.setattr(cpu, "is_compiled", lambda: False)
    record = WeightCounter(dense(3))
    assert len(record().fetch()) == 2
    assert hasattr(record._summarize, "function")


class _Holder:
    """Stands for a model that has only weights."""

    def __init__(self, weights):
        self.weights, self.layers = weights, [self]


def test_large_tensors_are_worked_on_a_few_at_a_time():
    """Guards memory: each group waits for the one `MAX_CONCURRENT_GROUPS` before it."""
    tensors = [tf.ones([kernels.SMALL + 1]) for _ in range(6)]
    graph = tf.function(lambda: kernels.summarize(tensors), autograph=False).get_concrete_function().graph
    calls = [op for op in graph.get_operations() if op.type in ("PartitionedCall", "StatefulPartitionedCall")]
    waiting = [bool(op.control_inputs) for op in calls[:6]]
    assert waiting == [False] * kernels.MAX_CONCURRENT_GROUPS + [True] * (6 - kernels.MAX_CONCURRENT_GROUPS)
