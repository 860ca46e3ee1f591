"""Updates are captured wherever the optimizer is kept, and nothing of it stays."""

import threading

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tbx_keras import TbxLogger
from tbx_keras.backends.tensorflow.optimizer_calls import METHODS, intercepted
from tbx_keras.instrumentation.optimizer_calls import optimizer_classes
from tests import zoo
from tests.reading import accumulate, scalar

KERASES = pytest.mark.parametrize("k", [keras, tf_keras], ids=["keras", "tf_keras"])


def methods():
    return {
        (owner, name): vars(owner).get(name)
        for package, names in METHODS.items()
        for owner in optimizer_classes(package)
        for name in names
    }


def update(k, optimizer):
    variable = k.Variable([1.0]) if k is keras else tf.Variable([1.0])
    optimizer.apply_gradients([(tf.constant([1.0]), variable)])
    return float(variable.numpy()[0])


def forward(calls):
    def handler(method, call, optimizer, *args, **kwargs):
        calls.append((method, optimizer))
        return call(optimizer, *args, **kwargs)

    return handler


@KERASES
def test_classes_are_as_before_after_a_capture(k):
    before = methods()
    with pytest.raises(ZeroDivisionError), intercepted(forward([])):
        assert methods() != before
        raise ZeroDivisionError
    assert methods() == before


@KERASES
def test_only_the_outermost_call_is_handled(k):
    class Own(k.optimizers.SGD):
        def apply_gradients(self, grads_and_vars, **kwargs):
            return super().apply_gradients([(2 * g, v) for g, v in grads_and_vars], **kwargs)

    calls, optimizer = [], Own(0.25)
    with intercepted(forward(calls)):
        assert update(k, optimizer) == 0.5
    assert calls == [("apply_gradients", optimizer)]
    assert update(k, Own(0.25)) == 0.5
    assert len(calls) == 1


def test_a_thread_that_captures_nothing_is_left_alone():
    calls, results = [], []
    with intercepted(forward(calls)):
        thread = threading.Thread(target=lambda: results.append(update(keras, keras.optimizers.SGD(0.25))))
        thread.start()
        thread.join()
    assert results == [0.75]
    assert calls == []


def test_captures_of_two_threads_end_in_any_order():
    before, inside, outside = methods(), threading.Event(), threading.Event()
    calls = {"first": [], "second": []}

    def second():
        with intercepted(forward(calls["second"])):
            inside.set()
            outside.wait(10)
            update(keras, keras.optimizers.SGD(0.25))

    thread = threading.Thread(target=second)
    with intercepted(forward(calls["first"])):
        thread.start()
        assert inside.wait(10)
        update(keras, keras.optimizers.SGD(0.25))
    outside.set()
    thread.join()
    assert [len(calls["first"]), len(calls["second"])] == [1, 1]
    assert methods() == before


def kept_by_nobody(k):
    """An optimizer that is no attribute of anything: a closure of the training step."""
    optimizer = k.optimizers.SGD(0.1)

    def step(self, data):
        loss, pairs = zoo.loss_and_gradients(self, *data)
        optimizer.apply_gradients(pairs)
        return {"loss": loss}

    return zoo.stepping(k, step)


@KERASES
@pytest.mark.parametrize("eager", [False, True], ids=["graph", "eager"])
def test_an_optimizer_in_a_closure_is_captured(k, eager, tmp_path):
    model, (x, y) = kept_by_nobody(k), zoo.batch(16)
    model.compile(run_eagerly=eager)
    logger = TbxLogger(tmp_path, gradient_freq=1)
    model.fit(x, y, batch_size=8, verbose=0, callbacks=[logger])
    norms = scalar(accumulate(tmp_path, "train"), "gradient_norm/global")
    assert list(norms) == [1, 2]
    assert all(np.isfinite(norm) and norm > 0 for norm in norms.values())
    assert logger.report.errors == 0
