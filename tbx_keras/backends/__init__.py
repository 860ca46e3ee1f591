"""One folder for each framework behind one interface; `numpy` is the reference.

```
base         the interface, and which backend a model runs on
buckets      4096 log-scale buckets, numbered by the top 12 bits of a float32: shared by all
float16      tables of the 65536 values of a 16-bit float: shared by all
scaled_sums  sums over tensors of a device that has no float64
numpy        the reference kernels, for anything that turns into an array
tensorflow   the same in TensorFlow operations, and the instrumented train function
jax          the same in JAX
torch        the same in PyTorch, whose steps need no second train function
```

A new backend is a new folder that is named as Keras names the backend; its `backend` module has a `BACKEND`.

Guarantees: importing this package imports no framework; the folder of a framework is imported only for models
that already run on it.
"""
