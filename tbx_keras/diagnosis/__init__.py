"""Findings about a training: one file for each rule.

```
base       Rule, Finding, Evidence, and the registry of rules
monitor    shows evidence to the rules, records what they find, asks to stop
loss_watch watches the loss of every step
nonfinite  the first loss, gradient or weight that is not finite
```

A new rule is a new file here with a class that `register` decorates.
"""
