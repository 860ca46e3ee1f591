"""In place of `keras.callbacks.TensorBoard`: the same arguments, run directories and tags."""

import inspect
import os

import keras
import numpy as np
import pytest
import tf_keras
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tbx_keras import TbxLogger
from tbx_keras.errors import ArgumentError, LogDirError, UsageError
from tests import zoo
from tests.reading import accumulate, histogram_tags, scalar, scalar_tags

KERASES = pytest.mark.parametrize("k", [keras, tf_keras], ids=["keras", "tf_keras"])


def test_all_arguments_in_their_order_with_their_defaults():
    theirs = inspect.signature(keras.callbacks.TensorBoard).parameters
    ours = inspect.signature(TbxLogger).parameters
    assert list(ours)[: len(theirs)] == list(theirs)
    different = {name for name in theirs if theirs[name].default != ours[name].default}
    assert different == {"histogram_freq"}


def train(k, callbacks, **options):
    k.utils.set_random_seed(5)
    model, (x, y) = zoo.sequential(k), zoo.batch(32)
    model.compile("sgd", "mse", metrics=["mae"])
    model.fit(x, y, batch_size=8, epochs=3, verbose=0, validation_data=(x, y), callbacks=callbacks, **options)
    return model


@KERASES
@pytest.mark.parametrize("update_freq", ["epoch", "batch", 2])
def test_every_scalar_of_theirs_is_there_with_the_same_values(k, update_freq, tmp_path):
    options = {"update_freq": update_freq, "write_steps_per_second": True}
    train(k, [k.callbacks.TensorBoard(tmp_path / "theirs", **options)])
    train(k, [TbxLogger(tmp_path / "ours", **options)])
    for run in ("train", "validation"):
        theirs = EventAccumulator(str(tmp_path / "theirs" / run), {"tensors": 0}).Reload()
        ours = accumulate(tmp_path, "ours", run)
        tags = [
            tag for tag in theirs.Tags()["tensors"] if tag.startswith(("epoch_", "batch_", "evaluation_"))
        ]
        assert set(tags) <= scalar_tags(ours)
        for tag in tags:
            compare(tag, theirs, ours)


def compare(tag, theirs, ours):
    expected = {
        one.step: np.frombuffer(one.tensor_proto.tensor_content, "float32") for one in theirs.Tensors(tag)
    }
    expected = {
        step: float(value[0])
        if len(value)
        else next(one.tensor_proto.float_val[0] for one in theirs.Tensors(tag) if one.step == step)
        for step, value in expected.items()
    }
    found = scalar(ours, tag)
    if tag.startswith("batch_") and set(expected) == {0}:
        return  # Keras 3.3 does not count the steps of batches
    assert set(found) == set(expected), tag
    if "steps_per_second" not in tag:
        assert list(found.values()) == pytest.approx([expected[step] for step in found], rel=1e-5), tag


@KERASES
def test_by_default(k, tmp_path):
    train(k, [TbxLogger(tmp_path)])
    assert sorted(os.listdir(tmp_path)) == ["train", "validation"]
    events = accumulate(tmp_path, "train")
    kinds = {tag.split("/")[0] for tag in histogram_tags(events)}
    assert kinds == {"weights", "gradients"}
    assert any(tag.startswith("weights/") and tag.endswith("bias") for tag in histogram_tags(events))
    assert {"keras", "model/summary/text_summary"} <= set(events.Tags()["tensors"])
    assert not [tag for tag in scalar_tags(events) if tag.startswith("batch_")]


@KERASES
def test_weights_are_those_of_the_model(k, tmp_path):
    model = train(k, [TbxLogger(tmp_path)])
    last = accumulate(tmp_path, "train")
    for weight in model.weights:
        path = getattr(weight, "path", weight.name).split(":")[0]
        value = last.Histograms(f"weights/{path}")[-1].histogram_value
        array = weight.numpy().astype("float64")
        assert (value.min, value.max, value.num) == (array.min(), array.max(), array.size)
        assert value.sum_squares == pytest.approx(np.square(array).sum(), rel=1e-5)


@pytest.mark.slow
@KERASES
@pytest.mark.parametrize(("frequency", "epochs"), [(0, []), (1, [0, 1, 2]), (2, [0, 2])])
def test_histogram_freq(k, frequency, epochs, tmp_path):
    train(k, [TbxLogger(tmp_path, histogram_freq=frequency)])
    events = accumulate(tmp_path, "train")
    tags = [tag for tag in histogram_tags(events) if tag.startswith("weights/")]
    assert bool(tags) == bool(epochs)
    assert all([one.step for one in events.Histograms(tag)] == epochs for tag in tags)


