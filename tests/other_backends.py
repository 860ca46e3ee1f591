"""Programs on Keras's other backends, run in a process of their own where TensorFlow cannot be imported.

`main` runs each of them in a directory of its own and prints what they return, by name, as JSON.
"""

from __future__ import annotations

import copy
import json
import os
import pickle
import sys
import threading
import traceback
import warnings
from typing import Any

import numpy as np

os.environ.setdefault("KERAS_BACKEND", "jax")


sys.modules["tensorflow"] = None  # type: ignore[assignment]  # as if it were not installed

import keras  # noqa: E402

from tbx_keras import TbxLogger  # noqa: E402
from tbx_keras.recorders.weights import WeightCounter  # noqa: E402

SILENT = {"gradient_freq": 0}
X = np.random.default_rng(7).normal(size=(40, 6)).astype("float32")
Y = X[:, :1] * 2.0


def small(optimizer: Any = "sgd", **arguments: Any) -> Any:
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(2), keras.layers.Dense(1)])
    model.compile(optimizer, "mse", **arguments)
    return model


def fit(model: Any, *callbacks: Any, epochs: int = 2, **arguments: Any) -> Any:
    return model.fit(X, Y, batch_size=4, epochs=epochs, verbose=0, callbacks=list(callbacks), **arguments)


class Reorder:
    """Two callbacks around a logger, by which its hook of each odd step runs after that of the next one.

    They hold hooks only up to `last`, so that every one has its partner.
    """

    def __init__(self, last: int = 10**9) -> None:
        self.losses: dict[int, float] = {}
        self.threads: set[int] = set()
        done: dict[int, threading.Event] = {}
        event = lambda number: done.setdefault(number, threading.Event())  # noqa: E731
        reorder = self

        class Before(keras.callbacks.Callback):
            async_safe = True

            def on_train_batch_begin(self, batch, logs=None):
                reorder.threads.add(threading.get_ident())

            def on_train_batch_end(self, batch, logs=None):
                reorder.losses[batch] = logs["loss"]
                if batch % 2 == 0 and batch < last:
                    event(batch + 1).wait(60)

        class After(keras.callbacks.Callback):
            async_safe = True

            def on_train_batch_end(self, batch, logs=None):
                event(batch).set()

        self.before, self.after = Before(), After()


def order(log_dir: str) -> dict[str, Any]:
    reorder, logger = Reorder(), TbxLogger(log_dir, update_freq=1, **SILENT)
    fit(small(), reorder.before, logger, reorder.after, epochs=1)
    return {
        "losses": [reorder.losses[batch] for batch in range(10)],
        "begins_on_the_training_thread": reorder.threads == {threading.get_ident()},
        "errors": logger.report.errors,
    }


def nan(log_dir: str) -> dict[str, Any]:
    reorder, logger = Reorder(), TbxLogger(log_dir, update_freq=1, **SILENT)
    model = small(keras.optimizers.SGD(1e20))
    fit(model, reorder.before, logger, reorder.after, epochs=1)
    bad = [batch + 1 for batch, loss in sorted(reorder.losses.items()) if not np.isfinite(loss)]
    return {"first_bad": bad[0], "errors": logger.report.errors}


def stop(log_dir: str) -> dict[str, Any]:
    logger = TbxLogger(log_dir, on_nonfinite="stop", **SILENT)
    history = fit(small(keras.optimizers.SGD(1e20)), logger, epochs=20)
    return {"epochs": len(history.epoch), "errors": logger.report.errors}


def syncs(log_dir: str) -> dict[str, Any]:
    """How often the state was attached to a JAX model, by the end of each step, with a logger and without."""
    return {
        name: _syncs(*loggers)
        for name, loggers in {
            "without": (),
            "with": (TbxLogger(log_dir, update_freq=1, write_steps_per_second=True, **SILENT),),
        }.items()
    }


