import multiprocessing
import os
import threading

import numpy as np
import pytest

from tbx_keras.errors import LogDirError
from tbx_keras.values import STEP, Deferred, Histogram, Image, KerasGraph, Scalar, Text
from tbx_keras.writers import EventHub, worker
from tbx_keras.writers import hub as hub_module
from tbx_keras.writers.records import unframed
from tests.reading import accumulate, scalar


def test_values_of_every_kind_are_read_back(tmp_path):
    hub = EventHub(tmp_path)
    histogram = Histogram("h", np.array([0.0, 1.0, 2.0]), np.array([3, 4]), 0.0, 2.0, 7, 5.0, 9.0)
    pixels = np.zeros((2, 3, 4, 3), "uint8")
    hub.write(
        "run", 5, [Scalar("s", 0.5), histogram, Image("i", pixels), Text("t", "x"), KerasGraph("g", "{}")]
    )
    assert hub.close()
    events = accumulate(tmp_path, "run")
    assert scalar(events, "s") == {5: 0.5}
    read = events.Histograms("h")[0].histogram_value
    assert (list(read.bucket_limit), list(read.bucket)) == ([0, 1, 2], [0, 3, 4])
    assert set(events.Tags()["images"]) == {"i/0", "i/1"}
    assert set(events.Tags()["tensors"]) == {"t/text_summary", "g"}
    assert hub.counts.written == 5
    assert hub.counts.dropped == 0


def test_nothing_is_made_before_the_first_value(tmp_path):
    hub = EventHub(tmp_path / "new")
    assert hub.flush()
    assert hub.close()
    assert not (tmp_path / "new").exists()


def test_a_function_runs_on_the_writers_thread(tmp_path):
    hub, threads = EventHub(tmp_path), []

    def fetch():
        threads.append(threading.current_thread())
        return [Scalar("s", 1.0)]

    hub.write("", 1, Deferred(fetch, 0))
    hub.close()
    assert threads[0] is not threading.current_thread()
    assert scalar(accumulate(tmp_path), "s") == {1: 1.0}


def test_a_function_that_fails_is_told_once_and_the_others_go_on(tmp_path):
    hub = EventHub(tmp_path)
    with pytest.warns(RuntimeWarning, match="collecting values.*ZeroDivisionError") as told:
        for step in range(3):
            hub.write("", step, Deferred(lambda: 1 / 0, 0))
            hub.write("", step, [Scalar("s", 1.0)])
        hub.close()
    assert len(told) == 1
    assert len(scalar(accumulate(tmp_path), "s")) == 3
    assert (hub.counts.dropped, hub.counts.errors) == (3, 3)


def test_scalars_of_one_step_share_a_record(tmp_path):
    hub = EventHub(tmp_path)
    histogram = Histogram("h", np.array([0.0, 1.0]), np.array([3]), 0.0, 1.0, 3, 1.0, 1.0)
    hub.write("", 1, [Scalar("a", 1.0), Scalar("b", 2.0), histogram, Scalar("c", 3.0)])
    hub.close()
    (name,) = os.listdir(tmp_path)
    with open(tmp_path / name, "rb") as file:
        assert len(list(unframed(file))) == 1 + 3  # the version of the file, then a, b together
    assert scalar(accumulate(tmp_path), "b") == {1: 2.0}
    assert hub.counts.written == 4


def test_a_scalar_that_is_no_number_does_not_take_the_others_with_it(tmp_path):
    hub = EventHub(tmp_path)
    with pytest.warns(RuntimeWarning, match="encoding a value"):
        hub.write("", 1, [Scalar("a", 1.0), Scalar("b", "no number"), Scalar("c", 3.0)])
        hub.close()
    events = accumulate(tmp_path)
    assert (scalar(events, "a"), scalar(events, "c")) == ({1: 1.0}, {1: 3.0})
    assert (hub.counts.written, hub.counts.dropped) == (2, 1)


def test_after_close_a_value_opens_a_file_of_its_own(tmp_path):
    hub = EventHub(tmp_path)
    for step in range(3):
        hub.scalar("", "s", 1.0, step)
        assert hub.close()
    assert len(os.listdir(tmp_path)) == 3
    assert len(scalar(accumulate(tmp_path), "s")) == 3


