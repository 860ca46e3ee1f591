import threading

import numpy as np
import pytest
import tensorflow as tf

from tbx_keras import SummaryWriter, summary
from tbx_keras.errors import ArgumentError, UnsupportedValueError
from tests.reading import accumulate, scalar


def test_the_pattern_of_the_articles(tmp_path):
    writer = SummaryWriter(tmp_path)
    weights = np.random.default_rng(0).normal(size=(20, 3))
    with writer.as_default():
        for epoch in range(3):
            assert summary.scalar("loss", 1.0 / (epoch + 1), step=epoch)
            assert summary.histogram("weights", weights, step=epoch, buckets=50)
    writer.close()
    events = accumulate(tmp_path)
    assert scalar(events, "loss") == {0: 1.0, 1: 0.5, 2: pytest.approx(1 / 3)}
    first = events.Histograms("weights")[0].histogram_value
    counts, edges = np.histogram(weights, 50)
    kept = dict(zip(first.bucket_limit, first.bucket))
    assert sum(kept.values()) == 60
    for edge, count in zip(edges[1:], counts):
        assert kept.get(edge, 0) == count


def test_buckets_and_range(tmp_path):
    with SummaryWriter(tmp_path) as writer, writer.as_default(step=1):
        summary.histogram("h", [0.0, 0.5, 1.0, 9.0], buckets=2, range=(0, 1))
        summary.histogram("few", np.arange(100.0), buckets=50, max_bins=4)
    events = accumulate(tmp_path)
    assert sum(events.Histograms("h")[0].histogram_value.bucket) == 3
    assert len(events.Histograms("few")[0].histogram_value.bucket) == 5  # and the empty one before the first


def test_images_texts_and_sounds(tmp_path):
    with SummaryWriter(tmp_path) as writer, writer.as_default(step=4):
        summary.image("image", np.random.default_rng(0).random((5, 3, 2, 1)), max_outputs=2)
        summary.text("text", "one *two*")
        summary.audio("audio", np.zeros((1, 50, 2)), sample_rate=8000)
    tags = accumulate(tmp_path).Tags()
    assert set(tags["images"]) == {"image/0", "image/1"}
    assert tags["tensors"] == ["text/text_summary"]
    assert tags["audio"] == ["audio"]


def test_inside_a_tf_function(tmp_path):
    step = tf.Variable(0, dtype=tf.int64)
    traces = []

    @tf.function
    def train_step(x):
        traces.append(1)
        step.assign_add(1)
        summary.scalar("loss", tf.reduce_sum(x), step=step)
        summary.histogram("x", x, step=step, buckets=3)
        summary.text("text", tf.constant("hello"), step=step)

    with SummaryWriter(tmp_path) as writer, writer.as_default():
        for number in range(4):
            train_step(tf.fill([2], float(number)))
    assert len(traces) == 1
    events = accumulate(tmp_path)
    assert scalar(events, "loss") == {1: 0.0, 2: 2.0, 3: 4.0, 4: 6.0}
    assert [one.step for one in events.Histograms("x")] == [1, 2, 3, 4]


def test_without_a_writer_nothing_happens():
    assert summary.scalar("loss", 1.0, step=1) is False


def test_blocks_nest_and_threads_are_apart(tmp_path):
    one, two = SummaryWriter(tmp_path / "one"), SummaryWriter(tmp_path / "two")
    seen = []
    with one.as_default(step=1):
        with two.as_default(step=2):
            summary.scalar("s", 2.0)
        summary.scalar("s", 1.0)
        thread = threading.Thread(target=lambda: seen.append(summary.scalar("s", 3.0, step=3)))
        thread.start()
        thread.join()
    one.close(), two.close()
    assert scalar(accumulate(tmp_path, "one"), "s") == {1: 1.0}
    assert scalar(accumulate(tmp_path, "two"), "s") == {2: 2.0}
    assert seen == [False]


