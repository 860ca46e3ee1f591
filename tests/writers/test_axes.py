"""The axis of a series is in the file; everything else reads as without it."""

import logging
from collections import Counter

import fsspec
import numpy as np
import pytest
from tensorboard.backend.event_processing import plugin_event_accumulator, plugin_event_multiplexer
from tensorboard.util.tensor_util import make_ndarray
from tensorboardX.proto.event_pb2 import Event

from tbx_keras import SummaryWriter
from tbx_keras.backends.numpy.kernels import float_bits_histogram
from tbx_keras.values import EPOCH, STEP, Audio, Image, RecordBatch, Scalar, Text
from tbx_keras.writers import AsyncEventWriter
from tbx_keras.writers.axes import DESCRIPTIONS
from tbx_keras.writers.records import unframed
from tests.reading import accumulate, scalar

TENSORS = {plugin_event_accumulator.TENSORS: 0}


def values(step):
    return [
        Scalar("loss", step / 2),
        Scalar("accuracy", step / 4),
        float_bits_histogram("weights", np.arange(10.0) + step),
        Image("one", np.full((1, 2, 3, 1), step, np.uint8)),
        Image("several", np.full((2, 2, 3, 3), step, np.uint8)),
        Audio("sound", np.zeros((10, 1)), 8000),
        Text("note", f"step {step}"),
    ]


def record(directory, axis):
    writer = AsyncEventWriter(directory)
    for step in range(3):
        writer.submit(RecordBatch("train", axis, step, values(step), wall_time=float(step)))
    assert writer.close()


@pytest.fixture
def both(tmp_path):
    record(tmp_path / "with", EPOCH)
    record(tmp_path / "without", None)
    return tmp_path


def test_all_kinds_read_as_without(both):
    found = {}
    for name in ("with", "without"):
        runs = plugin_event_multiplexer.EventMultiplexer(tensor_size_guidance=TENSORS)
        runs.AddRunsFromDirectory(str(both / name)).Reload()
        metadata = runs.AllSummaryMetadata()["train"]
        points = {
            tag: [
                (one.step, one.wall_time, make_ndarray(one.tensor_proto).tolist())
                for one in runs.Tensors("train", tag)
            ]
            for tag in metadata
        }
        found[name] = points
        described = {one.summary_description for one in metadata.values()}
        assert described == ({DESCRIPTIONS[EPOCH]} if name == "with" else {""})
        found[f"{name}, metadata"] = {
            tag: (one.plugin_data, one.display_name, one.data_class) for tag, one in metadata.items()
        }
    assert found["with"] == found["without"]
    assert found["with, metadata"] == found["without, metadata"]
    assert len(found["with"]) == 8


def test_the_older_reader_gives_the_same_and_has_nothing_to_warn_of(both, caplog):
    with caplog.at_level(logging.WARNING):
        one, other = accumulate(both, "with", "train"), accumulate(both, "without", "train")
    assert not caplog.records
    assert one.Tags() == other.Tags()
    assert one.Scalars("loss") == other.Scalars("loss")
    assert one.Histograms("weights") == other.Histograms("weights")
    for kind in ("one", "several/0", "several/1"):
        assert one.Images(kind) == other.Images(kind)
    assert one.Audio("sound") == other.Audio("sound")


def events_of(directory) -> list[Event]:
    (path,) = directory.iterdir()
    with path.open("rb") as file:
        return list(map(Event.FromString, unframed(file)))


def test_only_the_first_of_a_series_in_a_file_is_described(both):
    described = Counter(
        value.tag
        for event in events_of(both / "with" / "train")
        for value in event.summary.value
        if value.metadata.summary_description
    )
    assert set(described.values()) == {1}
    assert len(described) == 8


def test_later_scalars_of_a_step_share_a_record(both):
    sizes = [
        len(event.summary.value)
        for event in events_of(both / "with" / "train")
        if event.step == 2 and event.summary.value[0].HasField("simple_value")
    ]
    assert sizes == [2]


def test_each_file_describes_its_series(tmp_path):
    """So that it does not matter if others are deleted."""
    writer = AsyncEventWriter(tmp_path)
    for step in range(2):
        writer.submit(RecordBatch("", STEP, step, [Scalar("loss", 1.0)]))
        assert writer.close()
    for path in tmp_path.iterdir():
        with path.open("rb") as file:
            assert DESCRIPTIONS[STEP].encode() in file.read()


