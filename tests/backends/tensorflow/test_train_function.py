"""Things of Keras that the instrument relies on; each test would notice a change."""

import gc
import weakref

import keras
import pytest
import tensorflow as tf
import tf_keras

from tbx_keras import TbxLogger
from tbx_keras.backends.tensorflow.stateful_ops import was_traced
from tests import zoo
from tests.reading import same_weights

KERASES = pytest.mark.parametrize("k", [keras, tf_keras], ids=["keras", "tf_keras"])


@KERASES
def test_fit_looks_the_train_function_up_at_every_step(k):
    model, (x, y) = zoo.sequential(k), zoo.batch(16)
    model.compile("sgd", "mse")
    calls = []

    class Swap(k.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            original = self.model.train_function
            self.model.train_function = lambda iterator: calls.append(1) or original(iterator)

    model.fit(x, y, batch_size=8, verbose=0, callbacks=[Swap()])
    assert len(calls) == 1 + 2  # the second one wraps the first


@KERASES
def test_optimizers_are_intercepted_by_one_method(k):
    name = "apply" if k is keras else "apply_gradients"
    optimizer, variable = k.optimizers.SGD(0.1), k.Variable([1.0]) if k is keras else tf.Variable([1.0])
    calls, original = [], getattr(optimizer, name)
    vars(optimizer)[name] = lambda *args, **kwargs: calls.append(1) or original(*args, **kwargs)
    optimizer.apply_gradients([(tf.constant([1.0]), variable)])
    assert calls == [1]


@KERASES
def test_the_closure_of_a_train_function_tells_whether_it_was_traced(k):
    model = zoo.sequential(k)
    model.compile("sgd", "mse")
    model.make_train_function()
    assert not was_traced(model, model.train_function)
    model.fit(*zoo.batch(), verbose=0)
    assert was_traced(model, model.train_function)


@pytest.mark.slow
@KERASES
def test_the_instrument_does_not_keep_its_model_alive(k, tmp_path):
    def forgotten(callbacks):
        model, (x, y) = zoo.subclassed(k), zoo.batch(16)
        model.compile("sgd", "mse", run_eagerly=True)
        model.fit(x, y, batch_size=8, verbose=0, callbacks=callbacks)
        return weakref.ref(model)

    with_logger, without = forgotten([TbxLogger(tmp_path)]), forgotten([])
    k.backend.clear_session()
    gc.collect()
    assert without() is None  # else the test would say nothing
    assert with_logger() is None


@KERASES
def test_an_optimizer_called_in_a_branch_is_out_of_reach_and_no_error(k):
    def branching(self, data):
        loss, pairs = zoo.loss_and_gradients(self, *data)

        def update():
            self.optimizer.apply_gradients(pairs)
            return 1

        tf.cond(loss < 1e9, update, lambda: 0)
        return {"loss": loss}

    results = []
    for callbacks in ([TbxLogger("logs")], []):
        k.utils.set_random_seed(1)
        model, (x, y) = zoo.stepping(k, branching), zoo.batch(16)
        model(x)
        model.compile("sgd", "mse")
        model.optimizer.build(model.trainable_variables)
        model.fit(x, y, batch_size=8, epochs=2, verbose=0, callbacks=callbacks)
        results.append(model)
    assert same_weights(*results)
