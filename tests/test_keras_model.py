"""What is read of a model changes nothing in it."""

import numpy as np
import pytest
import tf_keras

from tbx_keras import TbxLogger
from tests import zoo
from tests.reading import accumulate, scalar_tags


class PassesOn(tf_keras.optimizers.legacy.Optimizer):
    """A published way to wrap an optimizer: it has no learning rate, and never counts iterations."""

    _HAS_AGGREGATE_GRAD = True

    def __init__(self, inner):
        super().__init__("passes_on")
        self.inner = inner
        self._weights = inner._weights

    def apply_gradients(self, grads_and_vars, name=None, experimental_aggregate_gradients=True):
        return self.inner.apply_gradients(grads_and_vars)

    def get_config(self):
        return {}


def trained(callbacks):
    tf_keras.utils.set_random_seed(1)
    model, (x, y) = zoo.sequential(tf_keras), zoo.batch(8)
    model.compile(PassesOn(tf_keras.optimizers.legacy.RMSprop(0.01)), "mse")
    model.fit(x, y, batch_size=4, validation_split=0.5, verbose=0, callbacks=callbacks)
    return [weight.numpy() for weight in (*model.weights, *model.optimizer.weights)]


@pytest.mark.slow
def test_a_legacy_optimizer_that_passes_calls_on(tmp_path):
    logger = TbxLogger(tmp_path, gradient_freq=1, update_freq=1)
    with_logger, alone = trained([logger]), trained([])
    assert len(with_logger) == len(alone)
    assert all(np.array_equal(one, other) for one, other in zip(with_logger, alone))
    assert logger.report.errors == 0
    assert "epoch_loss" in scalar_tags(accumulate(tmp_path, "train"))
    assert "epoch_loss" in scalar_tags(accumulate(tmp_path, "validation"))
