"""Look into the running training step without altering it.

```
listener        during one step: which gradients go to which optimizer, which loss was computed
statistics      what was heard -> a few small device tensors
tapped          a copy of the train function around a step that listens to itself
inner_state     whether a step keeps state that a copy would not share
current_fit     which `fit` is running
train_function  swaps the copy in for a sampled step only
```

Guarantees: the update that a tapped step makes is the one that the untouched step makes, bit for bit; a
step that is not sampled runs the untouched function.
"""
