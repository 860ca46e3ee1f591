"""Screenshots of TensorBoard on a run of the demonstration.

`python docs/pictures/draw.py tensorboard` makes them anew; it needs `tbx_keras[demo,read]` and Chromium.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from PIL import Image

from browser import Page, browser

HERE = Path(__file__).parent
WIDTH = 1000  # shown at some 700 pixels on a page: small enough that labels stay readable
SETTLE_S = 6  # charts are drawn by a worker, and nothing in the page says when it is through
COLORS = 128
LOSSES_AND_NORM = "^(epoch_|gradient_norm/global)"
GRADIENTS, WEIGHTS = "^gradients/.*kernel", "^weights/.*kernel"
# Name of the picture: height, page of TensorBoard with the tags to show.
SHOTS = {
    "tensorboard_time_series.png": (1040, f"?smoothing=0&tagFilter={quote(LOSSES_AND_NORM)}#timeseries"),
    "tensorboard_gradients.png": (850, f"?tagFilter={quote(GRADIENTS)}#timeseries"),
    "tensorboard_distributions.png": (700, f"#distributions&tagFilter={quote(WEIGHTS)}"),
}
SETTINGS_OPEN = "document.body.innerText.includes('Horizontal Axis')"
CLOSE_SETTINGS = """[...document.querySelectorAll("button")]
    .filter(button => button.textContent.includes("Settings")).forEach(button => button.click())"""


def take_all(logs: Path) -> None:
    """Take every picture of the runs below a directory."""
    with serve(logs) as address, browser() as page:
        for name, (height, path) in SHOTS.items():
            page.open(address + path, WIDTH, height)
            time.sleep(SETTLE_S)
            save(page, HERE / name)


def save(page: Page, path: Path) -> None:
    """Close the panel of settings, take the picture and reduce its colours."""
    if page.evaluate(SETTINGS_OPEN):
        page.evaluate(CLOSE_SETTINGS)
        time.sleep(SETTLE_S)
    page.screenshot(path)
    with Image.open(path) as picture:
        reduced = picture.convert("RGB").quantize(COLORS)
    reduced.save(path, optimize=True)


@contextmanager
def serve(logs: Path) -> Iterator[str]:
    """Run `tbx-keras view` on any free port; its address."""
    command = [sys.executable, "-m", "tbx_keras", "view", logs.name, "--port", "0"]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    board = subprocess.Popen(command, text=True, cwd=logs.parent, **streams)
    try:
        assert board.stdout is not None
        yield next(found[0] for line in board.stdout if (found := re.search(r"http://[\d.:]+/", line)))
    finally:
        board.terminate()
        board.wait()
