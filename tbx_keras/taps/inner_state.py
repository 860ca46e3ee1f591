"""State that a compiled step keeps in itself, so that two copies of the step would part ways.

So do operations that draw random numbers by a seed (dropout of tf_keras, `tf.random.normal` in a layer or a
training step): each copy of such an operation has its own place in the sequence. tf_keras' Nadam counts in
Python while it is traced. What Keras 3 draws itself has its state in variables of the model, which all
copies share.

Guarantees: only looks.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import CellType
from typing import Any

from tbx_keras.backends.keras_model import innermost, is_tf_keras, optimizers

TF_FUNCTION = "train_tf_function"  # where tf_keras keeps the `tf.function` of its train function


def decided(model: Any, original: Any) -> bool | None:
    """Whether one copy has to run every step; None if only the traced step can tell.

    Args:
        model: The model.
        original: Its own train function. Once that has been traced, its state cannot be had by a copy.
    """
    if model.run_eagerly or getattr(model, "jit_compile", False) or was_traced(model, original):
        return False  # in eager steps the state is the process's; XLA takes no seed
    if is_tf_keras(model) and any(type(innermost(one)).__name__ == "Nadam" for one in optimizers(model)):
        return True
    return None


def was_traced(model: Any, original: Any) -> bool:
    """Whether a train function has been traced, or is of a kind that does not tell."""
    candidates = [getattr(model, TF_FUNCTION, None), *_enclosed(original)]
    counts = [one.experimental_get_tracing_count() for one in candidates if _is_tf_function(one)]
    return not counts or any(counts)


def keeps_state(graph: Any) -> bool:
    """Whether a traced step draws random numbers by a seed, at any depth."""
    definition = graph.as_graph_def()
    bodies = [definition.node, *(function.node_def for function in definition.library.function)]
    return any(_draws_by_seed(nodes) for nodes in bodies)


def _draws_by_seed(nodes: Iterable[Any]) -> bool:
    return any(
        node.attr["seed"].i or node.attr["seed2"].i
        for node in nodes
        if "seed" in node.attr and "seed2" in node.attr
    )


def _enclosed(function: Any) -> list[Any]:
    cells = getattr(function, "__closure__", None) or ()
    return [cell.cell_contents for cell in cells if cell != CellType()]


def _is_tf_function(candidate: Any) -> bool:
    return hasattr(candidate, "experimental_get_tracing_count")
