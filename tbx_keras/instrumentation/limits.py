"""Sentences about what cannot be captured of a training step.

Guarantees: pure functions; each sentence names the reason and, where there is one, the way out.
"""

from __future__ import annotations

from tbx_keras.instrumentation.base import CaptureSchema

_NONE = "tbx_keras: no gradients are recorded:"
NO_STEP = (
    f"{_NONE} the model's `make_train_function` does not call `train_step`, or calls it in a tf.function "
    "that was traced before."
)
REPLACED = (
    f"{_NONE} `model.train_function` is not what `model.make_train_function` makes. Override "
    "`make_train_function` instead of setting `train_function`."
)
NO_OPTIMIZER = (
    f"{_NONE} the training step calls no Keras optimizer, or calls it inside a tf.function of its own. "
    "Weights are recorded as histograms."
)
DRAWS = (
    "tbx_keras: the training step keeps state in its compiled function, such as a place in a random "
    "sequence, and was compiled before the logger was there. Its sampled steps use a state of their own. "
    "Call model.compile() before fit to train exactly as without the logger."
)


def limit_of(schema: CaptureSchema, entered: bool) -> str | None:
    """Describe what is missing of the gradients of a step; None if nothing is.

    Args:
        schema: The schema of the step after its first run.
        entered: Whether the train function called the step at all.
    """
    if not entered:
        return NO_STEP
    if schema.updates == 0:
        return NO_OPTIMIZER
    return _unreachable(schema) if schema.unreachable else None


def _unreachable(schema: CaptureSchema) -> str:
    # No count: TensorFlow traces some of these places twice.
    every = schema.unreachable == schema.updates
    some, calls = ("no gradients", "all") if every else ("not all gradients", "some")
    return (
        f"tbx_keras: {some} are recorded: {calls} optimizer calls of the training step are made inside a "
        "tf.cond, a loop or a tf.function of its own, and cannot be captured there."
    )
