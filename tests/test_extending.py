"""What a newcomer adds, in the test alone: a recorder, a rule, a backend; each works end to end."""

import ast
import importlib
import inspect
import re
import sys
import types
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
import tf_keras

import tbx_keras
from tbx_keras import EveryNEpochs, EveryNSteps, Histogram, Image, Recorder, Scalar, TbxLogger, Text
from tbx_keras.backends import base
from tbx_keras.backends.numpy.backend import HostBackend
from tbx_keras.diagnosis.base import Finding, register, unregister
from tbx_keras.errors import ArgumentError
from tbx_keras.values import Deferred
from tests import zoo
from tests.reading import accumulate, histogram_tags, scalar, scalar_tags

KERASES = pytest.mark.parametrize("k", [keras, tf_keras], ids=["keras", "tf_keras"])


def fit(k, logger, epochs=2):
    model = zoo.sequential(k)
    model.compile("sgd", "mse")
    model.fit(*zoo.batch(40), batch_size=8, epochs=epochs, verbose=0, callbacks=[logger])
    return model


class OfEpoch(Recorder):
    trigger = EveryNEpochs(2)

    def record(self, moment):
        kernel = moment.model.get_weights()[0]
        yield Scalar("own/largest", float(np.abs(kernel).max()))
        yield Histogram.of("own/kernel", kernel)
        yield Text("own/note", f"epoch {moment.epoch}")
        yield Image("own/image", np.zeros((1, 4, 4, 3), np.uint8))


class OfStep(Recorder):
    trigger = EveryNSteps(3)
    captures = frozenset({"gradients"})

    def record(self, moment):
        schema, tensors = moment.captured
        fetch = lambda: [Scalar("own/rows", float(len(np.asarray(tensors["counts"]))))]  # noqa: E731
        return Deferred(fetch, 100) if schema.paths else []


@KERASES
def test_recorders_of_ones_own(k, tmp_path):
    mine = OfEpoch()
    logger = TbxLogger(tmp_path, gradient_freq=0, recorders=[mine, OfStep()])
    model = fit(k, logger, epochs=3)
    events = accumulate(tmp_path, "train")
    assert set(scalar(events, "own/largest")) == {0, 2}
    assert scalar(events, "own/largest")[2] == pytest.approx(float(np.abs(model.get_weights()[0]).max()))
    assert "own/kernel" in histogram_tags(events)
    assert {"own/image"} <= set(events.Tags()["images"])
    assert scalar(events, "own/rows") == dict.fromkeys((3, 6, 9, 12, 15), 4.0)
    assert logger.report.errors == 0


@KERASES
def test_a_recorder_that_fails_is_reported_once_and_keeps_no_other_from_recording(k, tmp_path):
    class Fails(Recorder):
        hint = "Leave it out."

        def record(self, moment):
            raise RuntimeError("no value today")

    class FailsLate(Recorder):
        trigger = EveryNSteps(1)

        def record(self, moment):
            return Deferred(lambda: 1 / 0, 0)

    class AtNoMoment(Recorder):
        trigger = type("Odd", (), {"axis": "step", "due": lambda self, *position: 1 / 0})()

    logger = TbxLogger(tmp_path, recorders=[Fails(), AtNoMoment(), FailsLate(), OfEpoch(), Recorder()])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(k, logger)
    messages = [str(one.message) for one in caught if "tbx_keras" in str(one.message)]
    assert len(messages) == 4
    assert any("recording Fails failed" in one and "Leave it out." in one for one in messages)
    assert any("recording FailsLate failed" in one for one in messages)
    assert any("when to record AtNoMoment" in one for one in messages)
    assert any("define record(self, moment)" in one for one in messages)
    assert logger.report.errors == 2 + 2 * 5 + 2 * 5 + 2
    assert {"own/largest", "epoch_loss"} <= scalar_tags(accumulate(tmp_path, "train"))


def one_and_an_error():
    yield Scalar("own", 1.0)
    raise RuntimeError("no second one")


