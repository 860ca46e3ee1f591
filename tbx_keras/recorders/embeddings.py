"""Tables of embedding layers, for TensorBoard's projector.

Guarantees: tables are copied to the host when called. Embedding layers are found in nested models too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tbx_keras.backends.keras_model import all_layers, host_copy
from tbx_keras.values import Embedding


def embedding_layers(model: Any) -> list[Any]:
    """The embedding layers of a model, at any depth, each once, in the order of the model."""
    found: dict[int, Any] = {id(layer): layer for layer in all_layers(model) if _is_embedding(layer)}
    return list(found.values())


def embedding_tables(model: Any, metadata: str | Mapping[str, str] | None) -> list[Embedding]:
    """Copy the tables of all built embedding layers.

    Args:
        model: A Keras 3 or tf_keras model.
        metadata: One file for all layers, or a file by layer name.

    Returns:
        A value for each layer, with the layer's name as tag.
    """
    return [
        Embedding(layer.name, host_copy(layer.weights[0]), _file(metadata, layer.name))
        for layer in embedding_layers(model)
        if layer.weights
    ]


def _file(metadata: str | Mapping[str, str] | None, name: str) -> str | None:
    return metadata.get(name) if isinstance(metadata, Mapping) else metadata


def _is_embedding(layer: Any) -> bool:
    return any(
        kind.__name__ == "Embedding" and kind.__module__.split(".")[0] in ("keras", "tf_keras")
        for kind in type(layer).__mro__
    )
