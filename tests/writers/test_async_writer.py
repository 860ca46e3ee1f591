import multiprocessing
import os
import threading

import numpy as np
import pytest

from tbx_keras.errors import LogDirError
from tbx_keras.values import STEP, Deferred, Histogram, Image, KerasGraph, RecordBatch, Scalar, Text
from tbx_keras.writers import AsyncEventWriter, writer_thread
from tbx_keras.writers import async_writer as hub_module
from tbx_keras.writers.records import unframed
from tests.reading import accumulate, scalar


def test_values_of_every_kind_are_read_back(tmp_path):
    writer = AsyncEventWriter(tmp_path)
    histogram = Histogram("h", np.array([0.0, 1.0, 2.0]), np.array([3, 4]), 0.0, 2.0, 7, 5.0, 9.0)
    pixels = np.zeros((2, 3, 4, 3), "uint8")
    writer.submit(
        RecordBatch(
            "run",
            None,
            5,
            [Scalar("s", 0.5), histogram, Image("i", pixels), Text("t", "x"), KerasGraph("g", "{}")],
        )
    )
    assert writer.close()
    events = accumulate(tmp_path, "run")
    assert scalar(events, "s") == {5: 0.5}
    read = events.Histograms("h")[0].histogram_value
    assert (list(read.bucket_limit), list(read.bucket)) == ([0, 1, 2], [0, 3, 4])
    assert set(events.Tags()["images"]) == {"i/0", "i/1"}
    assert set(events.Tags()["tensors"]) == {"t/text_summary", "g"}
    assert writer.counts.written == 5
    assert writer.counts.dropped == 0


def test_nothing_is_made_before_the_first_value(tmp_path):
    writer = AsyncEventWriter(tmp_path / "new")
    assert writer.flush()
    assert writer.close()
    assert not (tmp_path / "new").exists()


def test_a_function_runs_on_the_writers_thread(tmp_path):
    writer, threads = AsyncEventWriter(tmp_path), []

    def fetch():
        threads.append(threading.current_thread())
        return [Scalar("s", 1.0)]

    writer.submit(RecordBatch("", None, 1, Deferred(fetch, 0)))
    writer.close()
    assert threads[0] is not threading.current_thread()
    assert scalar(accumulate(tmp_path), "s") == {1: 1.0}


def test_a_function_that_fails_is_reported_once_and_the_others_go_on(tmp_path):
    writer = AsyncEventWriter(tmp_path)
    with pytest.warns(RuntimeWarning, match="collecting values.*ZeroDivisionError") as reported:
        for step in range(3):
            writer.submit(RecordBatch("", None, step, Deferred(lambda: 1 / 0, 0)))
            writer.submit(RecordBatch("", None, step, [Scalar("s", 1.0)]))
        writer.close()
    assert len(reported) == 1
    assert len(scalar(accumulate(tmp_path), "s")) == 3
    assert (writer.counts.dropped, writer.counts.errors) == (3, 3)


def test_scalars_of_one_step_share_a_record(tmp_path):
    writer = AsyncEventWriter(tmp_path)
    histogram = Histogram("h", np.array([0.0, 1.0]), np.array([3]), 0.0, 1.0, 3, 1.0, 1.0)
    writer.submit(RecordBatch("", None, 1, [Scalar("a", 1.0), Scalar("b", 2.0), histogram, Scalar("c", 3.0)]))
    writer.close()
    (name,) = os.listdir(tmp_path)
    with open(tmp_path / name, "rb") as file:
        assert len(list(unframed(file))) == 1 + 3  # the version of the file, then a, b together
    assert scalar(accumulate(tmp_path), "b") == {1: 2.0}
    assert writer.counts.written == 4


def test_a_scalar_that_is_no_number_does_not_take_the_others_with_it(tmp_path):
    writer = AsyncEventWriter(tmp_path)
    with pytest.warns(RuntimeWarning, match="encoding a value"):
        writer.submit(
            RecordBatch("", None, 1, [Scalar("a", 1.0), Scalar("b", "no number"), Scalar("c", 3.0)])
        )
        writer.close()
    events = accumulate(tmp_path)
    assert (scalar(events, "a"), scalar(events, "c")) == ({1: 1.0}, {1: 3.0})
    assert (writer.counts.written, writer.counts.dropped) == (2, 1)


