"""Places that the records of a run go to; each is one file with a subclass of `Sink`.

```
base          Sink: records that wait, whole or dropped
local_file    an event file on a disk: whole records or nothing
object_store  objects in a store: shards, uploaded again within a budget
nowhere       nothing is written: a worker whose chief records for all
```
"""

from __future__ import annotations

from tbx_keras.storage import is_remote
from tbx_keras.writers.sinks.base import Sink
from tbx_keras.writers.sinks.local_file import LocalFile
from tbx_keras.writers.sinks.nowhere import Nowhere
from tbx_keras.writers.sinks.object_store import ObjectStore

__all__ = ["Nowhere", "Sink", "new_sink"]


def new_sink(directory: str, suffix: str = "", of_logger: bool = True) -> Sink:
    """Make the sink of a run: the one place that decides by its directory.

    Args:
        directory: Directory or URL of the run.
        suffix: Added to the names of event files.
        of_logger: Whether a logger writes it.
    """
    kind = ObjectStore if is_remote(directory) else LocalFile
    return kind(directory, suffix, of_logger)
