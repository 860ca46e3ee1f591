"""Event files -> frames, arrays and pictures; no framework needed.

```
events      the runs below a directory, by TensorBoard's own loader
event_log   `read` and EventLog
histograms  a series of histograms as arrays, on common buckets if wanted
plots       a histogram over steps, by Matplotlib
```

Guarantees: only reads. What a resumed run has hidden from TensorBoard is hidden here too. Scalars and
histograms of `tf.summary`, `keras.callbacks.TensorBoard` and tensorboardX read the same.
"""

from tbx_keras.reader.event_log import EventLog, read
from tbx_keras.reader.histograms import HistogramSeries

__all__ = ["EventLog", "HistogramSeries", "read"]
