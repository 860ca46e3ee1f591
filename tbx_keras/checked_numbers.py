"""Validation of steps, counts and single numbers.

Guarantees: no framework; a bool is none of them.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from tbx_keras.errors import ArgumentError, UnsupportedValueError

LAST_STEP = 2**63 - 1  # of an event file


def count_of(argument: str, received: object, hint: str, least: int = 1) -> int:
    """Read an argument that counts something.

    Args:
        argument: Name of the argument, for the message.
        received: Value that the user passed.
        hint: Phrase that says what to pass instead.
        least: Least number that is allowed.

    Returns:
        The number.

    Raises:
        ArgumentError: It is no integer, or below `least`.
    """
    try:
        is_bool = isinstance(received, (bool, np.bool_))
        count = least - 1 if is_bool else operator.index(received)  # type: ignore[arg-type]
    except TypeError:
        count = least - 1
    if count < least:
        raise ArgumentError(argument, received, hint)
    return count


def single_number(tag: str, array: np.ndarray) -> float:
    """Read the real number in an array of one element.

    Raises:
        UnsupportedValueError: It holds something else; the message names the tag.
    """
    if array.size == 1 and array.dtype.kind in "biufV":
        return float(array.reshape(()))
    what = f"array of {array.dtype} and shape {array.shape}"
    raise UnsupportedValueError(
        f"The value of {tag!r} is no single real number. Received: {what}. Pass one number."
    )


def step_number(received: Any) -> int:
    """Read the step in an integer, in a float without a fraction, or in an array of one of them.

    Args:
        received: What was passed as a step.

    Returns:
        The step.

    Raises:
        ArgumentError: It is no such number, or beyond what an event file can hold.
    """
    if type(received) is int and -LAST_STEP <= received <= LAST_STEP:
        return received  # the usual case, at the usual cost
    array = np.asarray(received)
    if array.size == 1 and array.dtype.kind in "iufO" and not isinstance(received, bool):
        number = _whole(array.reshape(()).item())
        if number is not None and abs(number) <= LAST_STEP:
            return number
    raise ArgumentError("step", received, "an integer below 2**63")


def _whole(item: Any) -> int | None:
    """Convert an item to the integer that it equals, or None."""
    try:
        number = int(item)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if number == item else None
