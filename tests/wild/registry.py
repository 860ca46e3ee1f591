"""Training programs of the shapes that people publish; each file of this folder registers some."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_NOT_PROGRAMS = {"registry", "harness", "oracle"}


@dataclass(frozen=True)
class Program:
    """A training program and what the tests may expect of it.

    Args:
        train: Takes the Keras module and a `tests.wild.harness.Run`; returns what is to be compared: a
            model, variables, or a list of those.
        kerases: Names of the Keras modules that it is written for.
        eager: Whether it is also tried with `run_eagerly=True`.
        captures: Whether every update is within reach. Else what is recorded only has to be right.
        says: Pattern of the one warning that it gets, or None where it gets none.
        raises: The exception that ends its `fit` in any case, or None.
        aligned: Whether the global step counts its batches; not so where the compiled optimizer is called
            several times in a step.
        fast: Whether `make test-fast` runs it, in graph mode of its first Keras.
        everywhere: Whether `make test` runs it on all its Kerases, in graph mode and eager; for the other
            programs `make test-wild` does.
        varies: Why its last bits differ now and then without a logger too, or None. It is then tried up to
            six times: a logger that alters what it trains would differ each time.
    """

    train: Callable[[Any, Any], Any]
    kerases: tuple[str, ...] = ("keras",)
    eager: bool = True
    captures: bool = True
    says: str | None = None
    raises: type[BaseException] | None = None
    aligned: bool = True
    fast: bool = False
    everywhere: bool = False
    varies: str | None = None

    @property
    def name(self) -> str:
        return self.train.__name__


PROGRAMS: dict[str, Program] = {}


def program(**options: Any) -> Callable[[Callable[[Any, Any], Any]], Callable[[Any, Any], Any]]:
    """Register a training program: a function of the Keras module and a `Run`; see `Program`."""

    def register(train: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        assert train.__name__ not in PROGRAMS, f"two programs named {train.__name__}"
        PROGRAMS[train.__name__] = Program(train, **options)
        return train

    return register


def all_programs() -> list[Program]:
    """Every program, those of each file in its order."""
    for file in sorted(Path(__file__).parent.glob("*.py")):
        if file.stem not in _NOT_PROGRAMS and not file.stem.startswith("test_"):
            importlib.import_module(f"tests.wild.{file.stem}")
    return list(PROGRAMS.values())