def test_more_pictures_than_before_are_described_too(tmp_path):
    writer = AsyncEventWriter(tmp_path)
    for step, number in enumerate([1, 3]):
        writer.submit(RecordBatch("", STEP, step, [Image("i", np.zeros((number, 2, 2, 1), np.uint8))]))
    writer.close()
    events = plugin_event_accumulator.EventAccumulator(str(tmp_path), TENSORS).Reload()
    found = [events.SummaryMetadata(tag).summary_description for tag in ("i", "i/0", "i/1", "i/2")]
    assert set(found) == {DESCRIPTIONS[STEP]}


STEPS = 5  # in an epoch
MINE = ("weights/my_norm", "epoch_like")


class Process:
    """What a logger and a user's writer beside it record from one start to its end, and where they begin."""

    def __init__(self, log_dir, number):
        self.log_dir, self.number = str(log_dir), number
        self.writer, self.user = AsyncEventWriter(self.log_dir), SummaryWriter(f"{self.log_dir}/train")
        self.mine = Counter()

    def put_mine(self, step):
        for tag in MINE:
            value = float(1000 * self.number + step)
            self.user.add_scalar(tag, value, step)
            self.mine[tag, step, value] += 1

    def train(self, first_epoch, epochs):
        self.put_mine(first_epoch * STEPS)  # the user's file is open before the logger's
        if first_epoch:
            self.writer.restart(["train", "validation"], first_epoch * STEPS, first_epoch)
        for epoch in range(first_epoch, epochs):
            for step in range(epoch * STEPS + 1, (epoch + 1) * STEPS + 1):
                self.put_mine(step)
                self.writer.submit(
                    RecordBatch("train", STEP, step, [Scalar("batch_loss", float(self.number))])
                )
            self.writer.submit(RecordBatch("train", EPOCH, epoch, [Scalar("epoch_loss", float(self.number))]))
            self.writer.submit(
                RecordBatch("train", EPOCH, epoch, [float_bits_histogram("weights/dense", np.ones(3))])
            )
        assert self.user.close()
        assert self.writer.close()
        return self.mine


@pytest.mark.parametrize("remote", [False, True], ids=["local", "memory"])
def test_restarts_hide_what_the_logger_repeats_and_nothing_of_others(remote, tmp_path):
    log_dir = "memory://axes/logs" if remote else tmp_path / "logs"
    mine, expected = Counter(), []
    for number, (first, epochs) in enumerate([(0, 4), (2, 4), (1, 3), (3, 5)]):
        mine += Process(log_dir, number).train(first, epochs)
        expected = expected[:first] + [float(number)] * (epochs - first)
        check(log_dir, tmp_path / str(number), mine, expected)


def check(log_dir, copy, mine, expected):
    """By epoch, the number of the process whose values are to be seen."""
    if "://" in str(log_dir):
        system, path = fsspec.core.url_to_fs(str(log_dir))
        system.get(f"{path}/", f"{copy}/", recursive=True)
        log_dir = copy
    events = accumulate(log_dir, "train")
    assert scalar(events, "epoch_loss") == dict(enumerate(expected))
    assert [one.step for one in events.Histograms("weights/dense")] == list(range(len(expected)))
    assert list(scalar(events, "batch_loss").values()) == [
        number for number in expected for _ in range(STEPS)
    ]
    assert list(scalar(events, "batch_loss")) == list(range(1, len(expected) * STEPS + 1))
    found = Counter((tag, one.step, one.value) for tag in MINE for one in events.Scalars(tag))
    assert found == mine


def test_a_writer_that_was_open_before_a_restart_goes_on(tmp_path):
    """As in a notebook: a broken-off `fit`, another, and one writer of the user's for both."""
    user, mine = SummaryWriter(tmp_path / "train"), Counter()
    for number, (first, last) in enumerate([(1, 8), (5, 9)]):
        writer = AsyncEventWriter(tmp_path)  # the first one is never closed
        if number:
            writer.restart(["train"], first - 1, 0)
        for step in range(first, last):
            writer.submit(RecordBatch("train", STEP, step, [Scalar("batch_loss", float(number))]))
            user.add_scalar("epoch_like", step + number / 2, step)
            mine["epoch_like", step, step + number / 2] += 1
        writer.flush()
    assert user.close()
    assert writer.close()
    events = accumulate(tmp_path, "train")
    assert scalar(events, "batch_loss") == {step: float(step > 4) for step in range(1, 9)}
    assert Counter(("epoch_like", one.step, one.value) for one in events.Scalars("epoch_like")) == mine