def _syncs(*loggers: Any) -> list[int]:
    model = small()
    calls: list[int] = []
    seen: list[int] = []
    sync = getattr(model, "jax_state_sync", lambda: None)
    model.jax_state_sync = lambda: (calls.append(1), sync())

    class Count(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            seen.append(len(calls))

    fit(model, *loggers, Count())
    return [*seen, len(calls)]


def default(log_dir: str) -> dict[str, Any]:
    model, logger = small(), TbxLogger(log_dir)
    for _ in range(2):
        fit(model, logger, validation_data=(X, Y))
    return {"errors": logger.report.errors}


def batches(log_dir: str) -> dict[str, Any]:
    logger = TbxLogger(log_dir, update_freq=1)
    fit(small(), logger)
    return {"errors": logger.report.errors}


def silent(log_dir: str) -> dict[str, Any]:
    kinds = {"write_images": True, "distance_freq": 1, "embeddings_freq": 1, "write_steps_per_second": True}
    logger = TbxLogger(log_dir, update_freq=1, **kinds, **SILENT)
    steps = 4 if keras.config.backend() == "jax" else 1  # PyTorch takes no other
    fit(small("adam", steps_per_execution=steps), logger, validation_data=(X, Y))
    return {"errors": logger.report.errors, "steps_per_execution": steps}


def profile(log_dir: str) -> dict[str, Any]:
    logger = TbxLogger(log_dir, profile_batch=(2, 3), **SILENT)
    fit(small(), logger)
    return {"errors": logger.report.errors}


def saved(log_dir: str) -> dict[str, Any]:
    model = small("adam")
    fit(model, TbxLogger(log_dir, update_freq=1, **SILENT))
    model.save(f"{log_dir}/model.keras")
    logger = TbxLogger(log_dir, update_freq=1, **SILENT)
    fit(keras.models.load_model(f"{log_dir}/model.keras"), logger)
    return {"errors": logger.report.errors}


def backup(log_dir: str) -> dict[str, Any]:
    class Fails(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise InterruptedError

    keeps = lambda: keras.callbacks.BackupAndRestore(f"{log_dir}/backup")  # noqa: E731
    try:
        fit(small(), TbxLogger(log_dir, update_freq=1, **SILENT), keeps(), Fails(), epochs=4)
    except InterruptedError:
        pass
    logger = TbxLogger(log_dir, update_freq=1, **SILENT)
    fit(small(), logger, keeps(), epochs=4)
    return {"errors": logger.report.errors}


def failed(log_dir: str) -> dict[str, Any]:
    """A fit that ends by an exception in its data, and another one with the same logger."""

    def examples():
        for _ in range(5):
            yield X[:4], Y[:4]
        raise InterruptedError

    model, logger = small(), TbxLogger(log_dir, update_freq=1, **SILENT)
    try:
        model.fit(examples(), steps_per_epoch=10, shuffle=False, verbose=0, callbacks=[logger])
    except InterruptedError:
        pass
    fit(model, logger, epochs=1)
    return {"errors": logger.report.errors}


def copied(log_dir: str) -> dict[str, Any]:
    logger = pickle.loads(pickle.dumps(copy.deepcopy(TbxLogger(log_dir, update_freq=1, **SILENT))))
    fit(small(), logger)
    copy.deepcopy(logger)
    return {"errors": logger.report.errors}


def evaluated(log_dir: str) -> dict[str, Any]:
    model, logger = small(), TbxLogger(log_dir, **SILENT)
    fit(model, epochs=1)
    loss = model.evaluate(X, Y, verbose=0, callbacks=[logger])
    return {"loss": loss, "errors": logger.report.errors}


def by_hand(log_dir: str) -> dict[str, Any]:
    """Hooks called one after another, from batch 1 on, with losses that are still on a device."""
    model, logger = small(), TbxLogger(log_dir, update_freq=1, **SILENT)
    logger.set_model(model)
    logger.on_train_begin()
    for epoch in range(2):
        logger.on_epoch_begin(epoch)
        for batch in range(1, 6):
            logger.on_train_batch_begin(batch)
            loss = model.train_on_batch(X[:8], Y[:8], return_dict=True)["loss"]
            bad = epoch == 1 and batch >= 4
            given = keras.ops.convert_to_tensor(np.float32("nan") if bad else loss)
            logger.on_train_batch_end(batch, {"loss": given})
        logger.on_epoch_end(epoch, {"loss": 1.0})
    logger.on_train_end()
    return {"errors": logger.report.errors}


def custom(log_dir: str) -> dict[str, Any]:
    x = keras.Input((6,))
    model = _custom()(x, keras.layers.Dense(1)(keras.layers.Dropout(0.1)(x)))
    model.compile("adam", "mse")
    logger = TbxLogger(log_dir, update_freq=1, **SILENT)
    fit(model, logger)
    return {"errors": logger.report.errors}


def _custom() -> type:
    return _custom_torch() if keras.config.backend() == "torch" else _custom_jax()


def _custom_torch() -> type:
    import torch

    class Custom(keras.Model):
        def train_step(self, data):
            x, y = data
            self.zero_grad()
            loss = self.compute_loss(y=y, y_pred=self(x, training=True))
            loss.backward()
            weights = self.trainable_weights
            with torch.no_grad():
                self.optimizer.apply([weight.value.grad for weight in weights], weights)
            return {"loss": loss, "twice": 2 * loss}

    return Custom


def _custom_jax() -> type:
    import jax

    class Custom(keras.Model):
        def loss_of(self, trainable, others, x, y):
            y_pred, others = self.stateless_call(trainable, others, x, training=True)
            return keras.ops.mean((y_pred - y) ** 2), others

        def train_step(self, state, data):
            trainable, others, optimizer, metrics = state
            gradient = jax.value_and_grad(self.loss_of, has_aux=True)
            (loss, others), gradients = gradient(trainable, others, *data)
            trainable, optimizer = self.optimizer.stateless_apply(optimizer, gradients, trainable)
            return {"loss": loss, "twice": 2 * loss}, (trainable, others, optimizer, metrics)

    return Custom


def distances(log_dir: str) -> dict[str, Any]:
    """The reference stays that of the first of several fits."""
    model, logger = small("adam"), TbxLogger(log_dir, distance_freq=1, **SILENT)
    for _ in range(3):
        fit(model, logger, epochs=1)
    counter = WeightCounter(model)
    counter()
    fit(model, epochs=1)
    return {"errors": logger.report.errors, "traces_again": counter.will_trace()}


def in_hand(log_dir: str) -> dict[str, Any]:
    """Gradients of a batch beside what a step of plain descent makes of the weights; nothing else changes."""
    from tbx_keras import gradients

    x = keras.Input((6,))
    hidden = keras.layers.BatchNormalization()(keras.layers.Dense(3, kernel_regularizer="l2")(x))
    model = keras.Model(x, keras.layers.Dense(1)(keras.layers.Dropout(0.0)(hidden)))
    model.compile(keras.optimizers.SGD(1.0), "mse")
    before = model.get_weights()
    found = gradients(model, X[:8], Y[:8])
    same = all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))
    values = {one.path: np.array(one) for one in model.trainable_variables}
    model.train_on_batch(X[:8], Y[:8])
    after = {one.path: np.array(one) for one in model.trainable_variables}
    difference = max(float(np.abs(values[path] - one - after[path]).max()) for path, one in found.items())
    return {"errors": 0, "same": same, "difference": difference, "count": len(found)}


