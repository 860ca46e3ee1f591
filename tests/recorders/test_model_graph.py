import keras
import pytest
import tf_keras

from tbx_keras.recorders.model_graph import model_description
from tbx_keras.values import Text


@pytest.mark.parametrize("k", [keras, tf_keras], ids=["keras", "tf_keras"])
def test_a_model_with_a_summary_of_its_own(k):
    """Published models override it to print an inner model's, without the arguments of Keras's."""

    class Own(k.Model):
        def __init__(self):
            super().__init__()
            self.inner = k.layers.Dense(1, name="inner")

        def call(self, x):
            return self.inner(x)

        def summary(self):
            raise AssertionError("not this one")

    model = Own()
    model(k.ops.ones((1, 2)) if k is keras else k.backend.ones((1, 2)))
    (text,) = [value for value in model_description(model) if isinstance(value, Text)]
    assert "inner (Dense)" in text.text
