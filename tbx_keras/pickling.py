"""Copies of a logger, and the call that makes one like it.

Guarantees: a copy, also by pickle, has the arguments of the original and nothing of its runs.
"""

from __future__ import annotations

import copy
from typing import Any

from tbx_keras.config import Config
from tbx_keras.writers import AsyncEventWriter


class Copies:
    """Part of `TbxLogger`."""

    log_dir: str
    _changed: dict[str, Any]
    _writer: AsyncEventWriter
    _config: Config

    def _reset(self) -> None:
        raise NotImplementedError

    def __repr__(self) -> str:
        arguments = [repr(self.log_dir), *(f"{name}={value!r}" for name, value in self._changed.items())]
        return f"{type(self).__name__}({', '.join(arguments)})"

    def __getstate__(self) -> dict[str, Any]:
        """Keep the arguments alone: open files, threads and traced functions stay with the original."""
        log_dir = self._writer.first_dir if self.log_dir == self._writer.log_dir else self.log_dir
        kept = {"_config": self._config, "_changed": self._changed, "log_dir": log_dir}
        return copy.deepcopy(kept)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__init__()
        self.__dict__.update(state)
        self._reset()
