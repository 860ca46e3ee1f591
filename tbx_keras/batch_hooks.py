"""The hooks of test batches, and which batch hooks there are.

Guarantees: with `update_freq="epoch"` a batch of an evaluation costs nothing in tf_keras, and one comparison
in Keras 3.
"""

from __future__ import annotations

from typing import Any

from tbx_keras.faults import Faults, guarded
from tbx_keras.options import Options
from tbx_keras.tf_summary import SummaryCalls


class BatchHooks:
    """Part of `TbxLogger`."""

    faults: Faults
    _options: Options
    _model: Any
    _summary_calls: SummaryCalls

    @guarded("beginning an evaluation")
    def on_test_begin(self, logs: Any = None) -> None:
        """Called by Keras before `evaluate`, alone or as the validation of `fit`."""
        self._summary_calls.begin_test(self._model)

    @guarded("beginning a test batch")
    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Called by Keras before a batch of an evaluation."""
        self._summary_calls.begin_test_batch(batch)

    # tf_keras asks these of a callback, to skip hooks that do nothing.
    def _implements_train_batch_hooks(self) -> bool:
        return True

    def _implements_test_batch_hooks(self) -> bool:
        return self._options.batch_metrics

    def _implements_predict_batch_hooks(self) -> bool:
        return False
