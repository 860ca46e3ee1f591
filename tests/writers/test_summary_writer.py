"""Every `add_*` of tensorboardX, and what it refuses there."""

import copy
import inspect
import pickle

import ml_dtypes
import numpy as np
import pytest
import tensorboardX
import tensorflow as tf

from tbx_keras import SummaryWriter
from tbx_keras.errors import TbxError
from tests.reading import accumulate, scalar


def test_it_is_a_tensorboardx_writer_with_the_same_calls():
    assert issubclass(SummaryWriter, tensorboardX.SummaryWriter)
    for name, theirs in inspect.getmembers(tensorboardX.SummaryWriter, inspect.isfunction):
        if name.startswith("add_"):
            ours = inspect.signature(getattr(SummaryWriter, name)).parameters
            assert list(ours) == list(inspect.signature(theirs).parameters), name


def test_the_calls_that_need_nothing_else(tmp_path):
    random = np.random.default_rng(0)
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("scalar", 1.5, 3)
        writer.add_scalars("both", {"one": 1, "two": 2}, 3)
        writer.add_histogram("histogram", random.normal(size=100), 3)
        writer.add_histogram("equal", random.normal(size=100), 3, bins=7)
        writer.add_histogram("numpy", random.normal(size=100), 3, bins="auto")
        writer.add_histogram_raw("raw", 0, 1, 2, 1.0, 1.0, [0.5, 1.0], [1, 1], 3)
        writer.add_image("image", random.random((3, 4, 5)), 3)
        writer.add_images("images", random.random((2, 3, 4, 5)), 3)
        writer.add_text("text", "hello", 3)
        writer.add_audio("audio", random.random((100, 1)) - 0.5, 3)
        writer.add_pr_curve("curve", np.array([0, 1]), np.array([0.2, 0.9]), 3)
        writer.add_mesh("mesh", random.random((1, 3, 3)), global_step=3)
        writer.add_hparams({"rate": 0.1}, {"accuracy": 0.9}, name="trial")
        writer.add_embedding(random.random((4, 2)), metadata=list("abcd"), tag="table")
        writer.add_custom_scalars({"all": {"both": ["Multiline", ["both"]]}})
    tags = accumulate(tmp_path).Tags()
    assert set(tags["histograms"]) == {"histogram", "equal", "numpy", "raw"}
    assert set(tags["images"]) == {"image", "images"}
    assert tags["audio"] == ["audio"]
    assert {"text/text_summary", "curve"} <= set(tags["tensors"])
    assert any(tag.startswith("mesh") for tag in tags["tensors"])
    assert scalar(accumulate(tmp_path), "scalar") == {3: 1.5}
    assert scalar(accumulate(tmp_path, "both", "two"), "both") == {3: 2.0}
    assert scalar(accumulate(tmp_path, "trial"), "accuracy") == {0: pytest.approx(0.9)}
    assert (tmp_path / "projector_config.pbtxt").exists()
    assert writer.counts.dropped == 0


@pytest.mark.parametrize(
    "values",
    [[], [np.nan], [np.inf, -np.inf], [1e30, -1e30], [np.nan, 1.0], [5e-324], np.float64(3), True],
    ids=str,
)
def test_histograms_that_tensorboardx_refuses(tmp_path, values):
    with SummaryWriter(tmp_path) as writer:
        writer.add_histogram("h", values, 1)
    assert len(accumulate(tmp_path).Histograms("h")) == 1


def test_tensors_of_frameworks_are_taken_as_they_are(tmp_path):
    import keras
    import tf_keras

    tensors = {
        "tensor": tf.constant([1.0, 2.0]),
        "variable": tf.Variable([1.0, 2.0]),
        "keras": keras.Variable(np.array([1.0, 2.0])),
        "tf_keras": tf_keras.backend.variable([1.0, 2.0]),
        "bfloat16": tf.cast([1.0, 2.0], tf.bfloat16),
        "ml_dtypes": np.array([1, 2], ml_dtypes.float8_e4m3fn),
        "ragged": tf.ragged.constant([[1.0], [2.0]]),
        "sparse": tf.sparse.from_dense([[1.0, 0.0], [0.0, 2.0]]),
    }
    with SummaryWriter(tmp_path) as writer:
        for name, tensor in tensors.items():
            writer.add_histogram(name, tensor, 1)
            if name not in ("ragged", "sparse"):
                writer.add_scalar(name, tensor[0], 1)
        writer.add_image("image", tf.zeros([3, 2, 2]), 1)
    events = accumulate(tmp_path)
    for name in tensors:
        assert events.Histograms(name)[0].histogram_value.sum == 3.0
    assert scalar(events, "bfloat16") == {1: 1.0}