@KERASES
def test_everything_can_be_turned_off(k, tmp_path):
    train(k, [TbxLogger(tmp_path, histogram_freq=0, write_graph=False, gradient_freq=0)])
    events = accumulate(tmp_path, "train")
    assert scalar_tags(events) == {
        "epoch_loss",
        "epoch_mae",
        "epoch_learning_rate",
        "tbx/overhead_fraction",
        "tbx/global_step",
        "tbx/interval_scale",
    }
    assert not histogram_tags(events)
    assert not events.Tags()["tensors"]


@KERASES
def test_write_images(k, tmp_path):
    train(k, [TbxLogger(tmp_path, write_images=True, histogram_freq=2)])
    events = accumulate(tmp_path, "train")
    (tag,) = [tag for tag in events.Tags()["images"] if "hidden/kernel" in tag]
    first = events.Images(tag)[0]
    assert {first.height, first.width} == {zoo.FEATURES, 8}
    assert [one.step for one in events.Images(tag)] == [0, 2]


@KERASES
def test_embeddings_are_where_the_projector_looks(k, tmp_path):
    model = zoo.with_embedding(k)
    model.compile("sgd", "mse")
    x, y = np.zeros((4, 4), "int32"), np.ones((4, 1), "float32")
    (tmp_path / "words.tsv").write_text("\n".join(f"word {row}" for row in range(20)))
    logger = TbxLogger(tmp_path, embeddings_freq=1, embeddings_metadata={"table": "words.tsv"})
    model.fit(x, y, epochs=2, verbose=0, callbacks=[logger])
    run = tmp_path / "train"
    config = (run / "projector_config.pbtxt").read_text()
    assert 'tensor_name: "table"' in config
    assert logger.report.errors == 0
    names = dict(line.strip().replace('"', "").split(": ") for line in config.splitlines() if ": " in line)
    np.testing.assert_allclose(
        np.loadtxt(run / names["tensor_path"]), model.get_layer("table").weights[0], rtol=1e-6
    )
    assert (run / names["metadata_path"]).read_text().splitlines() == [f"word {row}" for row in range(20)]


@pytest.mark.slow
@KERASES
@pytest.mark.parametrize("batches", [2, (2, 3), "2,3"])
def test_profile_batch(k, batches, tmp_path):
    train(k, [logger := TbxLogger(tmp_path, profile_batch=batches)])
    assert list((tmp_path / "train" / "plugins" / "profile").rglob("*.xplane.pb"))
    assert logger.report.errors == 0


@pytest.mark.parametrize(
    ("argument", "received"),
    [
        ("histogram_freq", -1),
        ("histogram_freq", 1.5),
        ("embeddings_freq", "2"),
        ("update_freq", "often"),
        ("update_freq", 0),
        ("gradient_freq", -2),
        ("gradient_freq", "batches"),
        ("profile_batch", -1),
        ("profile_batch", (5, 2)),
        ("profile_batch", "a,b"),
        ("profile_batch", 1.5),
        ("profile_batch", (1, 2, 3)),
        ("log_dir", None),
        ("log_dir", ""),
        ("log_dir", 3),
        ("embeddings_metadata", 3),
    ],
)
def test_a_wrong_argument_is_named_with_what_was_received_and_the_remedy(argument, received):
    with pytest.raises(ArgumentError) as error:
        TbxLogger(**{argument: received})
    assert f"Received: {argument}={received!r}" in str(error.value)
    assert "Pass " in str(error.value)


def test_a_log_dir_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ArgumentError, match="log_dir"):
        TbxLogger(tmp_path / "file")


@KERASES
def test_a_log_dir_that_cannot_be_made_is_reported_before_training(k, tmp_path):
    (tmp_path / "file").write_text("")
    logger = TbxLogger(tmp_path / "file" / "below")
    with pytest.raises(LogDirError, match="log_dir"):
        train(k, [logger])


@KERASES
def test_metadata_for_a_layer_that_is_not_there(k, tmp_path):
    with pytest.raises(ArgumentError, match="embeddings_metadata.*nowhere"):
        train(k, [TbxLogger(tmp_path, embeddings_freq=1, embeddings_metadata={"nowhere": "words.tsv"})])


@KERASES
def test_a_model_that_is_not_compiled(k, tmp_path):
    from tbx_keras import gradients

    model, (x, y) = zoo.sequential(k), zoo.batch()
    with pytest.raises(UsageError, match="compile"):
        gradients(model, x, y)
    with pytest.raises(Exception, match="compile"):
        model.fit(x, y, verbose=0, callbacks=[TbxLogger(tmp_path)])


def test_a_model_that_is_none():
    from tbx_keras import gradients

    with pytest.raises(ArgumentError, match="model"):
        gradients("model", 1, 2)
