"""Explanation of a missing Keras, or a missing framework that Keras is configured for.

Guarantees: imports nothing. Only a package that is not there at all is spoken of; an installation that is
there and broken shows its own error.
"""

from __future__ import annotations

from tbx_keras.errors import MissingDependencyError

_BACKENDS = {
    "tensorflow": ("TensorFlow", "pip install 'tbx_keras[tensorflow]'"),
    "jax": ("JAX", "pip install jax"),
    "torch": ("PyTorch", "pip install torch"),
    "openvino": ("OpenVINO", "pip install openvino"),
}


def explained(error: ModuleNotFoundError) -> MissingDependencyError | None:
    """Explain a module that was not found when Keras was imported.

    Args:
        error: As Python raised it.

    Returns:
        The error to raise instead; None where the module is neither Keras nor a backend of it.
    """
    if error.name == "keras":
        return MissingDependencyError("Keras is not installed", "pip install keras")
    if error.name not in _BACKENDS:
        return None
    name, command = _BACKENDS[error.name]
    found = f"Keras cannot load its backend: {name} is not installed (KERAS_BACKEND chooses another one)"
    return MissingDependencyError(found, command)