def test_order_is_kept(tmp_path):
    hub = EventHub(tmp_path)
    for step in range(5000):
        hub.scalar("", "s", step, step)
    hub.close()
    assert [event.step for event in accumulate(tmp_path).Scalars("s")] == list(range(5000))


def test_purge_hides_later_steps(tmp_path):
    first = EventHub(tmp_path)
    for step in range(10):
        first.scalar("", "s", 1.0, step)
    first.close()
    second = EventHub(tmp_path)
    second.purge("", 5)
    for step in range(5, 8):
        second.scalar("", "s", 2.0, step)
    second.close()
    assert scalar(accumulate(tmp_path), "s") == {step: 1.0 if step < 5 else 2.0 for step in range(8)}


def test_check_tells_what_is_wrong(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below", "/proc/nowhere"):
        with pytest.raises(LogDirError, match="log_dir"):
            EventHub(path).check()


def test_check_leaves_nothing_behind(tmp_path):
    EventHub(tmp_path).check()
    assert os.listdir(tmp_path) == []


def test_threads_write_each_value_once(tmp_path):
    hub = EventHub(tmp_path)

    def put(thread):
        for step in range(500):
            hub.scalar("", f"s/{thread}", step, step)

    threads = [threading.Thread(target=put, args=(thread,)) for thread in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    hub.close()
    events = accumulate(tmp_path)
    assert all(len(scalar(events, f"s/{thread}")) == 500 for thread in range(16))


def _write_in_child(hub, tag):
    hub.scalar("", tag, 1.0, 0)
    hub.close()


def test_after_a_fork_both_go_on_in_files_of_their_own(tmp_path):
    hub = EventHub(tmp_path)
    hub.scalar("", "parent", 1.0, 0)
    children = [
        multiprocessing.get_context("fork").Process(target=_write_in_child, args=(hub, f"child/{number}"))
        for number in range(3)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join(20)
    hub.scalar("", "parent", 1.0, 1)
    hub.close()
    events = accumulate(tmp_path)
    assert set(events.Tags()["scalars"]) == {"parent", "child/0", "child/1", "child/2"}
    assert len(scalar(events, "parent")) == 2


@pytest.mark.parametrize("below", ["", "train"], ids=["same directory", "below"])
def test_a_restart_knows_what_other_writers_of_this_process_still_hold(below, tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "REST", 60.0)  # nothing gets to the disk but what is flushed
    broken_off, resumed = EventHub(tmp_path / below), EventHub(tmp_path)
    run = "" if below else "train"
    broken_off.write(run, 1, [Scalar("loss", 0.0)], axis=STEP)
    broken_off.flush()
    for step in range(2, 6):
        broken_off.write(run, step, [Scalar("loss", float(step))], axis=STEP)
    assert resumed.recorded("train", "loss") == {step: step for step in range(2, 6)} | {1: 0.0}
    broken_off.write(run, 6, [Scalar("loss", 6.0)], axis=STEP)
    resumed.restart(["train"], step=4, epoch=1)
    resumed.write("train", 5, [Scalar("loss", 50.0)], axis=STEP)
    assert resumed.close()
    assert broken_off.close()
    line = accumulate(tmp_path, "train").Scalars("loss")
    assert [(point.step, point.value) for point in line] == [(1, 0), (2, 2), (3, 3), (4, 4), (5, 50)]


def test_a_restart_does_not_wait_long_for_a_writer_that_is_stuck(tmp_path, monkeypatch):
    monkeypatch.setattr(hub_module, "OTHERS_TIMEOUT", 0.2)
    stuck, resumed, let_go = EventHub(tmp_path), EventHub(tmp_path), threading.Event()
    stuck.write("train", 1, Deferred(lambda: [Scalar("s", float(let_go.wait(60)))], 0))
    resumed.restart(["train"], step=1, epoch=0)
    assert not let_go.is_set()
    let_go.set()
    assert stuck.close()
    assert resumed.close()
