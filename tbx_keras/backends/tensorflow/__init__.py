"""TensorFlow: kernels that stay on the device, and the instrumented train function.

```
backend                the interface of `backends.base`
kernels                summaries of tensors, eager or traced, also under XLA
chunks                 long tensors in chunks, and the counting
float16                half precision: a counter for each value
variables              values of variables, and how far they have moved
captures/              one file for each kind of thing that is captured inside a step
optimizer_calls        interception of optimizer updates in steps that AutoGraph may convert
reduction              captured gradients -> a few small device tensors
sampling               pieces of graph that do work only in sampled steps
update_norms           norms of the update, after the step
replicas               steps that a strategy runs on several replicas at once
collectives            numbers the collectives of instrumented steps apart
several_steps          the train function of several steps in tf_keras
side_channel           another way for captured tensors out of the step, past the values that it returns
observed_step          a training step that also gives what was captured
instrumented           a copy of the train function around such a step
train_function_copies  which copy runs which steps
train_function         swaps a copy in for one call
stateful_ops           finds state that a second copy of a compiled step would not share
traces                 compares two traces of a step
graph_digest           describes a graph by what it computes
recovery               goes on after a failure of the copy
batch_gradients        gradients of a batch in hand
profiler               the profiler of TensorFlow
```

Guarantees: importing this package imports TensorFlow only with its modules, and is done only for models that
already run on it.
"""
