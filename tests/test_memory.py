"""The bytes that a reference keeps alive."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tbx_keras.memory import held_bytes


@pytest.mark.parametrize(
    ("data", "nbytes"),
    [
        (np.zeros((3, 5), np.float32), 60),
        (np.zeros((100, 5), np.float32)[:1], 2000),
        (np.broadcast_to(np.zeros(1), (1000,)), 8),
    ],
)
def test_a_view_holds_what_it_looks_into(data, nbytes):
    assert held_bytes(data) == nbytes


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "int64", "bool", "complex64"])
def test_tensors_of_any_dtype_by_shape_alone(dtype):
    tensor = tf.cast(tf.zeros((10, 7)), dtype)
    expected = tensor.numpy().nbytes
    assert expected <= held_bytes(tensor) < expected + 1000
    assert held_bytes(keras.Variable(np.zeros((10, 7)), dtype=dtype)) == held_bytes(tensor)


@pytest.mark.parametrize("data", [1.0, None, "text", tf.constant(["a"]), tf.ragged.constant([[1], [2, 3]])])
def test_whatever_it_is_has_a_size(data):
    assert held_bytes(data) > 0
