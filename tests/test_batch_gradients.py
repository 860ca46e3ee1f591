"""`gradients` changes nothing, whatever happens in it."""

import keras
import numpy as np
import pytest
import tf_keras

from tbx_keras import gradients
from tbx_keras.errors import ArgumentError
from tests import zoo

KERASES = pytest.mark.parametrize("k", [keras, tf_keras], ids=["keras", "tf_keras"])


def normalized(k, built: bool):
    layers = [k.layers.BatchNormalization(), k.layers.Dense(1)]
    model = k.Sequential([k.Input((zoo.FEATURES,)), *layers] if built else layers)
    model.compile("sgd", "mse")
    return model


def moving_mean(model) -> np.ndarray:
    return np.asarray(model.layers[0].moving_mean)


@KERASES
def test_a_model_that_was_not_built_is_as_new(k):
    model = normalized(k, built=False)
    assert len(gradients(model, *zoo.batch())) == 4
    assert not moving_mean(model).any()


@KERASES
def test_a_call_that_fails_leaves_the_model_as_it_was(k):
    model, (x, _) = normalized(k, built=True), zoo.batch()
    with pytest.raises(ArgumentError, match=r"'y': \[\(5, 1\)\]"):
        gradients(model, x, np.ones((5, 1), "float32"))
    assert not moving_mean(model).any()


@KERASES
def test_nested_lists_are_arrays(k):
    model, (x, y) = normalized(k, built=True), zoo.batch(4)
    found, expected = gradients(model, x.tolist(), y.tolist()), gradients(model, x, y)
    for path, gradient in expected.items():
        assert found[path] == pytest.approx(gradient, rel=1e-4, abs=1e-6)


@KERASES
def test_what_is_no_batch_is_refused(k):
    import tensorflow as tf

    model = normalized(k, built=True)
    with pytest.raises(ArgumentError, match=r"next\(iter\(dataset\)\)"):
        gradients(model, tf.data.Dataset.from_tensors(zoo.batch()))
    with pytest.raises(ArgumentError, match="`x` is wrong"):
        gradients(model, None)
    with pytest.raises(ArgumentError, match="`model` is wrong"):
        gradients(model.layers[1], *zoo.batch())


@KERASES
def test_what_the_model_or_its_loss_refuses_is_named(k):
    model, (x, y) = normalized(k, built=True), zoo.batch()
    with pytest.raises(ArgumentError, match="`y` is wrong. Received: y=None"):
        gradients(model, x)
    with pytest.raises(ArgumentError, match="a batch of one example or more"):
        gradients(model, x[:0], y[:0])
    with pytest.raises(ArgumentError, match="`x` is wrong"):
        gradients(model, np.array([["a"] * zoo.FEATURES]), y[:1])
    with pytest.raises(ArgumentError, match="`x` is wrong"):
        gradients(model, x[:, :1], y)


@KERASES
def test_an_error_of_ones_own_code_passes(k):
    def loss(y_true, y_pred):
        raise KeyError("mine")

    model, batch = normalized(k, built=True), zoo.batch()
    model.compile("sgd", loss)
    with pytest.raises(KeyError, match="mine"):
        gradients(model, *batch)
