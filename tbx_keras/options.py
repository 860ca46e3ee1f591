"""The arguments of `TbxLogger`, read once and checked.

Guarantees: after construction every option is valid; no file is touched but to look whether `log_dir` is
one. What can be known only with a model is checked before training starts.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tbx_keras.budget import budget_fraction
from tbx_keras.errors import ArgumentError
from tbx_keras.recorders.embeddings import embedding_layers
from tbx_keras.recorders.profile import batch_range
from tbx_keras.schedule import (
    EveryEpochs,
    EverySteps,
    Never,
    StepSchedule,
    epoch_frequency,
    step_frequency,
    update_frequency,
)

TRAIN, VALIDATION = "train", "validation"  # runs of a log directory, as Keras names them


@dataclass(frozen=True)
class Options:
    """What a logger was asked for."""

    log_dir: str
    histograms: EveryEpochs
    write_graph: bool
    write_images: bool
    write_steps_per_second: bool
    update: StepSchedule
    profile_batch: tuple[int, int]
    embeddings: EveryEpochs
    embeddings_metadata: str | dict[str, str] | None
    gradients: StepSchedule
    drift: EveryEpochs
    overhead_budget: float
    on_nonfinite: str
    on_existing: str

    @property
    def batch_metrics(self) -> bool:
        """Whether metrics of single batches are recorded at all."""
        return not isinstance(self.update, Never)

    @property
    def captures_gradients(self) -> bool:
        """Whether gradients of training steps are recorded at all."""
        return self.gradients != EverySteps(0)

    @property
    def samples_steps(self) -> bool:
        """Whether anything is captured inside training steps."""
        return self.batch_metrics or self.captures_gradients

    @property
    def label_files(self) -> tuple[str, ...]:
        """The files that `embeddings_metadata` names, each once."""
        named = self.embeddings_metadata or {}
        return (named,) if isinstance(named, str) else tuple(dict.fromkeys(named.values()))

    def check_model(self, model: Any) -> None:
        """Check what names layers.

        Raises:
            ArgumentError: `embeddings_metadata` names a layer that is no embedding of the model.
        """
        if not isinstance(self.embeddings_metadata, dict):
            return
        known = [layer.name for layer in embedding_layers(model)]
        unknown = [name for name in self.embeddings_metadata if name not in known]
        if unknown:
            remedy = f"names of embedding layers only; this model has {known}, not {unknown}"
            raise ArgumentError("embeddings_metadata", self.embeddings_metadata, remedy)


def read_options(**arguments: Any) -> Options:
    """Check the arguments of `TbxLogger`.

    Raises:
        ArgumentError: The first one that is wrong.
    """
    return Options(
        log_dir=_log_dir(arguments["log_dir"]),
        histograms=epoch_frequency("histogram_freq", arguments["histogram_freq"]),
        write_graph=_flag("write_graph", arguments["write_graph"]),
        write_images=_flag("write_images", arguments["write_images"]),
        write_steps_per_second=_flag("write_steps_per_second", arguments["write_steps_per_second"]),
        update=update_frequency("update_freq", arguments["update_freq"]),
        profile_batch=batch_range(arguments["profile_batch"]),
        embeddings=epoch_frequency("embeddings_freq", arguments["embeddings_freq"]),
        embeddings_metadata=_metadata(arguments["embeddings_metadata"]),
        gradients=step_frequency("gradient_freq", arguments["gradient_freq"]),
        drift=epoch_frequency("drift_freq", arguments["drift_freq"]),
        overhead_budget=budget_fraction(arguments["overhead_budget"]),
        on_nonfinite=_nonfinite(arguments["on_nonfinite"]),
        on_existing=_existing(arguments["on_existing"]),
    )


def _log_dir(received: object) -> str:
    if not isinstance(received, (str, os.PathLike)) or not os.fspath(received):
        raise ArgumentError("log_dir", received, "the path of a directory")
    path = os.fspath(received)
    if isinstance(path, bytes) or "\0" in path or os.path.isfile(path):
        raise ArgumentError("log_dir", received, "the path of a directory; this is no directory's")
    return path


def _nonfinite(received: object) -> str:
    if not isinstance(received, str) or received not in ("record", "warn", "stop"):
        raise ArgumentError("on_nonfinite", received, '"record", "warn" or "stop"')
    return str(received)


def _existing(received: object) -> str:
    if not isinstance(received, str) or received not in ("new", "append"):
        raise ArgumentError("on_existing", received, '"new" or "append"')
    return str(received)


def _flag(name: str, received: object) -> bool:
    if not isinstance(received, (int, np.bool_)) or received not in (True, False):
        raise ArgumentError(name, received, "True or False")
    return bool(received)


def _metadata(received: object) -> str | dict[str, str] | None:
    if received is None:
        return None
    if isinstance(received, (str, os.PathLike)):
        return str(received)
    if isinstance(received, Mapping) and all(
        isinstance(path, (str, os.PathLike)) for path in received.values()
    ):
        return {str(name): str(path) for name, path in received.items()}
    raise ArgumentError(
        "embeddings_metadata", received, "a file name, or a dictionary of layer name to file name"
    )
