"""Capture of tensors inside the running training step: the part that is the same for every framework.

```
base         the interfaces: Instrument, Captured, CaptureSchema, and the kinds that can be captured
current_fit  finds the `fit` that is running
limits       sentences about what cannot be captured of a step
```

What a framework does is in the folder of its backend: `backends/tensorflow/captures/` has a file for each
kind.

Guarantees: the update that an instrumented step makes is the one that the untouched step makes, bit for bit
in graph mode and eager, to the last bits where XLA compiles the two apart. A step that is not sampled runs
the untouched function, except where the compiled function itself keeps state.
"""
