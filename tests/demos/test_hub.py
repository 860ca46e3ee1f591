"""KerasHub's road, with a small preset of random weights: the real loading code reads it."""

import keras
import pytest

from tbx_keras.demos.hub import load_preset
from tbx_keras.errors import ArgumentError
from tests.cli.test_main import run
from tests.reading import accumulate, histogram_tags, scalar, scalar_tags
from tests.reviews import BAD, CLOSING, FRAMES, GOOD, PARTS, write_table

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    from keras_hub import models

    text = " ".join([*GOOD, *BAD, *PARTS, *FRAMES, *CLOSING.values()]).lower()
    words = sorted({"".join(c for c in word if c.isalpha()) for word in text.split()} - {""})
    letters = "abcdefghijklmnopqrstuvwxyz"
    vocabulary = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *words,
        *letters,
        *("##" + one for one in letters),
    ]
    vocabulary = list(dict.fromkeys(vocabulary))
    keras.utils.set_random_seed(0)  # some weights to begin with need more epochs than others
    backbone = models.BertBackbone(len(vocabulary), 2, 2, 32, 64, max_sequence_length=64)
    tokens = models.BertTokenizer(vocabulary=vocabulary)
    preprocessor = models.BertTextClassifierPreprocessor(tokens, sequence_length=64)
    path = tmp_path_factory.mktemp("preset")
    models.BertTextClassifier(backbone, 2, preprocessor).save_to_preset(str(path))
    return str(path)


def demo(preset, *arguments):
    settings = ("--data", "reviews.tsv", "--max-length", "48", "--log-dir", "logs")
    done = run("demo", "imdb", "--model", f"hub:{preset}", *settings, *arguments)
    assert done.returncode == 0, done.stderr
    return done


def test_it_learns_and_is_recorded(preset, tmp_path):
    write_table(tmp_path / "reviews.tsv", 400)
    # At epoch 3 nearly every run is there, but the order of reviews is random: two more make it certain.
    done = demo(preset, "--learning-rate", "3e-3", "--epochs", "5")
    events = accumulate(tmp_path, "logs", "train")
    accuracy = scalar(accumulate(tmp_path, "logs", "validation"), "epoch_accuracy")
    assert accuracy[4] > 0.9
    assert "Validation accuracy" in done.stdout
    assert any(tag.startswith("weight_distance/") and "query/kernel" in tag for tag in scalar_tags(events))
    again = load_preset(str(tmp_path / "logs" / "model"), 48)
    logits = keras.ops.convert_to_numpy(again.predict(["Dreadful.", "Wonderful."], verbose=0))
    assert logits.shape == (2, 2)


def test_by_lora_only_the_adapters_and_the_head_train(preset, tmp_path):
    write_table(tmp_path / "reviews.tsv", 60)
    demo(preset, "--lora-rank", "2", "--epochs", "1")
    events = accumulate(tmp_path, "logs", "train")
    heard = {tag for tag in histogram_tags(events) if tag.startswith("gradients/")}
    assert any("lora_kernel_a" in tag for tag in heard)
    assert not any(tag.endswith("query/kernel") for tag in heard)
    assert any(
        tag.startswith("weight_distance/") and tag.endswith("query/kernel") for tag in scalar_tags(events)
    )
    assert scalar(events, "trainable_fraction")[0] < 0.5


def test_what_is_no_preset_is_reported(tmp_path):
    with pytest.raises(ArgumentError, match="`model` is wrong.*preset of KerasHub"):
        load_preset(str(tmp_path), 16)


def test_more_tokens_than_positions_are_refused(preset):
    with pytest.raises(ArgumentError, match="`max_length` is wrong.*at most 64"):
        load_preset(preset, 65)
