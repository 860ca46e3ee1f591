"""Parts of a model: variables and their paths, layers, optimizers; for Keras 3 and tf_keras models alike.

Guarantees: only reads, never builds, traces or assigns. Names are unique within a model and stable over
calls; they hold no `:` and no empty part.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from tbx_keras.framework_types import Layer, Model, Optimizer, Variable


def is_tf_keras(model: Model) -> bool:
    """Check that `model` comes from the `tf_keras` package (transformers' TF models do)."""
    return _is_a(model, "tf_keras", "Model")


def backend_name() -> str:
    """Name the backend of Keras 3, such as `"jax"`; empty before Keras is imported."""
    keras = sys.modules.get("keras")
    return "" if keras is None else str(keras.config.backend())


def attach_weights(model: Model) -> None:
    """Attach the weights to a model on JAX, which keeps them apart during `fit`; on the training thread."""
    sync = getattr(model, "jax_state_sync", None)
    if sync is not None:
        sync()


def variable_path(variable: Variable) -> str:
    """Get the Keras path of a variable; for tf_keras its name without `:0`."""
    path = getattr(variable, "path", None) or getattr(variable, "name", "") or "variable"
    return str(path).split(":")[0].strip("/") or "variable"


def weights(model: Model) -> list[Variable]:
    """List the weights of a model; of an object that only trains like one, its `variables`, or nothing."""
    return _listed(model, "weights", "variables")


def trainable_weights(model: Model) -> list[Variable]:
    """List those of `weights` that train."""
    return _listed(model, "trainable_weights", "trainable_variables")


def _listed(model: Model, *names: str) -> list[Variable]:
    for name in names:
        try:
            found = getattr(model, name, None)
        except ValueError:  # tf_keras: not yet built
            continue
        if isinstance(found, (list, tuple)):
            # tf_keras lists the vocabulary of a TextVectorization too, by an object without either.
            return [one for one in found if hasattr(one, "shape") and hasattr(one, "dtype")]
    return []


class VariablePaths:
    """Unique names of a model's variables.

    Args:
        model: A Keras 3 or tf_keras model; its weights are named first, in their order.

    Example:
    ```python
    import keras

    from tbx_keras.keras_model import VariablePaths

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="out")])
    paths = VariablePaths(model)
    assert paths(model.weights[0]).endswith("out/kernel")
    ```
    """

    def __init__(self, model: Model) -> None:
        self._names: dict[int, str] = {}
        self._taken: set[str] = set()
        for variable in weights(model):
            self(variable)

    def __call__(self, variable: Variable) -> str:
        key = variable_key(variable)
        if key not in self._names:
            self._names[key] = self._unique(variable_path(variable))
        return self._names[key]

    def _unique(self, path: str) -> str:
        name, number = path, 1
        while name in self._taken:
            name, number = f"{path}_{number}", number + 1
        self._taken.add(name)
        return name


def variable_key(variable: Variable) -> int:
    """Identify a variable, the same for a Keras variable and the TensorFlow one inside it."""
    # On other backends what is inside is an array, which on JAX is another one after each step.
    inner = getattr(variable, "_value", None)
    return id(inner if hasattr(inner, "assign") else variable)


def all_layers(model: Model) -> Iterator[Layer]:
    """Iterate over the layers of a model at any depth, itself included; a shared one may come again."""
    flatten = getattr(model, "_flatten_layers", None)  # public `layers` stops at the first level
    yield from flatten() if flatten is not None else getattr(model, "layers", ())


def optimizers(model: Model) -> list[Optimizer]:
    """Find the optimizers of a model: the compiled one first, then those kept in attributes, as GANs do."""
    found: list[Optimizer] = []
    for candidate in _candidates(model):
        if is_optimizer(candidate) and all(candidate is not other for other in found):
            found.append(candidate)
    inner = [getattr(optimizer, "inner_optimizer", None) for optimizer in found]
    return [optimizer for optimizer in found if all(optimizer is not other for other in inner)]


def is_optimizer(candidate: Any) -> bool:
    """Check that `candidate` is an optimizer of Keras 3 or tf_keras (its legacy ones too)."""
    return _is_a(candidate, "keras", "BaseOptimizer", "Optimizer", "OptimizerV2") or _is_a(
        candidate, "tf_keras", "_BaseOptimizer", "Optimizer", "OptimizerV2"
    )


def innermost(optimizer: Optimizer) -> Optimizer:
    """Find the optimizer that updates the weights, below any wrapper such as a loss scale."""
    while getattr(optimizer, "inner_optimizer", None) is not None:
        optimizer = optimizer.inner_optimizer
    return optimizer


def scales_loss(model: Model) -> bool:
    """Check whether an optimizer scales the loss for half precision, and skips steps that overflow by it."""
    return any(innermost(optimizer) is not optimizer for optimizer in optimizers(model))


def iterations(model: Model) -> int | None:
    """Count the steps made by the model's optimizer, which survive a checkpoint; None without optimizer.

    Of several that are not the compiled one, that which was called least: a GAN may update its critic
    several times in a step. Reads device variables: call it once an epoch, not once a step.
    """
    compiled: Optimizer = getattr(model, "optimizer", None)
    counted = [compiled] if is_optimizer(compiled) else optimizers(model)
    return min((int(_number(_iterations(optimizer))) for optimizer in counted), default=None)


def _iterations(optimizer: Optimizer) -> Any:
    # Legacy optimizers of tf_keras create this variable, and with it a weight, when it is first read.
    inner = innermost(optimizer)
    if _is_a(inner, "tf_keras", "OptimizerV2") and vars(inner).get("_iterations") is None:
        return 0
    return optimizer.iterations


def runs_eagerly(model: Model) -> bool:
    """Check whether a model runs its steps without tracing them; an object that is no model never does."""
    return bool(getattr(model, "run_eagerly", False))


def uses_xla(model: Model) -> bool:
    """Check whether XLA compiles the steps of a model."""
    return bool(getattr(model, "jit_compile", False))


def replicas(model: Model) -> int:
    """Count the copies of a model that a TensorFlow distribution strategy trains side by side."""
    strategy = getattr(model, "distribute_strategy", None)
    return int(getattr(strategy, "num_replicas_in_sync", 1) or 1)


def steps_per_execution(model: Model) -> int:
    """Count the training steps in one call of the train function."""
    if is_tf_keras(model):
        steps = getattr(model, "_steps_per_execution", None)
        return 1 if steps is None else int(_number(steps))
    return int(getattr(model, "steps_per_execution", 1) or 1)


def learning_rates(model: Model) -> dict[str, float]:
    """Read the learning rates in force, by tag suffix as `keras.callbacks.TensorBoard` has them."""
    found = [innermost(optimizer) for optimizer in optimizers(model)]
    found = [optimizer for optimizer in found if _has_learning_rate(optimizer)]
    rates = [(_name(optimizer), _learning_rate(optimizer)) for optimizer in found]
    if len(rates) == 1:
        return {"learning_rate": rates[0][1]}
    names = [name for name, _ in rates]
    return {
        f"learning_rate_{name}" if names.count(name) == 1 else f"learning_rate_{name}_{index}": rate
        for index, (name, rate) in enumerate(rates)
    }


def _name(optimizer: Optimizer) -> str:
    return str(getattr(optimizer, "name", None) or optimizer._name)  # tf_keras' legacy ones have no `name`


def _number(value: Any) -> float:
    """Read a Python number or a variable, also one that is mirrored on several devices."""
    inner = getattr(value, "value", value)  # of Keras 3; of TensorFlow's own variables it is a method
    if callable(inner):
        inner = value
    inner = inner.detach().cpu() if hasattr(inner, "detach") else inner
    return float(inner.numpy() if hasattr(inner, "numpy") else inner)


def _has_learning_rate(optimizer: Optimizer) -> bool:
    """Check that it is not an optimizer of the user's that passes all calls on to another one."""
    return hasattr(optimizer, "_learning_rate") or hasattr(optimizer, "learning_rate")


def _learning_rate(optimizer: Optimizer) -> float:
    # tf_keras' `learning_rate` is that of the step before, or with its legacy optimizers the schedule.
    schedule = getattr(optimizer, "_learning_rate", None)
    if schedule is None:
        schedule = optimizer.learning_rate
    if callable(schedule) and not hasattr(schedule, "numpy"):
        return _number(schedule(_iterations(optimizer)))
    return _number(optimizer.learning_rate)


def _candidates(model: Model) -> Iterator[Any]:
    yield getattr(model, "optimizer", None)
    for value in list(getattr(model, "__dict__", {}).values()):  # None has none: hooks called by hand
        if isinstance(value, dict):
            yield from value.values()
        elif isinstance(value, (list, tuple)):
            yield from value
        else:
            yield value


def _is_a(thing: Any, package: str, *names: str) -> bool:
    """Check a class by its name, so that no framework is imported that the user did not import."""
    return any(
        kind.__name__ in names and kind.__module__.split(".")[0] == package for kind in type(thing).__mro__
    )
