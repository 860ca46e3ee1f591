"""The first step that was not finite, and the variables concerned, are found and reported."""

import threading
import warnings

import keras
import numpy as np
import pytest
import tf_keras

from tbx_keras import TbxLogger
from tbx_keras.errors import ArgumentError
from tests import zoo
from tests.reading import accumulate, scalar, scalar_tags

KERASES = pytest.mark.parametrize("k", [keras, tf_keras], ids=["keras", "tf_keras"])
BAD_STEP = 3


def reported(run) -> list[str]:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        run()
    return [str(one.message) for one in found if "tbx_keras" in str(one.message)]


def text_of(events, tag) -> str:
    (event,) = events.Tensors(f"{tag}/text_summary")
    return event.tensor_proto.string_val[0].decode()


def flusher(k, logger):
    """A callback that lets the writer's thread catch up at the end of each epoch."""
    return k.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: logger.flush())


def fit(k, log_dir, spoil, epochs=2, **arguments):
    model, (x, y) = zoo.sequential(k), zoo.batch(40)
    spoil(x, y)
    model.compile(k.optimizers.SGD(arguments.pop("rate", 0.01)), "mse")
    logger = TbxLogger(log_dir, overhead_budget=1.0, **arguments)
    callbacks = [logger, flusher(k, logger)]
    messages = reported(
        lambda: model.fit(x, y, batch_size=8, epochs=epochs, shuffle=False, verbose=0, callbacks=callbacks)
    )
    return model, messages


def spoil_target(x, y):
    y[8 * (BAD_STEP - 1)] = np.nan


def spoil_nothing(x, y):
    pass


@KERASES
def test_the_first_step_with_a_bad_loss_and_the_weights_it_spoilt(k, tmp_path):
    model, messages = fit(k, tmp_path, spoil_target, gradient_freq=1)
    events = accumulate(tmp_path, "train")
    for kind in ("loss", "gradients", "weights"):
        assert scalar(events, f"first_nonfinite/{kind}_step") == {BAD_STEP: float(BAD_STEP)}
    paths = [
        line.split("`")[1]
        for line in text_of(events, "first_nonfinite/gradients").splitlines()
        if "`" in line
    ]
    expected = [tag.removeprefix("nonfinite/") for tag in scalar_tags(events) if tag.startswith("nonfinite/")]
    assert sorted(paths) == sorted(expected)
    assert "kernel" in paths[0]  # in the order of the model: the first layer's kernel
    (message,) = messages  # of the loss or of the gradients, whichever was seen first
    assert f"step {BAD_STEP} " in message
    assert "first in" in message
    assert not np.isfinite(model.get_weights()[0]).all()


@KERASES
def test_a_loss_that_explodes_is_found_without_sampling(k, tmp_path):
    fit(k, tmp_path, spoil_nothing, rate=1e30, gradient_freq=0, histogram_freq=0)
    events = accumulate(tmp_path, "train")
    ((step, value),) = scalar(events, "first_nonfinite/loss_step").items()
    assert step == value
    assert 2 <= step <= 4
    assert "`" in text_of(events, "first_nonfinite/loss")


@KERASES
@pytest.mark.parametrize("action", ["record", "warn", "stop"])
def test_what_is_done_about_it(k, action, tmp_path):
    epochs = 4  # tf_keras: losses are looked at in bundles, when an epoch ends at the latest
    model, messages = fit(k, tmp_path, spoil_target, epochs, on_nonfinite=action)
    assert "first_nonfinite/loss_step" in scalar_tags(accumulate(tmp_path, "train"))
    assert bool(messages) == (action != "record")
    assert model.stop_training == (action == "stop")
    if action == "stop":
        assert int(model.optimizer.iterations.numpy()) < 5 * epochs


