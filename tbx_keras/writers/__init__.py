"""Values -> event files; the only package that imports tensorboardX.

```
summary_writer  SummaryWriter: tensorboardX's, on the hub
current         the writer of the surrounding `as_default()`
arrays          tensors of any framework -> NumPy
hub             EventHub: what the callback and SummaryWriter write to
batch           what the queue holds
queue           bounded, never blocks the side that puts
worker          the thread: queue -> bytes -> files
encode          a value -> a serialized event
packed          the same for scalars and histograms, by hand
records         the frame around an event
pending         records that wait to be written
axes            what the steps of a series count, kept in the file
eventfile       one run's file: whole records or nothing
remote          the same in an object store: parts, uploaded again within a budget
projector       tables of embeddings
history         what was recorded before, and what a resumed run hides of it
directories     run-2, run-3, ... below a log directory
names           safe tags, runs and file names
lifetime        exit and fork
```
"""

from tbx_keras.writers.arrays import plain, tagged_numpy, to_numpy
from tbx_keras.writers.current import current
from tbx_keras.writers.hub import Counts, EventHub
from tbx_keras.writers.summary_writer import SummaryWriter

__all__ = ["Counts", "EventHub", "SummaryWriter", "current", "plain", "tagged_numpy", "to_numpy"]