def elsewhere(log_dir: str) -> dict[str, Any]:
    """A step that updates the weights without an optimizer of Keras."""
    model = _with_descent_of_its_own() if keras.config.backend() == "jax" else _with_torch_optimizer()
    logger = TbxLogger(log_dir, gradient_freq=1)
    fit(model, logger, epochs=1)
    return {"errors": logger.report.errors}


def unknown(log_dir: str) -> dict[str, Any]:
    """Data whose size Keras learns at their end, when one step more has begun."""

    def examples():
        for _ in range(5):
            yield X[:4], Y[:4]

    model, logger = small("adam"), TbxLogger(log_dir, update_freq=1, **SILENT)
    for _ in range(3):
        model.fit(examples(), epochs=1, verbose=0, callbacks=[logger])
    return {"errors": logger.report.errors, "iterations": int(model.optimizer.iterations.value)}


def _with_descent_of_its_own() -> Any:
    import jax

    class Descent(keras.Model):
        def loss_of(self, trainable, others, x, y):
            y_pred, others = self.stateless_call(trainable, others, x, training=True)
            return keras.ops.mean((y_pred - y) ** 2), others

        def train_step(self, state, data):
            trainable, others, optimizer, metrics = state
            gradient = jax.value_and_grad(self.loss_of, has_aux=True)
            (loss, others), gradients = gradient(trainable, others, *data)
            trainable = [one - 0.1 * each for one, each in zip(trainable, gradients)]
            return {"loss": loss}, (trainable, others, optimizer, metrics)

    return _compiled(Descent)


def _with_torch_optimizer() -> Any:
    import torch

    class Descent(keras.Model):
        def train_step(self, data):
            x, y = data
            if not hasattr(self, "descent"):
                self.descent = torch.optim.SGD([one.value for one in self.trainable_variables], lr=0.1)
            self.descent.zero_grad()
            loss = self.compute_loss(y=y, y_pred=self(x, training=True))
            loss.backward()
            self.descent.step()
            return {"loss": loss}

    return _compiled(Descent)


def _compiled(kind: type) -> Any:
    x = keras.Input((6,))
    model = kind(x, keras.layers.Dense(1, name="out")(x))
    model.compile("sgd", "mse")
    return model


PROGRAMS = (
    in_hand, elsewhere, distances, unknown, order, nan, stop, syncs, default, batches, silent, profile,
    saved, backup, failed, copied, evaluated, by_hand, custom,
)  # fmt: skip


def main(directory: str) -> None:
    print(json.dumps({program.__name__: run(program, directory) for program in PROGRAMS}))


def run(program: Any, directory: str) -> dict[str, Any]:
    keras.utils.set_random_seed(1)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        try:
            returned = program(os.path.join(directory, program.__name__))
        except Exception:
            returned = {"raised": traceback.format_exc()}
    messages = [str(one.message) for one in found if str(one.message).startswith("tbx_keras")]
    return {**returned, "messages": messages}


if __name__ == "__main__":
    main(sys.argv[1])
