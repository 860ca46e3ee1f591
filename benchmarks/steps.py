"""Short steps: those that are not sampled, and metrics of every batch."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.measure import Row, interleaved, medians, paired_ratio
from benchmarks.shapes import chain

STEPS = 400


def run() -> list[Row]:
    """All rows of this question."""
    directory = tempfile.mkdtemp()
    try:
        return [*_unsampled(directory, 1, 8), *_unsampled(directory, 3, 2500), *_every_batch(directory)]
    finally:
        shutil.rmtree(directory)


def _fits(callbacks: dict[str, list[Any]], batch: int, **compiled: Any) -> dict[str, Callable[[], Any]]:
    """For each entry a `fit` of `STEPS` steps of one and the same model: only the callbacks differ."""
    import keras
    import tensorflow as tf

    x = np.random.default_rng(0).normal(size=(batch, 16)).astype("float32")
    data = tf.data.Dataset.from_tensors((x, x)).repeat(STEPS)
    model = chain()
    model.compile(keras.optimizers.SGD(1e-3), "mse", **compiled)
    return {name: _fit(model, data, made) for name, made in callbacks.items()}


def _fit(model: Any, data: Any, callbacks: list[Any]) -> Callable[[], Any]:
    return lambda: model.fit(data, verbose=0, callbacks=callbacks)


def _unsampled(directory: str, milliseconds: int, batch: int) -> list[Row]:
    import keras

    from tbx_keras import TbxLogger

    work = f"steps that are not sampled, about {milliseconds} ms, 60 variables"
    empty = type("Empty", (keras.callbacks.Callback,), {"async_safe": True})
    ways = _fits(
        {
            "empty callback": [empty()],
            # Due once in 10 million steps: what is left is the cost of asking at every step.
            "tbx_keras": [TbxLogger(directory, 0, False, gradient_freq=10_000_000)],
        },
        batch,
    )
    taken = interleaved(ways, rounds=25, warm=1)
    took, ratio = medians(taken), paired_ratio(taken, "tbx_keras", "empty callback")
    return [
        Row(work, "empty callback", took["empty callback"] / STEPS * 1e3, "ms/step"),
        Row(
            work,
            "tbx_keras",
            took["tbx_keras"] / STEPS * 1e3,
            "ms/step",
            ratio,
            "empty callback",
            "<= 1.02x",
            ratio <= 1.02,
        ),
    ]


def _every_batch(directory: str) -> list[Row]:
    import keras

    from tbx_keras import TbxLogger

    work = 'update_freq="batch", 1 ms step, 3 metrics'
    ways = _fits(
        {
            "no callback": [],
            "tbx_keras": [TbxLogger(f"{directory}/ours", 0, False, update_freq="batch", gradient_freq=0)],
            "keras TensorBoard": [
                keras.callbacks.TensorBoard(f"{directory}/keras", write_graph=False, update_freq="batch")
            ],
        },
        8,
        metrics=["mae", "mape"],
    )
    taken = interleaved(ways, rounds=25, warm=1)
    ratio = paired_ratio(taken, "tbx_keras", "no callback")
    return [
        Row(work, "no callback", medians(taken)["no callback"] / STEPS * 1e3, "ms/step"),
        _beside(work, "tbx_keras", taken, "<= 1.10x", ratio <= 1.10),
        _beside(work, "keras TensorBoard", taken),
    ]


def _beside(
    work: str, who: str, taken: dict[str, list[float]], reach: str = "", reached: bool | None = None
) -> Row:
    ratio = paired_ratio(taken, who, "no callback")
    step = medians(taken)[who] / STEPS * 1e3
    return Row(work, who, step, "ms/step", ratio, "no callback", reach, reached)
