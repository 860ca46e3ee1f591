"""`from tbx_keras import TbxLogger` where Keras or its backend is not installed."""

import subprocess

import pytest

from tbx_keras.errors import MissingDependencyError
from tbx_keras.missing_packages import explained
from tests.processes import run_python

BLOCK = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            raise {error}
sys.meta_path.insert(0, Blocker())
"""


def run(blocked: str, backend: str, error: str = "", code: str = "") -> subprocess.CompletedProcess:
    error = error or f"ModuleNotFoundError({f'No module named {blocked!r}'!r}, name={blocked!r})"
    code = BLOCK.format(name=blocked, error=error) + (code or "from tbx_keras import TbxLogger")
    return run_python("-c", code, environment={"KERAS_BACKEND": backend})


@pytest.mark.parametrize(
    ("blocked", "backend", "command"),
    [
        ("tensorflow", "tensorflow", "pip install 'tbx_keras[tensorflow]'"),
        ("jax", "jax", "pip install jax"),
        ("torch", "torch", "pip install torch"),
        ("keras", "tensorflow", "pip install keras"),
    ],
)
def test_one_sentence_with_the_pip_line(blocked, backend, command):
    found = run(blocked, backend)
    assert found.returncode == 1
    lines = found.stderr.splitlines()
    assert lines[-1].startswith("tbx_keras.errors.MissingDependencyError: ")
    assert "is not installed" in lines[-1]
    assert lines[-1].endswith(f" Run: {command}")
    assert found.stderr.count("Traceback") == 1
    assert "keras/src" not in found.stderr  # no line of Keras's own


def test_it_is_an_import_error_each_time():
    twice = """
for _ in range(2):
    try:
        from tbx_keras import TbxLogger
    except ImportError as error:
        print(type(error).__name__, error.__cause__, error.__context__)
"""
    assert run("tensorflow", "tensorflow", code=twice).stdout == "MissingDependencyError None None\n" * 2


def test_a_broken_installation_shows_its_own_error():
    broken = "ImportError('libcudart.so.12: cannot open shared object file')"
    found = run("tensorflow", "tensorflow", error=broken)
    assert found.returncode == 1
    assert found.stderr.splitlines()[-1] == ("ImportError: libcudart.so.12: cannot open shared object file")
    assert "MissingDependencyError" not in found.stderr


def test_a_module_of_somebody_else_is_not_explained():
    for name in ("h5py", "tensorflow.python", None):
        assert explained(ModuleNotFoundError(f"No module named {name!r}", name=name)) is None
    assert isinstance(explained(ModuleNotFoundError(name="jax")), MissingDependencyError)


def test_what_needs_no_framework_is_there_without_one():
    found = run("keras", "tensorflow", code="from tbx_keras import SummaryWriter, read, gradients, summary")
    assert found.returncode == 0, found.stderr
