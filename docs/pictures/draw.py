"""Draws the pictures of the documentation from real runs: `python docs/pictures/draw.py [NAME ...]`.

Each function trains, reads the event files back, and saves a picture of its name beside this file. Those of
TensorBoard's own pages need Chromium on the path.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from matplotlib.figure import Figure
from tbx_keras import TbxLogger, read
from tbx_keras.demos import digits

from screenshots import take_all

HERE = Path(__file__).parent
WORK = Path(tempfile.mkdtemp(prefix="pictures_"))


def axes(columns: int = 1, height: float = 3.6):
    figure = Figure(figsize=(8, height), layout="constrained")
    return figure, np.atleast_1d(figure.subplots(1, columns))


def line(frame, run: str, tag: str):
    rows = frame[(frame["run"] == run) & (frame["tag"] == tag)]
    return rows["step"].to_numpy(), rows["value"].to_numpy()


def data(examples: int):
    pictures = digits.load_digits()
    return (pictures.x_train[:examples], pictures.y_train[:examples]), (pictures.x_val, pictures.y_val)


def learning() -> None:
    """Loss on the training and on the validation data: a run that learns, and one that learns by heart."""
    figure, plots = axes(2)
    for ax, examples, title in zip(plots, (4000, 150), ("it learns", "it learns by heart")):
        train, validation = data(examples)
        model = digits.build_model()
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        logs = WORK / f"learning_{examples}"
        epochs = 10 if examples == 4000 else 60
        logger = TbxLogger(logs, gradient_freq=0, histogram_freq=0)
        model.fit(*train, validation_data=validation, epochs=epochs, verbose=0, callbacks=[logger])
        frame = read(logs).scalars
        for run in ("train", "validation"):
            ax.plot(*line(frame, run, "epoch_loss"), label=run)
        ax.set(title=title, xlabel="epoch", ylabel="epoch_loss")
        ax.legend()
    figure.savefig(HERE / "learning.png", dpi=110)


def deep(activation: str):
    layers = [keras.layers.Dense(32, activation=activation, name=f"hidden_{i:02}") for i in range(12)]
    model = keras.Sequential(
        [keras.Input((28, 28, 1)), keras.layers.Flatten(), *layers, keras.layers.Dense(10)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss)
    return model


def vanishing() -> None:
    """Gradient norms layer by layer: with sigmoids they fade towards the input, with ReLUs they do not."""
    figure, (ax,) = axes()
    for activation in ("sigmoid", "relu"):
        logs = WORK / activation
        model = deep(activation)
        model.fit(*data(640)[0], epochs=1, verbose=0, callbacks=[TbxLogger(logs)])
        frame = read(logs).scalars
        names = [f"hidden_{i:02}" for i in range(12)]
        tags = [
            tag
            for name in names
            for tag in frame["tag"].unique()
            if f"{name}/kernel" in tag and "norm" in tag
        ]
        ax.semilogy(names, [line(frame, "train", tag)[1][0] for tag in tags], marker="o", label=activation)
    ax.set(ylabel="gradient_norm of the first step", title="12 hidden layers")
    ax.tick_params(axis="x", rotation=60)
    ax.legend()
    figure.savefig(HERE / "vanishing.png", dpi=110)


def layers_move() -> None:
    """How far each layer has moved from its pretrained weights."""
    (x, y), _ = data(4000)
    low, high = y < 5, y >= 5
    model = digits.build_model()
    model.fit(x[low], y[low], epochs=3, verbose=0)
    logs = WORK / "layers_move"
    model.compile(keras.optimizers.Adam(5e-4), "sparse_categorical_crossentropy")
    model.fit(
        x[high], y[high], epochs=4, verbose=0, callbacks=[TbxLogger(logs, distance_freq=1, gradient_freq=5)]
    )
    frame = read(logs).scalars
    figure, (left, right) = axes(2)
    for tag in [
        tag for tag in frame["tag"].unique() if tag.startswith("weight_distance/") and "kernel" in tag
    ]:
        left.plot(*line(frame, "train", tag), marker="o", label=tag.removeprefix("weight_distance/digits/"))
    left.set(title="distance from the first weights", xlabel="epoch", ylabel="relative distance")
    left.legend()
    for tag in [tag for tag in frame["tag"].unique() if tag.startswith("update_ratio/") and "kernel" in tag]:
        right.semilogy(*line(frame, "train", tag), label=tag.removeprefix("update_ratio/digits/"))
    right.axhline(1e-3, color="grey", lw=0.8, ls="--")
    right.set(title="update_ratio", xlabel="step", ylabel="update / weights")
    figure.savefig(HERE / "layers_move.png", dpi=110)


def cost() -> None:
    """What recording takes of the time, and the budget that it is kept within."""
    figure, (left, right) = axes(2)
    for budget in (1.0, 0.05):
        logs = WORK / f"cost_{budget}"
        model = deep("relu")
        logger = TbxLogger(logs, gradient_freq=2, overhead_budget=budget)
        model.fit(*data(4000)[0], epochs=100, batch_size=16, verbose=0, callbacks=[logger])
        frame = read(logs).scalars
        label = f"overhead_budget={budget}"
        left.plot(*line(frame, "train", "tbx/overhead_fraction"), label=label)
        right.plot(*line(frame, "train", "tbx/interval_scale"), label=label)
    left.axhline(0.05, color="grey", lw=0.8, ls="--")
    left.set(title="tbx/overhead_fraction", xlabel="epoch", ylabel="share of the time")
    right.set(title="tbx/interval_scale", xlabel="epoch", ylabel="intervals are longer by")
    left.legend()
    figure.savefig(HERE / "cost.png", dpi=110)


def resume() -> None:
    """The same directory after a restart from epoch 3 of 6: with the logger, and with Keras's callback."""
    (x, y), _ = data(1000)
    figure, plots = axes(2)
    callbacks = (TbxLogger, keras.callbacks.TensorBoard)
    for ax, callback, title in zip(plots, callbacks, ("TbxLogger", "keras.callbacks.TensorBoard")):
        logs, kept = str(WORK / title), str(WORK / "kept_{epoch}.weights.h5")
        for first, weights in ((0, None), (3, kept.format(epoch=3))):
            model = digits.build_model()
            if weights:
                model.optimizer.build(model.trainable_variables)
                model.load_weights(weights)
            keep = keras.callbacks.ModelCheckpoint(kept, save_weights_only=True)
            model.fit(
                x, y, batch_size=25, epochs=first + 6 if not first else 8, initial_epoch=first, verbose=0,
                callbacks=[callback(logs, update_freq=4), keep],
            )  # fmt: skip
            time.sleep(1.1)
        ax.plot(*line(read(logs).scalars, "train", "batch_loss"))
        ax.set(title=title, xlabel="step", ylabel="batch_loss", ylim=(0, 1.5))
    figure.savefig(HERE / "resume.png", dpi=110)


