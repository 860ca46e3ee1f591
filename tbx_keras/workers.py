"""The worker that this process is, of several that train one model.

Guarantees: only looks at the environment and at frameworks that are imported; asks no other process.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from tbx_keras.framework_types import Model, Module
from tbx_keras.keras_model import backend_name, is_tf_keras

_TRAINING = ("chief", "master", "worker")  # tasks of TF_CONFIG that train, the chief first
_BESIDE = ("evaluator", "ps")  # tasks that do not
_VARIABLES = {"tensorflow": ("TF_CONFIG",), "torch": ("RANK", "WORLD_SIZE")}
Environment: TypeAlias = Mapping[str, str]


@dataclass(frozen=True)
class Worker:
    """One of several processes.

    Args:
        index: Number of this one, from 0.
        count: Count of all.
        beside: Kind of a task that takes no part in the training, such as "evaluator", or nothing.
    """

    index: int = 0
    count: int = 1
    beside: str = ""

    @property
    def is_chief(self) -> bool:
        """Check whether this one records where one alone does."""
        return self.index == 0 and not self.beside

    @property
    def name(self) -> str:
        """Name of a directory for this worker."""
        return f"{self.beside or 'worker'}-{self.index}"


ALONE = Worker()


def this_worker(model: Model, environment: Environment = os.environ) -> Worker:
    """Find out which worker this process is.

    Args:
        model: The model that trains.
        environment: Variables of the process.

    Returns:
        For TensorFlow by `TF_CONFIG`, for JAX by `jax.process_index()`, for PyTorch by its process group,
        or else by `RANK` and `WORLD_SIZE`, as `torchrun` sets them. One alone where these name no worker.
    """
    backend, group = _backend(model), _process_group()
    if backend == "jax" and "jax" in sys.modules:
        jax = sys.modules["jax"]
        return Worker(jax.process_index(), jax.process_count())
    if backend == "torch" and group is not None:
        return Worker(group.get_rank(), group.get_world_size())
    return _named(backend, environment) or ALONE


def doubt_of(model: Model, worker: Worker, muted: bool, environment: Environment = os.environ) -> str | None:
    """Say in a sentence that variables of the process may be wrong; None where nothing speaks for it.

    Args:
        model: The model that trains.
        worker: What `this_worker` found.
        muted: Whether this process records nothing.
        environment: Variables of the process.
    """
    backend = _backend(model)
    given = [name for name in _VARIABLES.get(backend, ()) if environment.get(name)]
    said = " ".join(f"{name}={environment[name]}" for name in given)
    if given and worker == ALONE and _named(backend, environment) is None:
        return f"tbx_keras: {said} names no worker, so this process records as one that trains alone."
    if given and muted and _trains_alone(model):
        return (
            f"tbx_keras: this process records nothing. By {said} it is worker {worker.index} of "
            f"{worker.count}, whose first one records, though it trains alone. Unset what is left over, or "
            "pass per_worker=True to record each."
        )
    return None


def _backend(model: Model) -> str:
    return "tensorflow" if is_tf_keras(model) else backend_name()


def _process_group() -> Module:
    """Get `torch.distributed` where its processes have found one another, else None."""
    found = getattr(sys.modules.get("torch"), "distributed", None)
    return found if found is not None and found.is_available() and found.is_initialized() else None


def _trains_alone(model: Model) -> bool:
    if _backend(model) == "torch":
        return _process_group() is None
    extended = getattr(getattr(model, "distribute_strategy", None), "extended", None)
    spans_workers = getattr(extended, "_in_multi_worker_mode", None)
    return is_tf_keras(model) and spans_workers is not None and not spans_workers()


def _named(backend: str, environment: Environment) -> Worker | None:
    """Get the worker that variables name; None where they name none."""
    if backend == "tensorflow":
        return _of_tf_config(environment.get("TF_CONFIG", ""))
    return _of_ranks(environment) if backend == "torch" else ALONE


def _of_tf_config(text: str) -> Worker | None:
    try:
        config = json.loads(text or "{}")
        cluster, task = config.get("cluster") or {}, config.get("task") or {}
        sizes = {kind: len(cluster.get(kind, ())) for kind in _TRAINING}
        return _task(sizes, task.get("type"), int(task.get("index") or 0))
    except (ValueError, TypeError, AttributeError):
        return None


def _task(sizes: dict[str, int], kind: Any, index: int) -> Worker | None:
    count = sum(sizes.values())
    if kind is None or not count:
        return ALONE
    if kind in _BESIDE:
        return Worker(index, count, kind)
    if not 0 <= index < sizes.get(kind, 0):
        return None
    before = _TRAINING[: _TRAINING.index(kind)]
    return Worker(sum(sizes[one] for one in before) + index, count)


def _of_ranks(environment: Environment) -> Worker | None:
    if not environment.get("RANK") and not environment.get("WORLD_SIZE"):
        return ALONE
    try:
        worker = Worker(int(environment["RANK"]), int(environment["WORLD_SIZE"]))
    except (KeyError, ValueError):
        return None
    return worker if 0 <= worker.index < worker.count else None
