"""Steps that a `tf.distribute` strategy runs on several replicas at once.

What is recorded is the gradient after reduction over the replicas: of each variable the sum of the gradients
of all replicas, since Keras divides the loss by their number.

Guarantees: no collective is added to a step that several processes run. There the result of the optimizer's
own reduction is taken, so that a process without a logger waits for nobody.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from tbx_keras.backends.tensorflow import kernels
from tbx_keras.framework_types import Model, Optimizer, Strategy, Tensor, Variable
from tbx_keras.instrumentation.optimizer_calls import OptimizerCalls
from tbx_keras.instrumentation.updates import Update
from tbx_keras.keras_model import replicas

# tf_keras aggregates before it clips, by one of these; Keras 3 in the middle of its update.
_AGGREGATIONS = OptimizerCalls({"tf_keras": ("aggregate_gradients", "_aggregate_gradients")})


def strategy_of(model: Model) -> Strategy:
    """Get the strategy that a model was made under; None without one."""
    return getattr(model, "distribute_strategy", None)


def can_be_captured(model: Model) -> bool:
    """Check that the replicas of a model train together, in this process or in several alike."""
    kinds = (
        tf.distribute.MirroredStrategy,
        tf.distribute.MultiWorkerMirroredStrategy,
        tf.distribute.TPUStrategy,
    )
    return replicas(model) == 1 or isinstance(strategy_of(model), kinds)


def are_replicated() -> bool:
    """Check that the code that runs or is traced now is that of one replica of several."""
    context = tf.distribute.get_replica_context()
    return context is not None and context.num_replicas_in_sync > 1


def _in_one_process() -> bool:
    return not isinstance(tf.distribute.get_strategy(), tf.distribute.MultiWorkerMirroredStrategy)


def uses_channel(model: Model) -> bool:
    """Check that captured tensors of replicas go past the values that they return; on a TPU they cannot."""
    return replicas(model) > 1 and not isinstance(strategy_of(model), tf.distribute.TPUStrategy)


def is_first_replica() -> bool:
    """Check that the code that runs or is traced now is that of the first replica of its process."""
    if not are_replicated():
        return True
    number = tf.get_static_value(tf.distribute.get_replica_context().replica_id_in_sync_group)
    return number is None or number % len(tf.distribute.get_strategy().extended.worker_devices) == 0


def mean_loss(loss: Tensor) -> Tensor:
    """Compute the loss of the whole batch from that of a replica; of several processes that of this one."""
    context = tf.distribute.get_replica_context()
    if _in_one_process():
        return context.all_reduce(tf.distribute.ReduceOp.SUM, loss)
    return loss * float(context.num_replicas_in_sync)  # which Keras has divided it by


class Reduction:
    """Gradients of one update, before and after their reduction over the replicas.

    Args:
        update: The update, with the gradients of this replica.
    """

    def __init__(self, update: Update) -> None:
        self._update, self._local = update, list(update.gradients)

    @contextlib.contextmanager
    def observed(self) -> Iterator[None]:
        """Take the reduced gradients from the call of the optimizer in the block, where it reduces first."""
        with _AGGREGATIONS.intercepted(self._take):
            yield

    def _take(
        self, method: str, call: Callable[..., Any], optimizer: Optimizer, *args: Any, **kwargs: Any
    ) -> Any:
        pairs = list(call(optimizer, *args, **kwargs))
        places = {_key(variable): index for index, variable in enumerate(self._update.variables)}
        for gradient, variable in pairs:
            if gradient is not None and _key(variable) in places:
                self._update.gradients[places[_key(variable)]] = gradient
        return pairs

    def finish(self) -> None:
        """Reduce the gradients after the call, unless that did so, and compare them with those before."""
        if hasattr(self._update.optimizer, "apply"):  # of Keras 3, which cannot run several processes
            self._reduce()
        if _in_one_process():
            self._measure_spread()

    def _reduce(self) -> None:
        """Reduce the gradients over the replicas of this process, where nobody else does so in time."""
        update, context = self._update, tf.distribute.get_replica_context()
        dense = [None if one is None else tf.convert_to_tensor(one) for one in update.gradients]
        present = [one for one in dense if one is not None]
        summed = iter(context.all_reduce(tf.distribute.ReduceOp.SUM, present) if present else [])
        update.gradients = [None if one is None else next(summed) for one in dense]

    def _measure_spread(self) -> None:
        """Compute the mean squared distance of the replicas' gradients from the reduced ones."""
        context = tf.distribute.get_replica_context()
        count = float(context.num_replicas_in_sync)
        for local, whole in zip(self._local, self._update.gradients):
            if local is None or whole is None:
                self._update.spread.append(None)
                continue
            own = kernels.as_float(tf.convert_to_tensor(local))
            distance = kernels.sum_squares(own * count - tf.cast(tf.convert_to_tensor(whole), own.dtype))
            self._update.spread.append(context.all_reduce(tf.distribute.ReduceOp.MEAN, distance))


def _key(variable: Variable) -> Any:
    value = getattr(variable, "_value", variable)  # of Keras 3
    container = getattr(value, "_distributed_container", None)
    return id(value if container is None else container())
