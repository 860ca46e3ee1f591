import pytest

from tbx_keras.errors import ArgumentError
from tbx_keras.scheduling.overhead_budget import OverheadBudget, StepClock, budget_fraction


@pytest.fixture(autouse=True)
def _window(_time_to_record, monkeypatch) -> None:
    monkeypatch.setattr("tbx_keras.scheduling.overhead_budget.REVIEW_SECONDS", 5.0)


def test_within_the_budget_everything_is_recorded():
    budget = OverheadBudget(0.1)
    budget.spend(0.5)
    assert not budget.review(10.0)
    assert all(budget.allows("gradients") for _ in range(5))


def test_above_it_intervals_double_and_below_they_shrink_again():
    budget, scales, now = OverheadBudget(0.05), [], 0.0
    for share in (0.5, 0.5, 0.04, 0.0, 0.0):
        now += 10.0
        budget.spend(share * 10.0)
        budget.review(now)
        scales.append(budget.interval_scale)
    assert scales == [2, 4, 4, 2, 1]


def test_a_budget_of_1_never_stretches():
    budget = OverheadBudget(1.0)
    budget.spend(20.0)
    assert not budget.review(10.0)
    assert budget.interval_scale == 1


def test_a_short_window_is_not_judged():
    budget = OverheadBudget(0.05)
    budget.spend(1.0)
    assert not budget.review(1.0)
    assert budget.review(6.0)


def test_kinds_are_stretched_apart():
    budget = OverheadBudget(0.05)
    budget.spend(9.0)
    budget.review(10.0)
    assert [budget.allows("gradients") for _ in range(3)] == [True, False, True]
    assert [budget.allows("histograms") for _ in range(2)] == [True, False]


@pytest.mark.parametrize("received", [0, -0.1, 1.5, "5%", None, True])
def test_a_wrong_fraction(received):
    with pytest.raises(ArgumentError, match="overhead_budget"):
        budget_fraction(received)


def test_the_clock_tells_what_a_sampled_step_took_beyond_a_plain_one():
    clock, now = StepClock(known_after=2), 0.0
    clock.begin(now, False, True)
    extras = []
    for took, next_is_sampled in (
        (9.0, True),
        (7.0, False),
        (1.0, True),
        (3.0, False),
        (1.0, True),
        (3.0, False),
    ):
        now += took
        extras.append(clock.begin(now, next_is_sampled, False))
    assert extras == [0.0, 0.0, 0.0, 0.0, 0.0, pytest.approx(2.0)]  # first runs, then too few plain steps
    assert clock.seconds == pytest.approx(2.0)
    assert clock.first_time_seconds == pytest.approx(7.0 - 1.0)


def test_a_step_that_was_traced_is_first_time_work():
    clock, now = StepClock(known_after=1), 0.0
    clock.begin(now, False, True)
    for took, next_is_sampled, traced in (
        (1.0, False, False),
        (1.0, True, False),
        (2.0, True, False),
        (8.0, False, True),
    ):
        now += took
        assert clock.begin(now, next_is_sampled, False, traced) == 0.0
    assert clock.first_time_seconds == pytest.approx(1.0 + 7.0)


def test_the_time_between_epochs_is_no_steps():
    clock = StepClock()
    clock.begin(0.0, False, True)
    clock.begin(1.0, True, False)
    assert clock.begin(100.0, False, True) == 0.0
