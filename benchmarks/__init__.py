"""Measurements of what recording costs beside its peers: `make bench`, or `python -m benchmarks`.

```
__main__    runs the questions and prints one table
measure     interleaved rounds, medians, memory of a process of its own
shapes      models and variables that are measured
weights     histograms of all weights of a large model
gradients   a sampled step beside a plain one
steps       steps that are not sampled; metrics of every batch
scalars     one scalar on the calling thread, and sustained to disk
start       importing the package
endurance   memory over millions of steps
```

Every figure is a ratio taken in one run: what is compared runs in turn, round by round, so that noise of
the machine meets all alike.
"""
