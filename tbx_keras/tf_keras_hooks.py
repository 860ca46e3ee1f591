"""Questions that tf_keras asks of a callback, to skip hooks that do nothing."""

from __future__ import annotations


class BatchHooks:
    """Mixin for a callback with hooks for training batches."""

    @property
    def has_test_batch_hooks(self) -> bool:
        """Check whether the hooks of test batches do anything."""
        return False

    def _implements_train_batch_hooks(self) -> bool:
        return True

    def _implements_test_batch_hooks(self) -> bool:
        return self.has_test_batch_hooks

    def _implements_predict_batch_hooks(self) -> bool:
        return False
