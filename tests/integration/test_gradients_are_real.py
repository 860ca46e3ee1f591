"""What is recorded as the gradient of a step is that gradient: a hand-written tape is the oracle."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tbx_keras import TbxLogger, gradients
from tests import zoo
from tests.reading import accumulate, scalar

KERASES = pytest.mark.parametrize("k", [keras, tf_keras], ids=["keras", "tf_keras"])


def tape_gradients(model, x, y):
    """The gradients of a mean squared error, by hand."""
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(x, training=True) - y))
    variables = [
        getattr(one, "value", one) if not isinstance(one, tf.Variable) else one
        for one in model.trainable_variables
    ]
    return [tf.convert_to_tensor(one).numpy() for one in tape.gradient(loss, variables)]


def paths(model):
    return [getattr(one, "path", one.name).split(":")[0] for one in model.trainable_variables]


def weight_tags(events):
    """In the order of the model."""
    return [tag for tag in events.Tags()["histograms"] if tag.startswith("weights/")]


def check(events, path, expected, step=1):
    """Norm, statistics and counts of one recorded gradient against the array that it should be of."""
    assert scalar(events, f"gradient_norm/{path}")[step] == pytest.approx(np.linalg.norm(expected), rel=1e-5)
    (histogram,) = [one for one in events.Histograms(f"gradients/{path}") if one.step == step]
    value = histogram.histogram_value
    assert value.num == expected.size
    assert value.min == pytest.approx(expected.min(), rel=1e-5)
    assert value.max == pytest.approx(expected.max(), rel=1e-5)
    assert value.sum == pytest.approx(expected.sum(dtype="float64"), rel=1e-4, abs=1e-5)
    # Squares double a relative error: 1e-5 in the elements is 2e-5 here.
    assert value.sum_squares == pytest.approx(np.square(expected).sum(dtype="float64"), rel=2e-5)
    assert sum(value.bucket) == expected.size


@KERASES
@pytest.mark.parametrize("build", [zoo.sequential, zoo.functional], ids=lambda build: build.__name__)
@pytest.mark.parametrize(
    "options", [{}, {"jit_compile": True}, {"run_eagerly": True}], ids=["graph", "xla", "eager"]
)
def test_equal_to_a_tape_on_the_same_batch_and_weights(k, build, options, tmp_path):
    k.utils.set_random_seed(1)
    model, (x, y) = build(k), zoo.batch()
    expected = tape_gradients(model, x, y)
    model.compile(k.optimizers.SGD(0.1), "mse", **options)
    model.fit(x, y, batch_size=len(x), epochs=1, verbose=0, callbacks=[TbxLogger(tmp_path)])
    events = accumulate(tmp_path, "train")
    for path, gradient in zip(paths(model), expected, strict=True):
        check(events, path, gradient)
    total = np.sqrt(sum(np.square(one, dtype="float64").sum() for one in expected))
    assert scalar(events, "gradient_norm/global")[1] == pytest.approx(total, rel=1e-5)


@KERASES
def test_equal_to_the_function_for_a_batch_in_hand(k, tmp_path):
    model, (x, y) = zoo.functional(k), zoo.batch()
    model.compile("sgd", "mse")
    in_hand = gradients(model, x, y)
    expected = tape_gradients(model, x, y)
    for path, gradient in zip(paths(model), expected, strict=True):
        np.testing.assert_allclose(in_hand[path], gradient, rtol=1e-5, atol=1e-7)


@KERASES
def test_update_ratio_is_step_size_over_weight(k, tmp_path):
    model, (x, y) = zoo.sequential(k), zoo.batch()
    before = model.weights[0].numpy()
    model.compile(k.optimizers.SGD(0.1), "mse")
    model.fit(x, y, batch_size=len(x), epochs=1, verbose=0, callbacks=[TbxLogger(tmp_path)])
    after = model.weights[0].numpy()
    ratio = scalar(accumulate(tmp_path, "train"), f"update_ratio/{paths(model)[0]}")[1]
    assert ratio == pytest.approx(np.linalg.norm(after - before) / np.linalg.norm(before), rel=1e-4)


@KERASES
@pytest.mark.parametrize(
    ("clip", "clipped"),
    [
        ({"clipnorm": 0.1}, lambda all: np.sqrt(sum(min(np.linalg.norm(one), 0.1) ** 2 for one in all))),
        (
            {"clipvalue": 0.05},
            lambda all: np.sqrt(sum(np.square(np.clip(one, -0.05, 0.05)).sum() for one in all)),
        ),
        ({"global_clipnorm": 0.2}, lambda all: 0.2),
    ],
    ids=["clipnorm", "clipvalue", "global_clipnorm"],
)
def test_with_clipping_they_are_those_before_it_with_the_clipped_norm_beside(k, clip, clipped, tmp_path):
    model, (x, y) = zoo.sequential(k), zoo.batch()
    expected = tape_gradients(model, x, y)
    model.compile(k.optimizers.SGD(0.1, **clip), "mse")
    model.fit(x, y, batch_size=len(x), epochs=1, verbose=0, callbacks=[TbxLogger(tmp_path)])
    events = accumulate(tmp_path, "train")
    for path, gradient in zip(paths(model), expected, strict=True):
        check(events, path, gradient)
    assert scalar(events, "gradient_norm/clipped")[1] == pytest.approx(clipped(expected), rel=1e-4)


@KERASES
def test_under_loss_scaling_they_are_unscaled(k, tmp_path):
    model, (x, y) = zoo.sequential(k), zoo.batch()
    expected = tape_gradients(model, x, y)
    optimizer = k.mixed_precision.LossScaleOptimizer(k.optimizers.SGD(0.1))
    model.compile(optimizer, "mse")
    model.fit(x, y, batch_size=len(x), epochs=1, verbose=0, callbacks=[TbxLogger(tmp_path)])
    events = accumulate(tmp_path, "train")
    for path, gradient in zip(paths(model), expected, strict=True):
        check(events, path, gradient)


@pytest.mark.parametrize("options", [{}, {"jit_compile": True}], ids=["graph", "xla"])
@KERASES
def test_sparse_gradients_are_described_as_the_dense_ones(k, options, tmp_path):
    model = zoo.with_embedding(k)
    x = np.array([[1, 1, 2, 3], [3, 3, 3, 5]], "int32")
    y = np.array([[1.0], [-1.0]], "float32")
    expected = tape_gradients(model, x, y)
    model.compile(k.optimizers.SGD(0.1), "mse", **options)
    model.fit(x, y, batch_size=2, epochs=1, verbose=0, callbacks=[TbxLogger(tmp_path)])
    events = accumulate(tmp_path, "train")
    for path, gradient in zip(paths(model), expected, strict=True):
        check(events, path, gradient)


def test_under_gradient_accumulation_they_are_those_of_the_micro_step(tmp_path):
    model, (x, y) = zoo.sequential(keras), zoo.batch(8)
    expected = tape_gradients(model, x[:4], y[:4]), tape_gradients(model, x[4:], y[4:])
    model.compile(keras.optimizers.SGD(0.1, gradient_accumulation_steps=4), "mse")
    logger = TbxLogger(tmp_path, gradient_freq=1)
    model.fit(x, y, batch_size=4, epochs=1, shuffle=False, verbose=0, callbacks=[logger])
    events = accumulate(tmp_path, "train")
    for step, gradients_of_step in enumerate(expected, 1):
        for path, gradient in zip(paths(model), gradients_of_step, strict=True):
            check(events, path, gradient, step)
    assert scalar(events, f"update_ratio/{paths(model)[0]}") == {1: 0.0, 2: 0.0}


@KERASES
def test_a_variable_without_a_gradient_is_named_once_and_is_no_error(k, tmp_path):
    model, (x, y) = zoo.with_loose_end(k), zoo.batch()
    model.compile(k.optimizers.SGD(0.1), "mse")
    logger = TbxLogger(tmp_path)
    model.fit(x, y, epochs=3, verbose=0, callbacks=[logger])
    events = accumulate(tmp_path, "train")
    (text,) = events.Tensors("gradients/unconnected/text_summary")
    missing = text.tensor_proto.string_val[0].decode().splitlines()
    last = [f"- `{tag.removeprefix('weights/')}`" for tag in weight_tags(events)[-2:]]
    assert sorted(missing[2:]) == sorted(last)
    assert logger.report.errors == 0


@KERASES
def test_of_two_optimizers_both_are_captured(k, tmp_path):
    model, (x, _) = zoo.gan(k), zoo.batch()
    model.compile()
    logger = TbxLogger(tmp_path)
    model.fit(x, batch_size=16, epochs=2, verbose=0, callbacks=[logger])
    tags = accumulate(tmp_path, "train").Tags()
    heard = {tag.split("/")[-2] for tag in tags["histograms"] if tag.startswith("gradients/")}
    assert heard == {"paint", "judge"}
    assert {"epoch_learning_rate_generator", "epoch_learning_rate_critic"} <= set(tags["scalars"])
    assert logger.report.errors == 0


@KERASES
def test_non_finite_elements_are_counted_and_the_norm_says_so(k, tmp_path):
    model, (x, y) = zoo.sequential(k), zoo.batch()
    y[0] = np.inf
    model.compile(k.optimizers.SGD(0.1), "mse")
    model.fit(x, y, batch_size=len(x), epochs=1, verbose=0, callbacks=[TbxLogger(tmp_path)])
    events = accumulate(tmp_path, "train")
    kernel = paths(model)[-2]
    assert scalar(events, f"nonfinite/{kernel}")[1] > 0
    assert np.isnan(scalar(events, f"gradient_norm/{kernel}")[1])
