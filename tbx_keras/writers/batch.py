"""What the queue holds: values of one run, step and axis."""

from __future__ import annotations

from typing import Any, NamedTuple

from tbx_keras.values import Axis, Deferred


class RecordBatch(NamedTuple):
    """Values of one step on their way to the writer's thread.

    Args:
        run: Directory of the run below the log directory.
        step: Step, or epoch, of the values.
        wall_time: Seconds since 1970.
        values: The values, or what fetches them.
        axis: What `step` counts, for series of the logger; None for anybody else's.
    """

    run: str
    step: int
    wall_time: float
    values: list[Any] | Deferred
    axis: Axis | None
