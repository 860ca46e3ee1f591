"""What users' code passes to `tf.summary` lands where `keras.callbacks.TensorBoard` puts it."""

import copy
import gc
import importlib
import warnings
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tensorboard.backend.event_processing import plugin_event_accumulator as server
from tensorboard.util.tensor_util import make_ndarray

from tbx_keras import TbxLogger
from tbx_keras.tf_summary import channel, recorder
from tests import zoo
from tests.reading import accumulate, same_weights
from tests.strategies import run_alone

KERASES = pytest.mark.parametrize("k", [keras, tf_keras], ids=["keras", "tf_keras"])
MODES = pytest.mark.parametrize("options", [{}, {"run_eagerly": True}], ids=["graph", "eager"])
ORIGINAL = tf.summary.write
KINDS = {"mean", "values", "picture", "note", "sound", "raw"}


def talk(x):
    """Every kind of summary."""
    tf.summary.scalar("mean", tf.reduce_mean(x), description="of the batch")
    tf.summary.histogram("values", x, buckets=4)
    tf.summary.image("picture", tf.reshape(tf.sigmoid(x), [1, -1, 2, 1]))
    tf.summary.text("note", tf.strings.as_string(tf.shape(x)))
    tf.summary.audio("sound", tf.reshape(tf.tanh(x), [1, -1, 1]), sample_rate=8000)
    tf.summary.write("raw", tf.cast(tf.shape(x), tf.int64), metadata=b"")


def say_mean(x):
    tf.summary.scalar("mean", tf.reduce_mean(x))


def build(k, say=say_mean, dropout=0.0, **options):
    """A model that says something in a layer."""
    k.utils.set_random_seed(3)

    class Talks(k.layers.Layer):
        def call(self, x):
            say(x)
            return x

    drop = [k.layers.Dropout(dropout)] if dropout else []
    layers = [k.layers.Dense(4, name="hidden"), Talks(name="talks"), *drop, k.layers.Dense(1, name="out")]
    model = k.Sequential([k.Input((zoo.FEATURES,)), *layers], name="model")
    model.compile(k.optimizers.SGD(0.01), "mse", **options)
    return model


def fit(model, callbacks, epochs=2, validates=True):
    x, y = zoo.batch(16)
    validation = {"validation_data": (x, y), "validation_batch_size": 4} if validates else {}
    model.fit(x, y, batch_size=4, epochs=epochs, shuffle=False, verbose=0, callbacks=callbacks, **validation)


def points(*path):
    """By tag, the steps and values that users' code recorded."""
    events = accumulate(*path)
    tags = [tag for tag in events.Tags()["tensors"] if tag.split("/")[-1] in {*KINDS, "in_step", "at_end"}]
    return {tag: [(one.step, make_ndarray(one.tensor_proto)) for one in events.Tensors(tag)] for tag in tags}


def steps(*path, tag=None):
    found = points(*path)
    assert tag is not None or len(found) <= 1
    return [step for name, series in found.items() if tag in (None, name) for step, _ in series]


@pytest.fixture(autouse=True)
def _ends():
    """Whatever happens, no interception outlives the next call."""
    yield
    tf.summary.scalar("after", 1.0)
    assert tf.summary.write is ORIGINAL
    assert tf.compat.v2.summary.write is ORIGINAL


