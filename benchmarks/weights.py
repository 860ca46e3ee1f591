"""Histograms of all weights of a BERT-base-shaped model, the whole call until the values are on disk."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from typing import Any

from benchmarks.measure import Row, added_peak, in_process, interleaved, medians, seconds
from benchmarks.shapes import Holder, bert_base_shapes

WORK = "weight histograms, BERT-base shape (109M elements, 199 variables)"


def ours(holder: Holder, directory: str) -> Callable[[], None]:
    """The recorder, the queue and the file."""
    from tbx_keras.recorders.weights import WeightHistograms
    from tbx_keras.writers import EventHub

    record, hub, step = WeightHistograms(holder), EventHub(directory), iter(range(10**9))

    def call() -> None:
        hub.write("train", next(step), record())
        hub.flush()

    return call


def limit(holder: Holder) -> Callable[[], Any]:
    """One pass over all the bytes."""
    import tensorflow as tf

    values = [weight.value for weight in holder.weights]
    total = tf.function(lambda: tf.stack([tf.reduce_sum(tf.cast(one, tf.float32)) for one in values]))
    return lambda: total().numpy()


def keras_callback(holder: Holder, directory: str) -> Callable[[], None]:
    """What keras.callbacks.TensorBoard does at the end of an epoch."""
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
    keras, plain = took["keras TensorBoard"], took["tensorboardX"]
    return [
        Row(
            WORK,
            "tbx_keras",
            mine * 1e3,
            "ms",
            mine / floor,
            "one reduce_sum pass",
            "<= 6x",
            mine <= 6 * floor,
        ),
        Row(WORK, "one reduce_sum pass", floor * 1e3, "ms"),
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
    mine = in_process("weights", "peak", "ours") / 1e6
    peers = {who: in_process("weights", "peak", who) / 1e6 for who in ("tensorboardx", "keras_callback")}
    rows = [Row(work, "tbx_keras", mine, "MB", None, "", "<= 64 MB", mine <= 64)]
    return rows + [Row(work, who, value, "MB", value / mine, "tbx_keras") for who, value in peers.items()]


def peak(who: str) -> int:
    """Bytes that one call adds; to be run in a process of its own."""
    directory = tempfile.mkdtemp()
    globals()[who](Holder([(8, 8)]), f"{directory}/warm")()  # what is imported is not what is measured
    call = globals()[who](Holder(bert_base_shapes()), directory)
    try:
        return added_peak(call)
    finally:
        shutil.rmtree(directory)
