"""How far weights moved and which share trains, beside NumPy."""

import keras
import numpy as np
import pytest
import tf_keras

from tbx_keras import TbxLogger
from tbx_keras.backends.numpy import backend as numpy_backend
from tbx_keras.recorders.weight_distance import DistanceMeter, distances, trainable_fraction
from tests import zoo
from tests.reading import accumulate, scalar, scalar_tags

BOTH = pytest.mark.parametrize("k", [keras, tf_keras], ids=["keras", "tf_keras"])


def values(meter) -> dict[str, float]:
    return {one.tag: one.value for one in meter().fetch()}


def relative(now, before) -> float:
    return float(np.linalg.norm(now - before) / np.linalg.norm(before))


@BOTH
def test_distance_is_the_relative_distance_from_the_first_fit(k, tmp_path):
    model = zoo.sequential(k)
    model.compile("adam", "mse")
    before = [weight.numpy().copy() for weight in model.weights]
    logger = TbxLogger(tmp_path, distance_freq=1)
    for _ in range(2):
        model.fit(*zoo.batch(), epochs=1, verbose=0, callbacks=[logger])
    events = accumulate(tmp_path, "train")
    kernels = [
        tag for tag in sorted(scalar_tags(events)) if tag.startswith("weight_distance/") and "kernel" in tag
    ]
    expected = [relative(model.weights[i].numpy(), before[i]) for i in (0, 2)]
    assert [scalar(events, tag)[1] for tag in kernels] == pytest.approx(expected, rel=1e-4)
    squares = [(np.sum((w.numpy() - b) ** 2), np.sum(b**2)) for w, b in zip(model.weights, before)]
    total = np.sum(squares, axis=0)
    assert scalar(events, "weight_distance/global")[1] == pytest.approx(
        np.sqrt(total[0] / total[1]), rel=1e-4
    )


def test_a_reference_of_zeros_has_no_relative_distance():
    found = distances(["bias", "kernel"], np.array([[1.0, 0.0], [4.0, 16.0]]))
    assert [(one.tag, one.value) for one in found] == [
        ("weight_distance/kernel", 0.5),
        ("weight_distance/global", pytest.approx(np.sqrt(5 / 16))),
    ]


def test_frozen_weights_do_not_move_and_those_thawed_later_do():
    model = zoo.sequential(keras)
    model.layers[0].trainable = False
    meter = DistanceMeter(model)
    meter.begin()
    assert {tag for tag in values(meter) if "kernel" in tag} == {f"weight_distance/{model.weights[2].path}"}
    model.layers[0].trainable = True
    meter.begin()
    before = model.weights[0].numpy().copy()
    model.weights[0].assign(before * 1.5)
    assert values(meter)[f"weight_distance/{model.weights[0].path}"] == pytest.approx(0.5, rel=1e-5)
    assert values(meter)[f"weight_distance/{model.weights[2].path}"] == 0.0


@pytest.mark.slow
def test_a_lora_layer_is_described_by_its_whole_kernel(tmp_path):
    model = zoo.sequential(keras)
    model.layers[0].enable_lora(2)
    model.layers[1].trainable = False
    model.compile("adam", "mse")
    layer = model.layers[0]
    before = layer._kernel.numpy().copy()
    model.fit(*zoo.batch(), epochs=2, verbose=0, callbacks=[TbxLogger(tmp_path, distance_freq=1)])
    assert np.array_equal(layer._kernel.numpy(), before)
    events = accumulate(tmp_path, "train")
    whole = keras.ops.convert_to_numpy(layer.kernel)
    assert scalar(events, f"weight_distance/{layer._kernel.path}")[1] == pytest.approx(
        relative(whole, before), rel=1e-4
    )
    assert not [tag for tag in scalar_tags(events) if tag.startswith("weight_distance/") and "lora" in tag]
    heard = {tag.removeprefix("gradients/") for tag in events.Tags()["histograms"] if "gradients/" in tag}
    assert heard == {variable.path for variable in model.trainable_variables}


def test_an_adapter_that_comes_later_keeps_the_reference():
    model = zoo.sequential(keras)
    meter = DistanceMeter(model)
    meter.begin()
    kernel = model.layers[0]._kernel
    kernel.assign(kernel * 2.0)
    model.layers[0].enable_lora(2)
    meter.begin()
    assert values(meter)[f"weight_distance/{kernel.path}"] == pytest.approx(1.0)


@BOTH
def test_the_share_of_parameters_that_train(k):
    model = zoo.sequential(k)
    assert trainable_fraction(model)[0].value == 1.0
    model.layers[0].trainable = False
    assert trainable_fraction(model)[0].value == pytest.approx(9 / (6 * 8 + 8 + 9))


def test_a_model_without_weights_has_no_share():
    assert trainable_fraction(keras.Sequential()) == []


def test_on_another_backend_numpy_measures(monkeypatch):
    monkeypatch.setattr("tbx_keras.recorders.weight_distance.backend_of", lambda model: numpy_backend.BACKEND)
    model = zoo.sequential(keras)
    meter = DistanceMeter(model)
    meter.begin()
    model.weights[0].assign(model.weights[0] * 3.0)
    assert values(meter)[f"weight_distance/{model.weights[0].path}"] == pytest.approx(2.0)


def test_traced_once_for_the_same_variables():
    model = zoo.sequential(keras)
    meter = DistanceMeter(model)
    meter.begin()
    assert meter.will_trace()
    meter()
    meter.begin()
    assert not meter.will_trace()