@KERASES
@MODES
def test_the_same_as_with_keras_callback(k, options, tmp_path):
    class Step(k.Model):
        def train_step(self, data):
            logs = super().train_step(data)
            tf.summary.scalar("in_step", data[0][0, 0])
            return logs

    class Ends(k.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            tf.summary.scalar("at_end", float(epoch))

    def train(callback):
        inner = build(k, talk)
        model = Step(inner.inputs, inner.outputs, name="model")
        model.compile(k.optimizers.SGD(0.01), "mse", **options)
        fit(model, [callback, Ends()])

    train(k.callbacks.TensorBoard(tmp_path / "theirs", update_freq="batch"))
    train(TbxLogger(tmp_path / "ours", update_freq="batch", gradient_freq=2))
    for run in ("train", "validation"):
        ours, theirs = points(tmp_path / "ours", run), points(tmp_path / "theirs", run)
        assert set(ours) == set(theirs)
        assert {tag.split("/")[-1] for tag in ours} - {"in_step", "at_end"} == KINDS
        for tag, expected in theirs.items():
            assert len(ours[tag]) == len(expected) == (2 if tag == "at_end" else 8)
            for (_, one), (_, other) in zip(ours[tag], expected, strict=True):
                np.testing.assert_array_equal(one, other)
    if k is keras and options:  # the only case in which they have the step
        ours, theirs = (steps(tmp_path / one, "train", tag="in_step") for one in ("ours", "theirs"))
        assert ours == theirs == list(range(1, 9))


@pytest.mark.slow
@KERASES
def test_metadata_is_that_of_tensorflows_writer(k, tmp_path):
    fit(build(k, talk), [TbxLogger(tmp_path, update_freq="batch")])
    events = accumulate(tmp_path, "train")
    plugins = {
        tag.split("/")[-1]: events.SummaryMetadata(tag).plugin_data.plugin_name
        for tag in points(tmp_path, "train")
    }
    assert plugins == {
        "mean": "scalars",
        "values": "histograms",
        "picture": "images",
        "note": "text",
        "sound": "audio",
        "raw": "",
    }
    (mean,) = (tag for tag in points(tmp_path, "train") if tag.endswith("mean"))
    assert events.SummaryMetadata(mean).summary_description == "of the batch"


@pytest.mark.slow
@KERASES
def test_a_resumed_run_hides_what_it_repeats(k, tmp_path):
    model = build(k)
    fit(model, [TbxLogger(tmp_path, update_freq="batch")])
    model.optimizer.iterations.assign(6)  # as from a checkpoint in the middle of the second epoch
    fit(model, [TbxLogger(tmp_path, update_freq="batch")], epochs=1)
    # by the loader of TensorBoard's server: the other one hides no tensors
    events = server.EventAccumulator(str(tmp_path / "train"), {server.TENSORS: 0}).Reload()
    (tag,) = (tag for tag in events.Tags()["tensors"] if tag.endswith("mean"))
    assert [one.step for one in events.Tensors(tag)] == list(range(1, 11))


@pytest.mark.slow
@KERASES
@MODES
def test_steps_go_on_over_fits_and_evaluations(k, options, tmp_path):
    model, logger = build(k, **options), TbxLogger(tmp_path, update_freq=2, gradient_freq=3)
    fit(model, [logger])
    model.evaluate(*zoo.batch(16), batch_size=4, verbose=0, callbacks=[logger])
    fit(model, [logger], epochs=1)
    assert steps(tmp_path, "train") == [2, 4, 6, 8, 10, 12]
    assert steps(tmp_path, "validation") == list(range(2, 17, 2))
    assert logger.report.errors == 0


@KERASES
def test_evaluate_alone(k, tmp_path):
    model = build(k)
    logger = TbxLogger(tmp_path, update_freq="batch")
    model.evaluate(*zoo.batch(16), batch_size=4, verbose=0, callbacks=[logger])
    assert steps(tmp_path, "validation") == [1, 2, 3, 4]


@pytest.mark.slow
@KERASES
def test_each_of_several_steps_in_one_execution(k, tmp_path):
    model = build(k, steps_per_execution=2)
    fit(model, [TbxLogger(tmp_path, update_freq="batch")])
    assert steps(tmp_path, "train") == steps(tmp_path, "validation") == list(range(1, 9))


@KERASES
def test_nothing_with_epoch(k, tmp_path):
    seen = []

    class Look(k.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            seen.append(tf.summary.write)

    model = build(k)
    fit(model, [TbxLogger(tmp_path), Look()])
    assert set(seen) == {ORIGINAL}
    assert not points(tmp_path, "train")
    assert not points(tmp_path, "validation")


@KERASES
@MODES
def test_steps_and_conditions_of_the_user_win(k, options, tmp_path):
    count = tf.Variable(100, dtype=tf.int64)

    def say(x):
        count.assign_add(1)
        tf.summary.scalar("mean", 0.0, step=count)
        with tf.summary.record_if(lambda: tf.equal(count % 2, 0)):
            tf.summary.scalar("values", 0.0)
        with tf.summary.record_if(False):
            tf.summary.scalar("raw", 0.0)
        tf.summary.experimental.set_step(count)
        tf.summary.scalar("note", 0.0)
        tf.summary.experimental.set_step(None)

    fit(build(k, say, **options), [TbxLogger(tmp_path, update_freq="batch")], epochs=1, validates=False)
    found = {
        tag.split("/")[-1]: [step for step, _ in series] for tag, series in points(tmp_path, "train").items()
    }
    last = int(count)
    assert found["mean"] == found["note"] == [last - 3, last - 2, last - 1, last]
    assert found["values"] == ([2, 4] if last % 2 == 0 else [1, 3])
    assert "raw" not in found


@KERASES
def test_a_default_writer_of_the_user_keeps_what_it_gets(k, tmp_path):
    model = build(k, lambda x: tf.summary.scalar("mean", tf.reduce_mean(x), step=7))
    with tf.summary.create_file_writer(str(tmp_path / "theirs")).as_default():
        fit(model, [TbxLogger(tmp_path / "ours", update_freq="batch")], epochs=1)
    assert steps(tmp_path / "theirs") == [7] * 8
    assert not points(tmp_path / "ours", "train")


@KERASES
@pytest.mark.parametrize("theirs_first", [True, False])
def test_keras_callback_beside_us_keeps_what_it_gets(k, theirs_first, tmp_path):
    theirs = k.callbacks.TensorBoard(tmp_path / "theirs", update_freq="batch")
    callbacks = [theirs, TbxLogger(tmp_path / "ours", update_freq="batch")]
    fit(build(k), callbacks if theirs_first else callbacks[::-1])
    assert len(steps(tmp_path / "theirs", "train")) == len(steps(tmp_path / "theirs", "validation")) == 8
    assert not points(tmp_path / "ours", "train")
    assert not points(tmp_path / "ours", "validation")


@KERASES
def test_calls_of_keras_itself_are_left_alone(k, tmp_path):
    """Its callback passes batch metrics to `tf.summary`, with no writer at its default."""
    fit(
        build(k),
        [k.callbacks.TensorBoard(tmp_path / "theirs"), TbxLogger(tmp_path / "ours", update_freq="batch")],
    )
    assert "batch_loss" not in accumulate(tmp_path / "ours", "train").Tags()["tensors"]
    assert len(steps(tmp_path / "ours", "train")) == 8


@pytest.mark.slow
@KERASES
@MODES
def test_without_a_logger_a_traced_step_says_nothing(k, options, tmp_path):
    model, logger = build(k, **options), TbxLogger(tmp_path / "first", update_freq="batch")
    fit(model, [logger], epochs=1)
    fit(model, [], epochs=1)
    model.train_on_batch(*zoo.batch(4))
    model.evaluate(*zoo.batch(4), verbose=0)
    assert steps(tmp_path / "first", "train") == [1, 2, 3, 4]
    fit(model, [TbxLogger(tmp_path / "second", update_freq="batch")], epochs=1)
    assert steps(tmp_path / "second", "train") == [10, 11, 12, 13]
    assert steps(tmp_path / "first", "train") == [1, 2, 3, 4]


@pytest.mark.slow
@KERASES
@MODES
@pytest.mark.parametrize("hook", ["on_train_batch_begin", "on_test_batch_begin"])
def test_an_exception_ends_it(k, options, hook, tmp_path):
    def fails(*_, **__):
        raise RuntimeError("not of ours")

    failing = k.callbacks.Callback()
    setattr(failing, hook, fails)
    failing._implements_train_batch_hooks = failing._implements_test_batch_hooks = lambda: True
    model, logger = build(k, **options), TbxLogger(tmp_path, update_freq="batch")
    fit(model, [logger], epochs=1)
    with pytest.raises(RuntimeError, match="not of ours"):
        fit(model, [logger, failing], epochs=1)
    logger.flush()
    before = steps(tmp_path, "train"), steps(tmp_path, "validation")
    fit(model, [], epochs=1)
    model.train_on_batch(*zoo.batch(4))
    logger.flush()
    assert (steps(tmp_path, "train"), steps(tmp_path, "validation")) == before
    model.evaluate(*zoo.batch(16), batch_size=4, verbose=0, callbacks=[logger])
    logger.flush()
    assert len(steps(tmp_path, "validation")) == len(before[1]) + 4
    assert logger.report.errors == 0


@KERASES
def test_xla_says_once_that_nothing_is_recorded(k, tmp_path):
    model, logger = build(k, jit_compile=True), TbxLogger(tmp_path, update_freq="batch", gradient_freq=0)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        fit(model, [logger])
    said = [str(one.message) for one in found if "tf.summary" in str(one.message)]
    assert len(said) == 1
    assert "jit_compile=False" in said[0]
    assert not points(tmp_path, "train")
    assert logger.report.errors == 0


@pytest.mark.slow
@KERASES
@MODES
@pytest.mark.parametrize("stage", ["tracing", "running", "unreadable"])
def test_an_error_of_ours_is_reported_once_and_training_goes_on(k, options, stage, tmp_path, monkeypatch):
    def fails(*_, **__):
        raise RuntimeError("injected")

    if stage == "tracing":
        monkeypatch.setattr(channel, "_inputs", fails)
    elif stage == "running":
        monkeypatch.setattr(recorder, "_event", fails)

    def say(x):
        if stage == "unreadable":
            tf.summary.write("raw", tf.raw_ops.OptionalNone())
        else:
            say_mean(x)

    logger = TbxLogger(tmp_path, update_freq="batch")
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        model = build(k, say, **options)
        fit(model, [logger])
    assert len([one for one in found if "recording a tf.summary call failed" in str(one.message)]) == 1
    assert logger.report.errors > 0
    assert not points(tmp_path, "train")
    assert same_weights(model, _without(k, say, options))


def _without(k, say, options, **others):
    model = build(k, say, **others, **options)
    fit(model, [])
    return model


@KERASES
@MODES
def test_weights_are_bit_identical(k, options, tmp_path):
    def say(x):
        talk(x)
        tf.summary.histogram("values", x + tf.random.normal(tf.shape(x), stddev=0.1))

    model = build(k, say, dropout=0.5, **options)
    logger = TbxLogger(tmp_path, update_freq=3, gradient_freq=2)
    fit(model, [logger])
    assert logger.report.errors == 0
    assert same_weights(model, _without(k, say, options, dropout=0.5))


@KERASES
def test_a_model_that_says_nothing_is_left_alone(k, tmp_path):
    model = build(k, lambda x: None)
    fit(model, [TbxLogger(tmp_path, update_freq="batch", gradient_freq=0)])
    assert channel.channel_of(model)._flag is None


@pytest.mark.slow
@KERASES
@MODES
def test_two_loggers_get_each_value_once(k, options, tmp_path):
    loggers = [TbxLogger(tmp_path / str(freq), update_freq=freq) for freq in (1, 3)]
    fit(build(k, **options), [*loggers, TbxLogger(tmp_path / "epoch")])
    assert steps(tmp_path / "1", "train") == steps(tmp_path / "1", "validation") == list(range(1, 9))
    assert steps(tmp_path / "3", "train") == steps(tmp_path / "3", "validation") == [3, 6]
    assert not points(tmp_path / "epoch", "train")


@pytest.mark.slow
@KERASES
def test_copies_of_the_logger_and_collection_of_the_model(k, tmp_path):
    model, logger = build(k), TbxLogger(tmp_path / "one", update_freq="batch")
    fit(model, [logger])
    another = copy.deepcopy(logger)
    another.log_dir, another._config = str(tmp_path), logger._config
    fit(model, [another], epochs=1)
    assert steps(tmp_path / "one", "train") == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
    gone = [weakref.ref(one) for one in (model, logger, another)]
    del model, logger, another
    k.backend.clear_session()
    gc.collect()
    assert [one() for one in gone] == [None] * 3


@KERASES
def test_hooks_called_by_hand(k, tmp_path):
    model, logger = build(k), TbxLogger(tmp_path, update_freq="batch")
    logger.set_model(model)
    logger.on_train_begin()
    logger.on_epoch_begin(0)
    for batch in range(3):
        logger.on_train_batch_begin(batch)
        model.train_on_batch(*zoo.batch(4))
        logger.on_train_batch_end(batch, {})
    logger.on_epoch_end(0, {})
    logger.on_train_end()
    model.train_on_batch(*zoo.batch(4))
    assert steps(tmp_path, "train") == [1, 2, 3]


@KERASES
def test_what_a_callback_traces_stays_free_of_us(k, tmp_path):
    """A saved model may be loaded where there is no logger."""

    class Saves(k.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if k is keras:
                self.model.export(tmp_path / "saved", verbose=False)
            else:
                self.model.save(tmp_path / "saved", save_format="tf")

    fit(build(k), [TbxLogger(tmp_path / "logs", update_freq="batch"), Saves()])
    assert len(steps(tmp_path / "logs", "train")) == 8
    signature = tf.saved_model.load(tmp_path / "saved").signatures["serving_default"]
    names = {
        node.op for function in signature.graph.as_graph_def().library.function for node in function.node_def
    }
    assert names
    assert not [name for name in names if "PyFunc" in name]


@pytest.mark.slow
@KERASES
def test_a_mirrored_strategy_of_one_device(k, tmp_path):
    run_alone(train_on_one_device, k.__name__, str(tmp_path))


def train_on_one_device(package, log_dir):
    k = importlib.import_module(package)
    with tf.distribute.MirroredStrategy(["cpu:0"]).scope():
        model = build(k)
    logger = TbxLogger(log_dir, update_freq="batch")
    fit(model, [logger])
    assert steps(log_dir, "train") == steps(log_dir, "validation") == list(range(1, 9))
    assert logger.report.errors == 0
