"""Many workers that record for a week: files, bytes, requests to a store, and what the reader does.

`python -m benchmarks.scale` simulates 1,000 workers on this machine: each has a writer of its own, with its
thread, its queue and its file, and records what a worker of a long training records, a hundred times faster.
A week in an object store runs against a clock that is set by hand, with the sink that a run would have.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from benchmarks.measure import Row, printed_by_process, resident, seconds

VARIABLES, METRICS = 300, 5
METRICS_EVERY, GRADIENTS_EVERY = 100, 1000  # steps; a step takes a second
WEEK = 7 * 24 * 3600
GROUP = 125  # workers in a process


def main() -> None:
    """The command line."""
    from rich.console import Console

    from benchmarks.__main__ import table

    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--workers", type=int, default=1000, help="1000 if not given")
    parser.add_argument(
        "--hours", type=float, default=2.0, help="simulated hours on the disk, 2 if not given"
    )
    arguments = parser.parse_args()
    Console(width=160).print(table(run(arguments.workers, arguments.hours)))


def run(workers: int = 1000, hours: float = 2.0) -> list[Row]:
    """All rows.

    Args:
        workers: How many are simulated.
        hours: Simulated hours that they record on the disk.
    """
    with tempfile.TemporaryDirectory() as directory:
        rows = on_disk(directory, workers, int(hours * 3600))
        rows += read(directory, workers)
    for name, gradients in (("metrics and gradients", True), ("metrics alone", False)):
        rows += in_store(name, gradients)
    return rows


def batches(step: int, gradients: bool) -> Iterator[Any]:
    """What a worker records at a step."""
    from tbx_keras.values import Histogram, RecordBatch, Scalar

    if step % METRICS_EVERY == 0:
        values = [Scalar(f"batch_metric_{number}", 1 / step) for number in range(METRICS)]
        yield RecordBatch("train", "step", step, values)
    if gradients and step % GRADIENTS_EVERY == 0:
        draw = np.random.default_rng(step)
        for number in range(VARIABLES):
            path = f"block_{number // 12}/attention/dense_{number % 12}/kernel"
            values = [Scalar(f"gradient_norm/{path}", 0.1), Scalar(f"update_ratio/{path}", 0.001)]
            counted = Histogram.of(f"gradients/{path}", draw.normal(size=4096).astype("float32"))
            yield RecordBatch("train", "step", step, [*values, counted])


def on_disk(directory: str, workers: int, duration: int) -> list[Row]:
    """Workers with a directory each on this machine's disk; all threads of all of them run at once."""
    groups = [(first, min(GROUP, workers - first)) for first in range(0, workers, GROUP)]
    with ThreadPoolExecutor(len(groups)) as pool:
        done = pool.map(lambda one: _group(directory, *one, duration), groups)
        found = [json.loads(one) for one in done]
    total = {name: sum(one[name] for one in found) for name in found[0]}
    files = list(Path(directory).rglob("*tfevents*"))
    size, work = sum(path.stat().st_size for path in files), f"{workers} workers, {duration / 3600:g} hours"
    return [
        Row(work, "values lost", total["dropped"], "values", target="0", met=not total["dropped"]),
        Row(work, "files", len(files), "files"),
        Row(work, "bytes of a worker", size / workers / duration * 3600 / 1e6, "MB/hour"),
        Row(work, "bytes of all", size / duration / 1e6, "MB/s"),
        Row(work, "processor of a worker", total["cpu"] / workers / duration * 1e6, "us per second"),
        Row(work, "memory of a worker", total["memory"] / workers / 1e6, "MB"),
        Row(work, "ending all of them", max(one["close"] for one in found), "s"),
    ]  # fmt: skip


def _group(directory: str, first: int, count: int, duration: int) -> str:
    return printed_by_process(
        "scale", "group", directory, str(first), str(count), str(duration), timeout=3600
    )


def group(directory: str, first: str, count: str, duration: str) -> str:
    """Run some workers in this process; what became of their values, as JSON."""
    from tbx_keras.writers import AsyncEventWriter

    before, began = resident(), time.process_time()
    writers = [AsyncEventWriter(f"{directory}/worker-{int(first) + n}") for n in range(int(count))]
    for step in range(METRICS_EVERY, int(duration) + 1, METRICS_EVERY):
        for batch in batches(step, gradients=True):
            for writer in writers:
                writer.submit(batch)
        for writer in writers:  # a hundred seconds go by until the next step that is recorded
            writer.flush(600)
    memory = resident() - before
    closed = seconds(lambda: [writer.close(600) for writer in writers])
    counts = [writer.counts for writer in writers]
    found = {
        "dropped": sum(one.dropped for one in counts),
        "cpu": time.process_time() - began,
        "memory": memory,
        "close": closed,
    }
    return json.dumps(found)


def read(directory: str, workers: int) -> list[Row]:
    """Seconds until TensorBoard shows every run."""
    from tbx_keras.cli.view import LOOPBACK, free_port

    work, port = f"the reader, {workers} runs", free_port(LOOPBACK, 0)
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", directory, "--port", str(port)]
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            while len(_runs(port)) < workers and time.perf_counter() - start < 1800:
                time.sleep(0.5)
        finally:
            process.terminate()
    return [Row(work, "TensorBoard, until all runs are there", time.perf_counter() - start, "s")]


def _runs(port: int) -> list[str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/data/runs", timeout=60) as answer:
            return list(json.load(answer))
    except OSError:
        return []


@dataclass
class Store:
    """Stands for an object store: counts what it is sent."""

    requests: int = 0
    sent: int = 0

    def pipe_file(self, path: str, data: bytes) -> None:
        self.requests += 1
        self.sent += len(data)


def in_store(name: str, gradients: bool, duration: int = WEEK) -> list[Row]:
    """A worker that records to an object store for a week."""
    from tbx_keras.writers.records import frame
    from tbx_keras.writers.sinks import object_store

    store, sink = Store(), object_store.ObjectStore("memory://week/train")
    sink._system, sink._path = store, "week/train"
    events, names, recorded = _events(gradients), set[str](), 0
    with mock.patch.object(object_store, "time") as clock:
        clock.time.return_value = 0.0
        for now in range(METRICS_EVERY, duration + 1, METRICS_EVERY):
            for event in events[now % GRADIENTS_EVERY == 0]:
                sink.append(event)
                recorded += len(frame(event))
            clock.monotonic.return_value = float(now)
            sink.flush()
            names.add(sink._name)
    work = f"a week in an object store, {name}, one worker"
    return [
        Row(work, "recorded", recorded / 1e6, "MB"),
        Row(work, "sent", store.sent / 1e6, "MB", store.sent / recorded, "recorded"),
        Row(work, "requests", store.requests, "PUT"),
        Row(work, "objects", len(names), "objects"),
    ]


def _events(gradients: bool) -> dict[bool, list[bytes]]:
    """Serialized events of a step with metrics alone, and of one with gradients, as a writer writes them."""
    return {due: _written(GRADIENTS_EVERY if due else METRICS_EVERY, gradients) for due in (True, False)}


def _written(step: int, gradients: bool) -> list[bytes]:
    from tbx_keras.writers import AsyncEventWriter
    from tbx_keras.writers.records import unframed

    with tempfile.TemporaryDirectory() as directory:
        writer = AsyncEventWriter(directory)
        for batch in batches(step, gradients):
            writer.submit(batch)
        writer.close()
        with open(next(Path(directory).rglob("*tfevents*")), "rb") as file:
            return list(unframed(file))[1:]  # the first names the version of the format


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
