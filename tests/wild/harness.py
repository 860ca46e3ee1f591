"""Run a program alone, with a logger, or watched by an oracle, and keep what can be compared."""

from __future__ import annotations

import warnings
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tbx_keras import TbxLogger
from tests.reading import accumulate, as_bytes, scalar, scalar_tags
from tests.wild.oracle import Oracle
from tests.wild.registry import Program

NORM = "gradient_norm/"
OF_ALL = {NORM + "global", NORM + "clipped"}


@dataclass
class Run:
    """What a program is handed.

    Args:
        callbacks: To be passed to every `fit`.
        eager: Whether its models are to run eagerly.
        directory: An empty folder of its own.
    """

    callbacks: list[Any]
    eager: bool
    directory: Path

    def compile(self, model: Any, *args: Any, **kwargs: Any) -> None:
        """`model.compile`, also where a class of its own does not take `run_eagerly`."""
        model.compile(*args, **kwargs)
        model.run_eagerly = self.eager

    def fit(self, model: Any, *args: Any, callbacks: Any = (), **kwargs: Any) -> Any:
        return model.fit(*args, verbose=0, callbacks=[*callbacks, *self.callbacks], **kwargs)


@dataclass
class Outcome:
    """What is left of a run.

    Args:
        error: The exception that ended it, or None.
        weights: Path and bits of each variable that it returned.
        warned: Warnings of the package.
        norms: What the oracle measured, or what the logger recorded, by path and step.
        errors: Errors that the logger counted.
    """

    error: BaseException | None = None
    weights: list[tuple[str, bytes]] = field(default_factory=list)
    warned: list[str] = field(default_factory=list)
    norms: dict[str, dict[int, float]] = field(default_factory=dict)
    errors: int = 0


def run_alone(program: Program, k: Any, eager: bool, directory: Path) -> Outcome:
    return _run(program, k, Run([], eager, directory))


def run_watched(program: Program, k: Any, eager: bool, directory: Path) -> Outcome:
    """Without a logger; gradients are measured by the oracle."""
    oracle = Oracle(k)
    with oracle.watching():
        outcome = _run(program, k, Run([oracle.callback()], eager, directory))
    outcome.norms = oracle.norms
    return outcome


def run_logged(program: Program, k: Any, eager: bool, directory: Path, **options: Any) -> Outcome:
    """With a `TbxLogger` that takes `options`."""
    logger = TbxLogger(directory / "logs", **options)
    outcome = _run(program, k, Run([logger], eager, directory))
    logger.flush()
    outcome.errors = logger.report.errors
    outcome.norms = recorded_norms(directory / "logs")
    return outcome


def recorded_norms(directory: Path) -> dict[str, dict[int, float]]:
    """By path and step, of all training runs in a directory."""
    found: dict[str, dict[int, float]] = {}
    for run in sorted({file.parent for file in directory.rglob("*tfevents*") if file.parent.name == "train"}):
        events = accumulate(run)
        for tag in scalar_tags(events) - OF_ALL:
            if tag.startswith(NORM):
                found.setdefault(tag.removeprefix(NORM), {}).update(scalar(events, tag))
    return found


def differing(one: Outcome, other: Outcome) -> list[str]:
    """Paths of the variables whose bits are not the same."""
    pairs = zip(one.weights, other.weights, strict=True)
    return [path for (path, bits), (_, others) in pairs if bits != others]


def _run(program: Program, k: Any, run: Run) -> Outcome:
    outcome = Outcome()
    run.directory.mkdir()
    k.backend.clear_session()  # else layers are numbered on from run to run
    k.utils.set_random_seed(1)
    with ExitStack() as stack:
        caught = stack.enter_context(warnings.catch_warnings(record=True))
        warnings.simplefilter("always")
        try:
            outcome.weights = list(_weights(program.train(k, run)))
        except Exception as error:
            outcome.error = error
    outcome.warned = [str(one.message) for one in caught if _is_ours(one)]
    return outcome


def _is_ours(warning: warnings.WarningMessage) -> bool:
    return issubclass(warning.category, RuntimeWarning) and "tbx_keras" in str(warning.message)


def _weights(returned: Any) -> list[tuple[str, bytes]]:
    if isinstance(returned, (list, tuple)):
        return [pair for one in returned for pair in _weights(one)]
    if hasattr(returned, "weights"):
        return _weights(list(returned.weights))
    return [(str(getattr(returned, "path", returned.name)), as_bytes(returned))]
