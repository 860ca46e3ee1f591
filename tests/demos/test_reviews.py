"""Reviews from every kind of source; errors name the place."""

import numpy as np
import pytest

from tbx_keras.demos.reviews import load_reviews
from tbx_keras.errors import ArgumentError, OfflineError
from tests.reviews import prepare_tfds, write_directory, write_table


def test_the_real_builder_reads_its_own_archive_format(tmp_path, monkeypatch):
    prepare_tfds(tmp_path / "tfds", train=40, test=12)
    # Where TFDS_DATA_DIR is kept once it was read.
    monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", str(tmp_path / "tfds"))
    train, validation = load_reviews("tfds", 32)
    assert len(train.texts) == len(train.labels) == 32
    assert len(validation.texts) == 8
    assert all(("See it twice." in text) == bool(label) for text, label in zip(train.texts, train.labels))
    assert "<br />" not in "".join(train.texts)


def test_a_directory_with_a_part_for_testing(tmp_path):
    train, validation = load_reviews(str(write_directory(tmp_path / "aclImdb", 20, 8)), 16)
    assert (len(train.texts), len(validation.texts)) == (16, 4)
    assert train.labels.dtype == np.int32
    assert not set(train.texts) & set(validation.texts)


def test_a_directory_without_one_is_split(tmp_path):
    train, validation = load_reviews(str(write_directory(tmp_path / "aclImdb", 40, 0)), 1000)
    assert (len(train.texts), len(validation.texts)) == (32, 8)
    assert not set(train.texts) & set(validation.texts)


def test_a_table_with_and_without_a_line_of_names(tmp_path):
    table = write_table(tmp_path / "reviews.tsv", 40)
    with_names = load_reviews(str(table), 1000)
    table.write_text("".join(table.read_text().splitlines(keepends=True)[1:]))
    without = load_reviews(str(table), 1000)
    assert with_names[0].texts == without[0].texts
    assert len(with_names[0].texts) + len(with_names[1].texts) == 40


def test_labels_may_be_words_and_texts_quoted(tmp_path):
    rows = ['"She said ""never again"", twice"\tneg', "Über-film\tPositive"] * 10
    (tmp_path / "words.tsv").write_text("\ufeff" + "\n\n".join(rows), encoding="utf-8")
    train, _ = load_reviews(str(tmp_path / "words.tsv"), 100)
    assert set(zip(train.texts, train.labels.tolist())) == {
        ('She said "never again", twice', 0),
        ("Über-film", 1),
    }


@pytest.mark.parametrize(
    ("content", "reported"),
    [
        (b"good\t1\nbad\t0\nwhat\tperhaps\n", "line 3"),
        (b"good\t1\nalso good\t1\n", "good and bad"),
        (b"", "here 0 at all"),
        (b"caf\xe9\t1\n", "UTF-8"),
        (b"no label\nnor here\n", "line 2"),
    ],
)
def test_what_is_wrong_with_a_table_is_reported(tmp_path, content, reported):
    (tmp_path / "reviews.tsv").write_bytes(content)
    with pytest.raises(ArgumentError, match=reported):
        load_reviews(str(tmp_path / "reviews.tsv"), 10)


def test_what_is_wrong_with_a_directory_is_reported(tmp_path):
    with pytest.raises(ArgumentError, match="train/neg is not in it"):
        load_reviews(str(tmp_path), 10)
    with pytest.raises(ArgumentError, match="'tfds', a directory"):
        load_reviews(str(tmp_path / "nowhere"), 10)


def test_without_a_network_both_ways_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", str(tmp_path))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # nobody listens there
    with pytest.raises(OfflineError, match=r"--model minilm.*--data reviews\.tsv"):
        load_reviews("tfds", 10)
