"""Cost of recording to the training thread, by epoch."""

from __future__ import annotations

from tbx_keras.recorders.base import Moment, Recorder
from tbx_keras.scheduling.overhead import OverheadTracker
from tbx_keras.values import Scalar

STEP_OF_EPOCH = "tbx/global_step"  # by epoch: the steps made when it ended; a resumed run reads it


class Overhead(Recorder):
    """Records `tbx/overhead_fraction`, `tbx/interval_scale` and `tbx/global_step`.

    Args:
        tracker: Measures the cost.
    """

    name = "overhead"
    sampled = False

    def __init__(self, tracker: OverheadTracker) -> None:
        self._tracker = tracker

    def record(self, moment: Moment) -> list[Scalar]:
        """Judge the cost since the last epoch."""
        fraction, scale = self._tracker.review()
        return [
            Scalar(STEP_OF_EPOCH, float(moment.step)),
            Scalar("tbx/overhead_fraction", fraction),
            Scalar("tbx/interval_scale", float(scale)),
        ]
