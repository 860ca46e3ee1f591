"""Values to record: small frozen objects, each with a tag and no step.

Guarantees: values are immutable, hold host data only (Python numbers, strings, NumPy arrays) and know
nothing of steps, files or frameworks. Recorders make them, writers turn them into events. Each knows the
bytes of memory that it keeps alive; what has yet to be fetched is a `Deferred`, which knows them too.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias, TypeVar, cast

import numpy as np

from tbx_keras.memory import OBJECT_BYTES, held_bytes

Axis = Literal["epoch", "step"]
EPOCH: Axis = "epoch"  # the axis of a series recorded at the ends of epochs, with their number as its step
STEP: Axis = "step"


class Value(Protocol):
    """Anything that a recorder makes and `writers.encode` has an encoder for."""

    @property
    def tag(self) -> str:
        """Name of the series."""

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the value keeps alive."""


Fetched: TypeAlias = Iterable[Value] | Value | None
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Scalar:
    """One number.

    Args:
        tag: Name of the series, for example `"epoch_loss"`.
        value: The number; NaN and infinities are legal.

    Example:
    ```python
    from tbx_keras import Scalar

    learning_rate = Scalar("learning_rate", 0.001)
    ```
    """

    tag: str
    value: float

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the value keeps alive."""
        return OBJECT_BYTES + sys.getsizeof(self.tag)


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Counts of values in buckets, with exact statistics over the finite elements.

    Args:
        tag: Name of the series, for example `"weights/dense/kernel"`.
        edges: float64 array of shape `(k + 1,)`, strictly rising, all finite.
        counts: array of shape `(k,)`; `counts[i]` elements lie in `[edges[i], edges[i + 1])`.
        min: Least finite element (0.0 if there is none).
        max: Greatest finite element (0.0 if there is none).
        num: Number of finite elements.
        sum: Sum of the finite elements.
        sum_squares: Sum of the squares of the finite elements.
        nonfinite: Number of NaN and infinite elements; they are in no bucket.

    Example:
    ```python
    import numpy as np

    from tbx_keras import Histogram

    lengths = Histogram.of("lengths", np.array([3, 5, 8, 8]))
    assert (lengths.num, lengths.max) == (4, 8.0)
    ```
    """

    tag: str
    edges: np.ndarray
    counts: np.ndarray
    min: float
    max: float
    num: float
    sum: float
    sum_squares: float
    nonfinite: int = 0

    @classmethod
    def of(cls, tag: str, array: Any) -> Histogram:
        """Count an array in buckets that grow with the value.

        Args:
            tag: Name of the series.
            array: Real NumPy array of any shape and dtype, or nested numbers.

        Returns:
            The histogram.

        Raises:
            UnsupportedValueError: The array holds no real numbers.
        """
        from tbx_keras.backends.numpy.kernels import float_bits_histogram

        return float_bits_histogram(tag, np.asarray(array))

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the value keeps alive."""
        return 3 * OBJECT_BYTES + sum(map(held_bytes, (self.tag, self.edges, self.counts)))


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """One or several images of one size.

    Args:
        tag: Name of the series.
        pixels: uint8 array of shape `(n, height, width, channels)`, channels 1, 3 or 4.

    Example:
    ```python
    import numpy as np

    from tbx_keras import Image

    pixels = np.random.default_rng(1).integers(0, 256, (2, 28, 28, 1), np.uint8)
    noise = Image("noise", pixels)
    ```
    """

    tag: str
    pixels: np.ndarray

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the value keeps alive."""
        return OBJECT_BYTES + held_bytes(self.tag) + held_bytes(self.pixels)


@dataclass(frozen=True, slots=True, eq=False)
class Audio:
    """One sound.

    Args:
        tag: Name of the series.
        samples: float array of shape `(frames,)` or `(frames, channels)` within -1 to 1.
        sample_rate: Frames in a second (Hz).
    """

    tag: str
    samples: np.ndarray
    sample_rate: int

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the value keeps alive."""
        return OBJECT_BYTES + held_bytes(self.tag) + held_bytes(self.samples)


@dataclass(frozen=True, slots=True)
class Text:
    """A text, shown by TensorBoard as Markdown.

    Args:
        tag: Name of the series.
        text: The text.

    Example:
    ```python
    from tbx_keras import Text

    note = Text("note", "a *first* try")
    ```
    """

    tag: str
    text: str

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the value keeps alive."""
        return OBJECT_BYTES + held_bytes(self.tag) + held_bytes(self.text)


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """A table of vectors for TensorBoard's projector.

    Args:
        tag: Name of the table, for example that of the layer.
        vectors: float array of shape `(rows, dimensions)`.
        metadata: File with a line of labels for each row, relative to the log directory; or None.
    """

    tag: str
    vectors: np.ndarray
    metadata: str | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the value keeps alive."""
        return OBJECT_BYTES + sum(map(held_bytes, (self.tag, self.vectors, self.metadata)))


@dataclass(frozen=True, slots=True)
class KerasGraph:
    """A Keras model's configuration as JSON, which TensorBoard draws as its conceptual graph."""

    tag: str
    json: str

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the value keeps alive."""
        return OBJECT_BYTES + held_bytes(self.tag) + held_bytes(self.json)


@dataclass(frozen=True, slots=True)
class OpGraph:
    """A serialized TensorFlow `GraphDef`, which TensorBoard draws as the run's graph."""

    tag: str
    graph_def: bytes

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the value keeps alive."""
        return OBJECT_BYTES + held_bytes(self.tag) + held_bytes(self.graph_def)


@dataclass(frozen=True, slots=True, eq=False)
class Deferred:
    """Values that the writer's thread fetches, for instance from a device.

    Args:
        fetch: Function that returns the values.
        nbytes: Bytes of memory that `fetch` keeps alive until it is called.
    """

    fetch: Callable[[], Fetched]
    nbytes: int


def as_iterable(found: Iterable[Item] | Item | None) -> Iterable[Item]:
    """Take what code of a user's returned: several things, a single one, or None for nothing."""
    if found is None:
        return ()
    if isinstance(found, Iterable) and not isinstance(found, (str, bytes, Mapping)):
        return found
    return (cast(Item, found),)


class RecordBatch(NamedTuple):
    """Values of one run and one step, on their way to the writer.

    Args:
        run: Directory of the run below the log directory, such as `"train"`; `""` for the directory itself.
        axis: What `step` counts, for series of a logger: the event file keeps it, and a run that is resumed
            hides what it will repeat of them. None for anybody else's series, which it leaves alone.
        step: Step, or epoch, of the values.
        values: The values, or a `Deferred` that fetches them on the writer's thread.
        droppable: Whether they may be dropped where the queue is full.
        wall_time: Seconds since 1970; the moment of submission if None.
    """

    run: str
    axis: Axis | None
    step: int
    values: Sequence[Any] | Deferred
    droppable: bool = True
    wall_time: float | None = None


class BatchWriter(Protocol):
    """Takes batches of records; never raises and never waits for the disk."""

    def submit(self, batch: RecordBatch) -> None:
        """Put a batch into the queue."""
