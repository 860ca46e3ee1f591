"""Checks of hooks that a user's own loop calls: a sentence where they cannot record something.

Guarantees: nothing is said of hooks that Keras calls in `fit`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from tbx_keras.error_reporting import ErrorReporter
from tbx_keras.framework_types import Model

_IN_ORDER = (
    "Call set_model(model), on_train_begin(), on_epoch_begin(epoch), on_train_batch_begin(batch), "
    "on_train_batch_end(batch, logs), on_epoch_end(epoch, logs) and on_train_end(), as `fit` does."
)
NO_GRADIENTS = (
    "tbx_keras: gradients of this loop are not recorded, since its steps do not run model.train_function (as "
    "`fit` and `train_on_batch` do). Pass them to SummaryWriter.add_histogram, or take those of a batch by "
    "tbx_keras.gradients."
)


class ByHand:
    """Looks at the order of hooks.

    Args:
        reporter: Warns once of each thing.
        changed: The logger's arguments that are not left at their defaults.
    """

    def __init__(self, reporter: ErrorReporter, changed: Mapping[str, Any]) -> None:
        self._reporter = reporter
        self._asked = [name for name, value in changed.items() if value and _needs_model(name)]
        self._by_hand = False
        self._begun = False
        self._epoch: int | None = None

    def begin(self, model: Model) -> None:
        """Begin training, in `fit` or by hand."""
        self._by_hand, self._begun = not inside_fit(), True
        if self._by_hand and model is None and self._asked:
            self._reporter.warn_once(
                "no model",
                "tbx_keras: on_train_begin was called without set_model(model): metrics are recorded, what "
                f"{' and '.join(self._asked)} asked for is not.",
            )

    def begin_epoch(self, epoch: int) -> None:
        """Begin an epoch."""
        self._epoch = epoch

    def end_batch(self, gradients_missing: bool) -> None:
        """End a step.

        Args:
            gradients_missing: Whether its gradients were to be recorded and did not come.
        """
        self._check("on_train_batch_end")
        if gradients_missing and self._by_hand:
            self._reporter.warn_once("gradients by hand", NO_GRADIENTS)

    def end_epoch(self, begin: Callable[[], None]) -> None:
        """End an epoch.

        Args:
            begin: Called first where it never began, as in a loop that calls `on_epoch_end` only.
        """
        self._check("on_epoch_end")
        if self._epoch is None:
            self._warn_of_unbegun()
            begin()
        self._epoch = None

    def _warn_of_unbegun(self) -> None:
        if self._begun:
            self._reporter.warn_once(
                "no epoch",
                "tbx_keras: on_epoch_end was called without on_epoch_begin(epoch), so that its steps and its "
                f"speed are not known. {_IN_ORDER}",
            )

    def _check(self, hook: str) -> None:
        if not self._begun:
            self._reporter.warn_once(
                "not begun",
                f"tbx_keras: {hook} was called without on_train_begin, so that only metrics and weights are "
                f"recorded, and no gradients. {_IN_ORDER}",
            )


def _needs_model(argument: str) -> bool:
    """Check whether an argument asks for more than metrics, which a loop without a model has too."""
    return (argument.endswith("_freq") and argument != "update_freq") or argument == "write_images"


def inside_fit() -> bool:
    """Check whether Keras's own `fit` is running in this thread."""
    frame = sys._getframe(1)
    while frame is not None:
        package = str(frame.f_globals.get("__name__", "")).split(".", 1)[0]
        if frame.f_code.co_name == "fit" and package in ("keras", "tf_keras"):
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False
