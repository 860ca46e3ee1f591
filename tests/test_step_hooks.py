"""TensorFlow's hooks come in order and take no lock; those of other backends are put in order."""

import threading

import keras
import pytest
import tf_keras

from tbx_keras import TbxLogger
from tbx_keras.diagnosis.loss_watch import LossWatch
from tbx_keras.diagnosis.monitor import Monitor
from tbx_keras.error_reporting import ErrorReporter
from tbx_keras.scheduling.position import TrainingPosition
from tbx_keras.step_hooks import InAnyOrder, InOrder, step_hooks
from tests import zoo

KERASES = pytest.mark.parametrize("k", [keras, tf_keras], ids=["keras", "tf_keras"])


class Writer:
    def __init__(self):
        self.written, self.closed = [], 0

    def submit(self, batch):
        self.written.append((batch.step, [value.tag for value in batch.values]))

    def close(self):
        self.closed += 1


@KERASES
def test_on_tensorflow_there_is_no_sequencer_and_no_lock(k, tmp_path, monkeypatch):
    def refuse(*arguments):
        raise AssertionError("made on TensorFlow")

    monkeypatch.setattr("tbx_keras.step_hooks.StepSequencer", refuse)
    monkeypatch.setattr(TrainingPosition, "advance", refuse)
    model, logger = zoo.sequential(k), TbxLogger(tmp_path, update_freq=1)
    model.compile("sgd", "mse")
    model.fit(*zoo.batch(16), batch_size=8, verbose=0, callbacks=[logger])
    assert type(logger._steps) is InOrder
    assert set(vars(logger._steps)) == {"_position"}
    assert logger.report.errors == 0


def test_keras_calls_every_hook_on_the_training_thread_on_tensorflow():
    """What doing without a sequencer rests on."""
    threads = set()

    class Note(keras.callbacks.Callback):
        async_safe = True

        def on_train_batch_end(self, batch, logs=None):
            threads.add(threading.get_ident())

    model = zoo.sequential(keras)
    model.compile("sgd", "mse")
    model.fit(*zoo.batch(32), batch_size=4, verbose=0, callbacks=[Note()])
    assert threads == {threading.get_ident()}


@pytest.fixture
def hooks(monkeypatch):
    """Of a model on JAX, with the writer that they end in."""
    monkeypatch.setattr("tbx_keras.backends.base.backend_name", lambda: "jax")
    writer, position, model = Writer(), TrainingPosition(), zoo.sequential(keras)
    monitor = Monitor(writer, ErrorReporter(), {"nonfinite": "record"})
    losses = LossWatch(monitor, writer)
    losses.set_model(model)

    def look(step):
        looked = losses.look_between_steps(step)
        monitor.stop_if_asked(model)
        return looked

    found = step_hooks(None, position, look)
    assert type(found) is InAnyOrder
    found.position, found.losses, found.monitor, found.writer = position, losses, monitor, writer
    found.model = model
    found.begin_fit({"steps": 4})
    position.begin_epoch(0, 0, 1)
    return found


def begin(hooks, *batches):
    for batch in batches:
        hooks.begin(batch, *hooks.position.begin_batch(batch, 1))


def test_tf_keras_stays_in_order_where_keras_runs_on_jax(monkeypatch):
    monkeypatch.setattr("tbx_keras.backends.base.backend_name", lambda: "jax")
    assert type(step_hooks(zoo.sequential(tf_keras), TrainingPosition(), None)) is InOrder


def test_an_epoch_ends_with_the_steps_of_hooks_that_are_still_to_come(hooks):
    ended = []
    begin(hooks, 0, 1, 2, 3)
    for batch in (0, 2):
        hooks.end(batch, lambda *arguments: ended.append(arguments), {"loss": batch}, None)
    hooks.end_epoch()
    assert hooks.position.step == 4
    hooks.position.end_epoch()
    hooks.position.begin_epoch(1, 4, 1)
    begin(hooks, 0)
    for batch in (0, 3, 1):  # batch 0 is of the second epoch, the others are late
        hooks.end(batch, lambda *arguments: ended.append(arguments), {"loss": batch}, None)
    assert [step for step, _, _ in ended] == [1, 2, 3, 4, 5]
    assert [logs["loss"] for _, logs, _ in ended] == [0, 1, 2, 3, 0]


def test_a_fit_after_one_that_failed_goes_on_behind_hooks_that_are_still_to_come(hooks, monkeypatch):
    """The last step that began has failed; those before it were made, whenever their hooks come."""
    monkeypatch.setattr("tbx_keras.step_hooks.LATE_HOOKS_S", 0.05)
    ended = []
    begin(hooks, 0, 1, 2)
    hooks.begin_fit({"steps": 4})
    hooks.position.begin_epoch(0, 0, 1)  # on JAX the optimizer of a `fit` that failed has not counted
    begin(hooks, 0)
    for batch in (0, 1, 0):  # the first two are late
        hooks.end(batch, lambda *arguments: ended.append(arguments), {"loss": batch}, None)
    assert hooks.position.step == 3


def test_hooks_that_are_late_for_a_moment_come_before_the_next_fit(hooks):
    ended = []
    begin(hooks, 0, 1, 2)
    late = threading.Timer(
        0.1, lambda: [hooks.end(batch, lambda step, *_: ended.append(step), {}, None) for batch in (1, 0)]
    )
    late.start()
    hooks.begin_fit({"steps": 4})
    assert not hooks._sequencer._begun
    late.join()
    assert ended == [1, 2]


def test_weights_are_looked_at_between_steps_only(hooks, monkeypatch):
    looks = []
    monkeypatch.setattr(
        "tbx_keras.diagnosis.loss_watch.attach_weights", lambda model: looks.append("attached")
    )
    see = lambda step, logs, speed: hooks.losses.see(step, 0, logs)  # noqa: E731
    begin(hooks, 0, 1)
    hooks.end(1, see, {"loss": float("inf")}, None)
    hooks.end(0, see, {"loss": float("nan")}, None)
    assert looks == hooks.writer.written == []
    begin(hooks, 2, 3)
    assert looks == ["attached"]  # once
    assert hooks.writer.written == [(1, ["first_nonfinite/loss", "first_nonfinite/loss_step"])]


def test_training_stops_with_the_step_that_begins_after_a_bad_loss(hooks):
    hooks.monitor._actions["nonfinite"] = "stop"
    see = lambda step, logs, speed: hooks.losses.see(step, 0, logs)  # noqa: E731
    begin(hooks, 0)
    hooks.end(0, see, {"loss": float("nan")}, None)
    hooks.model.stop_training = False
    with pytest.warns(RuntimeWarning, match="Training is stopped"):
        begin(hooks, 1)
    assert hooks.model.stop_training


def test_what_waits_at_the_end_of_fit_is_recorded(hooks):
    ended = []
    begin(hooks, 0, 1)
    hooks.end(1, lambda *arguments: ended.append(arguments), None, 2.0)
    assert ended == []
    hooks.end_fit(hooks.writer)
    assert ended == [(2, None, 2.0)]
    assert hooks.writer.closed == 1


def test_a_loss_that_the_writer_finds_last_is_reported_before_fit_ends(hooks):
    begin(hooks, 0)
    writer = hooks.writer
    writer.close = lambda: (
        hooks.losses.see(1, 0, {"loss": float("nan")}) if not writer.closed else None,
        Writer.close(writer),
    )
    hooks.end_fit(writer)
    assert writer.written == [(1, ["first_nonfinite/loss", "first_nonfinite/loss_step"])]
    assert writer.closed == 2
