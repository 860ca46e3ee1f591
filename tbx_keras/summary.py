"""Functions of the shape of `tf.summary`, for the writer of the surrounding `writer.as_default()`.

Guarantees: without a current writer nothing happens and False is returned, as in `tf.summary`. Inside a
`tf.function` values are written each time the function runs, to the writer that was current when it was
traced; the step must then be a tensor or a variable, or it is the same each time. Not for functions that
XLA compiles.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np

from tbx_keras.backends.numpy.kernels import DEFAULT_BUCKETS, linear_histogram
from tbx_keras.checked_numbers import count_of, step_number
from tbx_keras.errors import ArgumentError
from tbx_keras.framework_types import ArrayLike, Module, Tensor
from tbx_keras.values import Audio, Image, Scalar, Text, Value
from tbx_keras.writers import tagged_numpy, to_host
from tbx_keras.writers.current_writer import ValueWriter, current

__all__ = ["audio", "histogram", "image", "scalar", "text"]

Make = Callable[[np.ndarray], list[Value]]


def scalar(name: str, data: ArrayLike, step: ArrayLike = None, description: str | None = None) -> bool:
    """Write one number.

    Args:
        name: Tag of the series.
        data: Number, or array or tensor of one element.
        step: Integer, or an integer tensor or variable; that of `as_default(step=...)` if None.
        description: Accepted for the sake of `tf.summary`; not shown.

    Returns:
        Whether there was a writer.

    Raises:
        ArgumentError: `data` is no single number, or there is no step.

    Example:
    ```python
    from tbx_keras import SummaryWriter, summary

    with SummaryWriter("logs/by_hand") as writer, writer.as_default():
        for epoch in range(3):
            summary.scalar("loss", 1.0 / (epoch + 1), step=epoch)
    ```
    """
    return _write(name, data, step, lambda array: [Scalar(name, _number(array))])


def histogram(
    name: str,
    data: ArrayLike,
    step: ArrayLike = None,
    buckets: int | None = None,
    range: tuple[float, float] | None = None,
    max_bins: int | None = None,
    description: str | None = None,
) -> bool:
    """Write the distribution of an array.

    Args:
        name: Tag of the series.
        data: Array or tensor of real numbers, any shape.
        step: As in `scalar`.
        buckets: Number of buckets of equal width, 30 if None.
        range: Lower and upper edge; from the least to the greatest element if None. Elements outside are
            left out of the buckets.
        max_bins: At most so many buckets.
        description: As in `scalar`.

    Returns:
        Whether there was a writer.

    Raises:
        ArgumentError: An argument is wrong.
        UnsupportedValueError: `data` holds no real numbers.

    Example:
    ```python
    import numpy as np

    from tbx_keras import SummaryWriter, summary

    with SummaryWriter("logs/by_hand") as writer, writer.as_default():
        weights = np.random.normal(size=1000)
        summary.histogram("weights", weights, step=0, buckets=50, range=(-3, 3))
    ```
    """
    number = _buckets(buckets, max_bins)
    return _write(name, data, step, lambda array: [linear_histogram(name, array, number, range)])


def image(
    name: str, data: ArrayLike, step: ArrayLike = None, max_outputs: int = 3, description: str | None = None
) -> bool:
    """Write images.

    Args:
        name: Tag of the series.
        data: Array or tensor `(n, height, width, channels)`, channels 1, 3 or 4; floats within 0 to 1, or
            uint8.
        step: As in `scalar`.
        max_outputs: Images written at most.
        description: As in `scalar`.

    Returns:
        Whether there was a writer.

    Raises:
        ArgumentError: `data` has another shape, or there is no step.

    Example:
    ```python
    import numpy as np

    from tbx_keras import SummaryWriter, summary

    with SummaryWriter("logs/by_hand") as writer, writer.as_default(step=0):
        summary.image("noise", np.random.random((2, 28, 28, 1)))
    ```
    """
    _check_outputs(max_outputs)
    return _write(name, data, step, lambda array: [Image(name, _pixels(array)[:max_outputs])])


def text(name: str, data: ArrayLike, step: ArrayLike = None, description: str | None = None) -> bool:
    """Write a text, shown as Markdown.

    Args:
        name: Tag of the series.
        data: String, bytes, or string tensor of one element.
        step: As in `scalar`.
        description: As in `scalar`.

    Returns:
        Whether there was a writer.

    Raises:
        ArgumentError: There is no step.

    Example:
    ```python
    from tbx_keras import SummaryWriter, summary

    with SummaryWriter("logs/by_hand") as writer, writer.as_default(step=0):
        summary.text("note", "a *first* try")
    ```
    """
    return _write(name, data, step, lambda array: [Text(name, _string(array))])


def audio(
    name: str,
    data: ArrayLike,
    sample_rate: int,
    step: ArrayLike = None,
    max_outputs: int = 3,
    encoding: str | None = None,
    description: str | None = None,
) -> bool:
    """Write sounds, as WAV.

    Args:
        name: Tag of the series.
        data: Float array or tensor `(n, frames, channels)` within -1 to 1.
        sample_rate: Frames in a second (Hz).
        step: As in `scalar`.
        max_outputs: Sounds written at most.
        encoding: `"wav"` or None.
        description: As in `scalar`.

    Returns:
        Whether there was a writer.

    Raises:
        ArgumentError: `data` has another shape, `encoding` is another, or there is no step.

    Example:
    ```python
    import numpy as np

    from tbx_keras import SummaryWriter, summary

    tone = np.sin(np.arange(8000) * 0.3).reshape(1, -1, 1)
    with SummaryWriter("logs/by_hand") as writer, writer.as_default(step=0):
        summary.audio("tone", tone, sample_rate=8000)
    ```
    """
    if encoding not in (None, "wav"):
        raise ArgumentError("encoding", encoding, '"wav" or None')
    rate = count_of("sample_rate", sample_rate, "an integer number of frames in a second, >= 1")
    _check_outputs(max_outputs)
    return _write(name, data, step, lambda array: _sounds(name, array, rate, max_outputs))


def _write(name: object, data: ArrayLike, step: ArrayLike, make: Make) -> bool:
    writer, default_step = current()
    if writer is None:
        return False
    if not isinstance(name, str) or not name.strip():
        raise ArgumentError("name", name, "a string that is not empty")
    step = default_step if step is None else step
    if step is None:
        raise ArgumentError("step", step, "a step, or enter `writer.as_default(step=...)`")
    if _is_tracing():
        _write_when_run(writer, data, step, make)
    else:
        _put(writer, tagged_numpy(name, data), to_host(step), make)
    return True


def _put(writer: ValueWriter, array: np.ndarray, step: ArrayLike, make: Make) -> None:
    number = step_number(step)
    for value in make(array):
        writer.put(value, number)


def _is_tracing() -> bool:
    """Check whether a `tf.function` is being traced: what is written then is written each time it runs."""
    tf = sys.modules.get("tensorflow")
    return tf is not None and not tf.executing_eagerly()


def _write_when_run(writer: ValueWriter, data: ArrayLike, step: ArrayLike, make: Make) -> None:
    import tensorflow as tf

    def write(array: np.ndarray, number: np.ndarray) -> np.ndarray:
        _put(writer, array, number, make)
        return np.zeros((), np.int32)

    tf.numpy_function(write, [_tensor(tf, data), _tensor(tf, step)], tf.int32)


def _tensor(tf: Module, data: ArrayLike) -> Tensor:
    """Read the value of a Keras variable; give Python numbers the type that Python has, not float32."""
    value = getattr(data, "value", data)
    value = data if callable(value) else value
    if isinstance(value, (bool, int, float)):
        value = np.asarray(value)
    return tf.convert_to_tensor(value)


def _buckets(buckets: int | None, max_bins: int | None) -> int | None:
    for name, received in (("buckets", buckets), ("max_bins", max_bins)):
        if received is not None:
            count_of(name, received, "an integer >= 1, or None")
    return buckets if max_bins is None else min(buckets or DEFAULT_BUCKETS, max_bins)


def _check_outputs(max_outputs: int) -> None:
    count_of("max_outputs", max_outputs, "an integer >= 1")


def _number(array: np.ndarray) -> float:
    if np.size(array) != 1:
        raise ArgumentError("data", f"array of shape {np.shape(array)}", "a single number")
    try:
        return float(np.reshape(array, ()))
    except (TypeError, ValueError):
        raise ArgumentError("data", np.reshape(array, ()).item(), "a single real number") from None


def _string(array: ArrayLike) -> str:
    if np.size(array) > 1:
        raise ArgumentError("data", f"{np.size(array)} texts", "one text")
    item = np.reshape(np.asarray(array, dtype=object), (-1,))[0] if np.size(array) else ""
    return item.decode(errors="replace") if isinstance(item, bytes) else str(item)


def _pixels(array: np.ndarray) -> np.ndarray:
    shape = np.shape(array)
    if len(shape) != 4 or array.shape[-1] not in (1, 3, 4) or 0 in shape[1:]:
        raise ArgumentError("data", f"array of shape {shape}", "an array (n, height, width, 1, 3 or 4)")
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind not in "fbV":  # V: bfloat16 and float8
        raise ArgumentError("data", f"array of {array.dtype}", "floats within 0 to 1, or uint8")
    return (np.clip(np.nan_to_num(array.astype(np.float32)), 0, 1) * 255 + 0.5).astype(np.uint8)


def _sounds(name: str, array: np.ndarray, sample_rate: int, most: int) -> list[Value]:
    if np.ndim(array) != 3 or array.dtype.kind not in "fbiuV":
        received = f"array of {array.dtype} and shape {np.shape(array)}"
        raise ArgumentError("data", received, "an array (n, frames, channels) of real numbers")
    tags = [name if len(array) == 1 else f"{name}/{index}" for index in range(len(array))]
    return [Audio(tag, samples, sample_rate) for tag, samples in zip(tags[:most], array)]
