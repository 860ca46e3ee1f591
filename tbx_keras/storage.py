"""Places to record in: directories of this machine, and object stores by fsspec.

Guarantees: imports no library of an object store before a URL of one is opened.
"""

from __future__ import annotations

import os
from typing import Any

from tbx_keras.errors import MissingDependencyError


def is_remote(path: str) -> bool:
    """Check that a path is a URL such as `s3://bucket/logs`."""
    return "://" in path


def is_event_file(path: str) -> bool:
    """Check that TensorBoard takes a file for an event file, by its name."""
    return "tfevents" in os.path.basename(path)


def file_system(url: str) -> tuple[Any, str]:
    """Open the fsspec file system of a URL.

    Returns:
        The file system, and the path in it.

    Raises:
        MissingDependencyError: fsspec or the package for this kind of URL is missing.
    """
    try:
        from fsspec.core import url_to_fs

        found, path = url_to_fs(url)
    except ImportError as error:
        scheme = url.split("://", maxsplit=1)[0]
        raise MissingDependencyError(
            f"{scheme}:// needs packages that are missing", "pip install 'tbx_keras[remote]'"
        ) from error
    return found, str(path)
