"""Interception of optimizer updates in steps that AutoGraph may convert.

Guarantees: as those of `instrumentation.optimizer_calls`; AutoGraph converts a user's method exactly where it
would without the interception.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tbx_keras.framework_types import Optimizer
from tbx_keras.instrumentation.optimizer_calls import OptimizerCalls

# Keras 3 calls `apply` from `apply_gradients`; a subclass may override either. tf_keras has no `apply`.
METHODS = {"keras": ("apply", "apply_gradients"), "tf_keras": ("apply_gradients",)}


def _forwarding(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def forwarding(optimizer: Optimizer, *args: Any, **kwargs: Any) -> Any:
        return _forward(
            name, original, tf.__internal__.autograph.control_status_ctx(), optimizer, args, kwargs
        )

    # AutoGraph decides by the module whether to convert a function: let it decide as for the original.
    forwarding.__name__, forwarding.__module__ = name, original.__module__
    return forwarding


@tf.autograph.experimental.do_not_convert
def _forward(
    name: str, original: Callable[..., Any], conversion: Any, optimizer: Optimizer, args: Any, kwargs: Any
) -> Any:
    return _CALLS.forward(name, as_converted(original, conversion), optimizer, args, kwargs)


def as_converted(function: Callable[..., Any], conversion: Any) -> Callable[..., Any]:
    """Convert a user's function by AutoGraph exactly where its caller would have.

    Args:
        function: The function.
        conversion: `control_status_ctx()` as it was in the caller of the replacement.
    """
    converted: Callable[..., Any] = tf.__internal__.autograph.tf_convert(
        function, conversion, convert_by_default=False
    )
    return converted


_CALLS = OptimizerCalls(METHODS, _forwarding)
intercepted = _CALLS.intercepted
