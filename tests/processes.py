"""Python in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
