"""Capture of tensors inside the running training step: the part that is the same for every framework.

```
base                   the interfaces: Instrument, Captured, CaptureSchema, and the kinds that can be captured
captures               the interface of a capture: one object for one run of a step
current_fit            finds the `fit` that is running
stand_in               stands in for the train function of a model, for one call
train_function_origin  who made a train function
replaced_attributes    replaces an attribute for a block
optimizer_calls        sends the update calls of all loaded optimizer classes through a handler
updates                calls of optimizers, as they were made
gradient_rows          captured gradients, one row for each variable that optimizers updated
python_state           whether a trace changed numbers in attributes
random_sequences       whether a trace drew random numbers of Python's or NumPy's
limits                 sentences about what cannot be captured of a step
```

What a framework does is in the folder of its backend: `captures/` there has a file for each kind.

Guarantees: the update that an instrumented step makes is the one that the untouched step makes, bit for bit
in graph mode and eager, to the last bits where XLA compiles the two apart. A step that is not sampled runs
the untouched function, except where the compiled function itself keeps state.
"""
