"""Seconds of hooks, by a clock that the test moves."""

from tbx_keras.hook_time import HookTime


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def block(time: HookTime, clock: Clock, place: str, seconds: float, inside=lambda: None) -> None:
    time.begin(place)
    clock.now += seconds
    inside()
    time.end()


def test_the_first_run_of_a_place_is_first_time_work():
    clock = Clock()
    time = HookTime(clock)
    for seconds in (5.0, 1.0, 1.0):
        block(time, clock, "a hook", seconds)
    assert (time.seconds, time.first_time_seconds) == (7.0, 5.0)


def test_a_hook_within_a_hook_counts_once():
    clock = Clock()
    time = HookTime(clock)
    for _ in range(2):
        block(time, clock, "outer", 1.0, lambda: block(time, clock, "inner", 2.0))
    assert (time.seconds, time.first_time_seconds) == (6.0, 3.0)


def test_a_marked_block_within_a_later_run_is_first_time_work():
    clock = Clock()
    time = HookTime(clock)

    def trace():
        time.begin(first=True)
        clock.now += 4.0
        time.end()

    block(time, clock, "a hook", 1.0)
    block(time, clock, "a hook", 1.0, trace)
    assert (time.seconds, time.first_time_seconds) == (6.0, 5.0)


def test_another_model_has_first_runs_of_its_own():
    clock = Clock()
    time = HookTime(clock)
    block(time, clock, "a hook", 1.0)
    time.expect_first_runs()
    block(time, clock, "a hook", 2.0)
    assert time.first_time_seconds == 3.0
