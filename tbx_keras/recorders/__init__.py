"""One file per kind of thing recorded; each turns (model, step) into values.

```
metrics      losses, metrics, learning rates, speed          -> Scalar
weights      weights and biases                              -> Histogram
gradients    what the tap heard in a training step           -> Histogram, Scalar, Text
images       weights as pictures                             -> Image
model_graph  configuration and summary of the model          -> KerasGraph, Text
embeddings   embedding tables for the projector              -> files of the projector
profile      TensorFlow's profiler for some batches          -> files of the profiler
```

Guarantees: recorders read the model and write nothing to the log; only the callback hands their values to
the writers. Where values are on a device they return a function that fetches them, to be called on the
writer's thread.
"""