ONE = Scalar("own", 1.0)
RECORDED = {
    "a list": (lambda: [ONE], True, ""),
    "one value": (lambda: ONE, True, ""),
    "nothing": (lambda: None, False, ""),
    "an error after the first": (one_and_an_error, True, "recording Own failed.*no second one"),
    "a number": (lambda: 1.0, False, "A float cannot be recorded. Received: 1.0. Pass a Scalar"),
    "a text": (lambda: "own", False, "A str cannot be recorded. Received: 'own'. Pass a Scalar"),
    "a dictionary": (lambda: {"own": 1.0}, False, "A dict cannot be recorded"),
    "numbers": (lambda: np.ones(2), False, "A float64 cannot be recorded"),
    "several numbers": (lambda: Scalar("own", np.ones(3)), False, "Scalar 'own' .* Pass one number"),
    "a small image": (
        lambda: Image("own", np.zeros((4, 4))),
        False,
        r"Image 'own' .* Received: float64 array of shape \(4, 4\). Pass a uint8 array of shape",
    ),
    "bytes": (lambda: b"\xff\xff", False, "A bytes cannot be recorded"),
    "a value and bytes": (lambda: [ONE, b"\xff\xff", b"\xff"], True, "A bytes cannot be recorded"),
    "a class": (lambda: [ONE, Histogram], True, "A type cannot be recorded"),
    "a text of a number": (lambda: Text("own", 3), False, "Text 'own' .* Received: 3. Pass a string"),
}


@pytest.mark.parametrize("deferred", [False, True], ids=["now", "deferred"])
@pytest.mark.parametrize(("make", "recorded", "said"), RECORDED.values(), ids=RECORDED)
def test_whatever_a_recorder_returns(make, recorded, said, deferred, tmp_path):
    """It is recorded or named in one sentence, and no disk is blamed."""

    class Own(Recorder):
        def record(self, moment):
            return Deferred(make, 100) if deferred else make()

    logger = TbxLogger(tmp_path, gradient_freq=0, histogram_freq=0, write_graph=False, recorders=[Own()])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RuntimeWarning)
        fit(keras, logger)
    assert ("own" in scalar_tags(accumulate(tmp_path, "train"))) is recorded
    messages = [str(one.message) for one in caught if issubclass(one.category, RuntimeWarning)]
    assert len(messages) == bool(said)
    assert all(re.search(said, one) and "disk" not in one and "space" not in one for one in messages)
    assert bool(logger.report.errors) is bool(said)


@pytest.mark.parametrize("kinds", [{"gradients"}, ["gradients"], ("loss", "gradients"), "gradients"])
def test_captures_may_be_written_as_any_collection(kinds, tmp_path):
    own = type("Own", (OfStep,), {"captures": kinds})
    assert isinstance(own.captures, frozenset)
    logger = TbxLogger(tmp_path, gradient_freq=1, recorders=[own()])
    fit(keras, logger)
    assert logger.report.errors == 0
    assert {"own/rows", "gradient_norm/global"} <= scalar_tags(accumulate(tmp_path, "train"))


class Nameless(Exception):
    def __str__(self):
        raise ValueError("not even a message")


def raise_nameless():
    raise Nameless


class CapturesLate(Recorder):
    trigger = EveryNSteps(1)

    def set_model(self, model):
        self.captures = {"gradients"}

    def record(self, moment):
        return Scalar("own", 1.0)


class TriggersLate(Recorder):
    trigger = EveryNSteps(4)

    def begin_fit(self):
        self.trigger = EveryNSteps(1)

    def record(self, moment):
        return Scalar("own", 1.0)


