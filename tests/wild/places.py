"""Training elsewhere: in threads, in another process, in the trials of a tuner."""

import copy
import importlib
import multiprocessing
import threading
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import tensorflow as tf

from tbx_keras import TbxLogger
from tests.wild.registry import program


def regression(examples: int = 24) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(5).normal(size=(examples, 4)).astype("float32")
    return x, x[:, :1] - 2 * x[:, 1:2]


def network(k, units=6, rate=0.01, draws=True):
    """A step of its own; without `draws` two of them may train at once and stay reproducible."""

    class Own(k.Model):
        def train_step(self, data):
            x, y = data
            with tf.GradientTape() as tape:
                predicted = self(x + 0.1 * tf.random.normal(tf.shape(x)) if draws else x, training=True)
                loss = tf.reduce_mean(tf.square(predicted - y))
            gradients = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))
            return {"loss": loss}

    inputs = k.Input((4,))
    model = Own(inputs, k.layers.Dense(1)(k.layers.Dense(units, activation="relu")(inputs)))
    model.compile(k.optimizers.Adam(rate), "mse")
    return model


def in_threads(*calls):
    """Run functions at once, each in its own thread; what one raises is raised here."""
    raised = []

    def reports_errors(call):
        try:
            call()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=reports_errors, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in raised:
        raise error


@program(kerases=("keras", "tf_keras"))
def fitted_in_a_thread(k, run):
    """A server trains in the background."""
    model = network(k)
    model.run_eagerly = run.eager
    in_threads(lambda: run.fit(model, *regression(), epochs=2, batch_size=8))
    return model


@program()
def fitted_in_two_threads(k, run):
    """Two models at once, each with a logger of its own: neither hears of the other."""
    models = [network(k, draws=False), network(k, draws=False)]
    loggers = [TbxLogger(run.directory / "other") for one in run.callbacks if isinstance(one, TbxLogger)]
    data = regression()

    def fit(model, callbacks):
        model.run_eagerly = run.eager
        model.fit(*data, epochs=3, batch_size=8, shuffle=False, verbose=0, callbacks=callbacks)

    in_threads(lambda: fit(models[0], run.callbacks), lambda: fit(models[1], loggers))
    assert not any(logger.report.errors for logger in loggers)
    return models


def fit_in_child(name, callbacks):
    """What the other process runs: weights go back as arrays."""
    k = importlib.import_module(name)
    k.utils.set_random_seed(1)
    model = network(k)
    model.fit(*regression(), epochs=2, batch_size=8, verbose=0, callbacks=callbacks)
    assert not any(callback.report.errors for callback in callbacks)
    return model.get_weights()


@program(eager=False)
def fitted_in_another_process(k, run):
    """A logger is pickled into a fresh process; what that trains equals what this one does without."""
    model = network(k)
    if not any(isinstance(callback, TbxLogger) for callback in run.callbacks):
        run.fit(model, *regression(), epochs=2, batch_size=8)
        return model
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        model.set_weights(pool.submit(fit_in_child, k.__name__, run.callbacks).result())
    return model


@program(aligned=False, says="holds an earlier run")
def trials_of_a_search(k, run):
    """As KerasTuner does: each trial builds a model, and gets deep copies of the callbacks."""
    models, (x, y) = [], regression()
    for trial, (units, rate) in enumerate([(4, 0.01), (6, 0.03)]):
        k.utils.set_random_seed(trial)
        model = network(k, units, rate)
        model.run_eagerly = run.eager
        callbacks = copy.deepcopy(run.callbacks)
        model.fit(x, y, epochs=2, batch_size=8, verbose=0, callbacks=callbacks, validation_data=(x, y))
        models.append(model)
    return models
