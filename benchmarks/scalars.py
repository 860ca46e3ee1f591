"""One scalar on the calling thread, and how many a second get to the disk."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable

import numpy as np

from benchmarks.measure import Row

CALLS = 10_000
SUSTAINED = 300_000


def run() -> list[Row]:
    """All rows of this question."""
    directory = tempfile.mkdtemp()
    try:
        return [*_latency(directory), *_throughput(directory)]
    finally:
        shutil.rmtree(directory)


def _latency(directory: str) -> list[Row]:
    import tensorboardX
    import tensorflow as tf

    from tbx_keras import SummaryWriter

    ours, plain = (
        SummaryWriter(f"{directory}/ours"),
        tensorboardX.SummaryWriter(f"{directory}/tbx", max_queue=10_000),
    )
    theirs = tf.summary.create_file_writer(f"{directory}/tf")
    median, tail = _times(lambda step: ours.add_scalar("loss", 0.5, step))
    peers = {"tensorboardX": _times(lambda step: plain.add_scalar("loss", 0.5, step))}
    with theirs.as_default():
        peers["tf.summary.scalar"] = _times(lambda step: tf.summary.scalar("loss", 0.5, step))
    work, worst = "one scalar, median", "one scalar, 99th percentile"
    rows = [
        Row(work, "tbx_keras", median, "us", None, "", "<= 3 us", median <= 3),
        Row(worst, "tbx_keras", tail, "us", None, "", "<= 20 us", tail <= 20),
    ]
    for who, (their_median, their_tail) in peers.items():
        rows.append(Row(work, who, their_median, "us", their_median / median, "tbx_keras"))
        rows.append(Row(worst, who, their_tail, "us", their_tail / tail, "tbx_keras"))
    ours.close(), plain.close(), theirs.close()
    return rows


def _times(call: Callable[[int], object]) -> tuple[float, float]:
    """Median and 99th percentile of one call, in microseconds; calls come 50 us apart."""
    taken = []
    for step in range(CALLS):
        start = time.perf_counter()
        call(step)
        taken.append(time.perf_counter() - start)
        while time.perf_counter() - start < 50e-6:
            pass
    return float(np.median(taken)) * 1e6, float(np.percentile(taken, 99)) * 1e6


def _throughput(directory: str) -> list[Row]:
    from tbx_keras import SummaryWriter

    writer = SummaryWriter(f"{directory}/many", max_queue=SUSTAINED)
    start = time.perf_counter()
    for step in range(SUSTAINED):
        writer.add_scalar("loss", 0.5, step)
    complete = writer.flush(60)
    rate = SUSTAINED / (time.perf_counter() - start)
    assert complete
    assert writer.counts.dropped == 0
    writer.close()
    return [
        Row("scalars to disk, sustained", "tbx_keras", rate, "1/s", None, "", ">= 100,000/s", rate >= 1e5)
    ]
