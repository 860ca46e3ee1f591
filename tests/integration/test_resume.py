"""A run that was killed and goes on from a checkpoint is one line in TensorBoard."""

import contextlib
import os
import signal
from collections import Counter

import keras
import numpy as np
import pytest
import tf_keras
from tensorboard.backend.event_processing import plugin_event_accumulator

from tbx_keras import SummaryWriter, TbxLogger, read
from tests import zoo
from tests.processes import run_python
from tests.reading import accumulate, scalar, scalar_tags

pytestmark = pytest.mark.slow
KERASES = pytest.mark.parametrize("k", [keras, tf_keras], ids=["keras", "tf_keras"])
STEPS = 5  # in an epoch


def by_the_server(*path) -> dict[str, list[int]]:
    """Steps of each series, by the loader that TensorBoard's server uses."""
    module = plugin_event_accumulator
    events = module.EventAccumulator(os.path.join(*path), {module.TENSORS: 0}).Reload()
    return {tag: [point.step for point in events.Tensors(tag)] for tag in events.Tags()["tensors"]}


def values(*path, but=()) -> dict[str, dict[int, float]]:
    events = accumulate(*path)
    return {tag: scalar(events, tag) for tag in scalar_tags(events).difference(but)}


def fit(k, log_dir, epochs, callbacks=(), weights=None, on_existing="new", **arguments):
    k.utils.set_random_seed(1)
    model, (x, y) = zoo.sequential(k), zoo.batch(8 * STEPS)
    model.compile(k.optimizers.SGD(0.01), "mse")
    if weights is not None:
        model.optimizer.build(model.trainable_variables)
        model.load_weights(weights)
    recorded = {"update_freq": 1, "gradient_freq": 2, "overhead_budget": 1.0, "distance_freq": 1}
    logger = TbxLogger(log_dir, **recorded, on_existing=on_existing)
    model.fit(
        x,
        y,
        validation_data=(x, y),
        epochs=epochs,
        batch_size=8,
        verbose=0,
        callbacks=[logger, *callbacks],
        **arguments,
    )
    return logger


def check_one_line(log_dir, epochs, but=()):
    for accumulated in (
        lambda *path: {tag: list(line) for tag, line in values(*path, but=but).items()},
        by_the_server,
    ):
        train, validation = accumulated(log_dir, "train"), accumulated(log_dir, "validation")
        assert train["batch_loss"] == list(range(1, epochs * STEPS + 1))
        assert train["gradient_norm/global"] == list(range(2, epochs * STEPS + 1, 2))
        assert train["epoch_loss"] == train["weight_distance/global"] == list(range(epochs))
        assert validation["epoch_loss"] == list(range(epochs))
        assert validation["evaluation_loss_vs_iterations"] == [STEPS * (e + 1) for e in range(epochs)]


@pytest.mark.parametrize("numbered", [True, False], ids=["initial_epoch", "not numbered"])
def test_from_an_older_checkpoint(numbered, tmp_path):
    """The first run made 4 epochs; the second goes on after the second of them."""
    log_dir, k = tmp_path / "logs", keras
    kept = k.callbacks.ModelCheckpoint(str(tmp_path / "{epoch}.weights.h5"), save_weights_only=True)
    fit(k, log_dir, 4, [kept])
    before = values(log_dir, "train")
    arguments = {"initial_epoch": 2, "epochs": 5} if numbered else {"epochs": 3}
    fit(k, log_dir, weights=str(tmp_path / "2.weights.h5"), **arguments)
    check_one_line(log_dir, 5)
    after = values(log_dir, "train")
    for tag, line in before.items():
        last = 1 if tag.startswith(("epoch_", "weight_distance", "tbx/", "trainable")) else 2 * STEPS
        assert {step: value for step, value in line.items() if step <= last} == {
            step: value for step, value in after[tag].items() if step <= last
        }


def test_a_second_restart_hides_nothing_that_stays(tmp_path):
    log_dir = tmp_path / "logs"
    kept = keras.callbacks.ModelCheckpoint(str(tmp_path / "{epoch}.weights.h5"), save_weights_only=True)
    fit(keras, log_dir, 3, [kept])
    fit(keras, log_dir, 4, [kept], str(tmp_path / "1.weights.h5"), initial_epoch=1)
    check_one_line(log_dir, 4)
    fit(keras, log_dir, 5, [kept], str(tmp_path / "3.weights.h5"), initial_epoch=3)
    check_one_line(log_dir, 5)


def test_runs_below_are_resumed_and_others_are_left_alone(tmp_path):
    kept = keras.callbacks.ModelCheckpoint(str(tmp_path / "{epoch}.weights.h5"), save_weights_only=True)
    logs = tmp_path / "logs"
    for run in ("train/extra", "other"):
        with SummaryWriter(logs / run) as writer:
            for step in range(1, 21):
                writer.add_scalar("mine", step, step)
    fit(keras, logs, 3, [kept])
    fit(keras, logs, 3, weights=str(tmp_path / "2.weights.h5"), initial_epoch=2)
    assert list(values(logs, "train", "extra")["mine"]) == list(range(1, 21))
    assert list(values(logs, "other")["mine"]) == list(range(1, 21))


def test_a_fresh_model_hides_nothing(tmp_path):
    fit(keras, tmp_path, 2)
    fit(keras, tmp_path, 1, on_existing="append")
    assert len(accumulate(tmp_path, "train").Scalars("epoch_loss")) == 3