@pytest.mark.parametrize("recorder", [CapturesLate, TriggersLate])
def test_what_a_recorder_says_of_itself_may_change_before_training(recorder, tmp_path):
    logger = TbxLogger(tmp_path, gradient_freq=1, recorders=[recorder()])
    fit(keras, logger)
    assert logger.report.errors == 0
    events = accumulate(tmp_path, "train")
    assert set(scalar(events, "own")) == set(scalar(events, "gradient_norm/global")) == set(range(1, 11))


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"record": lambda self, moment: raise_nameless()}, "recording Own failed.* Nameless"),
        ({"record": lambda self, moment: ONE, "step_of": lambda self, moment: 2**70}, "recording Own failed"),
        ({"record": lambda self, moment: ONE, "step_of": lambda self, moment: 1.5}, "recording Own failed"),
        (
            {"record": lambda self, moment: ONE, "begin_fit": lambda self: setattr(self, "captures", 5)},
            "the captures of Own failed",
        ),
    ],
)
def test_an_odd_recorder_is_named_and_keeps_no_other_from_recording(members, said, tmp_path):
    own = type("Own", (Recorder,), {"trigger": EveryNSteps(2), **members})
    logger = TbxLogger(tmp_path, gradient_freq=1, recorders=[own()])
    with pytest.warns(RuntimeWarning, match=said):
        fit(keras, logger)
    tags = scalar_tags(accumulate(tmp_path, "train"))
    assert {"gradient_norm/global", "epoch_loss", "tbx/global_step"} <= tags


@pytest.mark.parametrize(
    ("received", "said"),
    [
        (OfEpoch, "a list of objects"),
        ("OfEpoch", "a list of objects"),
        ([OfEpoch], "for a class, call it"),
        ([3], "objects of subclasses of tbx_keras.Recorder"),
        ([type("Loud", (Recorder,), {"captures": {"sounds"}})()], "`Loud.captures` is wrong"),
        ([type("Late", (Recorder,), {"captures": {"loss"}})()], "counts steps"),
        ([type("Odd", (Recorder,), {"trigger": 3})()], "EveryNEpochs"),
        ([type("Odd", (Recorder,), {"trigger": EveryNSteps})()], "EveryNEpochs"),
        (
            [type("Odd", (Recorder,), {"trigger": type("No", (), {"axis": "step"})()})()],
            "`Odd.trigger` is wrong",
        ),
        ([type("Odd", (Recorder,), {"run": None})()], "`Odd.run` is wrong"),
        ([type("Odd", (Recorder,), {"run": "mine"})()], "`Odd.run` is wrong"),
        ([type("loss", (Recorder,), {})()], "`loss.name` is wrong"),
        ([type("Odd", (Recorder,), {"name": "gradients"})()], "`Odd.name` is wrong"),
        ([type("Odd", (Recorder,), {"captures": None})()], "`Odd.captures` is wrong"),
        ([type("Odd", (Recorder,), {"captures": [["x"]]})()], "`Odd.captures` is wrong"),
        ([type("Odd", (Recorder,), {"name": []})()], "`Odd.name` is wrong"),
        ([type("Odd", (Recorder,), {"name": ""})()], "`Odd.name` is wrong"),
        ([type("Odd", (Recorder,), {"run": np.array([1, 2])})()], "`Odd.run` is wrong"),
        ([type("Odd", (Recorder,), {"sampled": np.array([1, 2])})()], "`Odd.sampled` is wrong"),
        ([type("Odd", (Recorder,), {"hint": 5})()], "`Odd.hint` is wrong"),
        (np.array(1), "a list of objects"),
    ],
)
def test_what_is_no_recorder_is_refused_at_once(received, said):
    with pytest.raises(ArgumentError, match=said):
        TbxLogger("logs", recorders=received)


def test_a_generator_of_recorders_is_read_once(tmp_path):
    logger = TbxLogger(tmp_path, gradient_freq=0, recorders=(one for one in [OfEpoch()]))
    assert "recorders=(<" in repr(logger)
    fit(keras, logger)
    assert "own/largest" in scalar_tags(accumulate(tmp_path, "train"))


