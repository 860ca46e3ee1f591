"""What comes back is what was recorded, whoever recorded it."""

import logging

import keras
import numpy as np
import pytest
import tensorboardX

from tbx_keras import SummaryWriter, TbxLogger, read
from tbx_keras.errors import ArgumentError, MissingDependencyError
from tbx_keras.writers import AsyncEventWriter
from tests import zoo


def values(frame, run: str, tag: str) -> dict[int, float]:
    rows = frame[(frame["run"] == run) & (frame["tag"] == tag)]
    return dict(zip(rows["step"], rows["value"]))


@pytest.fixture
def recorded(tmp_path):
    with SummaryWriter(tmp_path / "a" / "train") as writer:
        for step in range(5):
            writer.add_scalar("loss", 1.0 / (step + 1), step, walltime=100.0 + step)
            writer.add_histogram("weights", np.arange(10.0) * step, step)
    with SummaryWriter(tmp_path / "b") as writer:
        writer.add_scalar("loss", float("nan"), 7)
        writer.add_histogram("weights", np.zeros(3), 0)
    return tmp_path


def test_scalars_are_a_long_frame(recorded):
    frame = read(recorded).scalars
    assert list(frame.columns) == ["run", "tag", "step", "wall_time", "value"]
    train = frame[frame["run"] == "a/train"]
    assert train["step"].tolist() == [0, 1, 2, 3, 4]
    assert train["value"].tolist() == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4, 1 / 5])
    assert train["wall_time"].tolist() == [100.0, 101.0, 102.0, 103.0, 104.0]
    assert np.isnan(values(frame, "b", "loss")[7])


def test_histograms_are_arrays(recorded):
    records = read(str(recorded))
    assert records.runs == ("a/train", "b")
    assert set(records.histograms) == {("a/train", "weights"), ("b", "weights")}
    series = records.histogram("weights", "a/train")
    assert series.steps.tolist() == [0, 1, 2, 3, 4]
    assert [counts.sum() for counts in series.counts] == [10.0] * 5
    assert [edges[-1] for edges in series.edges] == pytest.approx([0, 9, 18, 27, 36], abs=0.1)
    assert "a/train" in repr(records)


@pytest.mark.parametrize("wrong", [None, 5, ["logs"]])
def test_what_is_no_path_is_refused(wrong):
    with pytest.raises(ArgumentError, match="`log_dir`.*path of a directory"):
        read(wrong)


def test_what_is_not_there_is_reported(recorded, tmp_path_factory):
    records = read(recorded)
    with pytest.raises(ArgumentError, match=r"one of \['a/train', 'b'\], which all"):
        records.histogram("weights")
    with pytest.raises(ArgumentError, match="such as.*weights"):
        records.histogram("wieghts")
    with pytest.raises(ArgumentError, match="`run` is wrong"):
        records.histogram("weights", "c")
    with pytest.raises(ArgumentError, match="no event file"):
        read(tmp_path_factory.mktemp("empty"))
    with pytest.raises(ArgumentError, match="no event file"):
        read(recorded / "nowhere")


def test_files_of_other_writers_read_the_same(tmp_path):
    model = zoo.sequential(keras)
    model.compile("adam", "mse")
    callbacks = [
        keras.callbacks.TensorBoard(tmp_path / "keras", histogram_freq=1),
        TbxLogger(tmp_path / "ours"),
    ]
    model.fit(*zoo.batch(), epochs=2, verbose=0, callbacks=callbacks)
    with tensorboardX.SummaryWriter(str(tmp_path / "x"), flush_secs=1) as writer:
        writer.add_scalar("loss", 0.5, 3)
        writer.add_histogram("h", np.arange(100.0), 3)
    records = read(tmp_path)
    loss = values(records.scalars, "keras/train", "epoch_loss")
    assert loss == pytest.approx(values(records.scalars, "ours/train", "epoch_loss"))
    assert values(records.scalars, "x", "loss") == {3: 0.5}
    assert records.histogram("h").counts[0].sum() == 100
    of_keras = [tag for run, tag in records.histograms if run == "keras/train"]
    if "kernel/histogram" in of_keras:
        pytest.skip("Keras 3.3 has one tag for the kernels of all layers")
    (theirs,) = [tag for tag in of_keras if "hidden/kernel" in tag]
    ours = records.histogram("weights/" + model.weights[0].path, "ours/train")
    edges, counts = ours.rebin(20, (-2.0, 2.0))
    other = records.histogram(theirs, "keras/train").rebin(20, (-2.0, 2.0))[1]
    assert counts.sum(axis=1) == pytest.approx(other.sum(axis=1))
    center = (edges[:-1] + edges[1:]) / 2
    assert counts @ center == pytest.approx(other @ center, abs=2.0)


def test_what_a_resumed_run_hid_is_hidden(tmp_path):
    writer = AsyncEventWriter(tmp_path)
    for step in range(10):
        writer.scalar("train", "loss", 1.0, step)
    writer.purge("train", 4)
    writer.scalar("train", "loss", 2.0, 4)
    writer.close()
    assert values(read(tmp_path).scalars, "train", "loss") == {0: 1.0, 1: 1.0, 2: 1.0, 3: 1.0, 4: 2.0}


def test_a_torn_file_is_read_to_its_last_whole_record(recorded):
    (file,) = (recorded / "a" / "train").glob("*tfevents*")
    file.write_bytes(file.read_bytes()[:-7])
    assert len(values(read(recorded).scalars, "a/train", "loss")) == 5
    assert read(recorded).histogram("weights", "a/train").steps.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("module", "use"),
    [
        ("pandas", lambda records: records.scalars),
        ("matplotlib.figure", lambda records: records.plot_histogram("weights", "b")),
        ("tensorboard.backend.event_processing", lambda records: records.histograms),
    ],
)
def test_a_missing_package_is_reported_with_its_extra(module, use, recorded, monkeypatch):
    records = read(recorded)
    monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'tbx_keras\[read\]'"):
        use(records)


def test_an_object_store_reads_the_same():
    import fsspec

    with SummaryWriter("memory://read/a/train") as writer:
        writer.add_scalar("loss", 0.5, 3)
    records = read("memory://read/a")
    assert values(records.scalars, "train", "loss") == {3: 0.5}
    fsspec.filesystem("memory").store.clear()
    with pytest.raises(ArgumentError, match="`log_dir` is wrong"):
        read("memory://read/a")
    with pytest.raises(ArgumentError, match="`log_dir` is wrong"):
        read("nonsense://a")


def test_what_a_resumed_run_hides_is_hidden_without_a_word(tmp_path, caplog):
    with SummaryWriter(tmp_path) as writer:
        for step in range(5):
            writer.add_scalar("loss", 1.0, step)
    with SummaryWriter(tmp_path, purge_step=2) as writer:
        writer.add_scalar("loss", 2.0, 2)
    board = logging.getLogger("tensorboard")
    before = list(board.filters)
    with caplog.at_level(logging.WARNING, "tensorboard"):
        assert list(read(tmp_path).scalars.step) == [0, 1, 2]
        assert caplog.messages == []
        board.warning("another message")
        assert caplog.messages == ["another message"]
    assert board.filters == before


def test_other_messages_of_tensorboard_are_shown_while_reading(caplog):
    from tbx_keras.reader.events import _without_purge_messages

    with caplog.at_level(logging.WARNING, "tensorboard"), _without_purge_messages():
        logging.getLogger("tensorboard").warning("a broken file")
    assert caplog.messages == ["a broken file"]
