"""Values -> event files; the only package that imports tensorboardX.

```
hub          EventHub: what the callback writes to
queue        bounded, never blocks the side that puts
worker       the thread: queue -> bytes -> files
encode       a value -> a serialized event
records      the frame around an event
eventfile    one run's file: whole records or nothing
names        safe tags, runs and file names
lifetime     exit and fork
```
"""

from tbx_keras.writers.hub import Counts, EventHub

__all__ = ["Counts", "EventHub"]
