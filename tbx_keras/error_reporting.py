"""Reports of errors: the one place where this package catches its own errors inside `fit`.

Guarantees: nothing raised by a decorated hook reaches training, except KeyboardInterrupt and SystemExit;
each place is reported once by a `RuntimeWarning` (by logging where warnings are errors) and counted always.
Safe to use from several threads.
"""

from __future__ import annotations

import functools
import logging
import os
import re
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from tbx_keras.errors import TbxError
from tbx_keras.hook_time import HookTime
from tbx_keras.warning_location import UNKNOWN, Caller, user_location

_SECRETS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AZURE_STORAGE_KEY")
Hook = TypeVar("Hook", bound=Callable[..., Any])


class ErrorReporter:
    """Reports errors once, counts them always; keeps the time that hooks took.

    Args:
        caller: The line that reports of other threads point to.
        time: Keeps the time.
    """

    def __init__(self, caller: Caller | None = None, time: HookTime | None = None) -> None:
        self.caller = Caller() if caller is None else caller
        self.time = HookTime() if time is None else time
        self.count = 0
        self._reported: set[str] = set()
        self._lock = threading.Lock()

    @property
    def seconds(self) -> float:
        """Seconds spent in hooks, first-time work included."""
        return self.time.seconds

    def report(self, where: str, error: BaseException, hint: str = "") -> None:
        """Count an error, and warn of it once for each place.

        Args:
            where: What was being done, as a phrase such as "recording weights".
            error: The exception.
            hint: How to fix it or turn the recording off, as a sentence.
        """
        with self._lock:
            self.count += 1
        what = described(error).rstrip(".")
        sentence = f"tbx_keras: {where} failed and is skipped; training goes on. {what}. {hint}".strip()
        self.warn_once(where, sentence)

    def warn_once(self, what: str, message: str) -> None:
        """Warn of something the first time, whatever the filter of warnings remembers."""
        with self._lock:
            if what in self._reported:
                return
            self._reported.add(what)
        warn(message, self.caller)

    @contextmanager
    def one_time(self, applies: bool = True) -> Iterator[None]:
        """Mark the time of a block as a cost that comes once, such as tracing."""
        self.time.begin(first=applies)
        try:
            yield
        finally:
            self.time.end()


def described(error: BaseException) -> str:
    """Give the class and the message of an exception, whose own `__str__` may raise."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return type(error).__name__


def redacted(text: str) -> str:
    """Remove credentials from a text: those of a URL, and those for object stores in the environment."""
    text = re.sub(r"(\w://)[^/\s@]+@", r"\1***@", text)
    for name in _SECRETS:
        secret = os.environ.get(name)
        if secret:
            text = text.replace(secret, "***")
    return text


def warn(message: str, caller: Caller | None = None, category: type[Warning] = RuntimeWarning) -> None:
    """Warn at the user's line, and never raise: under `-W error` the message goes to the log instead.

    The filter of warnings is asked, but not its memory of what was shown before: callers warn once
    themselves, and the same words about another run are news. Shows no credentials.

    Args:
        message: The message.
        caller: Has the line to point to from a thread without a frame of the user's.
        category: Kind of the warning.
    """
    message = redacted(message)
    place = user_location() or (caller.location if caller is not None else UNKNOWN)
    try:
        warnings.warn_explicit(message, category, place.filename, place.line, place.module, registry={})
    except category:
        logging.getLogger("tbx_keras").warning(message)


def reports_errors(where: str, hint: str = "", raises: bool = False) -> Callable[[Hook], Hook]:
    """Decorate a hook of an object with a `reporter`: errors are reported, time is kept.

    Args:
        where: What the hook does, for the report.
        hint: How to fix it, for the report.
        raises: Whether errors of this package (`TbxError`) pass, as they do where a person can still fix
            them, before training starts.

    Returns:
        The decorator.
    """

    def decorate(hook: Hook) -> Hook:
        @functools.wraps(hook)
        def reporting_hook(self: Any, *args: Any, **kwargs: Any) -> Any:
            self.reporter.time.begin(where)
            try:
                return hook(self, *args, **kwargs)
            except Exception as error:
                if raises and isinstance(error, TbxError):
                    raise
                self.reporter.report(where, error, hint)
            finally:
                self.reporter.time.end()
            return None

        return reporting_hook  # type: ignore[return-value]

    return decorate
