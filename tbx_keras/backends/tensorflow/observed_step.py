"""A training step that also gives what was captured inside it.

Guarantees: makes the update of the original step, bit for bit. An error of a capture is reported and the step
goes on without it; an error of the user's code passes through unchanged, and `in_user_code` says so.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from tbx_keras.backends.tensorflow.captures import CAPTURES, Capture, StepContext
from tbx_keras.backends.tensorflow.optimizer_calls import as_converted
from tbx_keras.backends.tensorflow.replicas import is_first_replica
from tbx_keras.backends.tensorflow.sampling import traced_graph
from tbx_keras.backends.tensorflow.side_channel import SideChannel
from tbx_keras.backends.tensorflow.stateful_ops import draws_by_seed
from tbx_keras.framework_types import Batch, Graph, Model, Tensor
from tbx_keras.instrumentation.base import CaptureSchema, Kinds, Tensors
from tbx_keras.instrumentation.python_state import PythonState
from tbx_keras.keras_model import is_tf_keras

LOGS, CAPTURED = "tbx_logs", "tbx_captured"


class ObservedStep:
    """The `train_step` of a model, with captured tensors beside its logs.

    Args:
        context: The model, whether its steps are switched on and off, and where errors go.
        kinds: Kinds to capture.
        channel: Takes what was captured, where the step has to return its logs alone.
    """

    def __init__(self, context: StepContext, kinds: Kinds, channel: SideChannel | None = None) -> None:
        self._context, self._kinds, self._channel = context, kinds, channel
        self._train_step = _users_step(context.model)
        self.schema = CaptureSchema()
        self.traces = 0
        self.is_stateful = False  # a second compiled copy of the step would go another way
        self._unseen: list[Graph] = []  # graphs that are complete only after the run
        self.graph: Graph | None = None  # the outermost one of the latest trace
        self.data: Batch = None  # the structure of the batch in it
        self.was_entered = False  # in any run
        self.begin_run(kinds)

    def begin_run(self, kinds: Kinds) -> None:
        """Forget what is known of the run before, and look the model's step up, as the original does.

        Args:
            kinds: Kinds that this run is asked for.
        """
        self._asked, self._thread = kinds, threading.get_ident()
        if is_tf_keras(self._context.model):  # which looks its step up in each run; Keras 3 keeps the first
            self._train_step = _users_step(self._context.model)
        self.entered = self.finished = False
        self._users: set[int] = set()  # threads that run the user's step now, or have failed in it
        self.eager_logs: Any = None

    @property
    def in_user_code(self) -> bool:
        """Check whether the user's step is running, or has failed."""
        return bool(self._users)

    def __call__(self, data: Batch) -> dict[str, Any] | None:
        # Trivial, since AutoGraph may convert it: the user's step is to be converted, ours is not.
        return self._run(data, tf.__internal__.autograph.control_status_ctx())

    @tf.autograph.experimental.do_not_convert
    def _run(self, data: Batch, conversion: Any) -> dict[str, Any] | None:
        if threading.get_ident() in self._users or self._is_of_another_fit():  # the user's step calls itself
            return as_converted(self._train_step, conversion)(data)
        self.entered = self.was_entered = True
        self.traces += not tf.executing_eagerly()
        captures, before = self._captures(), self._python_state()
        with self._intercepting(captures):
            logs = self._run_user_step(data, conversion)
        self.eager_logs = logs if tf.executing_eagerly() else None
        with self._context.reporting("looking for state of a step"):
            self._look_for_state(before, data)
        outputs = logs if logs is None else self._hand_out(logs, captures)  # Keras refuses None, in its words
        self.finished = True
        return outputs

    def _is_of_another_fit(self) -> bool:
        """Check whether another thread trains the model too, and traces the original.

        The replicas of a strategy have threads of their own, too.
        """
        return threading.get_ident() != self._thread and not tf.distribute.has_strategy()

    def _captures(self) -> list[Capture]:
        """One for each kind: all in a trace, which serves later runs; in an eager run those asked for."""
        kinds = self._kinds & self._asked if tf.executing_eagerly() else self._kinds
        return [capture(self._context) for kind, capture in CAPTURES.items() if kind in kinds]

    @contextlib.contextmanager
    def _intercepting(self, captures: list[Capture]) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for capture in captures:
                with self._context.reporting(f"capturing the {capture.kind} of a step"):
                    stack.enter_context(capture.intercept())
            yield

    def _run_user_step(self, data: Batch, conversion: Any) -> Any:
        # Replicas take turns, each on a thread of its own.
        self._users.add(threading.get_ident())
        logs = as_converted(self._train_step, conversion)(data)
        self._users.discard(threading.get_ident())
        return logs

    def _hand_out(self, logs: Any, captures: list[Capture]) -> Any:
        tensors = self._reduced(captures)
        if self._channel is None:
            return {LOGS: logs, CAPTURED: tensors}
        with self._context.reporting("describing a step"):
            if not is_first_replica():
                return logs
            self._channel.put(tensors, self._context.switch)
        return logs

    def _reduced(self, captures: list[Capture]) -> Tensors:
        schema = CaptureSchema(graph=traced_graph(), eager=tf.executing_eagerly())
        tensors = dict[str, Any]()
        for capture in captures:
            with self._context.reporting(f"describing the {capture.kind} of a step"):
                schema, found = capture.reduce(schema)
                tensors.update(found)
        self.schema = schema
        return tensors

    def _python_state(self) -> PythonState | None:
        with self._context.reporting("looking for state of a step"):
            return None if tf.executing_eagerly() else PythonState(self._context.model)
        return None

    def _look_for_state(self, before: PythonState | None, data: Batch) -> None:
        if before is not None:
            self.is_stateful = self.is_stateful or before.changed()
            self.graph = _outermost(tf.compat.v1.get_default_graph())
            self.data = tf.nest.map_structure(_specification, data)
            self._unseen.append(self.graph)

    def look_at_traces(self) -> None:
        """After a run: see whether what was traced draws random numbers, inside the step or around it."""
        graphs, self._unseen = self._unseen, []
        if not graphs:  # nothing was traced in this run, as in nearly all
            return
        with self._context.reporting("looking for state of a step"):
            if not self._context.xla:  # which takes no seed
                self.is_stateful = self.is_stateful or any(map(draws_by_seed, graphs))


def _users_step(model: Model) -> Callable[[Any], Any]:
    step = model.train_step
    # Within a step of ours, as where a step trains the model once more.
    return step._train_step if isinstance(step, ObservedStep) else step


def _specification(leaf: Tensor) -> Tensor:
    return tf.type_spec_from_value(leaf) if tf.is_tensor(leaf) else leaf


def _outermost(graph: Graph) -> Graph:
    while isinstance(getattr(graph, "outer_graph", None), tf.__internal__.FuncGraph):
        graph = graph.outer_graph
    return graph
