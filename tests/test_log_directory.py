"""A fresh model in a used directory gets one of its own; a resumed one goes on where it was."""

import copy
import multiprocessing
import os
import warnings

import fsspec
import keras
import numpy as np
import pytest
import tf_keras

from tbx_keras import SummaryWriter, TbxLogger
from tbx_keras.errors import ArgumentError
from tbx_keras.writers.directories import make_next
from tests import zoo
from tests.reading import accumulate, scalar

KERASES = pytest.mark.parametrize("k", [keras, tf_keras], ids=["keras", "tf_keras"])


def compiled(k=keras):
    model = zoo.sequential(k)
    model.compile(k.optimizers.SGD(0.01), "mse")
    return model


def fit(logger, model=None, epochs=2, **arguments):
    """Fit, and return what was warned of."""
    model, (x, y) = compiled() if model is None else model, zoo.batch(16)
    callbacks = [logger, *arguments.pop("callbacks", ())]
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        model.fit(x, y, validation_data=(x, y), epochs=epochs, verbose=0, callbacks=callbacks, **arguments)
    assert logger.report.errors == logger.report.dropped == 0
    return [str(one.message) for one in found if "tbx_keras" in str(one.message)]


def losses(*path):
    return scalar(accumulate(*path), "epoch_loss")


@KERASES
def test_a_fresh_model_gets_a_directory_of_its_own(k, tmp_path):
    assert fit(TbxLogger(tmp_path), compiled(k)) == []
    before = losses(tmp_path, "train")
    for number in (2, 3):
        logger = TbxLogger(tmp_path)
        (message,) = fit(logger, compiled(k))
        directory = str(tmp_path / f"run-{number}")
        assert logger.log_dir == directory
        assert repr(directory) in message
        assert "on_existing='append'" in message
        assert set(os.listdir(directory)) == {"train", "validation"}
        for run in ("train", "validation"):
            assert set(losses(directory, run)) == {0, 1}
    assert losses(tmp_path, "train") == before
    assert set(os.listdir(tmp_path)) == {"train", "validation", "run-2", "run-3"}


