"""Files of TensorBoard's projector: a table of vectors for each embedding, and what names them.

Guarantees: a table is written beside its place and moved there, so that a reader sees the old one or the new
one. The configuration names each embedding once.
"""

from __future__ import annotations

import io
import os
import re
import tempfile
from collections.abc import Callable
from typing import IO

import numpy as np

from tbx_keras.values import Embedding
from tbx_keras.writers.remote import file_system, is_remote

CONFIG = "projector_config.pbtxt"
MAX_ROWS = 100_000  # the projector reads no more


class Projector:
    """Tables of one run.

    Args:
        directory: Directory of the run; metadata files are relative to the one above it.
    """

    def __init__(self, directory: str, log_dir: str) -> None:
        self._directory, self._log_dir = directory, log_dir
        self._entries: dict[str, str] = {}

    def write(self, value: Embedding) -> int:
        """Write a table and name it; returns the bytes of the table.

        Raises:
            OSError: The disk does not take it.
        """
        name = re.sub(r"[^\w.-]+", "_", value.tag).strip(".") or "embedding"
        table = f"{name}.tsv"
        rows = np.asarray(value.vectors, np.float32)[:MAX_ROWS]
        size = self._replace(table, lambda file: np.savetxt(file, rows, "%.9g", "\t"))
        self._entries[value.tag] = self._entry(value, table)
        text = "".join(self._entries.values())
        self._replace(CONFIG, lambda file: file.write(text))
        return size

    def _entry(self, value: Embedding, table: str) -> str:
        fields = {"tensor_name": value.tag, "tensor_path": table}
        if value.metadata is not None:
            fields["metadata_path"] = os.path.relpath(
                os.path.join(self._log_dir, value.metadata), self._directory
            )
        lines = "".join(f'  {key}: "{_escape(text)}"\n' for key, text in fields.items())
        return f"embeddings {{\n{lines}}}\n"

    def _replace(self, name: str, write: Callable[[IO[str]], object]) -> int:
        if is_remote(self._directory):
            return self._upload(name, write)
        os.makedirs(self._directory, exist_ok=True)
        descriptor, path = tempfile.mkstemp(dir=self._directory, prefix=".projector_")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                write(file)
                size = file.tell()
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


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