@KERASES
def test_finite_training_says_nothing(k, tmp_path):
    _, messages = fit(k, tmp_path, spoil_nothing, gradient_freq=1)
    assert messages == []
    assert not [
        tag for tag in scalar_tags(accumulate(tmp_path, "train")) if tag.startswith("first_nonfinite")
    ]


@KERASES
@pytest.mark.parametrize("found_by", ["loss", "gradients", "weights"])
def test_training_is_stopped_by_the_thread_that_trains(k, found_by, tmp_path):
    """Gradients and weights are looked at by the writer's thread, and the losses of tf_keras as well."""
    stopped = []

    class Watched(k.Sequential):
        def __setattr__(self, name, value):
            if name == "stop_training" and value:
                stopped.append(threading.current_thread())
            super().__setattr__(name, value)

    class Wait(k.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            logger.flush()

    model, (x, y) = Watched([k.layers.Dense(4), k.layers.Dense(1)]), zoo.batch(80)
    y[8 * (BAD_STEP - 1)] = np.nan
    model.compile(k.optimizers.SGD(0.01), "mse")
    logger = TbxLogger(tmp_path, on_nonfinite="stop", overhead_budget=1.0, gradient_freq=1)
    (rule,) = (one for one in logger._monitor._rules if one.name == "nonfinite")
    rule._found.update({"loss", "gradients", "weights"} - {found_by})
    with pytest.warns(RuntimeWarning, match=r"on_nonfinite='stop'"):
        model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0, callbacks=[logger, Wait()])
    assert stopped == [threading.current_thread()]
    assert int(model.optimizer.iterations.numpy()) < 30


def test_a_loss_that_is_not_finite_with_finite_weights(tmp_path):
    model, (x, y) = zoo.sequential(keras), zoo.batch(16)
    model.trainable = False
    y[:] = np.inf
    model.compile("sgd", "mse")
    with pytest.warns(RuntimeWarning, match="while all weights are finite"):
        model.fit(x, y, verbose=0, callbacks=[TbxLogger(tmp_path, gradient_freq=0)])
    assert "look at the data of this step" in text_of(accumulate(tmp_path, "train"), "first_nonfinite/loss")


def test_a_bad_loss_in_a_loop_without_a_model(tmp_path):
    logger = TbxLogger(tmp_path, update_freq=1)

    def loop():
        logger.on_train_begin()
        logger.on_epoch_begin(0)
        for batch in range(4):
            logger.on_train_batch_begin(batch)
            logger.on_train_batch_end(batch, {"loss": float("nan") if batch > 1 else 1.0})
        logger.on_train_end()

    (message,) = reported(loop)
    assert "The loss of step 3 is nan. Training goes on" in message
    events = accumulate(tmp_path, "train")
    assert scalar(events, "first_nonfinite/loss_step") == {3: 3.0}
    assert list(scalar(events, "batch_loss")) == [1, 2, 3, 4]
    assert logger.report.errors == 0


@pytest.mark.parametrize("received", ["raise", True, None, 0])
def test_other_actions_are_refused(received):
    with pytest.raises(ArgumentError, match='`on_nonfinite` is wrong.*"stop"'):
        TbxLogger("logs", on_nonfinite=received)


@KERASES
def test_a_loss_scale_that_overflows_is_no_news(k, tmp_path):
    model, (x, y) = zoo.sequential(k), zoo.batch(40)
    scaled = k.mixed_precision.LossScaleOptimizer(k.optimizers.SGD(0.01), initial_scale=3e38)
    model.compile(scaled, "mse")
    logger = TbxLogger(tmp_path, gradient_freq=1, overhead_budget=1.0, on_nonfinite="stop")
    messages = reported(lambda: model.fit(x, y, batch_size=8, verbose=0, callbacks=[logger]))
    events = accumulate(tmp_path, "train")
    counts = [scalar(events, tag)[1] for tag in scalar_tags(events) if tag.startswith("nonfinite/")]
    assert sum(counts) > 0  # it did overflow
    assert messages == []
    assert not model.stop_training
