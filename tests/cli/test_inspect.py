"""The table says what TensorBoard's reader finds."""

import numpy as np
import pytest
from rich.console import Console

from tbx_keras import SummaryWriter
from tbx_keras.cli.inspect import SHOWN, inspect_table
from tbx_keras.errors import ArgumentError


def shown(log_dir) -> str:
    console = Console(width=160)
    with console.capture() as capture:
        console.print(inspect_table(str(log_dir)))
    return capture.get()


def row(text: str, tag: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if f" {tag} " in line]
    return [cell.strip() for cell in line.strip("│").split("│")]


def test_points_first_and_last_value_of_each_kind(tmp_path):
    with SummaryWriter(tmp_path / "train") as writer:
        for step in range(3):
            writer.add_scalar("loss", 1.0 / (step + 1), step)
            writer.add_histogram("weights", np.array([-1.0, step + 1.0]), step)
            writer.add_image("picture", np.zeros((3, 2, 2)), step)
            writer.add_text("note", "words", step)
    text = shown(tmp_path)
    assert row(text, "loss") == ["train", "loss", "3", "1", "0.3333"]
    assert row(text, "weights") == ["train", "weights", "3", "-1 to 1", "-1 to 3"]
    assert row(text, "picture")[2] == "3"
    assert row(text, "note/text_summary")[2] == "3"


def test_many_series_of_a_kind_are_counted(tmp_path):
    with SummaryWriter(tmp_path) as writer:
        for number in range(SHOWN + 3):
            writer.add_scalar(f"norm/{number}", 1.0, 0)
    assert "... and 3 more scalars norm" in shown(tmp_path)


def test_a_directory_without_event_files_is_reported(tmp_path):
    (tmp_path / "notes.txt").write_text("none here")
    with pytest.raises(ArgumentError, match="no event file"):
        inspect_table(str(tmp_path))
