"""Real memory is held against the bound of the queue, while the disk takes nothing."""

import gc
import threading
import tracemalloc
import weakref

import keras
import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.summary_pb2 import Summary

from tbx_keras.backends.base import backend_of
from tbx_keras.backends.numpy.kernels import float_bits_histogram, linear_histogram
from tbx_keras.memory import held_bytes
from tbx_keras.recorders.weight_images import weight_images
from tbx_keras.recorders.weights import WeightCounter
from tbx_keras.values import (
    Audio,
    Deferred,
    Embedding,
    Image,
    KerasGraph,
    OpGraph,
    RecordBatch,
    Scalar,
    Text,
)
from tbx_keras.writers import AsyncEventWriter, async_writer
from tbx_keras.writers.sinks import local_file
from tests.cases import mostly_slow

BOUND = 1 << 21


@pytest.fixture
def blocked(tmp_path, monkeypatch):
    """A writer whose thread stands in a write to the disk."""
    monkeypatch.setattr(async_writer, "MAX_QUEUE_BYTES", BOUND)
    stands, let_go, write = threading.Event(), threading.Event(), local_file.LocalFile._write

    def wait_and_write(self, data):
        stands.set()
        assert let_go.wait(120)
        write(self, data)

    monkeypatch.setattr(local_file.LocalFile, "_write", wait_and_write)
    writer = AsyncEventWriter(tmp_path, max_queue=10**9)
    writer.scalar("", "first", 0.0, 0)
    assert stands.wait(20)
    yield writer
    let_go.set()
    writer.close()


def noise(*shape):
    return np.random.default_rng(0).normal(size=shape)


def pixels(*shape):
    return np.zeros(shape, np.uint8)


def event(step):
    return Event(step=step, summary=Summary(value=[Summary.Value(tag="t", simple_value=1.0)] * 50))


def deferred(array):
    return Deferred(lambda: [float_bits_histogram("t", array)], held_bytes(array))


MAKES = {
    "scalar": lambda step: [Scalar(f"loss/{step}", float(step))],
    "many scalars": lambda step: [Scalar(f"loss/{step}/{number}", step + 0.5) for number in range(50)],
    "histogram": lambda step: [float_bits_histogram(f"h/{step}", noise(100))],
    "wide histogram": lambda step: [float_bits_histogram("h", 10.0 ** np.linspace(-30, 30, 5000))],
    "linear histogram": lambda step: [linear_histogram("h", noise(100), 30)],
    "image": lambda step: [Image("i", pixels(1, 64, 64, 3))],
    "part of an image": lambda step: [Image("i", pixels(8, 64, 64, 3)[:1])],
    "audio": lambda step: [Audio("a", noise(1000, 1), 8000)],
    "text": lambda step: [Text("t", f"{step}" * 1000)],
    "text beyond Latin": lambda step: [Text("t", f"{step}λ" * 1000)],
    "embedding": lambda step: [Embedding("e", noise(100, 8), "words.tsv")],
    "model": lambda step: [KerasGraph("k", f"{step:2000}")],
    "graph": lambda step: [OpGraph("g", bytes(2000))],
    "event": lambda step: [event(step)],
    "bytes": lambda step: [bytes(3000)],
    "deferred": lambda step: deferred(noise(5000)),
}


@pytest.mark.parametrize("make", mostly_slow(MAKES, fast=("scalar", "histogram", "deferred")))
def test_what_waits_is_within_the_bound(make, blocked):
    make(0)  # what is made once
    tracemalloc.start()
    try:
        puts, before = 0, tracemalloc.get_traced_memory()[0]
        while blocked.counts.dropped == 0 and tracemalloc.get_traced_memory()[0] - before < 4 * BOUND:
            blocked.submit(RecordBatch("", None, puts, make(puts)))
            puts += 1
        gc.collect()
        held = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert blocked.counts.dropped
    assert BOUND / 5 < held < BOUND * 1.05, "neither more than the bound, nor far less"


def test_single_numbers_are_within_the_bound(blocked):
    tracemalloc.start()
    try:
        before, step = tracemalloc.get_traced_memory()[0], 1000
        while blocked.counts.dropped == 0 and step < 10**5:
            blocked.scalar("", f"loss/{step}", step + 0.5, step)
            step += 1
        held = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert blocked.counts.dropped
    assert BOUND / 5 < held < BOUND * 1.05


@pytest.mark.slow
def test_copies_of_weights_for_pictures_are_within_the_bound(blocked, monkeypatch):
    model = keras.Sequential([keras.Input((128,)), keras.layers.Dense(256)])
    backend, copies = backend_of(model), []
    copy = backend.copy_to_host

    def remembered(variable):
        array = copy(variable)
        copies.append(weakref.ref(array))
        return array

    monkeypatch.setattr(backend, "copy_to_host", remembered)
    puts = put_until_full(blocked, lambda: weight_images(model))
    assert BOUND / 2 < alive(copies) <= BOUND
    assert puts > 10


@pytest.mark.slow
def test_tensors_on_a_device_are_within_the_bound(blocked):
    record = WeightCounter(keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]))
    record()
    summarize, tensors = record._summarize.function, []

    def remembered():
        found = summarize()
        tensors.extend(map(weakref.ref, found))
        return found

    record._summarize.function = remembered
    put_until_full(blocked, record)
    assert BOUND / 2 < alive(tensors) <= BOUND


def put_until_full(writer, make) -> int:
    for step in range(1000):
        writer.submit(RecordBatch("train", None, step, make()))
        if writer.counts.dropped:
            return step
    raise AssertionError("nothing was turned away")


def alive(references) -> int:
    gc.collect()
    return sum(np.asarray(one()).nbytes for one in references if one() is not None)
