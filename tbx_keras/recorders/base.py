"""The base class of everything that is recorded.

A recorder says when it is due (`trigger`), what it needs from inside the running step (`captures`), and turns
a `Moment` into values. It never sees a file: the dispatcher asks it, catches its errors, measures its time
and hands its values to the writer.

Guarantees: a `Deferred`'s `fetch` runs on the writer's thread, all other methods on the thread that trains.
On JAX and PyTorch a recorder with a trigger of steps is asked on a thread of Keras's, for one step at a time,
while the next step may be running: on JAX the model has no weights to read then. An error in one recorder is
reported once and keeps no other from recording. Arrays are not copied: do not change one once it is returned.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from tbx_keras.framework_types import Logs, Model
from tbx_keras.instrumentation.base import Captured
from tbx_keras.scheduling.triggers import EveryNEpochs, Trigger
from tbx_keras.values import Deferred, Fetched

Recorded: TypeAlias = Fetched | Deferred
TRAIN, VALIDATION = "train", "validation"  # runs of a log directory, as Keras names them


class Moment(NamedTuple):
    """The point of a training at which a recorder is asked.

    Args:
        model: The model that trains.
        epoch: Epoch, counted from 0 over all `fit` calls.
        step: Global step, counted from 1: the steps made so far.
        logs: Metrics as Keras hands them to the hook, numbers or tensors. Empty for a recorder that captures
            more than the loss: it records as soon as the step has run.
        steps_per_second: Training speed: of the epoch so far, or of this step; None where nobody asked for
            it.
        captured: What was captured inside this step; None where nothing was, as with several replicas. A
            recorder that captures more than the loss is not asked then.
    """

    model: Model
    epoch: int
    step: int
    logs: Logs = MappingProxyType({})
    steps_per_second: float | None = None
    captured: Captured | None = None


class Recorder:
    """One kind of thing to record. Subclass it for one of your own.

    Attributes:
        name: Name for reports and for the overhead budget; that of the class if a subclass gives none.
        trigger: When to record: `EveryNEpochs(n)`, `EveryNSteps(n)`, `FirstStepOfEpoch()` or `Never()`.
        captures: What to capture inside the running step: a subset of `{"loss", "gradients"}`. Only recorders
            with a trigger of steps can capture.
        sampled: Whether `overhead_budget` may make it rarer.
        run: Run of the log directory: `"train"` or `"validation"`.
        droppable: Whether its values may be dropped where the queue is full.
        hint: Sentence that says how to turn it off, for the report of an error.

    Example:
    ```python
    import numpy as np

    from tbx_keras import EveryNEpochs, Recorder, Scalar


    class LargestWeight(Recorder):
        trigger = EveryNEpochs(1)

        def record(self, moment):
            arrays = moment.model.get_weights()
            yield Scalar("largest_weight", float(max(np.abs(one).max() for one in arrays)))
    ```
    """

    name: str = "Recorder"
    trigger: Trigger = EveryNEpochs(1)
    captures: frozenset[str] = frozenset()
    sampled: bool = True
    run: str = TRAIN
    droppable: bool = True
    hint: str = ""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "name" not in vars(cls):
            cls.name = cls.__name__
        captures: object = vars(cls).get("captures")
        if isinstance(captures, str):
            captures = [captures]
        if isinstance(captures, (set, list, tuple)) and all(isinstance(one, str) for one in captures):
            cls.captures = frozenset(captures)  # of anything else the logger says what is wrong

    def set_model(self, model: Model) -> None:
        """Take the model; called before training starts, and again for another model."""

    def set_log_dir(self, log_dir: str) -> None:
        """Take the log directory; called again where the run moves to another one."""

    def begin_fit(self) -> None:
        """Prepare for a `fit` that begins."""

    def begin_step(self, first: int, last: int) -> None:
        """Prepare for the steps `first` to `last`, which run in one execution."""

    def end_step(self, last: int) -> None:
        """Finish a step."""

    def end_fit(self) -> None:
        """Finish a `fit` that ends without an exception."""

    def step_of(self, moment: Moment) -> int:
        """Give the step that values are recorded at: the epoch or the global step, by the trigger's axis."""
        return moment.epoch if self.trigger.axis == "epoch" else moment.step

    def will_trace(self) -> bool:
        """Check whether the next record does work that comes once, such as tracing."""
        return False

    def record(self, moment: Moment) -> Recorded:
        """Make the values of a moment.

        Args:
            moment: The point of the training.

        Returns:
            Values, a single one, None for nothing, or a `Deferred` that fetches them on the writer's thread.
        """
        raise NotImplementedError(f"{self.name} records nothing: define record(self, moment)")
