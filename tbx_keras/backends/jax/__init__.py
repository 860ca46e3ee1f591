"""JAX: kernels that stay on the device, and the instrumented train function.

```
backend           the interface of `backends.base`
kernels           summaries of arrays, traced or not
differentiation   sends the results of `jax.grad` and `jax.value_and_grad` through a handler
captures/         one file for each kind of thing that is captured inside a step
observed_step     a training step that also gives what was captured
instrumented      a copy of the train function around such a step
train_function    swaps a copy in for one call
batches           batches that can be handed out once more
batch_gradients   gradients of a batch in hand
profiler          the profiler of JAX
```

Guarantees: importing this package imports JAX only with its modules, and is done only for models that already
run on it. No module of TensorFlow is imported.
"""
