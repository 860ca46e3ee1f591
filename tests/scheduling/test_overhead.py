"""Recording that takes more than its share becomes rarer in a real `fit`, and says so once."""

import warnings

import keras
import pytest
import tf_keras

from tbx_keras import TbxLogger
from tbx_keras.error_reporting import ErrorReporter
from tbx_keras.hook_time import HookTime
from tbx_keras.run_report import Report
from tbx_keras.scheduling.overhead import OverheadTracker
from tbx_keras.writers.async_writer import Counts
from tests import zoo
from tests.reading import accumulate, histogram_tags, scalar

EPOCHS = 16


@pytest.fixture(autouse=True)
def _judged_from_the_beginning(monkeypatch) -> None:
    monkeypatch.setattr("tbx_keras.scheduling.overhead_budget.STEADY_SECONDS", 0.0)
    monkeypatch.setattr("tbx_keras.scheduling.overhead_budget.STEADY_STEPS", 0)


def fit(k, log_dir, **arguments):
    model, (x, y) = zoo.sequential(k), zoo.batch(32)
    model.compile("sgd", "mse")
    logger = TbxLogger(log_dir, **arguments)
    model.fit(x, y, batch_size=8, epochs=EPOCHS, verbose=0, callbacks=[logger])
    assert logger.report.errors == logger.report.dropped == 0
    return accumulate(log_dir, "train")


def gradient_epochs(events) -> list[int]:
    (tag, *_) = [tag for tag in histogram_tags(events) if tag.startswith("gradients/")]
    return [one.step for one in events.Histograms(tag)]


@pytest.mark.parametrize("k", [keras, tf_keras], ids=["keras", "tf_keras"])
def test_above_the_budget_gradients_become_rarer_and_metrics_do_not(k, tmp_path, monkeypatch):
    monkeypatch.setattr("tbx_keras.scheduling.overhead_budget.REVIEW_SECONDS", 0.0)
    with pytest.warns(RuntimeWarning, match="overhead_budget") as reported:
        events = fit(k, tmp_path, overhead_budget=1e-9)
    assert len([one for one in reported if "overhead_budget" in str(one.message)]) == 1
    assert len(gradient_epochs(events)) < EPOCHS / 2
    assert set(scalar(events, "epoch_loss")) == set(range(EPOCHS))
    scales = [one.value for one in events.Scalars("tbx/interval_scale")]
    assert scales == sorted(scales)
    assert scales[-1] > 2


@pytest.mark.parametrize("k", [keras, tf_keras], ids=["keras", "tf_keras"])
def test_within_the_budget_every_record_is_made(k, tmp_path, monkeypatch):
    monkeypatch.setattr("tbx_keras.scheduling.overhead_budget.REVIEW_SECONDS", 0.0)
    events = fit(k, tmp_path, overhead_budget=1.0)
    assert len(gradient_epochs(events)) == EPOCHS
    assert set(scalar(events, "tbx/interval_scale").values()) == {1.0}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Run:
    """A training by a clock that the test moves: a sampled step in each epoch, the first one traced."""

    def __init__(self, steps: int, plain: float, sampled: float, traced: float, hook: float) -> None:
        self.clock, self.traces = Clock(), 0
        self.reporter = ErrorReporter(time=HookTime(self.clock))
        self.tracker = OverheadTracker(0.05, self.reporter, self.clock)
        self._lengths = (steps, plain, sampled, traced, hook)
        self.tracker.start()

    def epochs(self, number: int) -> None:
        steps, plain, sampled, traced, hook = self._lengths
        for _ in range(number):
            for step in range(steps):
                self.tracker.count(1)
                self.tracker.count_step(self.traces, step == 1, step == 0)
                first = step == 1 and not self.traces
                self.traces += first
                self.clock.now += traced if first else sampled if step == 1 else plain
            self.reporter.time.begin("an epoch")
            self.clock.now += hook
            self.reporter.time.end()
            self.tracker.review()

    def report(self):
        return Report.of(Counts(100, 0, 2000, 0), self.reporter, self.tracker, "runs/a")


@pytest.fixture
def _judged_as_in_life(_judged_from_the_beginning, monkeypatch) -> None:
    monkeypatch.setattr("tbx_keras.scheduling.overhead_budget.STEADY_SECONDS", 30.0)
    monkeypatch.setattr("tbx_keras.scheduling.overhead_budget.STEADY_STEPS", 100)
    monkeypatch.setattr("tbx_keras.scheduling.overhead_budget.REVIEW_SECONDS", 5.0)


EXPENSIVE = {"plain": 0.1, "sampled": 3.0, "traced": 20.0, "hook": 1.0}


@pytest.mark.usefixtures("_judged_as_in_life")
@pytest.mark.parametrize(("steps", "epochs"), [(8, 1), (8, 3), (20, 4), (98, 1)])
def test_a_short_run_is_never_judged(steps, epochs):
    """8 steps of a large network, few steps of a long run, many of a short one."""
    run = Run(steps, **EXPENSIVE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run.epochs(epochs)
    assert all(run.tracker.allows("gradients") for _ in range(2))
    assert not run.tracker.is_steady
    assert not run.report().steady


@pytest.mark.usefixtures("_judged_as_in_life")
def test_the_share_of_a_short_run_is_shown_only_where_it_is_small():
    run = Run(20, **EXPENSIVE)
    run.epochs(4)
    assert run.tracker.steady_fraction > 0.05
    assert "%" not in run.report().summary_line()
    assert f"recording took {run.tracker.steady_seconds:.2f} s, and " in run.report().summary_line()


@pytest.mark.usefixtures("_judged_as_in_life")
def test_a_steady_run_that_costs_too_much_is_judged_once():
    run = Run(20, **EXPENSIVE)
    with pytest.warns(RuntimeWarning, match="overhead_budget") as reported:
        run.epochs(20)
    assert len(reported) == 1
    assert not all(run.tracker.allows("gradients") for _ in range(2))


@pytest.mark.usefixtures("_judged_as_in_life")
def test_first_time_work_is_not_judged():
    run = Run(200, plain=0.1, sampled=0.2, traced=60.0, hook=0.01)
    run.reporter.time.begin("a compiler")
    run.clock.now += 50.0
    run.reporter.time.end()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run.epochs(4)
    assert run.tracker.is_steady
    assert run.tracker.first_time_seconds == pytest.approx(50.0 + 60.0 - 0.1 + 0.01)
    assert run.tracker.steady_seconds == pytest.approx(3 * 0.1 + 3 * 0.01)
    assert run.tracker.steady_fraction < 0.01


@pytest.mark.usefixtures("_judged_as_in_life")
def test_time_between_two_fits_is_not_training():
    run = Run(10, plain=1.0, sampled=1.0, traced=1.0, hook=0.0)
    run.epochs(1)
    run.tracker.stop()
    run.clock.now += 1000.0
    assert run.tracker.elapsed == pytest.approx(10.0)
    run.tracker.start()
    run.epochs(1)
    assert run.tracker.elapsed == pytest.approx(20.0)


@pytest.mark.usefixtures("_judged_as_in_life")
def test_the_closing_line_of_a_healthy_short_run_is_calm():
    run = Run(50, plain=0.01, sampled=0.02, traced=2.0, hook=0.001)
    run.epochs(2)
    assert run.report().summary_line() == (
        "tbx_keras: 100 values (2.0 kB) in runs/a; recording took 1.1% of the time, and 2.0 s once for "
        "first-time work (tracing, compiling)."
    )