MINE = ("weights/my_norm", "epoch_like")  # they look like the logger's


class Beside(keras.callbacks.Callback):
    """Values of the user's own by step, in a run of the logger."""

    def __init__(self, log_dir, number, mine):
        super().__init__()
        self._writer = SummaryWriter(log_dir / "train")
        self._number, self._mine = number, mine
        self._put(0)  # its file is there before that of the logger

    def _put(self, step):
        for tag in MINE:
            value = 1000.0 * self._number + step
            self._writer.add_scalar(tag, value, step)
            self._mine[tag, step, value] += 1

    def on_train_batch_end(self, batch, logs=None):
        self._put(int(self.model.optimizer.iterations.numpy()))

    def on_train_end(self, logs=None):
        self._writer.close()


def test_what_a_writer_beside_the_logger_recorded_stays(tmp_path):
    """Restarts at steps 10, 5 and 15 of 20."""
    log_dir, mine = tmp_path / "logs", Counter()
    kept = keras.callbacks.ModelCheckpoint(str(tmp_path / "{epoch}.weights.h5"), save_weights_only=True)
    for number, start in enumerate([0, 2, 1, 3]):
        weights = str(tmp_path / f"{start}.weights.h5") if start else None
        beside = Beside(log_dir, number, mine)
        logger = fit(keras, log_dir, 4, [kept, beside], weights, initial_epoch=start)
        assert logger.report.errors == 0
        check_one_line(log_dir, 4, but=MINE)  # the user's steps came again: the logger does not judge that
        events = accumulate(log_dir, "train")
        assert mine == Counter((tag, one.step, one.value) for tag in MINE for one in events.Scalars(tag))


def test_weights_alone_go_on_from_the_recorded_step(tmp_path):
    """The optimizer is a new one and counts from 0."""
    log_dir = tmp_path / "logs"
    fit(keras, log_dir, 4)
    logger = fit(keras, log_dir, 5, initial_epoch=2)
    assert logger.log_dir == str(log_dir)
    check_one_line(log_dir, 5)


KILLED = """
import os, signal, sys
import {k} as k
from tbx_keras import TbxLogger
from tests import zoo

class Kill(k.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.optimizer.iterations.numpy()) == {at}:
            logger.flush()
            os.kill(os.getpid(), signal.SIGKILL)

k.utils.set_random_seed(1)
model, (x, y) = zoo.sequential(k), zoo.batch(40)
model.compile(k.optimizers.SGD(0.01), "mse")
logger = TbxLogger("logs", update_freq=1, gradient_freq=2, overhead_budget=1.0, distance_freq=1)
backup = k.callbacks.BackupAndRestore("backup")
model.fit(x, y, validation_data=(x, y), epochs=4, batch_size=8, verbose=0, callbacks=[logger, backup, Kill()])
"""


@KERASES
def test_killed_in_the_middle_of_an_epoch_and_restored(k, tmp_path):
    first = run_python("-c", KILLED.format(k=k.__name__, at=13))
    assert first.returncode == -signal.SIGKILL
    before = values(tmp_path, "logs", "train")
    assert max(before["batch_loss"]) == 13
    second = run_python("-c", KILLED.format(k=k.__name__, at=10**9))
    assert second.returncode == 0, second.stderr
    check_one_line(tmp_path / "logs", 4)
    kept = {step: value for step, value in before["batch_loss"].items() if step <= 10}
    after = values(tmp_path, "logs", "train")["batch_loss"]
    assert kept == {step: after[step] for step in kept}


def test_what_reads_back_is_one_line_too(tmp_path):
    kept = keras.callbacks.ModelCheckpoint(str(tmp_path / "{epoch}.weights.h5"), save_weights_only=True)
    fit(keras, tmp_path / "logs", 3, [kept])
    fit(keras, tmp_path / "logs", 3, weights=str(tmp_path / "1.weights.h5"), initial_epoch=1)
    frame = read(tmp_path / "logs").scalars
    steps = frame[(frame["run"] == "train") & (frame["tag"] == "batch_loss")]["step"]
    assert steps.tolist() == list(range(1, 16))
    assert np.all(np.diff(steps) > 0)


@KERASES
def test_restored_in_the_middle_of_an_epoch(k, tmp_path):
    """tf_keras goes on with the batch after the backup, Keras 3 with a whole epoch."""

    class Stop(Exception):
        pass

    class StopAt(k.callbacks.Callback):
        def __init__(self, step):
            super().__init__()
            self.step = step

        def on_train_batch_end(self, batch, logs=None):
            if int(self.model.optimizer.iterations.numpy()) == self.step:
                raise Stop

    for last in (8, 13, 10**9):
        backup = k.callbacks.BackupAndRestore(str(tmp_path / "backup"), save_freq=3)
        with contextlib.suppress(Stop):
            logger = fit(k, tmp_path / "logs", 4, [backup, StopAt(last)])
    assert logger.report.errors == 0
    steps = by_the_server(tmp_path / "logs", "train")
    assert steps["epoch_loss"] == [0, 1, 2, 3]
    assert steps["batch_loss"] == list(range(1, steps["batch_loss"][-1] + 1))
    assert steps["batch_loss"][-1] == (22 if k is keras else 20)
