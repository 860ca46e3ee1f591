"""Parts of a pretrained transformer that do not train."""

from __future__ import annotations

import re

from tbx_keras.errors import ArgumentError
from tbx_keras.framework_types import Layer, Model

FORMS = "none, embeddings, all-but-last-N, all-but-head"
_FORM = re.compile(r"none|embeddings|all-but-head|all-but-last-(?P<last>\d+)")


def freeze(model: Model, what: str) -> None:
    """Mark layers of a transformers model as not trainable; call it before `compile`.

    Args:
        model: A TensorFlow model of transformers with a head.
        what: `"none"`, `"embeddings"`, `"all-but-last-N"` (the last N layers of the encoder and the head
            train) or `"all-but-head"`.

    Raises:
        ArgumentError: It is none of these, or the model has fewer layers.
    """
    form = read_form(what)
    body = getattr(model, model.base_model_prefix)
    if what == "all-but-head":
        body.trainable = False
    elif what == "embeddings":
        body.embeddings.trainable = False
    elif form["last"]:
        _freeze_but_last(body, int(form["last"]), what)


def read_form(what: str) -> re.Match[str]:
    """Parse what to freeze.

    Raises:
        ArgumentError: It is of no known form.
    """
    form = _FORM.fullmatch(what)
    if form is None:
        raise ArgumentError("freeze", what, f"one of {FORMS}")
    return form


def _freeze_but_last(body: Layer, number: int, what: str) -> None:
    layers = encoder_layers(body)
    if not 1 <= number <= len(layers):
        hint = f"all-but-last-N with N from 1 to {len(layers)}, the layers of this model's encoder"
        raise ArgumentError("freeze", what, hint)
    body.embeddings.trainable = False
    for layer in layers[: len(layers) - number]:
        layer.trainable = False


def encoder_layers(body: Layer) -> list[Layer]:
    """List the layers of an encoder, in their order.

    Raises:
        ArgumentError: The model keeps them in another place than BERT and DistilBERT do.
    """
    for name in ("encoder", "transformer"):
        layers = getattr(getattr(body, name, None), "layer", None)
        if layers:
            return list(layers)
    raise ArgumentError("freeze", type(body).__name__, "none or all-but-head for a model of this kind")
