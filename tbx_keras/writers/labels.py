"""Copies of the files that name the rows of an embedding table.

TensorBoard serves only files that lie beside its configuration, so that a file of the user's is copied there.

Guarantees: works on files and on objects of a store alike. Returns text; writing it is up to the caller.
"""

from __future__ import annotations

import os

from tbx_keras.storage import file_system, is_remote


class LabelsError(Exception):
    """Labels cannot be shown; the message says which file and why."""


def read_labels(log_dir: str, name: str, rows: int, most: int) -> str:
    """Read the labels of a table.

    Args:
        log_dir: Directory or URL that `name` is relative to.
        name: Path of the file.
        rows: Rows of the table; a file with as many lines, or one more below a header of several columns.
        most: Rows that are shown.

    Returns:
        The lines for those rows.

    Raises:
        LabelsError: There is no such file, or it has another number of lines.
    """
    lines = _text(log_dir, name).splitlines()
    header = 1 if lines and "\t" in lines[0] else 0  # as TensorBoard's projector recognizes one
    if len(lines) - header != rows:
        wanted = f"{rows + 1:,} (a header and one for each row)" if header else f"{rows:,} (one for each row)"
        raise LabelsError(f"{place_of(log_dir, name)!r} has {len(lines):,} lines instead of {wanted}")
    return "".join(f"{line}\n" for line in lines[: most + header])


def is_missing(log_dir: str, name: str) -> bool:
    """Check that there is no file of labels (yet)."""
    place = place_of(log_dir, name)
    if is_remote(place):
        system, path = file_system(place)
        return not system.isfile(path)
    return not os.path.isfile(place)


def place_of(log_dir: str, name: str) -> str:
    """Find the path or URL of a file that may be relative to the log directory."""
    if is_remote(name) or os.path.isabs(name):
        return name
    return f"{log_dir.rstrip('/')}/{name}" if is_remote(log_dir) else os.path.join(log_dir, name)


def _text(log_dir: str, name: str) -> str:
    place = place_of(log_dir, name)
    try:
        if is_remote(place):
            system, path = file_system(place)
            return str(system.cat_file(path).decode())
        with open(place, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        raise LabelsError(f"{place!r} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise LabelsError(f"{place!r} cannot be read ({error})") from None
