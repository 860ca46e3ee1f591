"""`tbx-keras demo imdb`, offline: real weights, the real builder of TensorFlow Datasets."""

import contextlib
import re
import subprocess

import numpy as np
import pytest

from tbx_keras.demos.training import check_length
from tbx_keras.errors import ArgumentError
from tests.cli.test_main import run
from tests.processes import run_python
from tests.reading import accumulate, histogram_tags, scalar, scalar_tags
from tests.reviews import prepare_tfds, review, write_table

pytestmark = pytest.mark.slow


def demo(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    done = run_python("-m", "tbx_keras", "demo", "imdb", *arguments, environment=environment)
    assert done.returncode == 0, done.stderr
    return done


def accuracy_of(done: subprocess.CompletedProcess) -> float:
    return float(re.search(r"Validation accuracy ([\d.]+)%", done.stdout)[1]) / 100


@pytest.fixture(scope="module")
def fine_tuned(tmp_path_factory):
    directory = tmp_path_factory.mktemp("fine_tuned")
    prepare_tfds(directory / "tfds", train=256, test=64)
    settings = ("--examples", "256", "--max-length", "40", "--learning-rate", "1e-4", "--log-dir", "logs")
    command = ("-m", "tbx_keras", "demo", "imdb", "--model", "minilm", *settings)
    done = run_python(*command, cwd=directory, environment={"TFDS_DATA_DIR": str(directory / "tfds")})
    assert done.returncode == 0, done.stderr
    return directory / "logs", done


def test_it_learns_and_says_so(fine_tuned):
    _, done = fine_tuned
    assert accuracy_of(done) > 0.9
    assert "Read 256 reviews to train on and 64 to validate with." in done.stdout
    assert "Traceback" not in done.stderr


def test_everything_was_recorded(fine_tuned):
    events = accumulate(fine_tuned[0], "train")
    query = "tf_bert_for_sequence_classification/bert/encoder/layer_._3/attention/self/query/kernel"
    assert {f"gradients/{query}", f"weights/{query}"} <= histogram_tags(events)
    assert {f"weight_distance/{query}", f"update_ratio/{query}", "gradient_norm/global"} <= scalar_tags(
        events
    )
    loss = scalar(events, "epoch_loss")
    assert loss[1] < loss[0]
    distance = scalar(events, f"weight_distance/{query}")
    assert 0 < distance[0] < distance[1] < 0.1
    assert scalar(events, "trainable_fraction") == {0: 1.0, 1: 1.0}
    validation = accumulate(fine_tuned[0], "validation")
    assert scalar(validation, "epoch_accuracy")[1] > 0.9
    assert scalar(validation, "evaluation_accuracy_vs_iterations").keys() == {16, 32}


def test_what_was_saved_loads_again_in_both_forms(fine_tuned):
    import tensorflow as tf

    from tbx_keras.demos.imdb import load_again, tokenise

    tokenizer, model, served = load_again(str(fine_tuned[0] / "model"))
    reviews = [review(label, 7_000_000 + label) for label in (0, 1)]
    inputs = tokenise(tokenizer, reviews, 40)
    logits = model.predict(inputs, verbose=0).logits
    assert logits.argmax(axis=1).tolist() == [0, 1]
    given = served(**{name: tf.constant(array) for name, array in inputs.items()})
    assert np.allclose(given["logits"], logits, atol=1e-4)


def test_a_table_that_a_person_brings(tmp_path):
    write_table(tmp_path / "reviews.tsv", 60)
    frozen = ("--freeze", "all-but-last-1", "--max-length", "24", "--epochs", "1")
    done = demo("--model", "minilm", "--data", "reviews.tsv", "--log-dir", "logs", *frozen)
    assert "Read 48 reviews to train on and 12 to validate with." in done.stdout
    events = accumulate(tmp_path, "logs", "train")
    assert 0.05 < scalar(events, "trainable_fraction")[0] < 0.1
    heard = {tag for tag in histogram_tags(events) if tag.startswith("gradients/")}
    assert heard
    assert not [tag for tag in heard if "embeddings" in tag or "layer_._4" in tag]


def test_more_tokens_than_positions_are_one_sentence(tmp_path):
    write_table(tmp_path / "reviews.tsv", 20)
    done = run("demo", "imdb", "--model", "minilm", "--data", "reviews.tsv", "--max-length", "513")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "at most 512: the model has no more positions" in done.stderr


@pytest.mark.parametrize(("limits", "fits"), [((512, None), True), ((None, 511), False), ((), True)])
def test_lengths_that_fit(limits, fits):
    with contextlib.nullcontext() if fits else pytest.raises(ArgumentError, match="`max_length`"):
        check_length(512, *limits)


def test_the_same_with_layers_of_keras_3(tmp_path):
    write_table(tmp_path / "reviews.tsv", 400)
    settings = ("--max-length", "40", "--epochs", "3", "--log-dir", "logs")
    done = demo("--model", "encoder", "--data", "reviews.tsv", *settings)
    assert accuracy_of(done) > 0.9
    events = accumulate(tmp_path, "logs", "train")
    assert "gradients/layer_1_attention/query/kernel" in histogram_tags(events)
    assert "step_loss" in scalar_tags(events)

    import tensorflow as tf

    from tbx_keras.demos.encoder import load_again

    logits = load_again(str(tmp_path / "logs" / "model")).predict(
        tf.constant([review(label, 8_000_000) for label in (0, 1)]), verbose=0
    )
    assert logits.argmax(axis=1).tolist() == [0, 1]
