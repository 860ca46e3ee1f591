"""The configuration of a model as JSON, as Keras writes it.

Guarantees: TensorFlow is not imported for models on other backends. Where it is installed Keras does so, to
see whether a configuration holds objects of its types: that takes seconds, and memory of a GPU.

Threading: use it on the thread that trains; to another thread that asks Keras for TensorFlow in the meantime
it seems not to be installed.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from tbx_keras.framework_types import Model, Module

_LAZY = "keras.src.utils.module_utils"


def to_json(model: Model) -> str:
    """Serialize the configuration of a model.

    Raises:
        NotImplementedError, TypeError, ValueError: A layer has no configuration.
    """
    with _without_importing_tensorflow(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what could not be loaded again: nobody does
        return str(model.to_json())


@contextmanager
def _without_importing_tensorflow() -> Iterator[None]:
    lazy: Module = getattr(sys.modules.get(_LAZY), "tensorflow", None)
    if "tensorflow" in sys.modules or getattr(lazy, "_available", False) is not None:
        yield
        return
    lazy._available = False
    try:
        yield
    finally:
        lazy._available = None
