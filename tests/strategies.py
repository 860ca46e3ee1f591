"""Trainings under a distribution strategy, each in a process of its own.

Now and then TensorFlow 2.21 ends its process by a segmentation fault where Keras frees an iterator of a
strategy (`EpochIterator.reset`), with callbacks and without any: within 20 trainings on one busy core. Only
that signal is answered by another try.
"""

import signal
from pathlib import Path

from tests.processes import run_python

ROOT = Path(__file__).parent.parent
TRIES = 4


def run_alone(function, *arguments):
    """Call a function of a test module, with arguments that `repr` writes out, and let it assert."""
    code = f"from {function.__module__} import {function.__name__} as run; run(*{arguments!r})"
    for _ in range(TRIES):
        done = run_python("-c", code)
        if done.returncode != -signal.SIGSEGV:
            break
    assert done.returncode == 0, done.stderr
