"""The one place where an error of this package, inside `fit`, ends.

Guarantees: nothing raised by a guarded call reaches training, except KeyboardInterrupt and SystemExit;
each place is reported once by a `RuntimeWarning` (by logging where warnings are errors) and counted always.
Safe to use from several threads.
"""

from __future__ import annotations

import functools
import logging
import os
import re
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from tbx_keras.errors import TbxError

_SECRETS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AZURE_STORAGE_KEY")
Hook = TypeVar("Hook", bound=Callable[..., Any])


class Faults:
    """Reports once, counts always; keeps the time that hooks took."""

    def __init__(self) -> None:
        self.count = 0
        self.seconds = 0.0
        self.one_time_seconds = 0.0
        self._reported: set[str] = set()
        self._lock = threading.Lock()

    def report(self, where: str, error: BaseException, remedy: str = "") -> None:
        """Count an error and say it once for each place.

        Args:
            where: What was being done, as a phrase such as "recording weights".
            error: The exception.
            remedy: How to mend it or turn the recording off, as a sentence.
        """
        with self._lock:
            self.count += 1
            if where in self._reported:
                return
            self._reported.add(where)
        tell(
            f"tbx_keras: {where} failed and is skipped; training goes on. "
            f"{type(error).__name__}: {error}. {remedy}".strip()
        )

    def add_time(self, seconds: float) -> None:
        """Add to the time spent in hooks."""
        with self._lock:
            self.seconds += seconds

    @contextmanager
    def one_time(self, applies: bool = True) -> Iterator[None]:
        """Mark the time of a block as a cost that comes once, such as tracing."""
        start = time.perf_counter()
        yield
        if applies:
            with self._lock:
                self.one_time_seconds += time.perf_counter() - start


def redacted(text: str) -> str:
    """A text without credentials: those of a URL, and those that the environment holds for object stores."""
    text = re.sub(r"(\w://)[^/\s@]+@", r"\1***@", text)
    for name in _SECRETS:
        secret = os.environ.get(name)
        if secret:
            text = text.replace(secret, "***")
    return text


def tell(message: str) -> None:
    """Warn, and never raise: under `-W error` the message goes to the log instead. Shows no credentials."""
    message = redacted(message)
    try:
        warnings.warn(message, RuntimeWarning, stacklevel=3)
    except RuntimeWarning:
        logging.getLogger("tbx_keras").warning(message)


def guarded(where: str, remedy: str = "", raises: bool = False) -> Callable[[Hook], Hook]:
    """Decorate a hook of an object with a `faults` attribute: errors are reported, time is kept.

    Args:
        where: What the hook does, for the report.
        remedy: How to mend it, for the report.
        raises: Whether errors of this package (`TbxError`) pass, as they do where a person can still mend
            them, before training starts.

    Returns:
        The decorator.
    """

    def decorate(hook: Hook) -> Hook:
        @functools.wraps(hook)
        def guarded_hook(self: Any, *args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            try:
                return hook(self, *args, **kwargs)
            except Exception as error:
                if raises and isinstance(error, TbxError):
                    raise
                self.faults.report(where, error, remedy)
            finally:
                self.faults.add_time(time.perf_counter() - start)
            return None

        return guarded_hook  # type: ignore[return-value]

    return decorate