def test_flush_hands_everything_over_while_the_writer_is_open(tmp_path):
    writer = SummaryWriter(tmp_path)
    for step in range(500):
        writer.add_scalar("s", float(step), step)
    assert writer.flush()
    assert len(scalar(accumulate(tmp_path), "s")) == 500
    writer.close()


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_copy_writes_to_a_file_of_its_own(tmp_path, clone):
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("original", 1.0, 1)
        with clone(writer) as other:
            other.add_scalar("copy", 2.0, 1)
    assert set(accumulate(tmp_path).Tags()["scalars"]) == {"original", "copy"}


def test_two_writers_in_one_directory_at_once_lose_nothing(tmp_path):
    writers = [SummaryWriter(tmp_path) for _ in range(4)]
    for number, writer in enumerate(writers):
        writer.add_scalar(f"s/{number}", 1.0, 1)
    for writer in writers:
        writer.close()
    assert len(accumulate(tmp_path).Tags()["scalars"]) == 4


def test_after_close_it_goes_on(tmp_path):
    writer = SummaryWriter(tmp_path)
    writer.add_scalar("s", 1.0, 1)
    writer.close()
    writer.add_scalar("s", 2.0, 2)
    writer.close()
    assert scalar(accumulate(tmp_path), "s") == {1: 1.0, 2: 2.0}


def test_purge_step(tmp_path):
    for value, steps, purge in ((1.0, range(6), None), (2.0, range(3, 5), 3)):
        with SummaryWriter(tmp_path, purge_step=purge) as writer:
            for step in steps:
                writer.add_scalar("s", value, step)
    assert scalar(accumulate(tmp_path), "s") == {0: 1.0, 1: 1.0, 2: 1.0, 3: 2.0, 4: 2.0}


@pytest.mark.skipif(not hasattr(SummaryWriter, "use_metadata"), reason="tensorboardX before 2.6.3 has none")
def test_metadata_for_a_block(tmp_path):
    with SummaryWriter(tmp_path) as writer:
        with writer.use_metadata(global_step=9):
            writer.add_scalar("s", 1.0)
        writer.add_scalar("s", 1.0, 10)
    assert set(scalar(accumulate(tmp_path), "s")) == {9, 10}


def test_not_writing_to_disk_makes_no_file(tmp_path):
    with SummaryWriter(tmp_path / "none", write_to_disk=False) as writer:
        writer.add_scalar("s", 1.0, 1)
        writer.add_histogram("h", [1.0], 1)
        writer.add_scalars("m", {"a": 1}, 1)
        writer.add_hparams({"a": 1}, {"b": 2.0})
    assert not (tmp_path / "none").exists()


def test_the_default_directory_is_that_of_tensorboardx(tmp_path):
    with SummaryWriter(comment="_try") as writer:
        writer.add_scalar("s", 1.0, 1)
    assert writer.log_dir.startswith("runs/")
    assert writer.log_dir.endswith("_try")


@pytest.mark.parametrize(
    "make",
    [
        lambda: SummaryWriter(5),
        lambda: SummaryWriter("logs", max_queue="x"),
        lambda: SummaryWriter("logs", max_queue=-1),
        lambda: SummaryWriter("logs", purge_step="x"),
        lambda: SummaryWriter("logs", flush_seconds=1),
        lambda: SummaryWriter("logs").add_scalar("a", 1.0, 2**70),
        lambda: SummaryWriter("logs").add_scalar("a", [1, 2], 0),
        lambda: SummaryWriter("logs").add_scalars("a", [1, 2], 0),
    ],
)
def test_wrong_arguments_are_refused_at_once(make):
    with pytest.raises(TbxError):
        make()
