"""One file for each kind of thing that is recorded; each turns a moment of training into values.

```
base             Recorder, the class of all of them, and Moment
metrics          losses, metrics, learning rates, speed      -> Scalar
weights          weights and biases                          -> Histogram
weight_images    weights as images                           -> Image
weight_distance  distance of the weights from their origin   -> Scalar
gradients        gradients of a training step                -> Histogram, Scalar, Text
model_graph      configuration, summary and graph of a model -> KerasGraph, OpGraph, Text
embeddings       embedding tables for the projector          -> Embedding
profiler         TensorFlow's profiler for some batches      -> files of the profiler
overhead         what recording costs                        -> Scalar
```

Guarantees: recorders read the model and write nothing to the log; only the dispatcher hands their values to
the writer. Where values are on a device they return a `Deferred`, fetched on the writer's thread.
"""
