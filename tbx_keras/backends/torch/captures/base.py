"""The interface of a capture: one object for one run of a step.

Guarantees: every intercepted call is forwarded unchanged and returns what the original returned. An error of
a capture is reported and the call is made all the same.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import ClassVar

from tbx_keras.framework_types import Model
from tbx_keras.instrumentation.base import CaptureSchema, Report, Tensors


@dataclass(frozen=True)
class StepContext:
    """The step that is captured.

    Args:
        model: The model.
        report: Called with a place and an exception.
    """

    model: Model
    report: Report

    @contextlib.contextmanager
    def reporting(self, where: str) -> Iterator[None]:
        """Report an error of the block and go on after it."""
        try:
            yield
        except Exception as error:
            self.report(where, error)


class Capture(ABC):
    """Captures one kind of thing in one run of a step.

    Args:
        context: The step.
    """

    kind: ClassVar[str]

    def __init__(self, context: StepContext) -> None:
        self._context = context

    @abstractmethod
    def intercept(self) -> AbstractContextManager[object]:
        """Keep what the step computes inside the block, reduced on the device."""

    @abstractmethod
    def reduce(self, schema: CaptureSchema) -> tuple[CaptureSchema, Tensors]:
        """Put together what was kept.

        Args:
            schema: Names known so far.

        Returns:
            The schema with the names of these rows, and the tensors by name, which NumPy can read.
        """
