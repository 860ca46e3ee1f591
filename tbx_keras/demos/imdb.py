"""Fine-tune a pretrained transformer on movie reviews, and watch it.

The way of transformers' TensorFlow models, which are tf_keras models: load, tokenise, compile, fit with
`TbxLogger`, evaluate, save, load again.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from tbx_keras.demos.freezing import freeze
from tbx_keras.demos.offline import PACKAGED, check_model, packaged_model, reason
from tbx_keras.demos.reviews import Reviews
from tbx_keras.demos.training import Outcome, Settings, check_length, train_classifier
from tbx_keras.errors import ArgumentError
from tbx_keras.framework_types import Callback, Model

SAVED_MODEL = "saved_model/1"  # where transformers puts it, beside the weights in tf_model.h5


def fine_tune(settings: Settings, train: Reviews, validation: Reviews, callbacks: list[Callback]) -> Outcome:
    """Load, train, evaluate and save.

    Args:
        settings: How.
        train: Reviews to train on.
        validation: Reviews to validate with.
        callbacks: Further callbacks, such as a progress display.

    Returns:
        The outcome.

    Raises:
        ArgumentError: The model, what to freeze of it, or the length is wrong.
        OfflineError: The model's hub cannot be reached.
        MissingDependencyError: transformers or tf-keras is missing or does not work.
    """
    tokenizer, model = load_pretrained(settings.model)
    positions = getattr(model.config, "max_position_embeddings", None)  # None: relative ones
    check_length(settings.max_length, tokenizer.model_max_length, positions)
    freeze(model, settings.freeze)
    x, x_val = (tokenise(tokenizer, part.texts, settings.max_length) for part in (train, validation))
    import tensorflow as tf
    import tf_keras

    tf.get_logger().setLevel("ERROR")  # transformers is traced with a warning for each helper function
    data = (x, train.labels), (x_val, validation.labels)
    logger, accuracy = train_classifier(tf_keras, model, settings, *data, callbacks)
    saved = save(model, tokenizer, os.path.join(logger.log_dir, "model"))
    return Outcome(accuracy, saved, logger)


def load_pretrained(name: str) -> tuple[Any, Any]:
    """Load the tokenizer and the model, with a new head for two classes."""
    check_model(name)
    source = packaged_model() if name == PACKAGED else name
    os.environ.setdefault("USE_TORCH", "0")  # PyTorch in the same process would only cost memory
    from transformers import AutoTokenizer, TFAutoModelForSequenceClassification, logging

    logging.set_verbosity_error()  # that the head is a fresh one is no news here
    try:
        tokenizer = AutoTokenizer.from_pretrained(source)
        return tokenizer, TFAutoModelForSequenceClassification.from_pretrained(source, num_labels=2)
    except (OSError, ValueError) as error:
        hint = f"a model with TensorFlow weights and a tokenizer ({reason(error)})"
        raise ArgumentError("model", name, hint) from error


def tokenise(tokenizer: Any, texts: list[str], max_length: int) -> dict[str, np.ndarray]:
    """Turn texts into token ids and masks, int32 arrays `(n, max_length)`."""
    found = tokenizer(
        texts, padding="max_length", truncation=True, max_length=max_length, return_tensors="np"
    )
    return {name: array.astype("int32") for name, array in found.items()}


def save(model: Model, tokenizer: Any, directory: str) -> str:
    """Write a SavedModel and Keras weights, with the tokenizer beside them; returns the directory."""
    model.save_pretrained(directory, saved_model=True)
    tokenizer.save_pretrained(directory)
    return directory


def load_again(directory: str) -> tuple[Any, Any, Any]:
    """Load the tokenizer, the model with its Keras weights, and the SavedModel's serving function."""
    import tensorflow as tf

    tokenizer, model = load_pretrained(directory)
    served = tf.saved_model.load(os.path.join(directory, SAVED_MODEL))
    return tokenizer, model, served.signatures["serving_default"]
