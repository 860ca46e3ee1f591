"""The display follows `fit` and fits into a line."""

import keras
import numpy as np
from rich.console import Console

from tbx_keras.cli.progress import progress_of


def test_each_epoch_has_a_line_with_its_metrics(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["accuracy"])
    path = tmp_path / "shown.txt"
    with path.open("w") as file, progress_of(Console(file=file, width=80)) as display:
        x = np.ones((8, 2), "float32")
        history = model.fit(
            x, x[:, :1], validation_data=(x, x[:, :1]), epochs=2, batch_size=4, callbacks=[display], verbose=0
        )
    lines = path.read_text().splitlines()
    assert len(lines) == 2
    for epoch, line in enumerate(lines):
        assert f"epoch {epoch + 1}/2" in line
        assert "2/2 " in line.replace(f"epoch {epoch + 1}/2", "")
        assert f"loss {history.history['loss'][epoch]:.3f}" in line
        assert f"(val {history.history['val_accuracy'][epoch]:.3f})" in line
        assert "…" not in line
