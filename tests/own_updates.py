"""Programs whose training steps update the weights in ways of their own, on JAX or PyTorch.

`main` trains each of them without a logger and with one, in a directory of its own, and prints what it found,
by name, as JSON.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import random
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

os.environ.setdefault("KERAS_BACKEND", "jax")
import keras  # noqa: E402

from tbx_keras import TbxLogger  # noqa: E402

X = np.random.default_rng(7).normal(size=(24, 4)).astype("float32")
Y = X.sum(1, keepdims=True)
GENERATOR = np.random.default_rng(5)
EVERY_STEP = {"gradient_freq": 1, "update_freq": "batch"}
EVERY_SECOND = {"gradient_freq": 2, "update_freq": "epoch"}
norms: list[float] = []  # of the gradients of each step, as the program knows them


class Model(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.out = keras.layers.Dense(3, "tanh", name="inner"), keras.layers.Dense(1, name="out")
        self.calls_so_far = 0.0

    def call(self, x, training=False):
        return self.out(self.inner(x))


def trained(kind: type, *callbacks: Any) -> list[np.ndarray]:
    global GENERATOR  # noqa: PLW0603  # a generator of the program's module, as people write it
    GENERATOR = np.random.default_rng(5)
    random.seed(1)  # Keras's own function for it would import TensorFlow
    np.random.seed(1)
    norms.clear()
    model = kind()
    model(X[:2])
    model.compile("sgd", "mse")
    model.fit(X, Y, batch_size=4, epochs=2, shuffle=False, verbose=0, callbacks=list(callbacks))
    of_first = list(norms)
    model.fit(X, Y, batch_size=4, epochs=1, shuffle=False, verbose=0)  # goes on as it would have, too
    norms[:] = of_first
    return [np.array(one) for one in model.get_weights()]


def torch_programs() -> dict[str, tuple[type, dict[str, Any]]]:
    import torch

    def norm(model: Any) -> float:
        squares = [float((one.value.grad**2).sum()) for one in model.trainable_variables]
        return float(np.sqrt(sum(squares)))

    class Own(Model):
        def optimizer_of(self) -> Any:
            if not hasattr(self, "own"):
                self.own = self.make([one.value for one in self.trainable_variables])
            return self.own

        def make(self, parameters: Any) -> Any:
            return torch.optim.SGD(parameters, lr=0.05)

        def backward(self, data: Any) -> Any:
            x, y = data
            loss = self.compute_loss(x=x, y=y, y_pred=self(x, training=True))
            loss.backward()
            return loss

    class Closure(Own):
        first = True

        def train_step(self, data):
            evaluated: list[float] = []

            def closure():
                self.optimizer_of().zero_grad()
                loss = self.backward(data)
                evaluated.append(norm(self))
                return loss

            loss = self.step(closure)
            norms.append(evaluated[0])
            return {"loss": loss.detach()}

        def step(self, closure: Any) -> Any:
            return self.optimizer_of().step(closure)

    class NamedClosure(Closure):
        def step(self, closure: Any) -> Any:
            return self.optimizer_of().step(closure=closure)

    class Quasi(Closure):
        def make(self, parameters: Any) -> Any:
            return torch.optim.LBFGS(parameters, lr=0.1, max_iter=3)

    class Accumulates(Own):
        batches = 0

        def train_step(self, data):
            loss = self.backward(data)
            self.batches += 1
            if self.batches % 3 == 0:
                norms.append(norm(self))
                self.optimizer_of().step()
                self.optimizer_of().zero_grad()
            return {"loss": loss.detach()}

    class Scaled(Own):
        def make(self, parameters: Any) -> Any:
            self.__dict__["scaler"] = torch.amp.GradScaler("cpu", init_scale=256.0)
            return torch.optim.SGD(parameters, lr=0.05, fused=True)

        def train_step(self, data):
            x, y = data
            self.optimizer_of().zero_grad()
            loss = self.compute_loss(x=x, y=y, y_pred=self(x, training=True))
            self.scaler.scale(loss).backward()
            norms.append(norm(self) / self.scaler.get_scale())
            self.scaler.step(self.optimizer_of())
            self.scaler.update()
            return {"loss": loss.detach()}

    class Half(Own):
        def make(self, parameters: Any) -> Any:
            return torch.optim.SGD(parameters[:2], lr=0.05)

        def train_step(self, data):
            self.optimizer_of().zero_grad()
            loss = self.backward(data)
            self.optimizer_of().step()
            with torch.no_grad():
                for one in self.trainable_variables[2:]:
                    one.value.sub_(0.05 * one.value.grad)
                    one.value.grad = None
            return {"loss": loss.detach()}

    class Never(Own):
        def train_step(self, data):
            loss = self.backward(data)
            with torch.no_grad():
                for one in self.trainable_variables:
                    one.value.sub_(0.05 * one.value.grad)
                    one.value.grad = None
            return {"loss": loss.detach()}

    class Hidden(Own):
        """Its optimizer trains a module that Keras does not know of."""

        def make(self, parameters: Any) -> Any:
            self.__dict__["module"] = torch.nn.Linear(4, 1).to(parameters[0].device)
            return torch.optim.SGD(self.__dict__["module"].parameters(), lr=0.05)

        def train_step(self, data):
            optimizer = self.optimizer_of()
            optimizer.zero_grad()
            loss = ((self.__dict__["module"](data[0]) - data[1]) ** 2).mean()
            loss.backward()
            optimizer.step()
            return {"loss": loss.detach()}

    return {
        "closure": (Closure, EVERY_STEP),
        "named_closure": (NamedClosure, EVERY_STEP),
        "quasi_newton": (Quasi, EVERY_STEP),
        "scaled": (Scaled, EVERY_STEP),
        "half": (Half, EVERY_STEP),
        "accumulates": (Accumulates, {"gradient_freq": "epoch"}),
        "accumulates_every_step": (Accumulates, EVERY_STEP),
        "never": (Never, EVERY_STEP),
        "hidden": (Hidden, EVERY_STEP),
    }


def jax_programs() -> dict[str, tuple[type, dict[str, Any]]]:
    import jax
    import jax.numpy as jnp
    from jax import value_and_grad as imported

    class Own(Model):
        def loss_of(self, weights: Any, fixed: Any, x: Any, y: Any) -> Any:
            found, _ = self.stateless_call(weights, fixed, x, training=True)
            return jnp.mean((found - y) ** 2)

        def train_step(self, state, data):
            weights, fixed, optimizer, metrics = state
            x, y = data
            loss, gradients = self.derivative(weights, fixed, self.changed(x), y)
            jax.debug.callback(_keep, jnp.sqrt(sum(jnp.sum(one**2) for one in gradients)))
            weights = [one - 0.05 * each for one, each in zip(weights, gradients)]
            return {"loss": loss}, (weights, fixed, optimizer, metrics)

        def derivative(self, *arguments: Any) -> Any:
            return jax.value_and_grad(self.loss_of)(*arguments)

        def changed(self, x: Any) -> Any:
            return x

    def _keep(norm: Any) -> None:
        norms.append(float(norm))

    class Several(Own):
        def derivative(self, weights: Any, fixed: Any, x: Any, y: Any) -> Any:
            first, gradients = jax.value_and_grad(self.loss_of)(weights, fixed, x[:2], y[:2])
            second, more = jax.value_and_grad(self.loss_of)(weights, fixed, x[2:], y[2:])
            return (first + second) / 2, [(a + b) / 2 for a, b in zip(gradients, more)]

    class Monitored(Own):
        """Looks at a gradient, and makes its update by another one in a function of its own."""

        def derivative(self, weights: Any, fixed: Any, x: Any, y: Any) -> Any:
            jax.grad(self.loss_of)(weights, fixed, x[:1], y[:1])
            return jax.jit(jax.value_and_grad(self.loss_of))(weights, fixed, x, y)

    class Sharpness(Own):
        def derivative(self, weights: Any, fixed: Any, x: Any, y: Any) -> Any:
            gradients = jax.grad(self.loss_of)(weights, fixed, x, y)
            moved = [one + 0.01 * each for one, each in zip(weights, gradients)]
            return jax.value_and_grad(self.loss_of)(moved, fixed, x, y)

    class Half(Own):
        """Updates two weights by an optimizer of Keras, and the others itself."""

        def build(self, shape):
            super().build(shape)
            self(np.zeros((1, 4), "float32"))
            self.own = keras.optimizers.SGD(0.05)
            self.own.build(self.trainable_variables[:2])

        def train_step(self, state, data):
            weights, fixed = state[:2]
            loss, gradients = jax.value_and_grad(self.loss_of)(weights, fixed, *data)
            own = [one.value for one in self.own.variables]
            first, _ = self.own.stateless_apply(own, gradients[:2], weights[:2])
            others = [one - 0.05 * each for one, each in zip(weights[2:], gradients[2:])]
            return {"loss": loss}, ([*first, *others], *state[1:])

    class Imported(Own):
        def derivative(self, *arguments: Any) -> Any:
            return imported(self.loss_of)(*arguments)

    class DrawsPython(Own):
        def changed(self, x: Any) -> Any:
            return x * random.random()

    class DrawsNumPy(Own):
        def changed(self, x: Any) -> Any:
            return x * np.random.rand()

    class DrawsOwn(Own):
        def __init__(self) -> None:
            super().__init__()
            self.generator = np.random.default_rng(3)

        def changed(self, x: Any) -> Any:
            return x * self.generator.random()

    class DrawsGlobal(Own):
        def train_step(self, state, data):
            return super().train_step(state, (data[0] * GENERATOR.random(), data[1]))

    class CountsPrivately(Own):
        def changed(self, x: Any) -> Any:
            self._so_far += 1
            return x * (1.0 + 0.1 * self._so_far)

        def __init__(self) -> None:
            super().__init__()
            self._so_far = np.int64(0)

    class Counts(Own):
        def changed(self, x: Any) -> Any:
            self.calls_so_far += 1.0
            return x * self.calls_so_far

    return {
        "own": (Own, EVERY_STEP),
        "several": (Several, EVERY_STEP),
        "monitored": (Monitored, EVERY_STEP),
        "sharpness": (Sharpness, EVERY_STEP),
        "half": (Half, EVERY_STEP),
        "imported": (Imported, EVERY_STEP),
        **{
            kind.__name__.lower(): (kind, EVERY_SECOND)
            for kind in (DrawsPython, DrawsNumPy, DrawsOwn, DrawsGlobal, Counts, CountsPrivately)
        },
    }


def profiled(directory: str) -> dict[str, Any]:
    """Two loggers whose profiles overlap, and one inside of a profile of the user's."""
    loggers = [
        TbxLogger(os.path.join(directory, name), profile_batch=batches)
        for name, batches in (("first", (2, 4)), ("second", (3, 5)))
    ]
    trained(Model, *loggers)
    inner = TbxLogger(os.path.join(directory, "inner"), profile_batch=(2, 3))
    with _own_profiler(os.path.join(directory, "own")) as events:
        trained(Model, inner)
    return {"errors": [one.report.errors for one in (*loggers, inner)], "own": events()}


