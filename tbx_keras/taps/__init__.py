"""Look into the running training step without altering it.

```
interception    sends the update calls of all loaded optimizer classes through a handler
capture         keeps the updates and losses of one step
statistics      captured updates -> a few small device tensors
side_channel    another way for them out of the step, past the values that it returns
provenance      who made a train function
step            a training step that also returns statistics
inner_state     finds state that a second copy of a compiled step would not share
traces          compares two traces of a step
tapped          a copy of the train function around such a step
copies          which copy runs which steps
recovery        goes on after a failure of the copy
current_fit     finds the `fit` that is running
train_function  swaps the copy in for one call
```

Guarantees: the update that a tapped step makes is the one that the untouched step makes, bit for bit in
graph mode and eager, to the last bits where XLA compiles the two apart. A step that is not sampled runs the
untouched function, except where the compiled function itself keeps state.
"""
