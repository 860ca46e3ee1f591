"""See inside a Keras model while it trains.

```
TbxLogger       the callback: metrics, weights, biases and the gradients of real training steps
SummaryWriter   tensorboardX's writer, safe when the disk fails, with `as_default()`
summary         functions of the shape of `tf.summary` that write to the current SummaryWriter
gradients       gradients of a batch in hand
read            recorded values, as frames and arrays
Recorder        base class for recorders of one's own
EveryNEpochs    their triggers, with EveryNSteps
Scalar          their values, with Histogram, Image and Text
errors          the error tree
```

Guarantees: importing this package imports no framework and nothing else that is slow; each name is loaded
when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tbx_keras._version import __version__

if TYPE_CHECKING:
    from tbx_keras import errors, summary
    from tbx_keras.batch_gradients import gradients
    from tbx_keras.callback import TbxLogger
    from tbx_keras.reader import read
    from tbx_keras.recorders.base import Recorder
    from tbx_keras.scheduling.triggers import EveryNEpochs, EveryNSteps
    from tbx_keras.values import Histogram, Image, Scalar, Text
    from tbx_keras.writers import SummaryWriter

__all__ = [
    "EveryNEpochs",
    "EveryNSteps",
    "Histogram",
    "Image",
    "Recorder",
    "Scalar",
    "SummaryWriter",
    "TbxLogger",
    "Text",
    "__version__",
    "errors",
    "gradients",
    "read",
    "summary",
]

_HOMES = {
    "EveryNEpochs": "tbx_keras.scheduling.triggers",
    "EveryNSteps": "tbx_keras.scheduling.triggers",
    "Histogram": "tbx_keras.values",
    "Image": "tbx_keras.values",
    "Recorder": "tbx_keras.recorders.base",
    "Scalar": "tbx_keras.values",
    "Text": "tbx_keras.values",
    "SummaryWriter": "tbx_keras.writers",
    "TbxLogger": "tbx_keras.callback",
    "gradients": "tbx_keras.batch_gradients",
    "read": "tbx_keras.reader",
}
_MODULES = ("errors", "summary")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"tbx_keras.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'tbx_keras' has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(_home(name), name)
    globals()[name] = value
    return value


def _home(name: str) -> Any:
    from tbx_keras.missing_packages import explained

    try:
        return importlib.import_module(_HOMES[name])
    except ModuleNotFoundError as error:
        requirement = explained(error)
        if requirement is None:
            raise
    raise requirement  # here, so that no traceback from inside Keras stands before it


def __dir__() -> list[str]:
    return sorted(__all__)
