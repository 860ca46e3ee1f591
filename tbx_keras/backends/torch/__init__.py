"""PyTorch: kernels that stay on the device, and steps whose optimizer calls are captured.

```
backend          the interface of `backends.base`
kernels          summaries of tensors
captures/        one file for each kind of thing that is captured inside a step
optimizer_steps  steps of `torch.optim` optimizers, before and after
train_function   runs a step with captures around it
batch_gradients  gradients of a batch in hand
profiler         the profiler of PyTorch
```

Steps run eagerly, so that the untouched train function is captured: there is no copy of it.

Guarantees: importing this package imports PyTorch only with its modules, and is done only for models that
already run on it. No module of TensorFlow is imported.
"""
