"""One file for each kind of thing that is captured inside a step: intercept, reduce, name the rows.

```
loss       the loss of the very batch
gradients  the gradients that optimizers get
```
"""

from tbx_keras.backends.torch.captures.gradients import GradientCapture
from tbx_keras.backends.torch.captures.loss import LossCapture
from tbx_keras.instrumentation.captures import Capture, StepContext

CAPTURES: dict[str, type[Capture[StepContext]]] = {one.kind: one for one in (LossCapture, GradientCapture)}

__all__ = ["CAPTURES"]
