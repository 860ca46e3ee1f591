"""Record what users' code passes to `tf.summary` while a `fit` or `evaluate` of ours runs.

`keras.callbacks.TensorBoard` makes a TensorFlow file writer the default one. This package does without: such
a writer fails the training step on a full disk, opens a second event file beside ours, and knows no object
store. Instead the function behind `tf.summary.scalar` and its likes, `tf.summary.write`, is replaced while a
`fit` runs. Where no default writer is set, it adds an operation that hands the value to the logger's writer.

Guarantees: with a default writer of the user's, or of `keras.callbacks.TensorBoard` beside us, TensorFlow's
own function does what it always does. A model that calls no `tf.summary` is traced and run as without a
logger. An error of ours is reported once, and the step goes on.
"""

from tbx_keras.tf_summary.recorder import SummaryCalls

__all__ = ["SummaryCalls"]