def test_after_close_a_value_opens_a_file_of_its_own(tmp_path):
    writer = AsyncEventWriter(tmp_path)
    for step in range(3):
        writer.scalar("", "s", 1.0, step)
        assert writer.close()
    assert len(os.listdir(tmp_path)) == 3
    assert len(scalar(accumulate(tmp_path), "s")) == 3


def test_order_is_kept(tmp_path):
    writer = AsyncEventWriter(tmp_path)
    for step in range(5000):
        writer.scalar("", "s", step, step)
    writer.close()
    assert [event.step for event in accumulate(tmp_path).Scalars("s")] == list(range(5000))


def test_purge_hides_later_steps(tmp_path):
    first = AsyncEventWriter(tmp_path)
    for step in range(10):
        first.scalar("", "s", 1.0, step)
    first.close()
    second = AsyncEventWriter(tmp_path)
    second.purge("", 5)
    for step in range(5, 8):
        second.scalar("", "s", 2.0, step)
    second.close()
    assert scalar(accumulate(tmp_path), "s") == {step: 1.0 if step < 5 else 2.0 for step in range(8)}


def test_check_tells_what_is_wrong(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below", "/proc/nowhere"):
        with pytest.raises(LogDirError, match="log_dir"):
            AsyncEventWriter(path).check()


def test_check_leaves_nothing_behind(tmp_path):
    AsyncEventWriter(tmp_path).check()
    assert os.listdir(tmp_path) == []


def test_threads_write_each_value_once(tmp_path):
    writer = AsyncEventWriter(tmp_path)

    def put(thread):
        for step in range(500):
            writer.scalar("", f"s/{thread}", step, step)

    threads = [threading.Thread(target=put, args=(thread,)) for thread in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    events = accumulate(tmp_path)
    assert all(len(scalar(events, f"s/{thread}")) == 500 for thread in range(16))


def _write_in_child(writer, tag):
    writer.scalar("", tag, 1.0, 0)
    writer.close()


def test_after_a_fork_both_go_on_in_files_of_their_own(tmp_path):
    writer = AsyncEventWriter(tmp_path)
    writer.scalar("", "parent", 1.0, 0)
    children = [
        multiprocessing.get_context("fork").Process(target=_write_in_child, args=(writer, f"child/{number}"))
        for number in range(3)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join(20)
    writer.scalar("", "parent", 1.0, 1)
    writer.close()
    events = accumulate(tmp_path)
    assert set(events.Tags()["scalars"]) == {"parent", "child/0", "child/1", "child/2"}
    assert len(scalar(events, "parent")) == 2


@pytest.mark.parametrize("below", ["", "train"], ids=["same directory", "below"])
def test_a_restart_knows_what_other_writers_of_this_process_still_hold(below, tmp_path, monkeypatch):
    monkeypatch.setattr(
        writer_thread, "FLUSH_INTERVAL_S", 60.0
    )  # nothing gets to the disk but what is flushed
    broken_off, resumed = AsyncEventWriter(tmp_path / below), AsyncEventWriter(tmp_path)
    run = "" if below else "train"
    broken_off.submit(RecordBatch(run, STEP, 1, [Scalar("loss", 0.0)]))
    broken_off.flush()
    for step in range(2, 6):
        broken_off.submit(RecordBatch(run, STEP, step, [Scalar("loss", float(step))]))
    assert resumed.recorded("train", "loss") == {step: step for step in range(2, 6)} | {1: 0.0}
    broken_off.submit(RecordBatch(run, STEP, 6, [Scalar("loss", 6.0)]))
    resumed.restart(["train"], step=4, epoch=1)
    resumed.submit(RecordBatch("train", STEP, 5, [Scalar("loss", 50.0)]))
    assert resumed.close()
    assert broken_off.close()
    line = accumulate(tmp_path, "train").Scalars("loss")
    assert [(point.step, point.value) for point in line] == [(1, 0), (2, 2), (3, 3), (4, 4), (5, 50)]


def test_a_restart_does_not_wait_long_for_a_writer_that_is_stuck(tmp_path, monkeypatch):
    monkeypatch.setattr(hub_module, "OTHERS_TIMEOUT", 0.2)
    stuck, resumed, let_go = AsyncEventWriter(tmp_path), AsyncEventWriter(tmp_path), threading.Event()
    stuck.submit(RecordBatch("train", None, 1, Deferred(lambda: [Scalar("s", float(let_go.wait(60)))], 0)))
    resumed.restart(["train"], step=1, epoch=0)
    assert not let_go.is_set()
    let_go.set()
    assert stuck.close()
    assert resumed.close()