def histogram() -> None:
    """A histogram over steps, as `read(...).plot_histogram` draws it."""
    logs = WORK / "histogram"
    train, _ = data(4000)
    digits.build_model().fit(*train, epochs=12, verbose=0, callbacks=[TbxLogger(logs)])
    ax = read(logs).plot_histogram("weights/digits/parts/kernel")
    ax.figure.savefig(HERE / "histogram.png", dpi=110)


def tensorboard() -> None:
    """Pages of TensorBoard after the demonstration."""
    logs = WORK / "digits"
    digits.train(str(logs), 12, 64, [])
    take_all(logs)


def finetune_imdb() -> None:
    """Accuracy, and how far each layer of a pretrained transformer has moved."""
    sys.path.insert(0, str(HERE.parent.parent))
    from tests.reviews import write_table

    table = write_table(WORK / "reviews.tsv", 400)
    logs = WORK / "finetune"
    command = ["demo", "imdb", "--model", "minilm", "--data", str(table), "--max-length", "40"]
    options = ["--learning-rate", "1e-4", "--epochs", "2", "--log-dir", str(logs)]
    subprocess.run([sys.executable, "-m", "tbx_keras", *command, *options], check=True)
    frame = read(logs).scalars
    figure, (left, right) = axes(2, 4.2)
    for run in ("train", "validation"):
        left.plot(*line(frame, run, "epoch_accuracy"), marker="o", label=run)
    left.set(title="epoch_accuracy", xlabel="epoch", ylim=(0.4, 1.02))
    left.legend()
    distance = frame[frame["tag"].str.startswith("weight_distance/") & frame["tag"].str.contains("kernel")]
    last = distance.groupby("tag")["value"].last()
    for part in ("query", "value", "intermediate/dense"):
        layers = [last[last.index.str.contains(f"layer_._{i}/.*{part}/kernel")].iloc[0] for i in range(6)]
        right.plot(range(6), layers, marker="o", label=part)
    right.set(title="distance of the six layers", xlabel="layer", ylabel="relative distance")
    right.legend()
    figure.savefig(HERE / "finetune_imdb.png", dpi=110)


ALL = (learning, vanishing, layers_move, cost, resume, histogram, tensorboard, finetune_imdb)

if __name__ == "__main__":
    for draw in ALL:
        if len(sys.argv) == 1 or draw.__name__ in sys.argv[1:]:
            print(draw.__name__, flush=True)
            draw()
    shutil.rmtree(WORK)