@pytest.mark.parametrize("failing", [np.array([True, True]), "kinds of its own"], ids=["array", "kinds"])
def test_one_odd_recorder_keeps_no_other_from_recording(failing, tmp_path):
    class Odd(OfStep):
        trigger = type("Odd", (), {"axis": "step", "due": lambda self, *position: failing})()

    odd = Odd()
    logger = TbxLogger(tmp_path, gradient_freq=1, recorders=[odd])
    odd.captures = frozenset({"gradients", "unheard of"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit(keras, logger)
    assert len(scalar(accumulate(tmp_path, "train"), "gradient_norm/global")) == 10


def test_a_recorder_cannot_change_what_keras_reports(tmp_path):
    class Changes(Recorder):
        def record(self, moment):
            moment.logs["loss"] = 123.0

    model = zoo.sequential(keras)
    model.compile("sgd", "mse")
    logger = TbxLogger(tmp_path, recorders=[Changes()])
    with pytest.warns(RuntimeWarning, match="recording Changes failed"):
        history = model.fit(*zoo.batch(40), verbose=0, callbacks=[logger]).history
    assert history["loss"] != [123.0]


def test_a_recorder_that_captures_is_not_asked_where_nothing_is_captured(tmp_path):
    asked = []

    class Asks(OfStep):
        def record(self, moment):
            asked.append(moment.step)

    logger = TbxLogger(tmp_path, gradient_freq=0, recorders=[Asks()])
    logger.set_model(None)
    logger.on_train_begin()
    logger.on_epoch_begin(0)
    for batch in range(3):
        logger.on_train_batch_begin(batch)
        logger.on_train_batch_end(batch, {"loss": 1.0})
    logger.on_train_end()
    assert asked == []
    assert logger.report.errors == 0


@pytest.mark.parametrize("stage", ["fetching", "finding"])
def test_nothing_ends_the_writers_thread(stage, tmp_path):
    class Exits(Recorder):
        def record(self, moment):
            return Deferred(sys.exit, 0)

    class WrongRun:
        name = "wrong_run"
        sources = frozenset({"metrics"})

        def check(self, evidence):
            return [Finding("wrong_run", "info", (), None, 0, 0, "text", "advice")]

    if stage == "finding":
        register(WrongRun)
    try:
        logger = TbxLogger(tmp_path, gradient_freq=0, recorders=[Exits()] if stage == "fetching" else [])
    finally:
        unregister("wrong_run")
    with pytest.warns(RuntimeWarning):
        fit(keras, logger)
    assert logger.report.errors == 2
    assert set(scalar(accumulate(tmp_path, "train"), "epoch_loss")) == {0, 1}


@pytest.mark.parametrize("received", [-1, 1.5, "often", None, True])
@pytest.mark.parametrize("trigger", [EveryNEpochs, EveryNSteps])
def test_a_wrong_interval_is_refused_at_once(trigger, received):
    with pytest.raises(ArgumentError, match="`n` is wrong"):
        trigger(received)


# The cost is that of the callback, and a profiler cannot run on every backend.
OTHERS = {"Overhead": {"callback.py"}, "Profiler": {"config.py", "unrecorded.py"}}


def test_recorders_of_ours_are_named_by_the_configuration_alone():
    """So that one more is a file of its own, and a line each in the signature and the configuration."""
    package = Path(tbx_keras.__file__).parent
    names = [f"tbx_keras.recorders.{file.stem}" for file in package.glob("recorders/*.py")]
    kinds = {
        name: module.__name__
        for module in map(importlib.import_module, names)
        for name, kind in vars(module).items()
        if inspect.isclass(kind) and issubclass(kind, Recorder) and kind.__module__ == module.__name__
    }
    del kinds["Recorder"]
    assert len(kinds) >= 13
    for name, module in kinds.items():
        users = {file.name for file in package.rglob("*.py") if (module, name) in imported(file)}
        assert users == OTHERS.get(name, {"config.py"}), name


def imported(file: Path) -> set[tuple[str, str]]:
    nodes = [one for one in ast.walk(ast.parse(file.read_text())) if isinstance(one, ast.ImportFrom)]
    return {(node.module, one.name) for node in nodes for one in node.names}


def test_a_rule_sees_its_sources_alone_and_a_wrong_one_loses_no_values(tmp_path):
    seen = []

    class Sees:
        name = "sees"
        sources = frozenset({"OfEpoch"})

        def check(self, evidence):
            seen.append(evidence.source)
            return ["no finding"]

    register(Sees)
    try:
        logger = TbxLogger(tmp_path, recorders=[OfEpoch()])
    finally:
        unregister("sees")
    with pytest.warns(RuntimeWarning, match="the rule 'sees' failed"):
        fit(keras, logger)
    assert seen == ["OfEpoch"]
    assert {"own/largest", "epoch_loss"} <= scalar_tags(accumulate(tmp_path, "train"))


def test_a_rule_cannot_take_values_away(tmp_path):
    @register
    class Clears:
        name = "clears"

        def check(self, evidence):
            evidence.values.clear()

    try:
        logger = TbxLogger(tmp_path)
    finally:
        unregister("clears")
    with pytest.warns(RuntimeWarning, match="the rule 'clears' failed"):
        fit(keras, logger)
    assert {"epoch_loss", "gradient_norm/global"} <= scalar_tags(accumulate(tmp_path, "train"))


@KERASES
def test_a_rule_of_ones_own_is_one_class(k, tmp_path):
    @register
    class LossRises:
        name = "loss_rises"

        def __init__(self):
            self._before = float("-inf")

        def check(self, evidence):
            losses = [one.value for one in evidence.values if getattr(one, "tag", "") == "epoch_loss"]
            if evidence.run == "train" and losses:
                self._before = losses[0]
                yield Finding(
                    self.name, "info", (), evidence.run, evidence.step, evidence.epoch,
                    f"Loss {losses[0]:.3f}.", "Look at it.", message="the loss was seen",
                )  # fmt: skip

    @register
    class Breaks:
        name = "breaks"

        def check(self, evidence):
            raise RuntimeError("no rule today")

    try:
        logger = TbxLogger(tmp_path)
        with pytest.warns(RuntimeWarning) as caught:
            fit(k, logger)
    finally:
        unregister("loss_rises")
        unregister("breaks")
    messages = [str(one.message) for one in caught]
    assert sum("the loss was seen. Look at it." in one for one in messages) == 1  # though found twice
    assert sum("the rule 'breaks' failed" in one for one in messages) == 1
    events = accumulate(tmp_path, "train")
    assert set(scalar(events, "findings/loss_rises_step")) == {5, 10}
    assert logger.report.errors > 0
    assert "epoch_loss" in scalar_tags(events)


def test_a_backend_is_one_folder(tmp_path, monkeypatch):
    """Found by the name that Keras gives to the backend; asked for all that depends on the framework."""
    asked = []

    class Fake(HostBackend):
        name = "fake"
        ordered_hooks = True

        def copy_to_host(self, variable):
            asked.append("copy_to_host")
            return np.full(variable.shape, 3.0, np.float32)

        def instrument(self, model, report):
            asked.append("instrument")

    folder, module = types.ModuleType("tbx_keras.backends.fake"), types.ModuleType("fake.backend")
    folder.__path__, folder.__spec__ = [], types.SimpleNamespace(name="tbx_keras.backends.fake")
    module.BACKEND = Fake()
    monkeypatch.setitem(sys.modules, "tbx_keras.backends.fake", folder)
    monkeypatch.setitem(sys.modules, "tbx_keras.backends.fake.backend", module)
    monkeypatch.setattr(base, "backend_name", lambda: "fake")
    base._load.cache_clear()
    try:
        assert base.backend_of(None) is module.BACKEND
        fit(keras, TbxLogger(tmp_path, gradient_freq=1))
    finally:
        base._load.cache_clear()
    assert set(asked) == {"copy_to_host", "instrument"}
    events = accumulate(tmp_path, "train")
    weights = [tag for tag in histogram_tags(events) if tag.startswith("weights/")]
    assert weights
    assert all(one.max == 3.0 for tag in weights for one in [events.Histograms(tag)[0].histogram_value])
