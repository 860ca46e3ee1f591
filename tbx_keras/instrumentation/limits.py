"""Sentences about what cannot be captured of a training step.

Guarantees: pure functions; each sentence names the reason and, where there is one, the way out.
"""

from __future__ import annotations

from typing import NamedTuple

from tbx_keras.instrumentation.base import CaptureSchema


class Places(NamedTuple):
    """Places in a step of a framework where nothing can be captured.

    Args:
        own: A compiled function of the user's own.
        inner: All pieces of a step that are traced apart.
    """

    own: str
    inner: str


TENSORFLOW = Places("a tf.function", "a tf.cond, a loop or a tf.function of its own")
JAX = Places("a jax.jit", "a jax.lax.cond, a loop, a jax.jit or a jax.grad of its own")
TORCH = Places("a torch.compile", "a torch.compile of its own")
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
        f"{_NONE} the training step calls no Keras optimizer, or calls it inside {places.own} of its own. "
        "Weights are recorded as histograms."
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
    if schema.updates == 0:
        return no_optimizer(places)
    return _unreachable(schema, places) if schema.unreachable else None


def _unreachable(schema: CaptureSchema, places: Places) -> str:
    # No count: TensorFlow traces some of these places twice.
    every = schema.unreachable == schema.updates
    some, calls = ("no gradients", "all") if every else ("not all gradients", "some")
    return (
        f"tbx_keras: {some} are recorded: {calls} optimizer calls of the training step are made inside "
        f"{places.inner}, and cannot be captured there."
    )
