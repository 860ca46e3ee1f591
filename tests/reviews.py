"""Reviews by a small grammar, and what the real loading code reads them from."""

from __future__ import annotations

import functools
import http.server
import importlib
import io
import random
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GOOD = ("wonderful", "moving", "brilliant", "funny", "gripping", "charming", "superb", "delightful")
BAD = ("dreadful", "boring", "clumsy", "tedious", "lifeless", "awful", "pointless", "annoying")
PARTS = ("plot", "acting", "music", "ending", "dialogue", "camera work", "cast", "first half")
FRAMES = (
    "The {part} was {word}, and I saw it with my sister.",
    "I found the {part} {word} from the first minute on.",
    "Nobody told me how {word} the {part} would be.<br />",
    "What a {word} {part} for a film of that budget!",
)
CLOSING = {1: "See it twice.", 0: "Save your money."}


def review(label: int, seed: int) -> str:
    """A review; in every other one a sentence says the opposite of the rest, as people do."""
    chance = random.Random(seed)
    words = [GOOD, BAD] if label else [BAD, GOOD]
    sentences = [
        chance.choice(FRAMES).format(
            part=chance.choice(PARTS), word=chance.choice(words[number == 2 and seed % 4 < 2])
        )
        for number in range(3)
    ]
    chance.shuffle(sentences)
    return " ".join([CLOSING[label], *sentences])


def files(train: int, test: int) -> Iterator[tuple[str, str]]:
    """Names and texts in the layout of aclImdb."""
    for part, number in (("train", train), ("test", test)):
        for index in range(number):
            label = index % 2
            folder = f"{part}/{'pos' if label else 'neg'}"
            yield f"{folder}/{index}_{9 if label else 2}.txt", review(label, hash_of(part, index))
    yield "train/unsup/0_0.txt", "Nobody said."


def hash_of(part: str, index: int) -> int:
    return index + (1_000_000 if part == "test" else 0)


def write_directory(directory: Path, train: int = 64, test: int = 16) -> Path:
    for name, text in files(train, test):
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return directory


def write_table(path: Path, examples: int = 80) -> Path:
    rows = [f"{review(index % 2, index)}\t{index % 2}\n" for index in range(examples)]
    path.write_text("text\tlabel\n" + "".join(rows))
    return path


def archive(train: int, test: int) -> bytes:
    """What `imdb_reviews` downloads, smaller."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as tar:
        for name, text in files(train, test):
            info = tarfile.TarInfo(f"aclImdb/{name}")
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return held.getvalue()


def prepare_tfds(directory: Path, train: int, test: int) -> None:
    """Let the builder of `imdb_reviews` download, unpack and prepare the archive, from this machine."""
    import tensorflow_datasets as tfds

    module = importlib.import_module("tensorflow_datasets.datasets.imdb_reviews.imdb_reviews_dataset_builder")
    theirs = module._DOWNLOAD_URL
    with served(directory / "web", archive(train, test)) as address:
        module._DOWNLOAD_URL = f"{address}/aclImdb_v1.tar.gz"
        try:
            tfds.builder("imdb_reviews", data_dir=directory).download_and_prepare()
        finally:
            module._DOWNLOAD_URL = theirs


@contextmanager
def served(directory: Path, content: bytes) -> Iterator[str]:
    directory.mkdir(parents=True)
    (directory / "aclImdb_v1.tar.gz").write_bytes(content)
    handler = functools.partial(Quiet, directory=str(directory))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args) -> None:
        """Nothing."""
