"""The README's table of tags is what a `fit` with everything on records, with run and axis."""

from __future__ import annotations

import re
from dataclasses import dataclass

import keras
import numpy as np
import pytest

from tbx_keras import TbxLogger
from tests.pages import README, quoted, tables
from tests.reading import accumulate

EPOCHS, STEPS_PER_EPOCH = 2, 3
WITH_REPLICAS = {("train", "replica_gradient_spread")}  # recorded in `test_replicas`, under a strategy
KINDS = ("scalars", "histograms", "images", "tensors")
TEXT = "/text_summary"  # TensorBoard's plugin adds it to the tags of texts


@dataclass(frozen=True)
class Row:
    """One tag of the table."""

    tag: str
    runs: frozenset[str]
    axis: str

    def matches(self, tag: str) -> bool:
        parts = map(re.escape, re.split(r"<\w+>", self.tag))
        return re.fullmatch(".+".join(parts), tag) is not None


def written() -> list[Row]:
    """The rows, the most special pattern first."""
    (rows,) = tables(README.read_text(), "tag")
    found = [
        Row(tag, frozenset(run.strip() for run in runs.split(",")), axis)
        for tags, runs, axis, _ in rows
        for tag in quoted(tags)
    ]
    return sorted(found, key=lambda row: -len(re.sub(r"<\w+>", "", row.tag)))


class Unconnected(keras.layers.Layer):
    """Has a trainable variable that the loss does not depend on."""

    def build(self, shape):
        self.unused = self.add_weight(shape=(2,), name="unused", initializer="ones")

    def call(self, x):
        return x


def model_of_everything():
    words = keras.Input((4,), dtype="int32")
    x = keras.layers.Flatten()(keras.layers.Embedding(20, 3, name="table")(words))
    x = Unconnected(name="idle")(keras.layers.Dense(4, name="hidden")(x))
    model = keras.Model(words, keras.layers.Dense(1, name="out")(x))
    rate = keras.optimizers.schedules.ExponentialDecay(0.01, 10, 0.5)
    model.compile(keras.optimizers.Adam(rate, global_clipnorm=0.1), "mse", metrics=["mae"])
    return model


def fit(model, log_dir, scale, **arguments):
    x = np.random.default_rng(0).integers(0, 20, size=(8 * STEPS_PER_EPOCH, 4))
    y = scale * x.sum(axis=1, keepdims=True).astype("float32")
    logger = TbxLogger(str(log_dir), **arguments)
    model.fit(x, y, batch_size=8, epochs=EPOCHS, validation_data=(x, y), verbose=0, callbacks=[logger])


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> dict[tuple[str, str], set[int]]:
    """Steps by run and tag, of a healthy `fit` with everything on and of one that is not finite."""
    healthy, exploded = tmp_path_factory.mktemp("healthy"), tmp_path_factory.mktemp("exploded")
    fit(
        model_of_everything(), healthy, 1.0, update_freq=1, gradient_freq=2, distance_freq=1,
        embeddings_freq=1, write_images=True, write_steps_per_second=True,
    )  # fmt: skip
    fit(model_of_everything(), exploded, np.nan, gradient_freq=1, on_nonfinite="record")
    found: dict[tuple[str, str], set[int]] = {}
    for log_dir in (healthy, exploded):
        for run in ("train", "validation"):
            for tag, steps in series(accumulate(log_dir, run)):
                found.setdefault((run, tag), set()).update(steps)
    return found


def series(events):
    getters = {"scalars": events.Scalars, "histograms": events.Histograms, "images": events.Images}
    for kind in KINDS:
        for tag in events.Tags()[kind]:
            points = getters.get(kind, events.Tensors)(tag)
            yield tag.removesuffix(TEXT), {point.step for point in points}


def axis(steps: set[int]) -> str:
    """Epochs are counted from 0 and end before the second step of the second epoch."""
    return "epoch" if steps <= set(range(EPOCHS)) else "step"


@pytest.mark.slow
def test_every_recorded_tag_is_in_the_table_with_its_run_and_axis(recorded):
    for (run, tag), steps in recorded.items():
        row = next((row for row in written() if row.matches(tag)), None)
        assert row is not None, f"the table lacks {tag!r}"
        assert run in row.runs, (tag, run)
        if row.axis and steps != {1}:  # step 1 alone may be either
            assert row.axis == axis(steps), (tag, steps)


@pytest.mark.slow
def test_every_tag_of_the_table_is_recorded_in_its_runs(recorded):
    rows = written()
    matched = {(run, next(row.tag for row in rows if row.matches(tag))) for run, tag in recorded}
    promised = {(run, row.tag) for row in rows for run in row.runs}
    assert promised - matched == WITH_REPLICAS
