"""`make soak`: training simulated at 2,000 values a second; memory and descriptors have to stay flat.

Ends with exit code 1 if a line through the memory after the warm-up rises by more than 1 MiB in an hour's
worth of values, or if a descriptor was left open.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time

import numpy as np

from benchmarks.measure import resident
from tbx_keras import SummaryWriter
from tbx_keras.error_reporting import warn

RATE = 2000  # values a second
TICK = 0.05  # seconds
WARM = 0.25  # share of the time
FLAT = (1 << 20) / 3600  # bytes a second


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0, help="how long, 20 if not given")
    minutes = parser.parse_args().minutes
    with tempfile.TemporaryDirectory() as directory:
        descriptors, held, counts = _record(directory, minutes * 60)
    times, memory = np.array([one for one in held if one[0] > WARM * minutes * 60]).T
    slope = float(np.polyfit(times, memory, 1)[0])
    noise = float(np.ptp(memory)) / (times[-1] - times[0])
    print(f"{counts.written:,} values, {counts.bytes / 1e6:.1f} MB")
    print(f"{counts.dropped} dropped, {counts.errors} errors")
    print(f"memory: {slope:+.1f} bytes/s (range {np.ptp(memory):,.0f} bytes); descriptors: {descriptors:+d}")
    if descriptors > 1 or counts.dropped or counts.errors or (slope > FLAT and slope > 0.5 * noise):
        warn("The soak found growth, or lost something.")
        sys.exit(1)


def _record(directory: str, seconds: float) -> tuple[int, list[tuple[float, int]], object]:
    writer, weights = SummaryWriter(directory), np.random.default_rng(0).normal(size=1000)
    before, held = _descriptors(), list[tuple[float, int]]()
    start, step = time.monotonic(), 0
    while (now := time.monotonic() - start) < seconds:
        step += 1
        for index in range(int(RATE * TICK) - 1):
            writer.add_scalar(f"loss/{index % 20}", 1.0 / step, step * 5 + index // 20)
        writer.add_histogram("weights", weights, step)
        if step % 20 == 0:
            held.append((now, resident()))
        time.sleep(max(0.0, step * TICK - (time.monotonic() - start)))
    open_now = _descriptors()
    writer.close()
    return open_now - before, held, writer.counts


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


if __name__ == "__main__":
    main()
