"""One file for each kind of thing that is captured inside a step: intercept, reduce, name the rows.

```
base       the interface, and what a capture gets to know of the step
loss       the loss of the very batch
gradients  the gradients that optimizers get
```
"""

from tbx_keras.backends.torch.captures.base import Capture, StepContext
from tbx_keras.backends.torch.captures.gradients import GradientCapture
from tbx_keras.backends.torch.captures.loss import LossCapture

CAPTURES: dict[str, type[Capture]] = {one.kind: one for one in (LossCapture, GradientCapture)}

__all__ = ["CAPTURES", "Capture", "StepContext"]
