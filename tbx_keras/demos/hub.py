"""The same reviews with KerasHub: a pretrained Keras 3 model, whole or by LoRA.

Load a preset, compile, fit with `TbxLogger`, evaluate, save.
"""

from __future__ import annotations

import os

import keras
import numpy as np

from tbx_keras.demos.offline import reason
from tbx_keras.demos.reviews import Reviews
from tbx_keras.demos.training import Outcome, Settings, check_length, train_classifier
from tbx_keras.errors import ArgumentError, MissingDependencyError
from tbx_keras.framework_types import Callback, Model

PREFIX = "hub:"  # before the name of a preset, or a directory with one


def fine_tune_hub(
    settings: Settings, train: Reviews, validation: Reviews, callbacks: list[Callback]
) -> Outcome:
    """Load, train, evaluate and save.

    Args:
        settings: How; `freeze` may be `"none"` or `"all-but-head"`, and `lora_rank` is heeded.
        train: Reviews to train on.
        validation: Reviews to validate with.
        callbacks: Further callbacks, such as a progress display.

    Returns:
        The outcome.

    Raises:
        ArgumentError: The preset, what to freeze of it, or the length is wrong.
        MissingDependencyError: KerasHub is missing.
    """
    model = load_preset(settings.model.removeprefix(PREFIX), settings.max_length)
    choose_what_trains(model, settings)
    x, x_val = (np.array(part.texts, object) for part in (train, validation))
    data = (x, train.labels), (x_val, validation.labels)
    logger, accuracy = train_classifier(keras, model, settings, *data, callbacks)
    return Outcome(accuracy, save(model, os.path.join(logger.log_dir, "model")), logger)


def load_preset(name: str, max_length: int) -> Model:
    """Load a pretrained classifier of texts with a new head for two classes."""
    try:
        from keras_hub.models import TextClassifier
    except ImportError as error:
        raise MissingDependencyError("models of KerasHub need it", "pip install keras-hub") from error
    try:
        model = TextClassifier.from_preset(name, num_classes=2)
    except Exception as error:  # of several libraries: no such preset, no network, no permission
        hint = f"hub: and a preset of KerasHub, or a directory with one ({reason(error)})"
        raise ArgumentError("model", PREFIX + name, hint) from error
    check_length(max_length, getattr(model.backbone, "max_sequence_length", None))
    model.preprocessor.sequence_length = max_length
    return model


def choose_what_trains(model: Model, settings: Settings) -> None:
    """Choose what trains: all, the head alone, or the head and a LoRA adapter beside each kernel."""
    if settings.freeze not in ("none", "all-but-head"):
        raise ArgumentError("freeze", settings.freeze, "none or all-but-head for a model of KerasHub")
    if settings.lora_rank:
        model.backbone.enable_lora(settings.lora_rank)
    elif settings.freeze == "all-but-head":
        model.backbone.trainable = False


def save(model: Model, directory: str) -> str:
    """Write the model with its preprocessing; `TextClassifier.from_preset(directory)` loads it again."""
    model.save_to_preset(directory)
    return directory
