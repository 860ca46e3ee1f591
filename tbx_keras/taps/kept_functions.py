"""`tf.function`s that outlive the train function they are called by.

A model may override `make_train_function` such that each train function calls a `tf.function` that the model
keeps. A trace of that one serves every train function, so that none may hold statistics.

Guarantees: only looks, at the stack of the calling thread and at what functions hold. In doubt a function
counts as kept.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from types import CellType, FrameType, FunctionType, MethodType
from typing import Any

import tensorflow as tf

_TF_FUNCTION = type(tf.function(lambda: None))


def runs_in_kept_function(made: Any, original: Any) -> bool:
    """Tell if the caller is traced or run by a `tf.function` that is not of `made` alone.

    Args:
        made: The train function that is running.
        original: Another one of the same model.
    """
    running = list(_running_tf_functions())
    if not running:
        return False
    own = {id(one) for one in _held(made)} - {id(one) for one in _held(original)}
    return any(id(one) not in own and not _is_keras(caller) for one, caller in running)


def _running_tf_functions() -> Iterator[tuple[Any, FrameType | None]]:
    """Each `tf.function` on the stack, with the frame outside TensorFlow that called it."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == "__call__" and isinstance(frame.f_locals.get("self"), _TF_FUNCTION):
            yield frame.f_locals["self"], _caller(frame)
        frame = frame.f_back


def _caller(frame: FrameType | None) -> FrameType | None:
    while frame is not None and _package(frame) == "tensorflow":
        frame = frame.f_back
    return frame


def _is_keras(frame: FrameType | None) -> bool:
    # Keras makes what it calls anew for each train function.
    return frame is not None and _package(frame) in ("keras", "tf_keras")


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).split(".", 1)[0]


def _held(function: Any) -> Iterator[Any]:
    """A function and all that it holds by itself, at any depth; not what is looked up by a name."""
    waiting, found = [function], set()
    while waiting:
        one = waiting.pop()
        if id(one) not in found and callable(one):
            found.add(id(one))
            yield one
            waiting.extend(_parts(one))


def _parts(function: Any) -> list[Any]:
    if isinstance(function, _TF_FUNCTION):
        return [function.python_function]
    if isinstance(function, functools.partial):
        return [function.func, *function.args, *function.keywords.values()]
    if isinstance(function, FunctionType):
        cells = [cell.cell_contents for cell in function.__closure__ or () if cell != CellType()]
        return [*cells, *vars(function).values()]
    if isinstance(function, MethodType):
        return [function.__func__]
    # What a model keeps is what this module looks for, so it is not held by the function alone.
    known = isinstance(function, (type, tf.Module)) or hasattr(function, "train_step")
    return [] if known else list(getattr(function, "__dict__", {}).values())
