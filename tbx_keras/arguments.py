"""Explanations of wrong calls: unknown argument names, and the class in place of an instance.

Guarantees: signatures stay as they are written, for `inspect.signature` and for editors.
"""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from tbx_keras.errors import ArgumentError, UnknownArgumentError

Method = TypeVar("Method", bound=Callable[..., Any])
# Of the TensorBoard callback of old versions of Keras.
_REPLACED = {
    "write_grads": 'gradient_freq="epoch" (the default) or a number of steps, which records gradients',
    "batch_size": "none: histograms need no validation data",
    "embeddings_layer_names": "embeddings_freq, which records all embedding layers",
    "embeddings_data": "embeddings_freq, which records all embedding layers",
}


def explains_arguments(init: Method) -> Method:
    """Decorate `__init__` to suggest the nearest argument for one that does not exist.

    Args:
        init: A method without `**kwargs`.

    Returns:
        The method; it raises `UnknownArgumentError`, which is a `TypeError` too.
    """
    known = tuple(inspect.signature(init).parameters)[1:]

    @functools.wraps(init)
    def checked(self: Any, *args: Any, **kwargs: Any) -> None:
        for name, received in kwargs.items():
            if name not in known:
                raise UnknownArgumentError(name, received, meant_by(name, known))
        init(self, *args, **kwargs)

    return checked  # type: ignore[return-value]


def meant_by(name: str, known: Iterable[str]) -> str:
    """Say what to pass in the place of an argument that does not exist, as a phrase after "Pass"."""
    if name in _REPLACED:
        return _REPLACED[name]
    stems = {_stem(one): one for one in known}
    near = difflib.get_close_matches(_stem(name), stems, 1)
    return f"{stems[near[0]]}=..., which is the nearest name" if near else f"one of {', '.join(known)}"


def _stem(name: str) -> str:
    """Strip an ending that many names share, so that it alone makes no two of them alike."""
    return name.removesuffix("_freq").removesuffix("_frequency")


def needs_instance(method: Method) -> Method:
    """Decorate a method to raise an error that explains a call on the class instead of an instance.

    Args:
        method: A method with one argument.

    Returns:
        The method.
    """
    name = method.__qualname__.split(".")[0]

    @functools.wraps(method)
    def checked(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not args and not kwargs:  # Keras's argument came in the place of `self`
            raise ArgumentError("callbacks", f"the class {name}", f'an instance, such as {name}("logs")')
        return method(self, *args, **kwargs)

    return checked  # type: ignore[return-value]


def changed(init: Callable[..., Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Collect the arguments, but for the first one, that differ from their defaults.

    Args:
        init: The method that takes the arguments.
        arguments: The arguments by name.
    """
    parameters = list(inspect.signature(init).parameters.values())[2:]
    return {
        one.name: arguments[one.name] for one in parameters if not _same(arguments[one.name], one.default)
    }


def _same(value: Any, default: Any) -> bool:
    return value is default or (type(value) is type(default) and bool(value == default))
