"""Histograms of all weights of a BERT-base-shaped model, the whole call until the values are on disk."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np

from benchmarks.measure import Row, added_peak, in_process, interleaved, medians, seconds
from benchmarks.shapes import Holder, bert_base_shapes

WORK = "weight histograms, BERT-base shape (109M elements, 199 variables)"


def ours(holder: Holder, directory: str) -> Callable[[], None]:
    """The recorder, the queue and the file."""
    from tbx_keras.recorders.weights import WeightCounter
    from tbx_keras.values import RecordBatch
    from tbx_keras.writers import AsyncEventWriter

    record, writer, step = WeightCounter(holder), AsyncEventWriter(directory), iter(range(10**9))

    def call() -> None:
        writer.submit(RecordBatch("train", None, next(step), record()))
        writer.flush()

    return call


def without_numba(holder: Holder, directory: str) -> Callable[[], None]:
    """The same by TensorFlow's operations."""
    record = ours(holder, directory)

    def call() -> None:
        with mock.patch("tbx_keras.backends.numpy.cpu.is_compiled", return_value=False):
            record()

    return call


def limit(holder: Holder) -> Callable[[], Any]:
    """One pass over all the bytes."""
    import tensorflow as tf

    values = [weight.value for weight in holder.weights]
    total = tf.function(lambda: tf.stack([tf.reduce_sum(tf.cast(one, tf.float32)) for one in values]))
    return lambda: total().numpy()


def keras_callback(holder: Holder, directory: str) -> Callable[[], None]:
    """Record as keras.callbacks.TensorBoard does at the end of an epoch."""
    import keras

    callback = keras.callbacks.TensorBoard(directory, histogram_freq=1, write_graph=False)
    callback.set_model(holder)  # type: ignore[arg-type]
    return lambda: callback._log_weights(0)


def tensorboardx(holder: Holder, directory: str) -> Callable[[], None]:
    """`add_histogram` for each variable."""
    from tensorboardX import SummaryWriter

    writer = SummaryWriter(directory)

    def call() -> None:
        for weight in holder.weights:
            writer.add_histogram(weight.path, weight.numpy(), 0)
        writer.flush()

    return call


def run() -> list[Row]:
    """All rows of this question."""
    directory = tempfile.mkdtemp()
    try:
        return [*_speed(directory), *_half(directory), *_memory()]
    finally:
        shutil.rmtree(directory)


def _speed(directory: str) -> list[Row]:
    holder = Holder(bert_base_shapes())
    mine = ours(holder, f"{directory}/ours")
    first = seconds(mine)
    fast = {"tbx_keras": mine, "one reduce_sum pass": limit(holder)}
    fast["tbx_keras, without Numba"] = without_numba(holder, f"{directory}/without")
    slow = {"tensorboardX": tensorboardx(holder, f"{directory}/tbx")}
    slow["keras TensorBoard"] = keras_callback(holder, f"{directory}/keras")
    took = medians(interleaved(fast, rounds=15))
    # The peers take so long that one round of each, between two of ours, has to do.
    took.update({name: seconds(way) for name, way in slow.items()})
    again = medians(interleaved(fast, rounds=15))
    mean = {name: (took[name] + again[name]) / 2 for name in fast}
    return _rows(mean, took, first)


def _rows(mean: dict[str, float], took: dict[str, float], first: float) -> list[Row]:
    mine, floor = mean["tbx_keras"], mean["one reduce_sum pass"]
    without, reduced = mean["tbx_keras, without Numba"], "one reduce_sum pass"
    keras, plain = took["keras TensorBoard"], took["tensorboardX"]
    return [
        Row(
            WORK,
            "tbx_keras",
            mine * 1e3,
            "ms",
            mine / floor,
            reduced,
            "<= 6x",
            mine <= 6 * floor,
        ),
        Row(WORK, "tbx_keras, without Numba", without * 1e3, "ms", without / floor, reduced),
        Row(WORK, reduced, floor * 1e3, "ms"),
        Row(
            WORK,
            "keras TensorBoard",
            keras * 1e3,
            "ms",
            keras / mine,
            "tbx_keras",
            ">= 150x",
            keras >= 150 * mine,
        ),
        Row(WORK, "tensorboardX", plain * 1e3, "ms", plain / mine, "tbx_keras", ">= 25x", plain >= 25 * mine),
        Row("the same, first call", "tbx_keras", first, "s", None, "", "<= 4 s", first <= 4),
    ]


def _half(directory: str) -> list[Row]:
    single = ours(Holder(bert_base_shapes()), f"{directory}/single")
    half = ours(Holder(bert_base_shapes(), "float16"), f"{directory}/half")
    took = medians(interleaved({"single": single, "half": half}, rounds=7))
    ratio = took["half"] / took["single"]
    work = "the same in half precision"
    return [Row(work, "tbx_keras", took["half"] * 1e3, "ms", ratio, "float32", "<= 1x", ratio <= 1.05)]


def _memory() -> list[Row]:
    work = "the same, added peak memory"
    ways = ("ours", "without_numba", "tensorboardx", "keras_callback")
    mine, without, *peers = (in_process("weights", "peak", who) / 1e6 for who in ways)
    return [
        Row(work, "tbx_keras", mine, "MB", None, "", "<= 64 MB", mine <= 64),
        Row(work, "tbx_keras, without Numba", without, "MB"),
        *[Row(work, who, value, "MB", value / mine, "tbx_keras") for who, value in zip(ways[2:], peers)],
        Row(
            "Numba itself, once in a process", "tbx_keras", in_process("weights", "numba_itself") / 1e6, "MB"
        ),
    ]


def peak(who: str) -> int:
    """Bytes that one call adds; to be run in a process of its own."""
    directory = tempfile.mkdtemp()
    with mock.patch(
        "tbx_keras.backends.tensorflow.backend.LARGE", 1
    ):  # what is loaded once is a row of its own
        globals()[who](Holder([(8, 8)]), f"{directory}/warm")()
    call = globals()[who](Holder(bert_base_shapes()), directory)
    try:
        return added_peak(call)
    finally:
        shutil.rmtree(directory)


def numba_itself() -> int:
    """Bytes that it takes to import it and to compile the kernels; to be run in a process of its own."""
    import tensorflow  # noqa: F401  # as where weights are counted

    from tbx_keras.backends.numpy import cpu

    return added_peak(lambda: cpu.is_compiled() and cpu.summarize([np.ones(1, np.float32)]))