@pytest.mark.parametrize(
    ("call", "error", "named"),
    [
        (lambda: summary.scalar("s", 1.0), ArgumentError, "step"),
        (lambda: summary.scalar("s", [1.0, 2.0], step=1), ArgumentError, "data"),
        (lambda: summary.histogram("h", [1.0], step=1, buckets=0), ArgumentError, "buckets"),
        (lambda: summary.histogram("h", [1.0], step=1, range=(2, 1)), ArgumentError, "range"),
        (lambda: summary.histogram("tag", [1j], step=1), UnsupportedValueError, "tag"),
        (lambda: summary.image("i", np.zeros((3, 3)), step=1), ArgumentError, "data"),
        (lambda: summary.audio("a", np.zeros(3), 8000, step=1), ArgumentError, "data"),
        (
            lambda: summary.audio("a", np.zeros((1, 3, 1)), 8000, step=1, encoding="mp3"),
            ArgumentError,
            "encoding",
        ),
    ],
)
def test_bad_input_is_named(tmp_path, call, error, named):
    with SummaryWriter(tmp_path) as writer, writer.as_default(), pytest.raises(error, match=named):
        call()


def test_keras_variables_and_plain_numbers_inside_a_tf_function(tmp_path):
    import keras

    optimizer, kernel = keras.optimizers.SGD(0.1), keras.Variable([1.0, 2.0])
    optimizer.build([kernel])

    @tf.function
    def step():
        optimizer.apply([tf.constant([1.0, 1.0])], [kernel])
        summary.histogram("kernel", kernel, step=optimizer.iterations)
        summary.scalar("plain", 2.0, step=optimizer.iterations)
        summary.scalar("first", kernel[0], step=optimizer.iterations)
        summary.histogram("list", [kernel[0], 5.0], step=optimizer.iterations)

    with SummaryWriter(tmp_path) as writer, writer.as_default():
        for _ in range(3):
            step()
    events = accumulate(tmp_path)
    assert scalar(events, "plain") == {1: 2.0, 2: 2.0, 3: 2.0}
    assert scalar(events, "first") == pytest.approx({1: 0.9, 2: 0.8, 3: 0.7})
    assert [one.step for one in events.Histograms("kernel")] == [1, 2, 3]
    assert events.Histograms("list")[0].histogram_value.num == 2


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: summary.scalar("a", "x", step=0), "data"),
        (lambda: summary.scalar("a", None, step=0), "data"),
        (lambda: summary.scalar("a", 1j, step=0), "data"),
        (lambda: summary.scalar("a", 1.0, step="x"), "step"),
        (lambda: summary.scalar("a", 1.0, step=1.5), "step"),
        (lambda: summary.scalar("a", 1.0, step=2**70), "step"),
        (lambda: summary.scalar(None, 1.0, step=0), "name"),
        (lambda: summary.scalar("", 1.0, step=0), "name"),
        (lambda: summary.histogram("a", [1.0], step=0, max_bins="a"), "max_bins"),
        (lambda: summary.histogram("a", [1.0], step=0, max_bins=0), "max_bins"),
        (lambda: summary.histogram("a", [1.0], step=0, buckets=0, max_bins=5), "buckets"),
        (lambda: summary.image("a", np.full((1, 2, 2, 1), 100), step=0), "data"),
        (lambda: summary.image("a", np.zeros((1, 0, 2, 1)), step=0), "data"),
        (lambda: summary.image("a", np.zeros((1, 2, 2, 1)), step=0, max_outputs=-1), "max_outputs"),
        (lambda: summary.audio("a", np.zeros((1, 2, 1)), 0, step=0), "sample_rate"),
        (lambda: summary.audio("a", np.zeros((1, 2, 1)), "x", step=0), "sample_rate"),
        (lambda: summary.audio("a", np.full((1, 2, 1), "x"), 8000, step=0), "data"),
        (lambda: summary.text("a", ["one", "two"], step=0), "data"),
    ],
)
def test_wrong_arguments_are_named(call, argument, tmp_path):
    with SummaryWriter(tmp_path) as writer, writer.as_default(), pytest.raises(ArgumentError) as refused:
        call()
    assert refused.value.argument == argument
