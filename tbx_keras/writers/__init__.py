"""Values -> event files; the only package that imports tensorboardX.

```
summary_writer  SummaryWriter: tensorboardX's, on an AsyncEventWriter
current_writer  the writer of the surrounding `as_default()`
arrays          tensors of any framework -> NumPy
async_writer    AsyncEventWriter: what the callback and SummaryWriter write to
queue           bounded, never blocks the side that puts
writer_thread   the thread: queue -> sinks, and again where a disk is full
run_sinks       items -> records of each run
encode          a value -> a serialized event
fast_encode     the same for scalars and histograms, by hand
records         the frame around an event
axes            what the steps of a series count, kept in the file
sinks           where the records of a run go: an event file, an object store
projector       tables of embeddings
labels          copies of the files that name the rows of an embedding table
reports         what goes wrong, said once for its place
purge           what was recorded before, and what a resumed run hides of it
directories     run-2, run-3, ... below a log directory
names           safe tags, runs and file names
shutdown        exit and fork
```
"""

from tbx_keras.writers.arrays import tagged_numpy, to_host, to_numpy
from tbx_keras.writers.async_writer import AsyncEventWriter, Counts
from tbx_keras.writers.current_writer import current
from tbx_keras.writers.summary_writer import SummaryWriter

__all__ = ["AsyncEventWriter", "Counts", "SummaryWriter", "current", "tagged_numpy", "to_host", "to_numpy"]
