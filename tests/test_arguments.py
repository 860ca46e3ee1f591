"""Wrong calls are answered by the right one; signatures stay honest."""

import copy
import inspect
import pickle

import keras
import pytest
import tf_keras

from tbx_keras import TbxLogger
from tbx_keras.errors import ArgumentError, UnknownArgumentError
from tests import zoo

KERASES = pytest.mark.parametrize("k", [keras, tf_keras], ids=["keras", "tf_keras"])


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("write_grads", "gradient_freq"),
        ("logdir", "log_dir"),
        ("log_directory", "log_dir"),
        ("hist_freq", "histogram_freq"),
        ("histograms_freq", "histogram_freq"),
        ("gradients_freq", "gradient_freq"),
        ("update_frequency", "update_freq"),
        ("embedding_freq", "embeddings_freq"),
        ("embeddings_layer_names", "embeddings_freq"),
        ("batch_size", "none: histograms need no validation data"),
        ("qqq", "one of log_dir, histogram_freq"),
    ],
)
def test_an_argument_that_does_not_exist_names_the_right_one(name, right):
    with pytest.raises(
        TypeError, match=f"^There is no argument `{name}`. Received: {name}=True. Pass {right}"
    ):
        TbxLogger("logs", **{name: True})


def test_the_error_is_one_of_ours_and_of_pythons_and_survives_a_pickle():
    with pytest.raises(UnknownArgumentError) as reported:
        TbxLogger(hist_freq=1)
    assert isinstance(reported.value, ArgumentError)
    assert str(pickle.loads(pickle.dumps(reported.value))) == str(reported.value)


class Unshowable:
    def __repr__(self):
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("received", "shown"), [("x" * 5000, f"'{'x' * 499}..."), (Unshowable(), "<Unshowable>")]
)
def test_whatever_was_received_the_sentence_is_short(received, shown):
    with pytest.raises(ArgumentError) as refused:
        TbxLogger("logs", on_nonfinite=received)
    assert f"Received: on_nonfinite={shown}. Pass" in str(refused.value)


@pytest.mark.parametrize("received", ["a\0b", {"table": "a\0b"}, {"table": 5}, 5])
def test_what_is_no_file_of_labels(received):
    with pytest.raises(ArgumentError, match="`embeddings_metadata` is wrong"):
        TbxLogger("logs", embeddings_metadata=received)


def test_the_signature_is_that_of_the_documentation():
    parameters = inspect.signature(TbxLogger).parameters
    assert list(parameters)[:2] == ["log_dir", "histogram_freq"]
    assert parameters["gradient_freq"].kind is inspect.Parameter.KEYWORD_ONLY
    assert not {"args", "kwargs", "unknown"} & set(parameters)
    assert inspect.getdoc(TbxLogger.__init__) or inspect.signature(TbxLogger.__init__)


@KERASES
@pytest.mark.parametrize("how", ["fit", "evaluate"])
def test_the_class_in_the_place_of_an_instance_is_one_sentence(k, how):
    class Mine(TbxLogger):
        pass

    model, (x, y) = zoo.sequential(k), zoo.batch(8)
    model.compile("sgd", "mse")
    for cls in (TbxLogger, Mine):
        with pytest.raises(
            ArgumentError, match=r'^`callbacks` is wrong.*Pass an instance, such as TbxLogger\("'
        ):
            getattr(model, how)(x, y, verbose=0, callbacks=[cls])


def test_a_subclass_with_arguments_of_its_own(tmp_path):
    class Mine(TbxLogger):
        def __init__(self, log_dir, mine, **kwargs):
            super().__init__(log_dir, **kwargs)
            self.mine = mine

    assert Mine("runs", 3, gradient_freq=2).mine == 3
    assert isinstance(copy.deepcopy(Mine("runs", 3)), Mine)
    with pytest.raises(UnknownArgumentError, match="histogram_freq"):
        Mine("runs", 3, hist_freq=2)
    assert repr(Mine("runs", 3, gradient_freq=2)) == "Mine('runs', gradient_freq=2)"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (((), {}), "TbxLogger('logs')"),
        ((("runs/a",), {}), "TbxLogger('runs/a')"),
        ((("runs/a", 1), {"gradient_freq": "epoch"}), "TbxLogger('runs/a')"),
        (
            (("runs/a", 2), {"gradient_freq": 5, "write_images": True}),
            "TbxLogger('runs/a', histogram_freq=2, write_images=True, gradient_freq=5)",
        ),
    ],
)
def test_a_logger_shows_the_call_that_makes_it(arguments, text):
    args, kwargs = arguments
    logger = TbxLogger(*args, **kwargs)
    assert repr(logger) == text
    assert repr(copy.deepcopy(logger)) == repr(pickle.loads(pickle.dumps(logger))) == text
    assert repr(eval(text)) == text
