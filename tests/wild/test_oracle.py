"""The oracle measures what can be computed by hand, and the harness sees differences."""

import keras
import numpy as np
import pytest
import tf_keras

from tests import zoo
from tests.wild import harness
from tests.wild.oracle import Oracle
from tests.wild.registry import Program

KERASES = pytest.mark.parametrize("k", [keras, tf_keras], ids=["keras", "tf_keras"])


def linear(k, optimizer, eager):
    model = k.Sequential(
        [k.Input((zoo.FEATURES,)), k.layers.Dense(1, use_bias=False, kernel_initializer="ones")]
    )
    model.compile(optimizer, "mse", run_eagerly=eager)
    return model


def norms_by_hand(batches, rate):
    (x, y), w, norms = zoo.batch(), np.ones((zoo.FEATURES, 1)), []
    for _ in range(batches):
        gradient = 2 / len(x) * x.T @ (x @ w - y)
        norms.append(np.linalg.norm(gradient))
        w = w - rate * gradient
    return norms


@KERASES
@pytest.mark.parametrize("eager", [False, True], ids=["graph", "eager"])
@pytest.mark.parametrize("scaled", [False, True], ids=["plain", "loss_scale"])
def test_norms_are_those_by_hand(k, eager, scaled):
    optimizer = k.optimizers.SGD(0.1, clipnorm=1e6)
    if scaled:
        optimizer = k.mixed_precision.LossScaleOptimizer(optimizer)
    model, oracle = linear(k, optimizer, eager), Oracle(k)
    before = vars(type(optimizer)).copy()
    with oracle.watching():
        model.fit(*zoo.batch(), batch_size=32, epochs=3, verbose=0, callbacks=[oracle.callback()])
    (norms,) = oracle.norms.values()
    assert list(norms) == [1, 2, 3]
    assert list(norms.values()) == pytest.approx(norms_by_hand(3, 0.1), rel=1e-4)
    assert vars(type(optimizer)) == before


@pytest.mark.slow
def test_a_program_that_moves_with_its_callbacks_is_found_out(tmp_path):
    def train(k, run):
        model = zoo.sequential(k)
        if run.callbacks:
            model.weights[0].assign_add(np.ones_like(model.get_weights()[0]))
        run.compile(model, "sgd", "mse")
        run.fit(model, *zoo.batch(), epochs=1)
        return model

    alone = harness.run_alone(Program(train), keras, False, tmp_path / "alone")
    logged = harness.run_logged(Program(train), keras, False, tmp_path / "logged")
    assert harness.differing(alone, logged)[0] == alone.weights[0][0]


def test_an_exception_is_an_outcome(tmp_path):
    def train(k, run):
        raise ValueError("mine")

    assert isinstance(harness.run_alone(Program(train), keras, False, tmp_path / "one").error, ValueError)
