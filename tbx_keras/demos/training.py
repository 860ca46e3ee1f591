"""Shared parts of the fine-tuning demonstrations: settings, training, outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tbx_keras.errors import ArgumentError
from tbx_keras.framework_types import Batch, Callback, Model, Module


@dataclass(frozen=True)
class Settings:
    """Settings of a fine-tuning.

    Args:
        model: Name on the hub, a directory with weights and tokenizer, or `"minilm"`.
        log_dir: Directory to record in; the model is saved in `model/` below the directory of the run.
        epochs: Passes over the reviews.
        batch_size: Reviews in a step.
        max_length: Tokens of a review that are read; the rest is cut off.
        learning_rate: Of Adam.
        freeze: What does not train: `"none"`, `"embeddings"`, `"all-but-last-N"`, `"all-but-head"`.
        lora_rank: Rank of LoRA adapters, for models of KerasHub; 0 for none.
    """

    model: str = "bert-base-uncased"
    log_dir: str = "logs/imdb"
    epochs: int = 2
    batch_size: int = 16
    max_length: int = 128
    learning_rate: float = 5e-5
    freeze: str = "none"
    lora_rank: int = 0


@dataclass(frozen=True)
class Outcome:
    """Outcome: accuracy on the validation reviews (0 to 1), path of the saved model, and the logger."""

    accuracy: float
    saved: str
    logger: Any


def check_length(max_length: int, *limits: int | None) -> None:
    """Check that a model has a position for each token.

    Args:
        max_length: Tokens that are to be read.
        limits: Positions that there are; None where there is no limit.

    Raises:
        ArgumentError: There are fewer.
    """
    most = min((limit for limit in limits if limit), default=max_length)
    if max_length > most:
        raise ArgumentError("max_length", max_length, f"at most {most}: the model has no more positions")


def train_classifier(
    k: Module, model: Model, settings: Settings, train: Batch, validation: Batch, callbacks: list[Callback]
) -> tuple[Any, float]:
    """Compile a model of two classes, fit it with a logger, and evaluate it.

    Args:
        k: The module `keras` or `tf_keras`.
        model: Model whose outputs are logits `(batch, 2)`.
        settings: Settings.
        train: Inputs and labels.
        validation: Inputs and labels.
        callbacks: Further callbacks.

    Returns:
        The logger, and the accuracy on the validation data, 0 to 1.
    """
    from tbx_keras import TbxLogger

    loss = k.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(k.optimizers.Adam(settings.learning_rate), loss, metrics=["accuracy"])
    # A short run, in which an epoch's records are a larger fraction of the time than in a long one.
    logger = TbxLogger(settings.log_dir, update_freq=10, distance_freq=1, overhead_budget=0.5)
    model.fit(
        *train,
        validation_data=validation,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        verbose=0,
        callbacks=[logger, *callbacks],
    )
    _, accuracy = model.evaluate(*validation, batch_size=settings.batch_size, verbose=0)
    return logger, float(accuracy)
