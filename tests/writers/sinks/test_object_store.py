"""Parts of a run in an object store: whole, in order, and within the budget of bytes."""

import fsspec
import numpy as np
import pytest

from tbx_keras import SummaryWriter
from tbx_keras.errors import LogDirError, MissingDependencyError
from tbx_keras.writers import AsyncEventWriter
from tbx_keras.writers.sinks import object_store
from tests.reading import accumulate, scalar
from tests.stores import fetched


@pytest.fixture
def store():
    """An object store in memory."""
    system = fsspec.filesystem("memory")
    system.store.clear()
    yield system
    system.store.clear()


def event(size: int) -> bytes:
    from tensorboardX.proto.event_pb2 import Event

    return Event(step=1, file_version="x" * size).SerializeToString()


@pytest.mark.parametrize("push_every", [20_000, 100_000, 700_000, 3_000_000])
def test_a_run_of_100_mb_sends_less_than_300(store, push_every):
    file = object_store.ObjectStore("memory://logs/run")
    recorded, since, one = 0, 0, event(10_000)
    while recorded < 100e6:
        file.append(one)
        recorded, since = recorded + len(one), since + len(one)
        if since >= push_every:
            file.flush(force=True)
            since = 0
    file.flush(force=True)
    assert file.sent < 300e6
    stored = sum(len(store.cat_file(path)) for path in store.find("/logs/run"))
    assert recorded <= stored < 1.01 * recorded


def test_short_runs_are_one_object(store, tmp_path):
    with SummaryWriter("memory://logs/short") as writer:
        for step in range(20):
            writer.add_scalar("loss", 1.0 / (step + 1), step)
            writer.flush()
    assert len(store.find("/logs/short")) == 1
    assert len(scalar(accumulate(fetched("memory://logs/short", tmp_path)), "loss")) == 20


def test_parts_are_read_as_one_run(store, tmp_path, monkeypatch):
    monkeypatch.setattr(object_store, "MAX_SHARD", 2_000)
    with SummaryWriter("memory://logs/parts") as writer:
        for step in range(200):
            writer.add_scalar("loss", step, step)
            if step % 7 == 0:
                writer.flush()
    assert len(store.find("/logs/parts")) > 3
    found = scalar(accumulate(fetched("memory://logs/parts", tmp_path)), "loss")
    assert found == {step: float(step) for step in range(200)}


@pytest.mark.parametrize("every", [60, 600])
def test_a_week_of_a_few_numbers_is_a_few_objects(store, monkeypatch, every):
    monkeypatch.setattr(object_store.time, "monotonic", lambda: now)
    file, week = object_store.ObjectStore("memory://logs/week"), 7 * 24 * 3600
    for now in range(0, week, every):  # noqa: B007  # the clock
        file.append(event(300))
        file.flush()
    assert len(store.find("/logs/week")) < 30
    recorded = sum(len(store.cat_file(path)) for path in store.find("/logs/week"))
    assert file.sent < object_store.SLACK + object_store.RATE * week + object_store.RESEND * recorded


def test_uploads_become_rarer(store, monkeypatch):
    """At first somebody watches; over a week a request each minute is enough."""
    monkeypatch.setattr(object_store.time, "monotonic", lambda: now)
    file, sent = object_store.ObjectStore("memory://logs/rarer"), []
    for now in range(100_000):
        file.append(event(1))
        if file.flush()[0]:
            sent.append(now)
    assert sent[1] - sent[0] == pytest.approx(object_store.FIRST_INTERVAL, abs=1)
    assert sent[-1] - sent[-2] == pytest.approx(object_store.LAST_INTERVAL, abs=1)


def test_what_waits_is_sent_when_it_is_time(store, monkeypatch):
    file = object_store.ObjectStore("memory://logs/time")
    now = 100.0
    monkeypatch.setattr(object_store.time, "monotonic", lambda: now)
    file.append(event(10))
    assert file.flush()[0] == 1
    file.append(event(10))
    assert file.flush() == (0, 0)
    now += object_store.FIRST_INTERVAL + 1
    assert file.flush()[0] == 1
    file.append(event(object_store.EAGER))
    assert file.flush()[0] == 1


def test_a_failed_upload_loses_nothing(store, monkeypatch):
    file = object_store.ObjectStore("memory://logs/failing")
    file.append(event(10))
    file.flush(force=True)
    file.append(event(10))
    with monkeypatch.context() as patched:
        patched.setattr(type(store), "pipe_file", lambda *args: (_ for _ in ()).throw(RuntimeError("gone")))
        with pytest.raises(OSError, match="RuntimeError: gone"):
            file.flush(force=True)
    assert file.buffered_values == 1
    assert file.flush(force=True)[0] == 1


def test_embeddings_and_their_configuration_go_there_too(store):
    with SummaryWriter("memory://logs/table") as writer:
        writer.add_scalar("loss", 1.0, 0)
    from tbx_keras.values import Embedding, RecordBatch

    store.pipe_file("/logs/table/labels.tsv", b"a\nb\nc")
    writer = AsyncEventWriter("memory://logs/table")
    writer.submit(
        RecordBatch("train", None, 0, [Embedding("words", np.eye(3, dtype="float32"), "labels.tsv")])
    )
    writer.close()
    assert store.cat_file("/logs/table/train/words.tsv").decode().splitlines()[0] == "1\t0\t0"
    assert (
        'metadata_path: "words_metadata.tsv"'
        in store.cat_file("/logs/table/train/projector_config.pbtxt").decode()
    )
    assert store.cat_file("/logs/table/train/words_metadata.tsv") == b"a\nb\nc\n"


def test_labels_that_are_missing_there_are_reported_once(store):
    from tbx_keras.values import Embedding, RecordBatch

    writer = AsyncEventWriter("memory://logs/unnamed")
    with pytest.warns(RuntimeWarning, match="labels.tsv' in 'memory://logs/unnamed' yet") as reported:
        writer.check_labels("train", ["labels.tsv"])
        writer.submit(
            RecordBatch("train", None, 0, [Embedding("words", np.eye(3, dtype="float32"), "labels.tsv")])
        )
        writer.close()
    assert len(reported) == 1
    assert "metadata_path" not in store.cat_file("/logs/unnamed/train/projector_config.pbtxt").decode()


def test_a_place_is_checked_and_left_as_it_was(store):
    AsyncEventWriter("memory://logs/checked").check()
    assert store.find("/logs/checked") == []


def test_an_unknown_kind_of_url_is_reported():
    with pytest.raises(LogDirError, match="`log_dir` cannot be written"):
        AsyncEventWriter("nonsense://logs").check()


def test_a_missing_package_is_reported(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "fsspec.core", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'tbx_keras\[remote\]'"):
        AsyncEventWriter("s3://logs/run").check()
