"""Warnings point to the line of the user's program, once for an event."""

import inspect
import threading
import warnings

import keras
import numpy as np
import pytest
import tf_keras

from tbx_keras import SummaryWriter, TbxLogger
from tbx_keras.error_reporting import ErrorReporter, warn
from tbx_keras.warning_location import Caller, user_location
from tests import zoo

KERASES = pytest.mark.parametrize("k", [keras, tf_keras], ids=["keras", "tf_keras"])


def recorded(run) -> list[warnings.WarningMessage]:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("default")  # the filter of a plain program: it remembers what it has shown
        run()
    return [one for one in found if "tbx_keras" in str(one.message)]


def line_of(function, text: str) -> int:
    lines, first = inspect.getsourcelines(function)
    return first + next(number for number, line in enumerate(lines) if text in line)


@pytest.mark.parametrize(
    "module", ["tbx_keras.x", "keras.src.y", "tf_keras.z", "tensorflow.python", "threading"]
)
def test_frames_of_frameworks_are_passed_over(module):
    namespace = {"__name__": module, "find": user_location}
    exec("def call(): return find()", namespace)
    place = namespace["call"]()
    assert (place.filename, place.module) == (__file__, __name__)


def test_a_program_of_ours_is_a_user():
    namespace = {"__name__": "tbx_keras.demos.digits", "find": user_location}
    exec("def call(): return find()", namespace)
    assert namespace["call"]().module == "tbx_keras.demos.digits"


def test_another_thread_points_to_the_line_that_was_remembered():
    caller = Caller()
    thread = threading.Thread(target=warn, args=("tbx_keras: from a thread", caller))

    def run():
        thread.start()
        thread.join()

    (warning,) = recorded(run)
    assert (warning.filename, warning.lineno) == caller.location[:2]


def spoilt():
    model, (x, y) = zoo.sequential(keras), zoo.batch(40)
    y[17] = np.nan
    return model, x, y


def fit(model, x, y, logger):
    model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0, callbacks=[logger])  # the line


@pytest.mark.parametrize("arguments", [{"gradient_freq": 0}, {"gradient_freq": 1, "histogram_freq": 1}])
def test_a_loss_that_is_not_finite_points_to_fit_once(arguments, tmp_path):
    model, x, y = spoilt()
    model.compile("sgd", "mse")
    (warning,) = recorded(lambda: fit(model, x, y, TbxLogger(tmp_path, **arguments)))
    assert (warning.filename, warning.lineno) == (__file__, line_of(fit, "# the line"))


@KERASES
def test_an_error_of_a_hook_points_to_fit(k, tmp_path, monkeypatch):
    monkeypatch.setattr("tbx_keras.recorders.metrics.EpochMetrics.record", lambda *args: 1 / 0)
    model, (x, y) = zoo.sequential(k), zoo.batch(16)
    model.compile("sgd", "mse")
    (warning,) = recorded(lambda: fit(model, x, y, TbxLogger(tmp_path)))
    assert "recording metrics failed" in str(warning.message)
    assert (warning.filename, warning.lineno) == (__file__, line_of(fit, "# the line"))


def test_a_value_that_the_writers_thread_refuses_points_to_the_writers_line(tmp_path):
    from tbx_keras.values import RecordBatch, Text

    place = user_location()
    writer = SummaryWriter(tmp_path)
    (warning,) = recorded(
        lambda: (writer._events.submit(RecordBatch("", None, 0, [Text("a", object())])), writer.close())
    )
    assert (warning.filename, warning.lineno) == (place.filename, place.line + 1)


def test_the_filter_of_warnings_does_not_decide_what_is_news():
    def one_run():
        faults = ErrorReporter()
        for _ in range(3):
            faults.report("recording", ValueError("the same words"))

    found = recorded(lambda: [one_run() for _ in range(2)])
    assert len(found) == 2  # one for each run, at the same line and with the same words
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        one_run()
    assert len(found) == 1


def test_values_that_are_lost_are_reported_once():
    from tbx_keras.writers.reports import Reports

    reports = Reports("logs", None)
    assert len(recorded(lambda: [reports.lost(3), reports.lost(3)])) == 1
    reports.begin()
    assert len(recorded(lambda: reports.lost(2))) == 1
