"""The interface of a rule, and the registry of all of them.

Guarantees: a rule sees evidence in the order in which it is fetched, one piece at a time, and changes
nothing.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, TypeVar

from tbx_keras.errors import ArgumentError
from tbx_keras.framework_types import Model
from tbx_keras.values import Value

Severity: TypeAlias = Literal["info", "warning", "error"]
Concerned: TypeAlias = Sequence[
    tuple[str, int]
]  # path, elements that are not finite; in the order of the model


@dataclass(frozen=True)
class Evidence:
    """Values that were recorded at one moment.

    Args:
        source: Name of the recorder, such as `"gradients"`; `"loss"` for the loss of a step that is not
            finite.
        run: Run of the log directory.
        step: Global step.
        epoch: Epoch, counted from 0.
        values: The values.
        model: The model that trains.
        nonfinite_weights: With a loss: the weights that are not finite; None where they could not be read.
    """

    source: str
    run: str
    step: int
    epoch: int
    values: Sequence[Value] = ()
    model: Model = None
    nonfinite_weights: Concerned | None = ()


@dataclass(frozen=True)
class Finding:
    """Result of a rule: what is wrong, where, since when, and what to do.

    Args:
        rule: Name of the rule.
        severity: How bad it is.
        where: Paths of the variables or layers concerned, the first one first; none where it is the run's.
        run: Run of the log directory.
        step: Global step.
        epoch: Epoch, counted from 0.
        evidence: Text that says what was seen, as Markdown: recorded.
        advice: Sentence that says what to do.
        tag: Tag of the record; `findings/<rule>` if empty.
        message: Sentence for a warning; none is shown if empty.
    """

    rule: str
    severity: Severity
    where: tuple[str, ...]
    run: str
    step: int
    epoch: int
    evidence: str
    advice: str
    tag: str = ""
    message: str = ""


class Rule(Protocol):
    """Looks for one kind of problem. Made without arguments, one object for each logger.

    A rule may have `sources`, a frozenset of names of recorders (and `"loss"`): it then sees these alone.
    """

    name: str

    def check(self, evidence: Evidence) -> Iterable[Finding] | Finding | None:
        """Find problems in a piece of evidence, or none; called on any thread, one call at a time."""


_rules: dict[str, type[Rule]] = {}
RuleClass = TypeVar("RuleClass", bound=type[Rule])


def register(rule: RuleClass) -> RuleClass:
    """Decorate a rule: loggers that are made from now on use it.

    Raises:
        ArgumentError: It is no class, or has no name or no `check`.

    Example:
    ```python
    from tbx_keras.diagnosis.base import Finding, register


    @register
    class LongRun:
        name = "long_run"

        def check(self, evidence):
            if evidence.step == 1_000_000:
                text = "A million steps."
                yield Finding(
                    self.name, "info", (), evidence.run, evidence.step, evidence.epoch, text, "Rest."
                )
    ```
    """
    name: object = getattr(rule, "name", None)
    if not isinstance(rule, type) or not isinstance(name, str) or not callable(getattr(rule, "check", None)):
        raise ArgumentError("rule", rule, "a class with a `name` and a method `check(self, evidence)`")
    _rules[name] = rule
    return rule


def unregister(name: str) -> None:
    """Take a rule out; loggers that are made from now on do without it."""
    _rules.pop(name, None)


def all_rules(report: Callable[[str, Exception], None]) -> list[Rule]:
    """Make a rule of each kind: those of the files in this package, and those that were registered.

    Args:
        report: Called with a phrase and an exception where one cannot be made.
    """
    for module in pkgutil.iter_modules(importlib.import_module("tbx_keras.diagnosis").__path__):
        importlib.import_module(f"tbx_keras.diagnosis.{module.name}")
    rules = []
    for name, kind in _rules.items():
        try:
            rules.append(kind())
        except Exception as error:
            report(f"making the rule {name!r}", error)
    return rules
