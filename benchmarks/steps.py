"""Short steps: those that are not sampled, and metrics of every batch."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.measure import Row, interleaved, medians, paired_ratio
from benchmarks.shapes import chain
from benchmarks.switching import blocks


def run() -> list[Row]:
    """All rows of this question."""
    with tempfile.TemporaryDirectory() as directory:
        rows = [*unsampled(f"{directory}/1", 1, 8), *unsampled(f"{directory}/3", 3, 2500)]
        return [*rows, *_every_batch(directory), *_begin_and_end(directory)]


def _taken(
    ways: dict[str, list[Any]], batch: int, rounds: int, block: int, **compiled: Any
) -> dict[str, list[float]]:
    import keras

    model = chain()
    model.compile(keras.optimizers.SGD(1e-3), "mse", **compiled)
    return blocks(model, ways, _repeated(batch), rounds, block)


def _repeated(size: int) -> Callable[[int], Any]:
    """From a number of steps to so many batches, as the backend likes them."""
    import keras

    batch = _batch(size)
    if keras.backend.backend() != "tensorflow":
        return lambda steps: (batch for _ in range(steps))
    import tensorflow as tf

    return tf.data.Dataset.from_tensors(batch).repeat


def _batch(size: int) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).normal(size=(size, 16)).astype("float32")
    return x, x


def unsampled(directory: str, milliseconds: int, batch: int) -> list[Row]:
    """Rows of steps that are not sampled.

    Args:
        directory: Where to record.
        milliseconds: About what a step takes.
        batch: Examples in a batch.
    """
    import keras

    from tbx_keras import TbxLogger

    work = f"steps that are not sampled, about {milliseconds} ms, 60 variables"
    empty = type("Empty", (keras.callbacks.Callback,), {"async_safe": True})
    # Due once in 10 million steps: what is left is the cost of asking at every step.
    logger = TbxLogger(directory, 0, False, gradient_freq=10_000_000)
    ways = {"empty callback": [empty()], "tbx_keras": [logger]}
    taken = _taken(ways, batch, 400 if milliseconds == 1 else 200, 25)
    return [_row(work, "empty callback", taken), _beside(work, "tbx_keras", taken, "empty callback", 1.02)]


def _every_batch(directory: str) -> list[Row]:
    """Each in a `fit` of its own: the callback of Keras makes its writer the default for all of it."""
    import keras

    from tbx_keras import TbxLogger

    work, plain, compiled = 'update_freq="batch", 1 ms step, 3 metrics', "no callback", ["mae", "mape"]
    logger = TbxLogger(f"{directory}/ours", 0, False, update_freq="batch", gradient_freq=0)
    theirs = keras.callbacks.TensorBoard(f"{directory}/keras", write_graph=False, update_freq="batch")
    ours = _taken({plain: [], "tbx_keras": [logger]}, 8, 100, 100, metrics=compiled)
    peer = _taken({plain: [], "keras TensorBoard": [theirs]}, 8, 20, 100, metrics=compiled)
    return [
        _row(work, plain, ours),
        _beside(work, "tbx_keras", ours, plain, 1.10),
        _beside(work, "keras TensorBoard", peer, plain),
    ]


def _begin_and_end(directory: str) -> list[Row]:
    """Time a `fit` of one step with a logger beyond one without: files and threads begin and end."""
    import keras

    from tbx_keras import TbxLogger

    model, logger = chain(), TbxLogger(f"{directory}/once", 0, False, gradient_freq=10_000_000)
    model.compile(keras.optimizers.SGD(1e-3), "mse")
    x, y = _batch(8)
    ways = {
        name: lambda callbacks=callbacks: model.fit(x, y, verbose=0, callbacks=callbacks)
        for name, callbacks in {"no callback": [], "tbx_keras": [logger]}.items()
    }
    taken = interleaved(ways, rounds=15)
    extra = statistics.median([one - other for one, other in zip(taken["tbx_keras"], taken["no callback"])])
    return [Row("beginning and ending a fit", "tbx_keras", extra * 1e3, "ms")]


def _row(work: str, who: str, taken: dict[str, list[float]]) -> Row:
    return Row(work, who, medians(taken)[who] * 1e3, "ms/step")


def _beside(
    work: str, who: str, taken: dict[str, list[float]], base: str, target: float | None = None
) -> Row:
    ratio, step = paired_ratio(taken, who, base), medians(taken)[who] * 1e3
    limit = "" if target is None else f"<= {target:.2f}x"
    return Row(work, who, step, "ms/step", ratio, base, limit, None if target is None else ratio <= target)
