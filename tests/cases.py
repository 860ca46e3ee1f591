"""Cases of a test of which only a few belong to its fast part."""

from collections.abc import Container, Mapping
from typing import Any

import pytest


def mostly_slow(cases: Mapping[str, Any], fast: Container[str]) -> list[Any]:
    """Make parameters named by `cases`, of which all but the `fast` ones are slow."""
    return [
        pytest.param(case, id=name, marks=() if name in fast else pytest.mark.slow)
        for name, case in cases.items()
    ]
