"""Origin of a train function: Keras, the model's own `make_train_function`, or somebody else.

Guarantees: only looks; calls nothing.
"""

from __future__ import annotations

import functools
from typing import Any

from tbx_keras.framework_types import Model


def is_made_by_keras(model: Model) -> bool:
    """Check that the model leaves it to Keras to make its train function."""
    if "make_train_function" in getattr(model, "__dict__", {}):
        return False
    owners = [kind for kind in type(model).__mro__ if "make_train_function" in vars(kind)]
    return bool(owners) and owners[0].__module__.split(".")[0] in ("keras", "tf_keras")


def are_alike(one: Any, other: Any) -> bool:
    """Check that two train functions can come from two calls of the same `make_train_function`."""
    code = _code(one)
    return type(one) is type(other) if code is None else code is _code(other)


def _code(function: Any) -> Any:
    """The code that a function runs first; None of a callable object."""
    while True:
        if isinstance(function, functools.partial):
            function = function.func
        elif hasattr(function, "python_function"):  # a `tf.function`
            function = function.python_function
        else:
            function = getattr(function, "__func__", function)
            return getattr(function, "__code__", None)
