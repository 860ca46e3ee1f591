"""A sampled step, with all histograms, norms and ratios, beside a plain one."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.measure import Row, interleaved, medians
from benchmarks.shapes import bert_mini

WORK = "one training step, BERT-mini shape (11M parameters, batch 8, sequence 64)"


def run(rounds: int = 40) -> list[Row]:
    """The row of this question."""
    with tempfile.TemporaryDirectory() as directory:
        plain, sampled = _steps(directory)
        took = medians(interleaved({"plain": plain, "sampled": sampled}, rounds, warm=3))
    ratio = took["sampled"] / took["plain"]
    return [
        Row(WORK, "no callback", took["plain"] * 1e3, "ms"),
        Row(WORK, "tbx_keras, sampled", took["sampled"] * 1e3, "ms", ratio, "plain", "<= 1.3x", ratio <= 1.3),
    ]


def _steps(directory: str) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """A plain and a sampled step of one model: the same work on the same batch."""
    import keras

    from tbx_keras import TbxLogger

    model = bert_mini()
    model.compile(keras.optimizers.Adam(1e-4), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    random = np.random.default_rng(0)
    x, y = random.integers(0, 30522, (8, 64)).astype("int32"), random.integers(0, 2, 8)
    logger = TbxLogger(directory, gradient_freq=1)
    logger.set_model(model)
    logger.on_train_begin()
    logger.on_epoch_begin(0)
    batch = iter(range(10**9))

    def plain() -> None:
        model.train_on_batch(x, y)

    def sampled() -> None:
        number = next(batch)
        logger.on_train_batch_begin(number)
        logs = model.train_on_batch(x, y, return_dict=True)
        logger.on_train_batch_end(number, logs)
        logger.flush()  # counted too, so that no work is left to the next round

    return plain, sampled
