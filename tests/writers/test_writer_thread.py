"""The writer's thread waits for nobody, and nobody waits for it longer than said."""

import os
import threading
import time
import warnings

import pytest

from tbx_keras.errors import LogDirError
from tbx_keras.values import Deferred, RecordBatch, Scalar
from tbx_keras.writers import AsyncEventWriter
from tests.processes import run_python
from tests.reading import accumulate, scalar

LONG = 20.0  # seconds


def batch(values, step=1):
    return RecordBatch("train", "step", step, values, droppable=False)


def test_a_value_that_takes_long_holds_close_up_for_its_timeout_and_is_written_later(tmp_path):
    goes_on, writer = threading.Event(), AsyncEventWriter(tmp_path)
    writer.submit(batch(Deferred(lambda: [Scalar("slow", float(goes_on.wait(LONG)))], 1)))
    writer.submit(batch([Scalar("other", 1.0)]))
    began = time.monotonic()
    with pytest.warns(RuntimeWarning, match="still being written"):
        assert not writer.close(timeout=1.0)
    assert time.monotonic() - began < LONG / 2
    goes_on.set()
    assert writer.close()
    events = accumulate(tmp_path, "train")
    assert (scalar(events, "slow"), scalar(events, "other")) == ({1: 1.0}, {1: 1.0})
    assert (writer.counts.written, writer.counts.dropped) == (2, 0)


def test_a_value_that_asks_for_a_flush_is_told_that_it_is_not_done(tmp_path):
    writer, answers = AsyncEventWriter(tmp_path), []

    def fetch():
        answers.append(writer.flush(LONG))
        return [Scalar("asks", 1.0)]

    began = time.monotonic()
    writer.submit(batch(Deferred(fetch, 1)))
    assert writer.close()
    assert answers == [False]
    assert time.monotonic() - began < LONG / 2
    assert scalar(accumulate(tmp_path, "train"), "asks") == {1: 1.0}


def test_what_the_queue_turns_away_is_said_once(tmp_path):
    goes_on, writer = threading.Event(), AsyncEventWriter(tmp_path, max_queue=2)
    writer.submit(batch(Deferred(lambda: [Scalar("first", float(goes_on.wait(LONG)))], 1)))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for step in range(10):
            writer.submit(RecordBatch("train", "step", step, [Scalar("more", 1.0)]))
    goes_on.set()
    assert writer.close()
    assert [("some are dropped" in str(one.message)) for one in said] == [True]
    assert writer.counts.dropped >= 7


@pytest.mark.parametrize("name", ["\ud800", os.path.join(*["a"] * 3000)], ids=["no name", "too deep"])
def test_a_directory_that_cannot_be_is_refused_in_one_sentence(name, tmp_path):
    writer = AsyncEventWriter(tmp_path / name)
    with pytest.raises(LogDirError) as refused:
        writer.check()
    assert len(str(refused.value)) < 1000
    writer.submit(batch([Scalar("lost", 1.0)]))
    with pytest.warns(RuntimeWarning):
        assert not writer.close(timeout=2.0)
    assert writer.counts.dropped == 1


def test_where_file_names_are_ascii(tmp_path):
    """As in a container without a locale."""
    code = (
        "from tbx_keras.writers import AsyncEventWriter\n"
        "from tbx_keras.errors import LogDirError\n"
        "try: AsyncEventWriter('Gr\\u00f6\\u00dfe').check()\n"
        "except LogDirError as error: print(ascii(str(error)))\n"
    )
    plain = {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = run_python("-c", code, environment=plain, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "`log_dir` cannot be written" in done.stdout
