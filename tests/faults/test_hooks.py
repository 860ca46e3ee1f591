"""Hooks in any order, also in wrong ones: nothing reaches the caller, and what is written is readable."""

import os
import warnings

import keras
import pytest
import tf_keras
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tbx_keras import TbxLogger
from tbx_keras.scheduling.triggers import EveryNEpochs, EveryNSteps
from tbx_keras.writers import AsyncEventWriter
from tbx_keras.writers.names import MAX_TAG, Tags, clean_tag, run_directory
from tests import zoo
from tests.reading import accumulate, scalar

QUIET = settings(
    max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None
)
LOGS = st.one_of(
    st.none(),
    st.dictionaries(
        st.text(max_size=8), st.one_of(st.floats(), st.integers(), st.text(max_size=3), st.none()), max_size=3
    ),
)
NUMBER = st.integers(-3, 10)
HOOKS = st.one_of(
    st.tuples(st.sampled_from(["on_train_begin", "on_train_end", "on_test_begin", "on_test_end"]), LOGS),
    st.tuples(st.sampled_from(["on_epoch_begin", "on_epoch_end"]), NUMBER, LOGS),
    st.tuples(st.sampled_from(["on_train_batch_begin", "on_train_batch_end"]), NUMBER, LOGS),
    st.tuples(st.just("set_model"), st.sampled_from([0, 1, 2])),
    st.tuples(st.just("fit"), st.sampled_from([0, 1, 2])),
)


def models():
    found = [zoo.sequential(keras), zoo.nested(keras), zoo.sequential(tf_keras)]
    for model in found:
        model.compile("sgd", "mse")
    return found


MODELS: list = []


@pytest.mark.slow
@QUIET
@given(st.lists(HOOKS, max_size=12), st.booleans())
def test_hooks_in_any_order(tmp_path_factory, hooks, histograms):
    MODELS[:] = MODELS or models()
    directory = tmp_path_factory.mktemp("hooks")
    logger = TbxLogger(directory, histogram_freq=int(histograms), update_freq=2, gradient_freq=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, *arguments in hooks:
            if name == "fit":
                MODELS[arguments[0]].fit(*zoo.batch(16), batch_size=8, verbose=0, callbacks=[logger])
            elif name == "set_model":
                logger.set_model(MODELS[arguments[0]])
            else:
                getattr(logger, name)(*arguments)
        logger._writer.close()
    for folder, _, names in os.walk(directory):
        if names:
            accumulate(folder)


def test_without_a_model_the_metrics_are_recorded(tmp_path):
    """A loop that calls the hooks by hand and has no Keras model to show."""
    logger = TbxLogger(tmp_path, update_freq=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        logger.on_train_begin()
        for epoch in range(2):
            logger.on_epoch_begin(epoch)
            for batch in range(3):
                logger.on_train_batch_begin(batch)
                logger.on_train_batch_end(batch, {"loss": float(batch)})
            logger.on_test_begin()
            logger.on_test_end({"loss": 4.0})
            logger.on_epoch_end(epoch, {"loss": 1.0, "val_loss": 4.0})
        logger.on_train_end()
    train, validation = accumulate(tmp_path, "train"), accumulate(tmp_path, "validation")
    assert scalar(train, "batch_loss") == {step: (step - 1) % 3 for step in range(1, 7)}
    assert scalar(train, "epoch_loss") == {0: 1.0, 1: 1.0}
    assert scalar(validation, "epoch_loss") == {0: 4.0, 1: 4.0}
    assert scalar(validation, "evaluation_loss_vs_iterations") == {3: 4.0, 6: 4.0}
    assert logger.report.errors == 0


@QUIET
@given(st.lists(st.tuples(st.text(), st.floats(), st.integers(-(2**63), 2**63 - 1)), max_size=8))
def test_any_tag_and_value_is_readable(tmp_path_factory, scalars):
    directory = tmp_path_factory.mktemp("tags")
    writer = AsyncEventWriter(directory)
    for tag, value, step in scalars:
        writer.scalar("run", tag, value, step)
    writer.close()
    assert writer.counts.dropped == 0
    if scalars:
        events = accumulate(directory, "run")
        assert sum(len(events.Scalars(tag)) for tag in events.Tags()["scalars"]) == len(scalars)


@given(st.lists(st.text(max_size=2000), unique=True, max_size=20))
def test_tags_are_safe_and_never_become_one(tags):
    clean = Tags()
    found = [clean(tag) for tag in tags]
    assert len(set(found)) == len(tags)
    assert all(one and len(one) <= MAX_TAG + 5 and not one.startswith("/") for one in found)
    assert all(clean_tag(one) for one in tags)


@given(st.text(max_size=60))
def test_a_run_is_below_its_log_directory(run):
    path = os.path.normpath(run_directory("/logs", run))
    assert path == "/logs" or path.startswith("/logs/")
    assert "\0" not in path


@given(st.integers(0, 50), st.integers(1, 500), st.integers(0, 20))
def test_a_schedule_of_steps_is_due_as_often_as_it_says(frequency, first, more):
    schedule, last = EveryNSteps(frequency), first + more
    one_by_one = any(schedule.due(step, step, False) for step in range(first, last + 1))
    assert schedule.due(first, last, False) is one_by_one
    assert not frequency or one_by_one == any(step % frequency == 0 for step in range(first, last + 1))


@given(st.integers(0, 50), st.integers(0, 500))
def test_a_schedule_of_epochs_is_that_of_keras(frequency, epoch):
    assert EveryNEpochs(frequency).due(epoch) is bool(frequency and epoch % frequency == 0)
