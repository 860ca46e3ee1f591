"""Sentences about what cannot be captured of a training step.

Guarantees: each sentence names the reason and, where there is one, the way out.
"""

from __future__ import annotations

from typing import NamedTuple

from tbx_keras.error_reporting import warn
from tbx_keras.instrumentation.base import CaptureSchema


class Places(NamedTuple):
    """Places in a step of a framework where nothing can be captured.

    Args:
        own: A compiled function of the user's own.
        inner: All pieces of a step that are traced apart.
        optimizers: Optimizers whose calls are captured.
        hint: What else is captured, as a sentence, or nothing.
    """

    own: str
    inner: str
    optimizers: str = "Keras optimizer"
    hint: str = ""


TENSORFLOW = Places("a tf.function", "a tf.cond, a loop or a tf.function of its own")
JAX = Places(
    "a jax.jit",
    "a jax.lax.cond, a loop, a jax.jit or a jax.grad of its own",
    hint="Of an update of its own they are, where it calls `jax.grad` or `jax.value_and_grad` by that name, "
    "outside jax.vmap, for the weights as the step got them.",
)
TORCH = Places("a torch.compile", "a torch.compile of its own", "optimizer of Keras or torch.optim")
STEPS_TO_UPDATE = 32  # that are looked into for the update of a step that has none
_NONE = "tbx_keras: no gradients are recorded:"
REPLACED = (
    f"{_NONE} `model.train_function` is not what `model.make_train_function` makes. Override "
    "`make_train_function` instead of setting `train_function`."
)
COMPILED = (
    f"{_NONE} torch.compile has compiled the training step, which cannot be "
    "looked into then. Pass jit_compile=False to model.compile."
)
REPLICAS = (
    f"{_NONE} steps under this distribution strategy are not looked into. Those under MirroredStrategy, "
    "MultiWorkerMirroredStrategy (tf_keras) and TPUStrategy are."
)
NNX = f"{_NONE} Keras's NNX mode makes its train function in another way. Set KERAS_NNX_ENABLED=false."
NOT_YET = (
    "tbx_keras: no gradients are recorded so far: none of {} steps in a row calls an optimizer that is "
    "captured. Steps to come that do are recorded."
)
SEVERAL = (
    f"{_NONE} the training step makes an update of its own, and differentiates by its weights several times "
    "or also in a function of its own, so that the gradient of the update is not known. Update by a Keras "
    "optimizer's `stateless_apply`."
)
OTHERWISE = (
    "tbx_keras: not all gradients are recorded: the training step changes {} of the trainable weights "
    "without an optimizer that is captured."
)
FOREIGN = (
    "tbx_keras: {} gradients are recorded: {} of the training step's optimizers update parameters that are "
    "no weights of the model. Hold a torch.nn.Module by a keras.layers.TorchModuleWrapper."
)
DRAWS = (
    "tbx_keras: the training step keeps state in its compiled function, such as a place in a random "
    "sequence, and was compiled before the logger was there. Its sampled steps use a state of their own. "
    "Call model.compile() before fit to train exactly as without the logger."
)


def no_step(places: Places) -> str:
    """Say that the train function does not call the step."""
    return (
        f"{_NONE} the model's `make_train_function` does not call `train_step`, or calls it in {places.own} "
        "that was traced before."
    )


def no_optimizer(places: Places) -> str:
    """Say that no call of an optimizer was captured."""
    return (
        f"{_NONE} the training step calls no {places.optimizers}, or calls it inside {places.own} of its "
        f"own. {places.hint or 'Weights are recorded as histograms.'}"
    )


def limit_of(schema: CaptureSchema, entered: bool, places: Places = TENSORFLOW) -> str | None:
    """Describe what is missing of the gradients of a step; None if nothing is.

    Args:
        schema: The schema of the step after its first run.
        entered: Whether the train function called the step at all.
        places: Where nothing can be captured.
    """
    if not entered:
        return no_step(places)
    if schema.ambiguous:
        return SEVERAL
    if schema.updates == 0:
        return no_optimizer(places)
    if schema.foreign:
        return FOREIGN.format(*(("no", "all") if schema.foreign == schema.updates else ("not all", "some")))
    if schema.unreachable:
        return _unreachable(schema, places)
    return OTHERWISE.format(schema.changed_otherwise) if schema.changed_otherwise else None


class LimitWatch:
    """Says once what is missing of the gradients of a model's steps.

    A step that runs eagerly may leave its optimizer to a later one, as where gradients are accumulated.

    Args:
        places: Where nothing can be captured.
    """

    def __init__(self, places: Places = TENSORFLOW) -> None:
        self._places = places
        self._said: set[str] = set()
        self._updated = False
        self._without_update = 0  # steps since the last one that had an update

    def see(self, schema: CaptureSchema, entered: bool = True) -> None:
        """See the schema of a sampled step; see `limit_of`."""
        self._updated = self._updated or schema.updates > 0
        self._without_update = self._without_update + 1 if may_update_later(schema) else 0
        if not self._without_update:
            self._say(limit_of(schema, entered, self._places))
        elif self._without_update == STEPS_TO_UPDATE:
            self._say(NOT_YET.format(STEPS_TO_UPDATE))

    def end_fit(self) -> None:
        """Say it of a `fit` that had no update in any sampled step."""
        if 0 < self._without_update < STEPS_TO_UPDATE and not self._updated:
            self._say(no_optimizer(self._places))

    def _say(self, sentence: str | None) -> None:
        if sentence is not None and sentence not in self._said:
            self._said.add(sentence)
            warn(sentence)


def may_update_later(schema: CaptureSchema) -> bool:
    """Check whether a step without an update may be followed by one with it."""
    return schema.eager and not (schema.updates or schema.ambiguous)


def _unreachable(schema: CaptureSchema, places: Places) -> str:
    # No count: TensorFlow traces some of these places twice.
    every = schema.unreachable == schema.updates
    some, calls = ("no gradients", "all") if every else ("not all gradients", "some")
    return (
        f"tbx_keras: {some} are recorded: {calls} optimizer calls of the training step are made inside "
        f"{places.inner}, and cannot be captured there."
    )