@pytest.mark.slow
def test_append_records_into_the_same_directory(tmp_path):
    for _ in range(2):
        logger = TbxLogger(tmp_path, on_existing="append")
        assert fit(logger) == []
        assert logger.log_dir == str(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["train", "validation"]
    assert len(accumulate(tmp_path, "train").Scalars("epoch_loss")) == 4


@pytest.mark.parametrize("received", ["overwrite", None, True, 1, ["new"]])
def test_anything_else_is_an_error_of_the_argument(received):
    with pytest.raises(ArgumentError, match='`on_existing` is wrong.*"new" or "append"'):
        TbxLogger("logs", on_existing=received)


@pytest.mark.slow
@KERASES
def test_one_logger_in_several_fits_stays(k, tmp_path):
    logger = TbxLogger(tmp_path)
    for _ in range(2):  # of a fresh model each
        assert fit(logger, compiled(k)) == []
    assert logger.log_dir == str(tmp_path)
    assert set(losses(tmp_path, "train")) == {0, 1, 2, 3}


def test_a_model_that_trained_already_goes_on(tmp_path):
    model = compiled()
    fit(TbxLogger(tmp_path), model)
    logger = TbxLogger(tmp_path)
    assert fit(logger, model) == []
    assert logger.log_dir == str(tmp_path)
    assert set(losses(tmp_path, "train")) == {0, 1, 2, 3}


@pytest.mark.slow
@KERASES
def test_a_run_that_was_restored_by_another_callback_goes_on(k, tmp_path):
    """The logger comes before the callback that restores the model."""

    class Stop(Exception):
        pass

    def stop(epoch, logs):
        if epoch == 2:
            raise Stop

    def backup():
        return k.callbacks.BackupAndRestore(str(tmp_path / "backup"))

    stops = k.callbacks.LambdaCallback(on_epoch_begin=stop)
    with pytest.raises(Stop):
        fit(TbxLogger(tmp_path / "logs"), compiled(k), 4, callbacks=[backup(), stops])
    logger = TbxLogger(tmp_path / "logs")
    assert fit(logger, compiled(k), 4, callbacks=[backup()]) == []
    assert logger.log_dir == str(tmp_path / "logs")
    assert list(losses(tmp_path, "logs", "train")) == [0, 1, 2, 3]


def test_a_resumed_run_goes_on_in_the_newest_directory(tmp_path):
    fit(TbxLogger(tmp_path))
    model = compiled()
    fit(TbxLogger(tmp_path), model)
    logger = TbxLogger(tmp_path)
    assert fit(logger, model, 4, initial_epoch=2) == []
    assert logger.log_dir == str(tmp_path / "run-2")
    assert set(losses(tmp_path, "run-2", "train")) == {0, 1, 2, 3}
    assert set(losses(tmp_path, "train")) == {0, 1}


def test_a_writer_of_the_users_beside_the_logger_is_no_earlier_run(tmp_path):
    with SummaryWriter(tmp_path / "train") as writer:
        writer.add_text("settings", "before the first fit")
    del writer
    logger = TbxLogger(tmp_path)
    assert fit(logger) == []
    assert logger.log_dir == str(tmp_path)
    again = TbxLogger(tmp_path)
    assert len(fit(again)) == 1
    assert again.log_dir == str(tmp_path / "run-2")


def test_keras_own_callback_in_the_same_fit_is_no_earlier_run(tmp_path):
    logger = TbxLogger(tmp_path)
    assert fit(logger, callbacks=[keras.callbacks.TensorBoard(tmp_path)]) == []
    assert logger.log_dir == str(tmp_path)


@pytest.mark.parametrize("run", ["train", "validation"])
def test_what_any_other_program_recorded_is_an_earlier_run(run, tmp_path):
    (tmp_path / run).mkdir()
    (tmp_path / run / "events.out.tfevents.1700000000.elsewhere.1.0.v2").write_bytes(b"")
    logger = TbxLogger(tmp_path)
    assert len(fit(logger)) == 1
    assert logger.log_dir == str(tmp_path / "run-2")


def test_other_runs_beside_are_no_earlier_run(tmp_path):
    with SummaryWriter(tmp_path / "mine") as writer:
        writer.add_scalar("loss", 1.0, 1)
    logger = TbxLogger(tmp_path)
    assert fit(logger) == []
    assert logger.log_dir == str(tmp_path)


@pytest.mark.slow
def test_an_evaluation_before_the_fit_does_not_draw_into_the_earlier_run(tmp_path):
    fit(TbxLogger(tmp_path))
    logger, model = TbxLogger(tmp_path), compiled()
    with pytest.warns(RuntimeWarning, match="holds an earlier run"):
        model.evaluate(*zoo.batch(16), verbose=0, callbacks=[logger])
    written = logger.report.written
    assert written > 0
    assert fit(logger, model) == []
    assert set(losses(tmp_path, "run-2", "train")) == {0, 1}
    assert logger.report.written > written + 10
    tag = "evaluation_loss_vs_iterations"
    assert accumulate(tmp_path, "run-2", "validation").Scalars(tag)[0].step == 0
    assert 0 not in [one.step for one in accumulate(tmp_path, "validation").Scalars(tag)]


@pytest.mark.slow
def test_labels_of_embeddings_and_profiles_follow(tmp_path):
    (tmp_path / "words.tsv").write_text("\n".join(f"word {row}" for row in range(20)))
    x, y = np.zeros((4, 4), "int32"), np.ones((4, 1), "float32")
    for number in range(2):
        model = zoo.with_embedding(keras)
        model.compile("sgd", "mse")
        logger = TbxLogger(tmp_path, embeddings_freq=1, embeddings_metadata="words.tsv", profile_batch=1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(x, y, verbose=0, callbacks=[logger])
        assert logger.report.errors == 0
        assert logger.log_dir == str(tmp_path / "run-2" if number else tmp_path)
    run = tmp_path / "run-2" / "train"
    assert list((run / "plugins" / "profile").iterdir())
    config = (run / "projector_config.pbtxt").read_text()
    (path,) = [line.split('"')[1] for line in config.splitlines() if "metadata_path" in line]
    assert (run / path).read_text().startswith("word 0")


@pytest.mark.slow
def test_a_copy_begins_at_the_directory_that_was_asked_for(tmp_path):
    fit(TbxLogger(tmp_path))
    logger = TbxLogger(tmp_path)
    fit(logger)
    assert copy.deepcopy(logger).log_dir == str(tmp_path)


@pytest.mark.slow
def test_in_an_object_store(tmp_path):
    url = f"memory://{tmp_path.name}/logs"
    for number in range(3):
        logger = TbxLogger(url)
        assert len(fit(logger)) == bool(number)
        assert logger.log_dir == (f"{url}/run-{number + 1}" if number else url)
    system, path = fsspec.core.url_to_fs(url)
    system.get(f"{path}/", f"{tmp_path / 'copy'}/", recursive=True)
    for run in ("", "run-2", "run-3"):
        assert set(losses(tmp_path, "copy", run, "train")) == {0, 1}


def test_a_directory_that_cannot_be_made_ends_no_training(tmp_path, monkeypatch):
    fit(TbxLogger(tmp_path))

    def refused(path, *more):
        raise PermissionError(f"no directory {path}")

    monkeypatch.setattr("tbx_keras.writers.directories.os.mkdir", refused)
    logger, model = TbxLogger(tmp_path), compiled()
    with pytest.warns(RuntimeWarning, match="choosing the directory of the run failed.*on_existing"):
        model.fit(*zoo.batch(16), epochs=1, verbose=0, callbacks=[logger])
    assert logger.report.errors == 1
    assert len(accumulate(tmp_path, "train").Scalars("epoch_loss")) == 3


def _make(directory, barrier, made):
    barrier.wait()
    made.extend([make_next(directory) for _ in range(20)])


def test_processes_that_decide_at_once_get_directories_of_their_own(tmp_path):
    context = multiprocessing.get_context("fork")
    with context.Manager() as manager:
        made, barrier = manager.list(), manager.Barrier(4)
        processes = [context.Process(target=_make, args=(str(tmp_path), barrier, made)) for _ in range(4)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(60)
        found = list(made)
    assert len(found) == len(set(found)) == 80
    assert sorted(os.listdir(tmp_path)) == sorted(map(os.path.basename, found))
