import numpy as np

from tbx_keras.scheduling.position import TrainingPosition


def fit(progress, epochs, iterations, optimizer=1, first=0, batches=3):
    """Run epochs as Keras would; returns the (epoch, step) pairs that result."""
    seen = []
    progress.begin_fit()
    for epoch in range(first, epochs):
        progress.begin_epoch(epoch, iterations, optimizer)
        for batch in range(batches):
            progress.begin_batch(batch, 1)
            seen.append((progress.epoch, progress.end_batch(batch)))
        iterations += batches
        progress.end_epoch()
    return seen


def test_steps_count_from_one_and_epochs_from_zero():
    assert fit(TrainingPosition(), 2, 0) == [(0, 1), (0, 2), (0, 3), (1, 4), (1, 5), (1, 6)]


def test_a_second_fit_goes_on():
    progress = TrainingPosition()
    fit(progress, 2, 0)
    assert fit(progress, 1, 6) == [(2, 7), (2, 8), (2, 9)]


def test_a_caller_who_numbers_epochs_on_is_believed():
    progress = TrainingPosition()
    fit(progress, 2, 0)
    assert fit(progress, 3, 6, first=2)[0] == (2, 7)


def test_a_restored_optimizer_begins_at_its_own_count():
    assert fit(TrainingPosition(), 5, 40, first=4)[0] == (4, 41)


def test_a_new_optimizer_goes_on_where_the_old_one_stood():
    progress = TrainingPosition()
    fit(progress, 2, 0, optimizer=1)
    assert fit(progress, 1, 0, optimizer=2)[0] == (2, 7)


def test_an_execution_spans_several_steps():
    progress = TrainingPosition()
    progress.begin_fit()
    progress.begin_epoch(0, 0, 1)
    assert progress.begin_batch(0, 4) == (1, 4)
    assert progress.begin_batch(4, 4) == (5, 8)


def test_without_an_optimizer_steps_are_counted():
    progress = TrainingPosition()
    progress.begin_fit()
    for _ in range(2):
        progress.begin_epoch(0, None, 1)
        progress.end_batch(2)
    assert progress.step == 6


def test_steps_that_a_loss_scale_skipped_do_not_turn_the_clock_back():
    progress = TrainingPosition()
    fit(progress, 1, 0, batches=5)
    assert fit(progress, 1, 3)[0] == (1, 6)  # 5 steps, 2 of them skipped


def test_an_execution_of_several_steps_ends_with_the_epoch():
    progress, seen = TrainingPosition(), []
    progress.begin_fit(10)
    for epoch in range(2):
        progress.begin_epoch(epoch, epoch * 10, 1)
        for batch in (0, 4, 8):
            first, last = progress.begin_batch(batch, 4)
            assert progress.end_batch(batch + 3) == last
            seen.append((first, last))
    assert seen == [(1, 4), (5, 8), (9, 10), (11, 14), (15, 18), (19, 20)]


def test_an_epoch_that_was_restored_in_its_middle():
    """tf_keras goes on with a later batch, and counts in NumPy's integers."""
    progress = TrainingPosition()
    progress.begin_fit(5)
    progress.begin_epoch(np.int64(1), 6, 1)
    assert progress.begin_batch(np.int64(1), 1) == (7, 7)
    assert progress.end_batch(np.int64(1)) == 7
    assert type(progress.epoch) is type(progress.step) is int
    assert [progress.begin_batch(batch, 1)[0] for batch in (2, 3, 4)] == [8, 9, 10]
