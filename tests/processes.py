"""Python in processes of their own."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
TIMEOUT = 600  # seconds


def run_python(
    *arguments: str, environment: Mapping[str, str] | None = None, timeout: float = TIMEOUT, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run Python with this checkout on its path.

    Args:
        *arguments: Arguments, such as `"-c"` and a program.
        environment: Variables on top of those of this process.
        timeout: Seconds.
        **options: Of `subprocess.run`.

    Returns:
        The process that ended, with its output as text, whatever its exit status.
    """
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})}
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True, text=True, check=False, timeout=timeout, env=variables, **options,
    )  # fmt: skip


def module_command(name: str, *arguments: str) -> list[str]:
    """Make the command that runs a module of the tests, measured where this process is."""
    measured = "coverage" in sys.modules and sys.modules["coverage"].Coverage.current() is not None
    options = ["--parallel-mode", f"--rcfile={ROOT / 'setup.cfg'}", f"--data-file={ROOT / '.coverage'}"]
    counting = ["-m", "coverage", "run", *options] if measured else []
    return [sys.executable, *counting, "-m", name, *arguments]


def run_module(
    name: str, *arguments: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a module of the tests; see `module_command` and `run_python`."""
    return run_python(*module_command(name, *arguments)[1:], environment=environment)


def found_by_module(name: str, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """Run a module of the tests, which has to end well, and get the last line that it printed."""
    done = run_module(name, *arguments, environment=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def once(factory: pytest.TempPathFactory, name: str, work: Callable[[Path], str]) -> tuple[Path, str]:
    """Do what many tests look at once, for all processes of pytest: the first that needs it does it.

    Args:
        factory: Of the session.
        name: Name of the work.
        work: Called with an empty directory.

    Returns:
        The directory, and what `work` returned.
    """
    base = factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    directory, result = base / name, base / f"{name}.result"
    with open(base / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not result.exists():
            shutil.rmtree(directory, ignore_errors=True)  # of a try that failed
            directory.mkdir()
            result.write_text(work(directory))
    return directory, result.read_text()
