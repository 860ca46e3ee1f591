"""Tables of embedding layers, for TensorBoard's projector.

Guarantees: tables are copied to the host when called. Embedding layers are found in nested models too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tbx_keras.backends.base import backend_of
from tbx_keras.errors import ArgumentError
from tbx_keras.framework_types import Layer, Model
from tbx_keras.keras_model import all_layers
from tbx_keras.recorders.base import Moment, Recorder
from tbx_keras.scheduling.triggers import EveryNEpochs
from tbx_keras.values import Embedding


class Embeddings(Recorder):
    """Records the tables of all embedding layers.

    Args:
        trigger: When to record.
        metadata: File of labels for all layers, or a file by layer name; None for no labels.
    """

    name = "embeddings"
    sampled = False
    hint = "embeddings_freq=0 turns it off."

    def __init__(self, trigger: EveryNEpochs, metadata: str | Mapping[str, str] | None) -> None:
        self.trigger, self._metadata = trigger, metadata

    @property
    def label_files(self) -> tuple[str, ...]:
        """List the files of labels, each once."""
        named = self._metadata or {}
        return (named,) if isinstance(named, str) else tuple(dict.fromkeys(named.values()))

    def record(self, moment: Moment) -> list[Embedding]:
        """Copy the tables as they are now."""
        return embedding_tables(moment.model, self._metadata)


def label_files(recorders: Iterable[Recorder]) -> list[str]:
    """List the files of labels that some recorders need."""
    return [file for one in recorders if isinstance(one, Embeddings) for file in one.label_files]


def check_metadata(model: Model, metadata: str | Mapping[str, str] | None) -> None:
    """Check the layer names of `embeddings_metadata`.

    Raises:
        ArgumentError: It names a layer that is no embedding of the model.
    """
    if not isinstance(metadata, Mapping):
        return
    known = [layer.name for layer in embedding_layers(model)]
    unknown = [name for name in metadata if name not in known]
    if unknown:
        hint = f"names of embedding layers only; this model has {known}, not {unknown}"
        raise ArgumentError("embeddings_metadata", metadata, hint)


def embedding_layers(model: Model) -> list[Layer]:
    """Find the embedding layers of a model, at any depth, each once, in the order of the model."""
    found: dict[int, Layer] = {id(layer): layer for layer in all_layers(model) if _is_embedding(layer)}
    return list(found.values())


def embedding_tables(model: Model, metadata: str | Mapping[str, str] | None) -> list[Embedding]:
    """Copy the tables of all built embedding layers.

    Args:
        model: A Keras 3 or tf_keras model.
        metadata: One file for all layers, or a file by layer name.

    Returns:
        A value for each layer, with the layer's name as tag.
    """
    copy = backend_of(model).copy_to_host
    return [
        Embedding(layer.name, copy(layer.weights[0]), _file(metadata, layer.name))
        for layer in embedding_layers(model)
        if layer.weights
    ]


def _file(metadata: str | Mapping[str, str] | None, name: str) -> str | None:
    return metadata.get(name) if isinstance(metadata, Mapping) else metadata


def _is_embedding(layer: Layer) -> bool:
    return any(
        kind.__name__ == "Embedding" and kind.__module__.split(".")[0] in ("keras", "tf_keras")
        for kind in type(layer).__mro__
    )
