"""Names that are safe: tags for TensorBoard, directories for runs, files for events.

Guarantees: two different tags never become one; a run never leaves the log directory; an event file never
has the name of another, of this or any other process.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import socket
import time

MAX_TAG = 500  # TensorBoard shows them in a line; longer ones keep a digest in place of their tail
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]+")
_counter = itertools.count()


class Tags:
    """Cleans tags, remembering what it made of each."""

    def __init__(self) -> None:
        self._clean: dict[str, str] = {}
        self._taken: set[str] = set()

    def __call__(self, tag: object) -> str:
        raw = str(tag)
        clean = self._clean.get(raw)
        return self._add(raw) if clean is None else clean

    def _add(self, raw: str) -> str:
        base = clean_tag(raw)
        name, number = base, 1
        while name in self._taken:
            name, number = f"{base}_{number}", number + 1
        self._taken.add(name)
        self._clean[raw] = name
        return name


def clean_tag(tag: str) -> str:
    """Clean a tag of control characters, outer slashes and blanks, and bound its length."""
    clean = _CONTROL.sub("_", tag).strip().strip("/")
    if len(clean) > MAX_TAG:
        clean = f"{clean[: MAX_TAG - 17]}_{hashlib.sha256(tag.encode(errors='replace')).hexdigest()[:16]}"
    return clean or "untitled"


def run_directory(log_dir: str, run: str) -> str:
    """Find the directory of a run, always below `log_dir`."""
    parts = [_CONTROL.sub("_", part) for part in re.split(r"[/\\]", run)]
    return os.path.join(log_dir, *("_" if part == ".." else part for part in parts if part not in ("", ".")))


def event_file_name(suffix: str = "") -> str:
    """Make the name of an event file; later ones of a process sort after earlier ones."""
    return f"events.out.tfevents.{int(time.time()):010d}.{_host()}.{os.getpid()}.{next(_counter):06d}{suffix}"


def named_here(name: str, since: float) -> bool:
    """Check that this process began an event file, by its name; of this or another library.

    Args:
        name: Name of the file: time, host and process are parts of it.
        since: Seconds since 1970; process numbers come again.
    """
    found = re.search(rf"tfevents\.(\d+)\.{re.escape(_host())}\.{os.getpid()}\.", name)
    return found is not None and int(found.group(1)) >= int(since)


def _host() -> str:
    return re.sub(r"[^\w.-]", "_", socket.gethostname()) or "localhost"
