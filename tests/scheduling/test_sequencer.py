"""What ends in any order, on any thread, runs in the order of steps."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tbx_keras.scheduling.position import TrainingPosition
from tbx_keras.scheduling.sequencer import StepSequencer


def begin(sequencer, numbers, base=0):
    for number in numbers:
        sequencer.begin(number, base + number + 1)


def end(sequencer, numbers, steps):
    for number in numbers:
        sequencer.end(number, -1, steps.append)


@pytest.mark.parametrize("seed", range(20))
def test_shuffled_ends_run_in_order(seed):
    sequencer, steps, numbers = StepSequencer(), [], list(range(50))
    random.Random(seed).shuffle(numbers)
    begin(sequencer, sorted(numbers))
    end(sequencer, numbers, steps)
    assert steps == list(range(1, 51))


@pytest.mark.parametrize("seed", range(20))
def test_begins_and_ends_shuffled_together(seed):
    """Each step begins before it ends; the begins are out of order among themselves too."""
    draw, sequencer, steps = random.Random(seed), StepSequencer(), []
    waiting, begun = list(range(60)), []
    draw.shuffle(waiting)
    expected = []
    while waiting or begun:
        if waiting and (not begun or draw.random() < 0.5):
            begun.append(waiting.pop())
            begin(sequencer, begun[-1:])
        else:
            end(sequencer, [begun.pop(draw.randrange(len(begun)))], steps)
            expected.append(set(steps))
    assert sorted(steps) == list(range(1, 61))
    for before, after in zip(expected, expected[1:]):
        assert before <= after
        released = [step for step in steps if step in after - before]
        assert released == sorted(released)


def test_an_action_waits_for_earlier_steps_that_have_begun_and_for_no_others():
    sequencer, steps = StepSequencer(), []
    begin(sequencer, [0, 1, 7])
    end(sequencer, [7], steps)
    assert steps == []
    end(sequencer, [0], steps)
    assert steps == [1]
    end(sequencer, [1], steps)
    assert steps == [1, 2, 8]  # numbers 2 to 6 never began


@pytest.mark.parametrize("seed", range(5))
def test_a_pool_of_threads(seed):
    """The training thread begins steps, a pool ends them: all run, in order, one at a time."""
    draw, sequencer, steps, active = random.Random(seed), StepSequencer(), [], []
    pauses = [threading.Event() for _ in range(400)]

    def action(step):
        active.append(step)
        assert len(active) == 1
        steps.append(step)
        active.remove(step)

    def hook(number):
        pauses[number].wait()
        sequencer.end(number, -1, action)

    order = list(range(400))
    for start in range(0, 400, 8):  # of 8 in flight, any may be first
        part = order[start : start + 8]
        draw.shuffle(part)
        order[start : start + 8] = part
    with ThreadPoolExecutor(8) as pool:
        futures = []
        for number in range(400):
            sequencer.begin(number, number + 1)
            futures.append(pool.submit(hook, number))
        for number in order:
            pauses[number].set()
        for future in futures:
            future.result()
    assert steps == list(range(1, 401))


def test_no_thread_waits_for_an_action_that_another_one_runs():
    sequencer, steps = StepSequencer(), []
    inside, go_on = threading.Event(), threading.Event()

    def slow(step):
        inside.set()
        assert go_on.wait(60)
        steps.append(step)

    begin(sequencer, range(3))
    other = threading.Thread(target=sequencer.end, args=(0, -1, slow))
    other.start()
    assert inside.wait(60)
    begin(sequencer, [3])
    end(sequencer, [1, 2, 3], steps)  # these would hang if they waited
    sequencer.release()
    assert steps == []
    go_on.set()
    other.join()
    assert steps == [1, 2, 3, 4]


def test_a_hook_that_never_comes_holds_back_no_more_than_the_bound():
    sequencer, steps = StepSequencer(most=10), []
    begin(sequencer, [0])  # never ends
    for number in range(1, 100):
        begin(sequencer, [number])
        end(sequencer, [number], steps)
        assert number - len(steps) <= 10
    assert steps == list(range(2, 101))


def test_memory_is_bounded():
    """Begins without ends, ends without begins, and pairs: nothing of ours grows."""
    sequencer = StepSequencer(most=10)
    for number in range(1000):
        sequencer.begin(number, number)
        assert sizes(sequencer) <= 60
    sequencer.release()
    for number in range(1000, 2000):
        sequencer.end(number, number, str)
    for number in range(2000, 3000):
        sequencer.begin(number, number)
        sequencer.end(number, number, str)
    assert sizes(sequencer) <= 60
    sequencer.begin(5000, 5000)
    for number in range(6000, 7000):
        sequencer.begin(number, number)
        sequencer.end(number, number, str)
        assert sizes(sequencer) <= 120


def sizes(sequencer) -> int:
    return sum(len(value) for value in vars(sequencer).values() if hasattr(value, "__len__"))


def test_a_late_hook_of_the_epoch_before_keeps_its_step():
    sequencer, steps = StepSequencer(), []
    begin(sequencer, range(3))
    end(sequencer, [0, 2], steps)
    begin(sequencer, range(3), base=3)  # the next epoch: the same numbers
    end(sequencer, [0], steps)
    assert steps == [1]
    end(sequencer, [1], steps)
    assert steps == [1, 2, 3, 4]
    end(sequencer, [2, 1], steps)
    assert steps == [1, 2, 3, 4, 5, 6]
    assert sequencer.last == 6


def test_a_step_that_failed_holds_back_nothing_of_the_next_fit():
    sequencer, steps = StepSequencer(), []
    begin(sequencer, range(4))  # 3 raises; the hooks of 1 and 2 are late
    end(sequencer, [0, 2], steps)
    sequencer.release()
    begin(sequencer, [0, 1], base=2)
    end(sequencer, [1, 0], steps)
    assert steps == [1, 3, 3, 4]
    begin(sequencer, [2, 3], base=2)
    end(sequencer, [3, 2], steps)
    assert steps[-2:] == [5, 6]


def test_a_late_hook_of_a_fit_that_failed_keeps_its_step():
    sequencer, steps = StepSequencer(), []
    begin(sequencer, range(8))
    sequencer.release()
    begin(sequencer, [0], base=100)
    end(sequencer, [7, 0], steps)
    assert steps == [8, 101]


def test_without_a_begin_the_step_is_that_of_the_caller():
    sequencer, steps = StepSequencer(), []
    sequencer.end(4, 5, steps.append)
    sequencer.begin(7, 8)
    sequencer.end(9, 8, steps.append)  # the step began under another number
    sequencer.begin(8, 9)
    end(sequencer, [8], steps)
    assert steps == [5, 8, 9]


def test_an_action_that_raises_does_not_end_the_others():
    sequencer, steps = StepSequencer(), []

    def fails(step):
        raise ValueError(step)

    begin(sequencer, range(3))
    end(sequencer, [1], steps)
    with pytest.raises(ValueError, match="1"):
        sequencer.end(0, -1, fails)
    end(sequencer, [2], steps)
    assert steps == [2, 3]


@pytest.mark.parametrize("seed", range(10))
def test_progress_counts_right_whatever_order_hooks_come_in(seed):
    draw, progress, sequencer, steps = random.Random(seed), TrainingPosition(), StepSequencer(), []

    def advance(step):
        progress.advance(step)
        steps.append(progress.step)

    progress.begin_fit(10, in_order=False)
    for epoch in range(3):
        progress.begin_epoch(epoch, 10 * epoch, 1)
        begins, ends = list(range(10)), list(range(10))
        draw.shuffle(begins)
        draw.shuffle(ends)
        for batch in begins:
            first, last = progress.begin_batch(batch, 1)
            assert first == last == 10 * epoch + batch + 1
            sequencer.begin(batch, last)
        for batch in ends:
            sequencer.end(batch, progress.step_of(batch), advance)
        progress.end_epoch()
    assert steps == list(range(1, 31))
