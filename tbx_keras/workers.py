"""The worker that this process is, of several that train one model.

Guarantees: only looks at the environment and at frameworks that are imported; asks no other process.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from tbx_keras.framework_types import Model
from tbx_keras.keras_model import backend_name, is_tf_keras

_OF_STRATEGY = ("chief", "master", "worker")  # tasks of TF_CONFIG that train, the chief first


@dataclass(frozen=True)
class Worker:
    """One of several processes.

    Args:
        index: Number of this one, from 0.
        count: Count of all.
    """

    index: int = 0
    count: int = 1

    @property
    def is_chief(self) -> bool:
        """Check whether this one records where one alone does."""
        return self.index == 0

    @property
    def name(self) -> str:
        """Name of a directory for this worker."""
        return f"worker-{self.index}"


ALONE = Worker()


def this_worker(model: Model, environment: Mapping[str, str] = os.environ) -> Worker:
    """Find out which worker this process is.

    Args:
        model: The model that trains.
        environment: Variables of the process.

    Returns:
        For TensorFlow by `TF_CONFIG`, for JAX by `jax.process_index()`, for PyTorch by `RANK` and
        `WORLD_SIZE`, as `torchrun` sets them.
    """
    backend = "tensorflow" if is_tf_keras(model) else backend_name()
    if backend == "tensorflow":
        return _of_tf_config(environment.get("TF_CONFIG", ""))
    if backend == "jax" and "jax" in sys.modules:
        jax = sys.modules["jax"]
        return Worker(jax.process_index(), jax.process_count())
    return _of_ranks(environment)


def _of_tf_config(text: str) -> Worker:
    try:
        config = json.loads(text or "{}")
        cluster, task = config.get("cluster", {}), config.get("task", {})
        sizes = {kind: len(cluster.get(kind, ())) for kind in _OF_STRATEGY}
        kind, index = task.get("type"), int(task.get("index", 0))
    except (ValueError, TypeError, AttributeError):  # TensorFlow says what is wrong with it
        return ALONE
    if kind not in sizes or not sum(sizes.values()):
        return ALONE
    before = _OF_STRATEGY[: _OF_STRATEGY.index(kind)]
    return Worker(sum(sizes[one] for one in before) + index, sum(sizes.values()))


def _of_ranks(environment: Mapping[str, str]) -> Worker:
    try:
        return Worker(int(environment["RANK"]), int(environment["WORLD_SIZE"]))
    except (KeyError, ValueError):
        return ALONE
