"""The command line: `tbx-keras demo | view`.

```
main              the group of commands, and the handling of errors
demo              train on real data and show what was recorded
view              start TensorBoard on a directory
progress          a progress display for `fit`
missing_packages  modules that are not installed, and what to install
inspect           contents of a log directory
recording         shared parts of all demonstrations
imdb              fine-tune a transformer
suppress_stderr   lines that native libraries write while they load
```

Guarantees: bad input gives one sentence on stderr and exit code 2, never a traceback. Starting the program
imports no framework before a command needs it.
"""

from tbx_keras.cli.main import main

__all__ = ["main"]
