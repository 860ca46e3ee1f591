"""Models of every kind, trained as people train them."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tbx_keras import TbxLogger
from tests import zoo
from tests.reading import accumulate, histogram_tags, same_weights, scalar, scalar_tags

KERASES = pytest.mark.parametrize("k", [keras, tf_keras], ids=["keras", "tf_keras"])
PLAIN = [zoo.sequential, zoo.functional, zoo.nested, zoo.subclassed, zoo.with_train_step]


def fit(model, x, y, log_dir, **options):
    logger = TbxLogger(log_dir, update_freq=1)
    model.fit(x, y, batch_size=8, epochs=2, verbose=0, callbacks=[logger], **options)
    assert logger.report.errors == 0
    assert logger.report.dropped == 0
    return accumulate(log_dir, "train")


def kinds(tags):
    return {tag.split("/")[0] for tag in tags if "/" in tag}


@KERASES
@pytest.mark.parametrize("build", PLAIN, ids=lambda build: build.__name__)
@pytest.mark.parametrize(
    "options", [{}, {"jit_compile": True}, {"steps_per_execution": 8}], ids=["graph", "xla", "8_steps"]
)
def test_kinds_of_models(k, build, options, tmp_path):
    model, (x, y) = build(k), zoo.batch(128)
    model.compile(k.optimizers.Adam(), "mse", **options)
    events = fit(model, x, y, tmp_path, validation_data=(x, y))
    trainable = len(model.trainable_variables)
    assert len([tag for tag in histogram_tags(events) if tag.startswith("gradients/")]) == trainable
    assert len([tag for tag in histogram_tags(events) if not tag.startswith("gradients/")]) == len(
        model.weights
    )
    assert kinds(scalar_tags(events)) == {"gradient_norm", "update_ratio", "nonfinite", "tbx"}
    assert len(scalar(events, "gradient_norm/global")) == 2
    assert "epoch_loss" in scalar_tags(accumulate(tmp_path, "validation"))


@KERASES
def test_several_inputs_and_outputs(k, tmp_path):
    model, (x, y) = zoo.several_inputs_and_outputs(k), zoo.batch()
    model.compile("adam", {"one": "mse", "two": "mae"}, metrics={"one": ["mae"]})
    events = fit(model, {"left": x, "right": x}, {"one": y, "two": y}, tmp_path)
    assert {"epoch_one_loss", "epoch_two_loss", "epoch_one_mae"} <= scalar_tags(events)
    assert len([tag for tag in histogram_tags(events) if tag.startswith("gradients/")]) == 6


@KERASES
def test_names_that_two_layers_share_are_made_unique(k, tmp_path):
    model, (x, y) = zoo.nested(k), zoo.batch()
    model.compile("adam", "mse")
    tags = histogram_tags(fit(model, x, y, tmp_path))
    assert len([tag for tag in tags if tag.startswith("weights/") and "same/kernel" in tag]) == 2


@KERASES
def test_frozen_layers_have_weights_and_no_gradients(k, tmp_path):
    model, (x, y) = zoo.sequential(k), zoo.batch()
    model.layers[0].trainable = False
    model.compile("adam", "mse")
    tags = histogram_tags(fit(model, x, y, tmp_path))
    assert any(tag.startswith("weights/") and "hidden" in tag for tag in tags)
    assert not any(tag.startswith("gradients/") and "hidden" in tag for tag in tags)


@KERASES
def test_unfrozen_and_compiled_anew_between_two_fits(k, tmp_path):
    model, (x, y) = zoo.sequential(k), zoo.batch(32)
    logger = TbxLogger(tmp_path)
    model.layers[0].trainable = False
    for trainable in (False, True):
        model.layers[0].trainable = trainable
        model.compile("adam", "mse")
        model.fit(x, y, batch_size=8, epochs=2, verbose=0, callbacks=[logger])
    events = accumulate(tmp_path, "train")
    (hidden,) = [
        tag for tag in scalar_tags(events) if tag.startswith("gradient_norm/") and "hidden/kernel" in tag
    ]
    assert set(scalar(events, hidden)) == {9, 13}
    assert set(scalar(events, "gradient_norm/global")) == {1, 5, 9, 13}
    assert set(scalar(events, "epoch_loss")) == {0, 1, 2, 3}
    assert logger.report.errors == 0


@KERASES
def test_a_layer_added_between_two_fits(k, tmp_path):
    x, y = zoo.batch(32)
    model = k.Sequential([k.Input((zoo.FEATURES,)), k.layers.Dense(1, name="first")])
    logger = TbxLogger(tmp_path)
    for name in ("", "second"):
        if name:
            model.add(k.layers.Dense(1, name=name))
        model.compile("sgd", "mse")
        model.fit(x, y, verbose=0, callbacks=[logger])
    tags = histogram_tags(accumulate(tmp_path, "train"))
    assert {"weights", "gradients"} == {tag.split("/")[0] for tag in tags if "second/kernel" in tag}
    assert logger.report.errors == 0


@KERASES
def test_generators_and_datasets(k, tmp_path):
    x, y = zoo.batch(32)

    def generator():
        while True:
            yield x[:8], y[:8]

    for name, data in {
        "generator": generator(),
        "dataset": tf.data.Dataset.from_tensor_slices((x, y)).batch(8),
    }.items():
        model = zoo.sequential(k)
        model.compile("sgd", "mse")
        logger = TbxLogger(tmp_path / name)
        model.fit(
            data, steps_per_epoch=4 if name == "generator" else None, epochs=2, verbose=0, callbacks=[logger]
        )
        events = accumulate(tmp_path, name, "train")
        assert set(scalar(events, "gradient_norm/global")) == {1, 5}
        assert logger.report.errors == 0


@KERASES
def test_evaluate_alone(k, tmp_path):
    model, (x, y) = zoo.sequential(k), zoo.batch()
    model.compile("sgd", "mse", metrics=["mae"])
    model.fit(x, y, batch_size=8, verbose=0)
    logger = TbxLogger(tmp_path)
    result = model.evaluate(x, y, verbose=0, callbacks=[logger], return_dict=True)
    events = accumulate(tmp_path, "validation")
    assert scalar(events, "evaluation_loss_vs_iterations") == {4: pytest.approx(result["loss"], rel=1e-5)}
    assert "evaluation_mae_vs_iterations" in scalar_tags(events)


@KERASES
def test_steps_and_epochs_go_on_over_several_fits(k, tmp_path):
    model, (x, y) = zoo.sequential(k), zoo.batch(32)
    model.compile("sgd", "mse")
    logger = TbxLogger(tmp_path, update_freq="batch", gradient_freq=2)
    for _ in range(3):
        model.fit(x, y, batch_size=8, epochs=2, verbose=0, callbacks=[logger])
    events = accumulate(tmp_path, "train")
    assert set(scalar(events, "epoch_loss")) == set(range(6))
    assert set(scalar(events, "batch_loss")) == set(range(1, 25))
    assert set(scalar(events, "gradient_norm/global")) == set(range(2, 25, 2))


@KERASES
def test_the_own_loss_of_a_batch_beside_the_running_mean(k, tmp_path):
    model, (x, y) = zoo.sequential(k), zoo.batch(32)
    model.compile(k.optimizers.SGD(0.0), "mse")
    losses = [
        float(np.mean(np.square(model.predict(x[i : i + 8], verbose=0) - y[i : i + 8])))
        for i in range(0, 32, 8)
    ]
    model.fit(x, y, batch_size=8, shuffle=False, verbose=0, callbacks=[TbxLogger(tmp_path, update_freq=1)])
    events = accumulate(tmp_path, "train")
    assert list(scalar(events, "step_loss").values()) == pytest.approx(losses, rel=1e-5)
    means = [np.mean(losses[: count + 1]) for count in range(4)]
    assert list(scalar(events, "batch_loss").values()) == pytest.approx(means, rel=1e-5)


@KERASES
def test_own_losses_come_with_the_metrics_of_a_batch_and_none_is_kept(k, tmp_path):
    """Steps that are sampled for their gradients alone have one too: it is let go."""
    model, (x, y) = zoo.sequential(k), zoo.batch(64)
    model.compile("sgd", "mse")
    logger = TbxLogger(tmp_path, update_freq=4, gradient_freq=3)
    model.fit(x, y, batch_size=4, verbose=0, callbacks=[logger])
    events = accumulate(tmp_path, "train")
    assert set(scalar(events, "step_loss")) == set(scalar(events, "batch_loss")) == {4, 8, 12, 16}
    assert set(scalar(events, "gradient_norm/global")) == {3, 6, 9, 12, 15}
    assert logger._dispatcher._captured == {}


@KERASES
def test_a_loop_of_ones_own_that_calls_the_hooks(k, tmp_path):
    model, (x, y) = zoo.sequential(k), zoo.batch(16)
    model.compile("sgd", "mse")
    logger = TbxLogger(tmp_path, update_freq="batch")
    logger.set_model(model)
    logger.on_train_begin()
    for epoch in range(2):
        logger.on_epoch_begin(epoch)
        for batch in range(2):
            logger.on_train_batch_begin(batch)
            logs = model.train_on_batch(x[batch * 8 :][:8], y[batch * 8 :][:8], return_dict=True)
            logger.on_train_batch_end(batch, logs)
        logger.on_epoch_end(epoch, logs)
    logger.on_train_end()
    events = accumulate(tmp_path, "train")
    assert set(scalar(events, "epoch_loss")) == {0, 1}
    assert set(scalar(events, "batch_loss")) == {1, 2, 3, 4}
    assert set(scalar(events, "gradient_norm/global")) == {1, 3}
    assert logger.report.errors == 0


@KERASES
def test_learning_rate_schedules_and_wrapped_optimizers(k, tmp_path):
    model, (x, y) = zoo.sequential(k), zoo.batch(32)
    schedule = k.optimizers.schedules.ExponentialDecay(0.1, 4, 0.5)
    model.compile(k.mixed_precision.LossScaleOptimizer(k.optimizers.SGD(schedule)), "mse")
    model.fit(x, y, batch_size=8, epochs=3, verbose=0, callbacks=[TbxLogger(tmp_path)])
    rates = scalar(accumulate(tmp_path, "train"), "epoch_learning_rate")
    assert list(rates.values()) == pytest.approx([0.05, 0.025, 0.0125], rel=1e-4)


@KERASES
def test_with_keras_own_callbacks(k, tmp_path):
    model, (x, y) = zoo.sequential(k), zoo.batch(32)
    model.compile("sgd", "mse")
    callbacks = [
        k.callbacks.TensorBoard(tmp_path / "theirs"),
        TbxLogger(tmp_path / "ours"),
        k.callbacks.EarlyStopping("loss"),
        k.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: None),
    ]
    model.fit(x, y, epochs=2, verbose=0, callbacks=callbacks)
    assert len(scalar(accumulate(tmp_path, "ours", "train"), "epoch_loss")) == 2


@KERASES
@pytest.mark.parametrize("build", [zoo.sequential, zoo.subclassed], ids=lambda build: build.__name__)
def test_the_graph_of_the_step_is_that_of_the_model_alone(k, build, tmp_path):
    model, (x, y) = build(k), zoo.batch()
    model.compile("sgd", "mse")
    graph = fit(model, x, y, tmp_path).Graph()
    names = [node.name for node in graph.node]
    assert any("MatMul" in name for name in names)
    assert not [name for name in names if "tbx" in name]
    assert {part.split(":")[0].lstrip("^") for node in graph.node for part in node.input} <= set(names)


@KERASES
def test_a_loop_that_never_runs_keras_own_step_keeps_nothing(k, tmp_path):
    """Hooks called by hand around a tape: what is asked of a step that never runs does not pile up."""
    model = zoo.sequential(k)
    model.compile("sgd", "mse")
    logger = TbxLogger(tmp_path, gradient_freq=1)
    logger.set_model(model)
    logger.on_train_begin()
    logger.on_epoch_begin(0)
    for batch in range(50):
        logger.on_train_batch_begin(batch)
        logger.on_train_batch_end(batch, {"loss": 1.0})
    assert len(model.train_function.deliveries) == 1
    logger.on_train_end()
    assert not hasattr(model.train_function, "deliveries")


@pytest.mark.slow
def test_a_transformers_model_with_dropout_and_a_seed(tmp_path):
    """tf_keras inside, dropout everywhere: weights are bit-identical, and every layer is heard."""
    from transformers import BertConfig, TFAutoModelForSequenceClassification

    config = BertConfig(
        vocab_size=100, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=16,
    )  # fmt: skip
    random = np.random.default_rng(0)
    ids, labels = random.integers(0, 100, (16, 8)), random.integers(0, 2, 16)
    logger, trained = TbxLogger(tmp_path, gradient_freq=3), []
    for callbacks in ([logger], []):
        tf_keras.utils.set_random_seed(3)
        model = TFAutoModelForSequenceClassification.from_config(config)
        model.compile(tf_keras.optimizers.Adam(1e-3))
        model.fit(
            {"input_ids": ids}, labels, batch_size=4, epochs=2, verbose=0, shuffle=False, callbacks=callbacks
        )
        trained.append(model)
    assert same_weights(*trained)
    events = accumulate(tmp_path, "train")
    assert set(scalar(events, "gradient_norm/global")) == {3, 6}
    gradients = [tag for tag in histogram_tags(events) if tag.startswith("gradients/")]
    assert len(gradients) == len(trained[0].trainable_variables)
    assert logger.report.errors == 0
