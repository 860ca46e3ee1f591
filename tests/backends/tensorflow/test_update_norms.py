"""Norms of the update: right, and computed outside the step, whose arithmetic they must not reorder."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tbx_keras import TbxLogger
from tbx_keras.backends.tensorflow.update_norms import UpdateNorms
from tbx_keras.instrumentation.base import NAME_SCOPE
from tbx_keras.recorders.weight_distance import DistanceMeter
from tbx_keras.recorders.weights import WeightCounter
from tests import zoo

BOTH = pytest.mark.parametrize("k", [keras, tf_keras], ids=["keras", "tf_keras"])


@pytest.mark.parametrize("eager", [True, False], ids=["eager", "graph"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_as_numpy_says(eager, dtype):
    old = [tf.cast(tf.constant(value), dtype) for value in ([1.0, 2.0], [[3.0], [4.0]])]
    new = [tf.Variable(value + 1) for value in old]
    norms = UpdateNorms()(tuple(new), old, eager=eager)
    np.testing.assert_array_equal(norms["before"], [5.0, 25.0])
    np.testing.assert_array_equal(norms["change"], [2.0, 2.0])


def test_one_trace_for_the_variables_of_a_step():
    norms, variables = UpdateNorms(), (tf.Variable([1.0, 2.0]),)
    for value in (0.0, 1.0, 2.0):
        norms(variables, [tf.constant([value, value])], eager=False)
    assert norms._function.experimental_get_tracing_count() == 1


@pytest.mark.slow
def test_many_models_are_not_retracing(caplog):
    """TensorFlow would warn of it, by counting the traces of one piece of code."""
    for _ in range(10):
        UpdateNorms()((tf.Variable([1.0]),), [tf.constant([1.0])], eager=False)
        model = zoo.sequential(keras)
        WeightCounter(model)()
        meter = DistanceMeter(model)
        meter.begin()
        meter()
    assert "retracing" not in caplog.text


@BOTH
def test_the_step_hands_out_each_weight_once(k, tmp_path):
    """A read after the update lets TensorFlow's graph optimizer order the sums of the step differently."""
    graphs = []

    class KeepGraph(k.Sequential):
        def train_step(self, data):
            graphs.append(tf.compat.v1.get_default_graph())
            return super().train_step(data)

    model, (x, y) = KeepGraph([k.Input((zoo.FEATURES,)), k.layers.Dense(1)]), zoo.batch(8)
    model.compile("adam", "mse")
    model.fit(x, y, verbose=0, callbacks=[TbxLogger(tmp_path, histogram_freq=0, write_graph=False)])
    ours = [one for one in graphs[0].get_operations() if NAME_SCOPE in one.name]
    handles = [tensor for one in ours for tensor in one.inputs if tensor.dtype == tf.resource]
    reads = [one for one in ours if one.type == "ReadVariableOp"]
    of_condition = [one for one in reads if one.get_attr("dtype") == tf.bool]
    assert len(handles) - len(of_condition) == len(model.trainable_weights)
