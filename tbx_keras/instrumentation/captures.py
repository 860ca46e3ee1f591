"""The interface of a capture: one object for one run of a step, traced or eager.

Guarantees: every intercepted call is forwarded unchanged and returns what the original returned. An error of
a capture is reported and the call is made all the same.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from tbx_keras.framework_types import Model
from tbx_keras.instrumentation.base import CaptureSchema, Report, Tensors


@dataclass
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


Context = TypeVar("Context", bound=StepContext)


class Capture(ABC, Generic[Context]):
    """Captures one kind of thing in one run of a step.

    Args:
        context: The step.
    """

    kind: ClassVar[str]

    def __init__(self, context: Context) -> None:
        self._context = context

    @abstractmethod
    def intercept(self) -> AbstractContextManager[object]:
        """Keep what the step computes inside the block."""

    @abstractmethod
    def reduce(self, schema: CaptureSchema) -> tuple[CaptureSchema, Tensors]:
        """Reduce what was kept to a few small tensors, on the device.

        Args:
            schema: Names known so far.

        Returns:
            The schema with the names of these rows, and the tensors by name.
        """
