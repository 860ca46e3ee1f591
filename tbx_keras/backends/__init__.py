"""One file per framework, the same functions in each; `numpy` is the reference.

```
buckets       what all share: 4096 log-scale buckets, keyed by the top 12 bits of a float32
numpy         the reference kernels, for anything that turns into an array
host          many arrays at once by all cores, with the kernels of `numba` where that is installed
numba         the kernels that it compiles
half          what each of the values is that 16 bits can hold
tensorflow    the same in TensorFlow operations, eager or traced, also under XLA
tensorflow_chunks      long tensors in chunks, and the counting
tensorflow_half        half precision: a counter for each value
tensorflow_variables   their values, and how far they have moved
keras_model   what a model looks like: variable paths, optimizers, steps; Keras 3 and tf_keras alike
```

Guarantees: importing this package imports no framework; importing `backends.tensorflow` imports
TensorFlow, and is done only for models that already run on it.
"""
