"""Files of TensorBoard's projector: a table of vectors for each embedding, its labels, and the configuration.

Guarantees: each file is written beside its place and moved there, so that a reader sees the old one or the
new one. The configuration names each embedding once. A table whose labels cannot be shown is written without
them, and the reason is given once; they are looked for again with each table.
"""

from __future__ import annotations

import io
import os
import re
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import IO

import numpy as np

from tbx_keras.storage import file_system, is_remote
from tbx_keras.values import Embedding
from tbx_keras.writers.labels import LabelsError, is_missing, read_labels
from tbx_keras.writers.names import run_directory

CONFIG = "projector_config.pbtxt"
MAX_ROWS = 100_000  # the projector reads no more


@dataclass(frozen=True)
class LabelFiles:
    """Files of labels that tables to come will name.

    Args:
        names: Paths, relative to the log directory or not.
    """

    names: tuple[str, ...]


class Projectors:
    """Tables of all runs of a log directory.

    Args:
        log_dir: The log directory.
        labels_dir: Directory that files of labels are relative to.
        warn_once: Called with what a warning is about, and the warning.
    """

    def __init__(self, log_dir: str, labels_dir: str, warn_once: Callable[[str, str], None]) -> None:
        self._log_dir, self._labels_dir, self._warn_once = log_dir, labels_dir, warn_once
        self._runs: dict[str, Projector] = {}

    def write(self, run: str, value: Embedding) -> int:
        """Write a table of a run; returns its bytes."""
        return self._of(run).write(value)

    def check_labels(self, run: str, files: LabelFiles) -> None:
        """Warn of files of labels that do not exist yet."""
        self._of(run).check_labels(files.names)

    def _of(self, run: str) -> Projector:
        if run not in self._runs:
            self._runs[run] = Projector(run_directory(self._log_dir, run), self._labels_dir, self._warn)
        return self._runs[run]

    def _warn(self, name: str, reason: str) -> None:
        self._warn_once(
            f"labels {name}",
            f"tbx_keras: embeddings are recorded without labels, since {reason} (embeddings_metadata); "
            "the file is looked for again with each table.",
        )


class Projector:
    """Tables of one run.

    Args:
        directory: Directory of the run.
        log_dir: Directory that the files of labels are relative to.
        warn: Called with a file of labels and the reason why it is not shown.
    """

    def __init__(self, directory: str, log_dir: str, warn: Callable[[str, str], None]) -> None:
        self._directory, self._log_dir, self._warn = directory, log_dir, warn
        self._entries: dict[str, str] = {}

    def check_labels(self, names: Iterable[str]) -> None:
        """Warn of files of labels that do not exist yet, before training takes its time."""
        for name in names:
            if is_missing(self._log_dir, name):
                self._warn(name, f"there is no {name!r} in {self._log_dir!r} yet")

    def write(self, value: Embedding) -> int:
        """Write a table and name it; returns the bytes of the table.

        Raises:
            OSError: The disk does not take it.
        """
        name = re.sub(r"[^\w.-]+", "_", value.tag).strip(".") or "embedding"
        rows = np.asarray(value.vectors, np.float32)[:MAX_ROWS]
        fields = {"tensor_name": value.tag, "tensor_path": f"{name}.tsv"}
        size = self._replace(fields["tensor_path"], lambda file: np.savetxt(file, rows, "%.9g", "\t"))
        labels = self._labels(value)
        if labels is not None:
            fields["metadata_path"] = f"{name}_metadata.tsv"
            self._replace(fields["metadata_path"], lambda file: file.write(labels))
        self._entries[value.tag] = _entry(fields)
        text = "".join(self._entries.values())
        self._replace(CONFIG, lambda file: file.write(text))
        return size

    def _labels(self, value: Embedding) -> str | None:
        if value.metadata is None:
            return None
        try:
            return read_labels(self._log_dir, value.metadata, len(value.vectors), MAX_ROWS)
        except LabelsError as error:
            self._warn(value.metadata, str(error))
            return None

    def _replace(self, name: str, write: Callable[[IO[str]], object]) -> int:
        if is_remote(self._directory):
            return self._upload(name, write)
        os.makedirs(self._directory, exist_ok=True)
        descriptor, path = tempfile.mkstemp(dir=self._directory, prefix=".projector_")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                write(file)
            size = os.path.getsize(path)
            os.chmod(path, 0o644)
            os.replace(path, os.path.join(self._directory, name))
        except BaseException:
            os.unlink(path)
            raise
        return size

    def _upload(self, name: str, write: Callable[[IO[str]], object]) -> int:
        held = io.StringIO()
        write(held)
        system, path = file_system(self._directory)
        data = held.getvalue().encode()
        system.pipe_file(f"{path}/{name}", data)
        return len(data)


def _entry(fields: dict[str, str]) -> str:
    lines = "".join(f'  {key}: "{_escape(text)}"\n' for key, text in fields.items())
    return f"embeddings {{\n{lines}}}\n"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
