"""Fine-tune a pretrained transformer on movie reviews, and watch it.

The road of transformers' TensorFlow models, which are tf_keras models: load, tokenise, compile, fit with
`TbxLogger`, evaluate, save, load again.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from tbx_keras.demos.freezing import freeze
from tbx_keras.demos.offline import PACKAGED, check_model, packaged_model, reason
from tbx_keras.demos.reviews import Reviews
from tbx_keras.errors import ArgumentError

SAVED_MODEL = "saved_model/1"  # where transformers puts it, beside the weights in tf_model.h5


@dataclass(frozen=True)
class Settings:
    """How to fine-tune.

    Args:
        model: Name on the hub, a directory with weights and tokenizer, or `"minilm"`.
        log_dir: Directory to record in; the model is saved in `model/` below the directory of the run.
        epochs: Passes over the reviews.
        batch_size: Reviews in a step.
        max_length: Tokens of a review that are read; the rest is cut off.
        learning_rate: Of Adam.
        freeze: What does not train: `"nothing"`, `"embeddings"`, `"all-but-last-N"`, `"all-but-head"`.
        lora_rank: Rank of LoRA adapters, for models of KerasHub; 0 for none.
    """

    model: str = "bert-base-uncased"
    log_dir: str = "logs/imdb"
    epochs: int = 2
    batch_size: int = 16
    max_length: int = 128
    learning_rate: float = 5e-5
    freeze: str = "nothing"
    lora_rank: int = 0


@dataclass(frozen=True)
class Outcome:
    """What came of it: accuracy on the validation reviews (0 to 1), where the model is, and the logger."""

    accuracy: float
    saved: str
    logger: Any


def fine_tune(settings: Settings, train: Reviews, validation: Reviews, callbacks: list[Any]) -> Outcome:
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
        RequirementError: transformers or tf-keras is missing or does not work.
    """
    tokenizer, model = load_pretrained(settings.model)
    positions = getattr(model.config, "max_position_embeddings", None)  # None: relative ones
    check_length(settings.max_length, tokenizer.model_max_length, positions)
    freeze(model, settings.freeze)
    x, x_val = (tokenise(tokenizer, part.texts, settings.max_length) for part in (train, validation))
    logger = compile_and_fit(model, settings, (x, train.labels), (x_val, validation.labels), callbacks)
    _, accuracy = model.evaluate(x_val, validation.labels, batch_size=settings.batch_size, verbose=0)
    saved = save(model, tokenizer, os.path.join(logger.log_dir, "model"))
    return Outcome(float(accuracy), saved, logger)


def load_pretrained(name: str) -> tuple[Any, Any]:
    """Tokenizer and model with a fresh head for two classes."""
    check_model(name)
    source = packaged_model() if name == PACKAGED else name
    os.environ.setdefault("USE_TORCH", "0")  # PyTorch in the same process would only cost memory
    from transformers import AutoTokenizer, TFAutoModelForSequenceClassification, logging

    logging.set_verbosity_error()  # that the head is a fresh one is no news here
    try:
        tokenizer = AutoTokenizer.from_pretrained(source)
        return tokenizer, TFAutoModelForSequenceClassification.from_pretrained(source, num_labels=2)
    except (OSError, ValueError) as error:
        remedy = f"a model with TensorFlow weights and a tokenizer ({reason(error)})"
        raise ArgumentError("model", name, remedy) from error


def check_length(max_length: int, *limits: int | None) -> None:
    """See that a model has a position for each token.

    Args:
        max_length: Tokens that are to be read.
        limits: Positions that there are; None where there is no limit.

    Raises:
        ArgumentError: There are fewer.
    """
    most = min((limit for limit in limits if limit), default=max_length)
    if max_length > most:
        raise ArgumentError("max_length", max_length, f"at most {most}: the model has no more positions")


def tokenise(tokenizer: Any, texts: list[str], max_length: int) -> dict[str, np.ndarray]:
    """Token ids and masks, int32 arrays `(n, max_length)`."""
    found = tokenizer(
        texts, padding="max_length", truncation=True, max_length=max_length, return_tensors="np"
    )
    return {name: array.astype("int32") for name, array in found.items()}


def compile_and_fit(model: Any, settings: Settings, train: Any, validation: Any, callbacks: list[Any]) -> Any:
    """Train with a logger, which is returned."""
    import tensorflow as tf
    import tf_keras

    from tbx_keras import TbxLogger

    tf.get_logger().setLevel("ERROR")  # transformers is traced with a warning for each helper function
    loss = tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(tf_keras.optimizers.Adam(settings.learning_rate), loss, metrics=["accuracy"])
    # A short run, in which an epoch's records are a larger share of the time than in a long one.
    logger = TbxLogger(settings.log_dir, update_freq=10, drift_freq=1, overhead_budget=0.5)
    model.fit(
        *train,
        validation_data=validation,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        verbose=0,
        callbacks=[logger, *callbacks],
    )
    return logger


def save(model: Any, tokenizer: Any, directory: str) -> str:
    """Write a SavedModel and Keras weights, with the tokenizer beside them; returns the directory."""
    model.save_pretrained(directory, saved_model=True)
    tokenizer.save_pretrained(directory)
    return directory


def load_again(directory: str) -> tuple[Any, Any, Any]:
    """Tokenizer, the model with its Keras weights, and the SavedModel's serving function."""
    import tensorflow as tf

    tokenizer, model = load_pretrained(directory)
    served = tf.saved_model.load(os.path.join(directory, SAVED_MODEL))
    return tokenizer, model, served.signatures["serving_default"]
