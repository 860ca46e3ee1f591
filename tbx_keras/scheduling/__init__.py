"""Timing of records: triggers, positions and the overhead budget.

```
triggers         pure predicates of epoch and step
batch_speed      training steps per second
position         epoch and global step, which never go back
sequencer        training steps in their order, whatever order their hooks run in
overhead_budget  how much of the wall time recording may take
overhead         what it takes, measured
resume           where a run goes on that an earlier process began
```
"""
