"""Reviews with labels, from TensorFlow Datasets, a directory, or a table.

Guarantees: the same source, number and seed give the same reviews in the same order. Labels are 0 (bad) and
1 (good); both occur in each part.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tbx_keras.demos.offline import check_reviews
from tbx_keras.errors import ArgumentError

Pair = tuple[str, int]
HELD_BACK = 5  # of a source without a part for testing, each fifth review is held back
_LABELS = {"0": 0, "1": 1, "neg": 0, "pos": 1, "negative": 0, "positive": 1}


@dataclass(frozen=True)
class Reviews:
    """Texts `(n,)` and their labels, int32 `(n,)`."""

    texts: list[str]
    labels: np.ndarray


def load_reviews(data: str, examples: int) -> tuple[Reviews, Reviews]:
    """Read reviews for training and for validation.

    Args:
        data: `"tfds"` for `imdb_reviews` of TensorFlow Datasets; or a directory with
            `train/{pos,neg}/*.txt`, and perhaps `test/` likewise; or a file with a text, a tab and a label
            (0 or 1, or neg or pos) in each line.
        examples: Reviews to train on, at the most; a quarter as many validate.

    Returns:
        The two parts.

    Raises:
        ArgumentError: There is no such source, or it cannot be read.
        OfflineError: TensorFlow Datasets cannot download the reviews.
    """
    if data == "tfds":
        train, validation = _from_tfds(examples), _from_tfds(max(1, examples // 4), "test")
    elif os.path.isdir(data):
        train, validation = _from_directory(data)
    elif os.path.isfile(data):
        train, validation = _split(_shuffled(list(_rows(data))))
    else:
        raise ArgumentError("data", data, "'tfds', a directory that has train/pos and train/neg, or a file")
    return _reviews(data, train, examples), _reviews(data, validation, max(1, examples // 4))


def _reviews(data: str, pairs: list[Pair], most: int) -> Reviews:
    texts, labels = [text for text, _ in pairs[:most]], [label for _, label in pairs[:most]]
    if set(labels) != {0, 1}:
        found = f"with labels {sorted(set(labels))}" if labels else "at all"
        hint = (
            f"a source with good and bad reviews to train on and to validate with; here {len(labels)} {found}"
        )
        raise ArgumentError("data", data, hint)
    return Reviews([text.replace("<br />", " ") for text in texts], np.array(labels, np.int32))


def _from_tfds(examples: int, split: str = "train") -> list[Pair]:
    import tensorflow_datasets as tfds

    builder = tfds.builder("imdb_reviews")
    if not builder.is_prepared():
        check_reviews(builder.info.homepage)
    found = tfds.load("imdb_reviews", split=split, as_supervised=True)
    return [(text.decode(), int(label)) for text, label in tfds.as_numpy(found.take(examples))]


def _from_directory(directory: str) -> tuple[list[Pair], list[Pair]]:
    train = _shuffled(list(_files(directory, "train")))
    if os.path.isdir(os.path.join(directory, "test")):
        return train, _shuffled(list(_files(directory, "test")))
    return _split(train)


def _files(directory: str, part: str) -> Iterator[Pair]:
    for name in ("neg", "pos"):
        path = os.path.join(directory, part, name)
        if not os.path.isdir(path):
            hint = f"a directory in the layout of aclImdb; {os.path.join(part, name)} is not in it"
            raise ArgumentError("data", directory, hint)
        for file in sorted(os.listdir(path)):
            if file.endswith(".txt"):
                yield "".join(_lines(os.path.join(path, file))).strip(), _LABELS[name]


def _rows(path: str) -> Iterator[Pair]:
    for number, line in enumerate(_lines(path), start=1):
        text, _, label = line.strip().rpartition("\t")
        if text and label.strip().lower() in _LABELS:
            yield _unquoted(text.strip()), _LABELS[label.strip().lower()]
        elif line.strip() and number > 1:  # the first line may name the columns
            hint = (
                f"a file of lines with a text, a tab and a label of {sorted(_LABELS)}; line {number} is not"
            )
            raise ArgumentError("data", path, hint)


def _unquoted(text: str) -> str:
    """Take off the quotes that spreadsheets put around texts that hold quotes."""
    if len(text) > 1 and text[0] == text[-1] == '"':
        return text[1:-1].replace('""', '"')
    return text


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8-sig") as file:
            return file.readlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ArgumentError("data", path, f"files of UTF-8 text that can be read ({error})") from error


def _shuffled(pairs: list[Pair]) -> list[Pair]:
    return [pairs[index] for index in np.random.default_rng(0).permutation(len(pairs))]


def _split(pairs: list[Pair]) -> tuple[list[Pair], list[Pair]]:
    return [pair for index, pair in enumerate(pairs) if index % HELD_BACK], pairs[::HELD_BACK]
