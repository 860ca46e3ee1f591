"""Steps and weight histograms on a GPU, for each backend that is installed: `python -m benchmarks.gpu`.

Every backend runs in a process of its own. What is measured: a step that is not sampled and one that is,
beside the same step without a callback, and the histograms of all weights beside one sum of squares over
them, with the memory of the device that they add. `--cpu` runs the same on the processor, but for memory.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
from dataclasses import replace
from typing import Any

from benchmarks import backends
from benchmarks.measure import Row, interleaved, medians, rows_of_process

NAMES = {"tensorflow": "TensorFlow", **backends.NAMES}
LIMIT = 0.25  # of the memory that the weights take: what histograms may add


def main() -> None:
    """The command line."""
    from rich.console import Console

    from benchmarks.__main__ import table

    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--cpu", action="store_true", help="run on the processor, to try the program")
    parser.add_argument("--layers", type=int, default=12, help="of the model whose weights are counted")
    arguments = parser.parse_args()
    rows = run("" if arguments.cpu else "gpu", arguments.layers)
    if not rows:
        parser.error("no backend that is installed sees a GPU; pass --cpu to run on the processor")
    Console(width=160).print(table(rows))


def run(kind: str, layers: int, names: tuple[str, ...] = tuple(NAMES)) -> list[Row]:
    """The rows of the backends that are installed and see a device.

    Args:
        kind: `"gpu"`, or empty for the processor.
        layers: Layers of 1,024 by 1,024 weights.
        names: Names as Keras has them.
    """
    found = []
    for name in names:
        if importlib.util.find_spec(name):
            environment = {"KERAS_BACKEND": name, **({} if kind else {"CUDA_VISIBLE_DEVICES": "-1"})}
            rows = rows_of_process("gpu", "measure", kind, str(layers), environment=environment)
            found += [replace(row, work=f"{NAMES[name]}, {row.work}") for row in rows]
    return found


def measure(kind: str, layers: str) -> list[Row]:
    """Measure the backend of this process; no rows without such a device."""
    device = device_name(kind)
    rows = [] if device is None else [*backends.steps_here(), *_weights(kind, int(layers))]
    return [replace(row, work=f"{device}: {row.work}") for row in rows]


def device_name(kind: str) -> str | None:
    """Name of the device that this backend computes on; None if there is none of the kind."""
    if not kind:
        return "the processor"
    backend = os.environ["KERAS_BACKEND"]
    if backend == "tensorflow":
        import tensorflow as tf

        found = tf.config.list_physical_devices("GPU")
        return tf.config.experimental.get_device_details(found[0])["device_name"] if found else None
    if backend == "jax":
        import jax

        return jax.devices()[0].device_kind if jax.default_backend() == "gpu" else None
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else None


def peak_bytes() -> int:
    """Most bytes of the device in use at once, since the process began."""
    backend = os.environ["KERAS_BACKEND"]
    if backend == "tensorflow":
        import tensorflow as tf

        return int(tf.config.experimental.get_memory_info("GPU:0")["peak"])
    if backend == "jax":
        import jax

        return int(jax.devices()[0].memory_stats()["peak_bytes_in_use"])
    import torch

    return int(torch.cuda.max_memory_allocated())


def _weights(kind: str, layers: int) -> list[Row]:
    import keras

    from benchmarks.shapes import Holder
    from tbx_keras.backends.base import backend_of

    model = Holder([(1024, 1024), (1024,)] * layers)
    summarize = backend_of(model).summarizer(model.weights)

    def one_pass() -> Any:
        squares = [keras.ops.sum(keras.ops.square(one.value)) for one in model.weights]
        return keras.ops.convert_to_numpy(sum(squares))

    work, base = f"weight histograms, {layers} layers of 1,024 x 1,024", "one sum of squares"
    one_pass()
    before = peak_bytes() if kind else 0
    summarize().fetch()
    added = peak_bytes() - before if kind else 0
    took = medians(interleaved({base: one_pass, "tbx_keras": lambda: summarize().fetch()}, 10, warm=2))
    rows = [
        Row(work, base, took[base] * 1e3, "ms"),
        Row(work, "tbx_keras", took["tbx_keras"] * 1e3, "ms", took["tbx_keras"] / took[base], base),
    ]
    return [*rows, _memory(work, added, layers * 4 * 1024 * 1025)] if kind else rows


def _memory(work: str, added: int, size: int) -> Row:
    share = added / size
    return Row(work, "added memory", added / 1e6, "MB", share, "weights", f"<= {LIMIT}x", share <= LIMIT)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
