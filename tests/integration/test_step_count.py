"""Steps are those that the optimizer has made, also where Keras's hooks tell of others."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tbx_keras import TbxLogger
from tests import zoo
from tests.reading import accumulate, scalar

pytestmark = [
    pytest.mark.slow,
    # Within the first execution of an epoch:
    pytest.mark.filterwarnings("ignore:Your input ran out of data"),
]
KERASES = pytest.mark.parametrize("k", [keras, tf_keras], ids=["keras", "tf_keras"])
BATCHES = 5


def unknown(x, y):
    """Batches whose number nobody knows before they end."""
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(8).filter(lambda *batch: True)
    assert int(data.cardinality()) < 0
    return data


def trained(k, data, log_dir, steps_per_execution, **arguments):
    model = zoo.sequential(k)
    model.compile("adam", "mse", steps_per_execution=steps_per_execution)
    logger = TbxLogger(log_dir, update_freq=1)
    model.fit(data, epochs=3, verbose=0, callbacks=[logger], **arguments)
    assert logger.report.errors == 0
    return int(np.asarray(model.optimizer.iterations))


@pytest.mark.parametrize("steps_per_execution", [2, 3, 7])
def test_data_of_unknown_size(steps_per_execution, tmp_path):
    """tf_keras refuses them; where an execution is one step, Keras's optimizer counts one more itself."""
    made = trained(keras, unknown(*zoo.batch(8 * BATCHES)), tmp_path, steps_per_execution)
    recorded = scalar(accumulate(tmp_path, "train"), "tbx/global_step")
    assert made == 3 * BATCHES
    assert recorded == {0: BATCHES, 1: 2 * BATCHES, 2: 3 * BATCHES}


@KERASES
def test_endless_data(k, tmp_path):
    x, y = zoo.batch(8 * BATCHES)
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(8).repeat()
    made = trained(k, data, tmp_path, 2, steps_per_epoch=3)
    recorded = scalar(accumulate(tmp_path, "train"), "tbx/global_step")
    assert recorded[2] == made


def test_a_step_that_calls_no_optimizer_counts(tmp_path):
    """The optimizer says nothing then."""

    def train_step(model, data):
        loss, pairs = zoo.loss_and_gradients(model, *data)
        for gradient, variable in pairs:
            variable.assign_sub(0.01 * gradient)
        return {"loss": loss}

    model = zoo.stepping(keras, train_step)
    model.compile("adam", steps_per_execution=2)
    with pytest.warns(RuntimeWarning, match="no gradients are recorded"):
        model.fit(unknown(*zoo.batch(32)), epochs=2, verbose=0, callbacks=[TbxLogger(tmp_path)])
    assert scalar(accumulate(tmp_path, "train"), "tbx/global_step") == {0: 4, 1: 8}
