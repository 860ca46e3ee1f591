"""A week-long run: the hooks of 10 million steps, and the memory that the process holds."""

from __future__ import annotations

import tempfile

import numpy as np

from benchmarks.measure import Row, in_process, resident

STEPS = 10_000_000
WARM = STEPS // 5


def run() -> list[Row]:
    """The row of this question, in a process of its own."""
    slope = in_process("endurance", "slope")
    work = "10 million steps simulated, metrics each 100th: growth after warm-up"
    return [Row(work, "tbx_keras", slope, "bytes/step", None, "", "within noise (< 0.5)", slope < 0.5)]


def slope() -> float:
    """Bytes per step by a line through the memory held at 200 statistics after the warm-up."""
    import keras

    from tbx_keras import TbxLogger

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with tempfile.TemporaryDirectory() as directory:
        logger = TbxLogger(directory, update_freq=100, gradient_freq=0)
        logger.set_model(model)
        logger.on_train_begin()
        logger.on_epoch_begin(0)
        held = _drive(logger)
        logger.on_train_end()
        assert logger.report.errors == 0
    steps, memory = zip(*held)
    return float(np.polyfit(steps, memory, 1)[0])


def _drive(logger: object) -> list[tuple[int, int]]:
    begin, end = logger.on_train_batch_begin, logger.on_train_batch_end  # type: ignore[attr-defined]
    logs, held = {"loss": 0.5, "accuracy": 0.5}, []
    for step in range(STEPS):
        begin(step)
        end(step, logs)
        if step > WARM and step % ((STEPS - WARM) // 200) == 0:
            held.append((step, resident()))
    return held
