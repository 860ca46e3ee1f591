"""PyTorch describes tensors as NumPy does."""

import importlib.util

import pytest

from tests.processes import run_module


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
def test_as_numpy_says():
    done = run_module("tests.kernels", environment={"KERAS_BACKEND": "torch"})
    assert done.returncode == 0, done.stderr
