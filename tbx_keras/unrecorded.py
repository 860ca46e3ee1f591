"""What is asked for and not recorded, because of the backend of Keras.

Guarantees: said once by a logger, at the start of `fit`, in a sentence that names the backend. TensorFlow is
looked for, never imported.
"""

from __future__ import annotations

import importlib.util
from typing import Any

from tbx_keras.backends.keras_model import backend_name, runs_on_tensorflow
from tbx_keras.faults import tell
from tbx_keras.options import Options

NAMES = {"jax": "JAX", "torch": "PyTorch", "numpy": "NumPy", "openvino": "OpenVINO"}


class Unrecorded:
    """Says what one logger does not record.

    Args:
        options: What was asked for.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._told: set[str] = set()

    def tell(self, model: Any, profiler: Any) -> None:
        """At the start of `fit`; turns a profiler off that cannot run."""
        if not runs_on_tensorflow(model) and self._options.captures_gradients:
            self._once(_gradients(self._options.batch_metrics))
        if self._options.profile_batch[0] and not can_profile(model):
            profiler.turn_off()
            self._once(_profile())

    def _once(self, sentence: str) -> None:
        if sentence not in self._told:
            self._told.add(sentence)
            tell(sentence)


def can_profile(model: Any) -> bool:
    """Whether TensorFlow's profiler is there; in a process with PyTorch, loading TensorFlow may end it."""
    if runs_on_tensorflow(model):
        return True
    return backend_name() != "torch" and _is_installed("tensorflow")


def _gradients(also_loss: bool) -> str:
    what = "gradients (`gradient_freq`)"
    what += " and the loss of each batch alone (`batch_loss_own`)" if also_loss else ""
    return (
        f"tbx_keras: on Keras's {_name()} backend {what} are not recorded yet; "
        "gradient_freq=0 turns this message off."
    )


def _profile() -> str:
    return (
        f"tbx_keras: on Keras's {_name()} backend TensorFlow's profiler is not available here, so no batch "
        "is profiled; profile_batch=0 turns this message off."
    )


def _name() -> str:
    return NAMES.get(backend_name(), backend_name())


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # blocked by the user
        return False