def strict(directory: str) -> dict[str, Any]:
    """Where every warning is an error, as in many test suites."""
    logger = TbxLogger(directory, write_images=True, distance_freq=1, update_freq="batch")
    model = Model()
    model(X[:2])
    model.compile("sgd", "mse")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X, Y, batch_size=4, verbose=0, callbacks=[logger])
    return {"errors": logger.report.errors}


def _own_profiler(directory: str) -> Any:
    @contextlib.contextmanager
    def of_jax() -> Any:
        import jax

        with jax.profiler.trace(directory):
            yield lambda: len(glob.glob(f"{directory}/**/*.xplane.pb", recursive=True))

    @contextlib.contextmanager
    def of_torch() -> Any:
        import torch

        with torch.profiler.profile() as profile:
            yield lambda: len(profile.events())

    return of_jax() if keras.config.backend() == "jax" else of_torch()


def compare(kind: type, arguments: dict[str, Any], directory: str) -> dict[str, Any]:
    without = trained(kind)
    logger = TbxLogger(directory, overhead_budget=1.0, **arguments)
    having = trained(kind, logger)
    return {
        "difference": max(float(np.abs(a - b).max()) for a, b in zip(without, having, strict=True)),
        "errors": logger.report.errors,
        "norms": list(norms),
    }


def said_by(program: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        returned = program()
    messages = [str(one.message) for one in found if str(one.message).startswith("tbx_keras")]
    return {**returned, "messages": messages}


def main(directory: str) -> None:
    programs = torch_programs() if keras.config.backend() == "torch" else jax_programs()
    found = {
        name: said_by(lambda program=program, name=name: compare(*program, os.path.join(directory, name)))
        for name, program in programs.items()
    }
    found["profiled"] = said_by(lambda: profiled(os.path.join(directory, "profiled")))
    found["strict"] = said_by(lambda: strict(os.path.join(directory, "strict")))
    found["tensorflow"] = {"imported": "tensorflow" in sys.modules}
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
