"""The error tree of the package.

```
TbxError                      anything this package raises on purpose
├── ArgumentError             an argument is wrong (a ValueError)
│   └── UnknownArgumentError  there is no argument of that name (a TypeError too)
├── LogDirError               a log directory cannot be used (an OSError)
├── OfflineError              a download is needed and not possible (a ConnectionError)
├── MissingDependencyError    a package is missing or does not fit (an ImportError)
├── UsageError                a call came at the wrong time (a RuntimeError)
└── UnsupportedValueError     a value cannot be recorded; names the tag (a TypeError)
```

Guarantees: errors of this tree are raised where a person can fix them, that is at construction, at the
start of `fit` or in a direct call. Inside a running `fit` none is ever raised: there they are reported once
by a warning and counted.
"""

from __future__ import annotations

from typing import Self

LONGEST = 500  # characters of a value in a message


class TbxError(Exception):
    """Base of every error that this package raises on purpose."""


class ArgumentError(TbxError, ValueError):
    """An argument is wrong; the message names it, the value received and what to pass.

    Args:
        argument: Name of the argument, for example `"histogram_freq"`.
        received: The value as it was passed.
        hint: What to pass instead, as a phrase that follows "Pass".

    Example:
    ```python
    raise ArgumentError("histogram_freq", -1, "an integer >= 0 (0 turns histograms off)")
    ```
    """

    _SENTENCE = "`{argument}` is wrong. Received: {argument}={received}. Pass {hint}."

    def __init__(self, argument: str, received: object, hint: str) -> None:
        super().__init__(self._SENTENCE.format(argument=argument, received=_shown(received), hint=hint))
        self.argument = argument
        self.received = received
        self.hint = hint

    def __reduce__(self) -> tuple[type[Self], tuple[str, object, str]]:
        return type(self), (self.argument, self.received, self.hint)


def _shown(received: object) -> str:
    """Show what was received, which may be long, or fail to describe itself."""
    try:
        text = repr(received)
    except Exception:
        return f"<{type(received).__name__}>"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


class UnknownArgumentError(ArgumentError, TypeError):
    """There is no argument of that name; the message names the one that was meant."""

    _SENTENCE = "There is no argument `{argument}`. Received: {argument}={received}. Pass {hint}."


class LogDirError(TbxError, OSError):
    """A log directory cannot be created or written."""


class OfflineError(TbxError, ConnectionError):
    """Something has to be downloaded and cannot be; the message names the ways without a network."""


class MissingDependencyError(TbxError, ImportError):
    """A package is missing, or its version does not work here.

    Args:
        found: Problem, as a clause.
        command: Command that fixes it.
    """

    def __init__(self, found: str, command: str) -> None:
        super().__init__(f"{found}. Run: {command}")
        self.found, self.command = found, command

    def __reduce__(self) -> tuple[type[Self], tuple[str, str]]:
        return type(self), (self.found, self.command)


class UsageError(TbxError, RuntimeError):
    """A call came at the wrong time, for example before the model was compiled."""


class UnsupportedValueError(TbxError, TypeError):
    """A value cannot be recorded; the message names the tag and the kind of value."""
