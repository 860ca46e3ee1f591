"""What holds for all tests: a quiet TensorFlow, a directory of their own, no thread and no writer left."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import gc
import sys
import threading
from collections.abc import Iterator

import pytest


def pytest_collection_modifyitems(items) -> None:
    """For the whole suite only: compiling takes seconds for each case, and so does the same test again on the
    second of the two Kerases.
    """
    for item in items:
        if any(word in item.name for word in ("xla", "8_steps", "tf_keras")):
            item.add_marker(pytest.mark.slow)


def pytest_runtest_logstart() -> None:
    """Set apart what outlived the tests so far: TensorFlow never frees its graphs, and the search for garbage
    in `clear_session` of Keras came to millions of objects, half of the time of the suite.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _own_directory(tmp_path, monkeypatch) -> None:
    """Whatever a test writes by a relative path goes with it."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _no_writer_left() -> Iterator[None]:
    """`fit` calls no hook after an exception, so writers may be open; closed, they leave no thread."""
    yield
    lifetime = sys.modules.get("tbx_keras.writers.shutdown")
    if lifetime is not None:
        lifetime.close_all()
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("tbx_keras")]


@pytest.fixture(autouse=True)
def _time_to_record(monkeypatch) -> None:
    """No interval grows because the machine is busy; tests of the budget set a window of their own."""
    monkeypatch.setattr("tbx_keras.scheduling.overhead_budget.REVIEW_SECONDS", float("inf"))


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """What a test draws does not depend on the order of tests."""
    for name in ("keras", "tf_keras"):
        module = sys.modules.get(name)
        if module is not None and hasattr(module, "utils"):
            module.utils.set_random_seed(1)
