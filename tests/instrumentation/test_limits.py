"""What cannot be captured is said in one sentence, and training is untouched."""

import functools
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tbx_keras import TbxLogger
from tbx_keras.instrumentation.limits import REPLACED
from tests import zoo
from tests.reading import accumulate, scalar, scalar_tags

KERASES = pytest.mark.parametrize("k", [keras, tf_keras], ids=["keras", "tf_keras"])


def stepping(k, step):
    class Stepping(k.Model):
        def __init__(self):
            super().__init__()
            self.out = k.layers.Dense(1, name="out")
            self.calls = 0

        def call(self, x):
            return self.out(x)

        train_step = step

    return Stepping()


def loss_and_gradients(model, data):
    x, y = data
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(x) - y))
    return loss, list(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))


def by_assigning(self, data):
    loss, pairs = loss_and_gradients(self, data)
    for gradient, variable in pairs:
        variable.assign(variable - 0.1 * gradient)
    return {"loss": loss}


def in_a_branch(self, data):
    loss, pairs = loss_and_gradients(self, data)
    self.optimizer.build(self.trainable_variables)

    def update():
        self.optimizer.apply_gradients(pairs)
        return 1

    tf.cond(loss < 1e9, update, lambda: 0)
    return {"loss": loss}


def counting_in_python(self, data):
    loss, pairs = loss_and_gradients(self, data)
    self.calls += 1
    if self.calls == 1:  # true in the first trace only: a second one would never update
        self.optimizer.apply_gradients(pairs)
    return {"loss": loss}


def fit(k, step, callbacks, **compiled):
    k.utils.set_random_seed(1)
    model, (x, y) = stepping(k, step), zoo.batch(16)
    model(x)
    model.compile(k.optimizers.SGD(0.1), **compiled)
    if hasattr(model.optimizer, "build"):
        model.optimizer.build(model.trainable_variables)
    for callback in callbacks:
        model.fit(x, y, batch_size=4, epochs=2, verbose=0, shuffle=False, callbacks=callback)
    return [np.asarray(weight).tobytes() for weight in model.get_weights()]


def sentences(caught):
    return [str(one.message) for one in caught if str(one.message).startswith("tbx_keras")]


@KERASES
@pytest.mark.parametrize(
    ("step", "sentence"),
    [(by_assigning, "calls no Keras optimizer"), (in_a_branch, "all optimizer calls")],
    ids=["by_assigning", "in_a_branch"],
)
def test_one_sentence_and_the_same_weights(k, step, sentence, tmp_path):
    logger = TbxLogger(tmp_path, gradient_freq=1, update_freq="batch")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        weights = fit(k, step, [[logger], [logger]])
    assert weights == fit(k, step, [[], []])
    assert len(sentences(caught)) == 1
    assert sentence in sentences(caught)[0]
    assert logger.report.errors == 0
    assert "batch_loss" in scalar_tags(accumulate(tmp_path, "train"))


@KERASES
@pytest.mark.parametrize("frequency", [1, 2], ids=["traced_by_us", "traced_before"])
def test_a_function_of_ones_own_in_an_eager_step(k, frequency, tmp_path):
    """Its tensors stay within it, although the step around it has no graph."""

    @tf.function
    def step(self, data):
        loss, pairs = loss_and_gradients(self, data)
        self.optimizer.apply_gradients(pairs)
        return {"loss": loss}

    logger = TbxLogger(tmp_path, gradient_freq=frequency, update_freq="batch")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        weights = fit(k, step, [[logger]], run_eagerly=True)
    assert weights == fit(k, step, [[]], run_eagerly=True)
    (sentence,) = sentences(caught)
    assert "a tf.function of its own" in sentence
    assert logger.report.errors == 0


@KERASES
def test_state_in_python_is_traced_as_often_as_without_the_logger(k, tmp_path):
    logger = TbxLogger(tmp_path, gradient_freq=3)
    assert fit(k, counting_in_python, [[logger]]) == fit(k, counting_in_python, [[]])
    assert logger.report.errors == 0


@KERASES
def test_a_step_that_draws_and_was_compiled_before_is_named(k, tmp_path):
    def drawing(self, data):
        x, y = data
        loss, pairs = loss_and_gradients(self, (x + tf.random.normal(tf.shape(x)), y))
        self.optimizer.apply_gradients(pairs)
        return {"loss": loss}

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(k, drawing, [[], [TbxLogger(tmp_path, gradient_freq=1)]])
    assert len(sentences(caught)) == 1
    assert "model.compile()" in sentences(caught)[0]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(k, drawing, [[TbxLogger(tmp_path / "alone", gradient_freq=1)]])
    assert sentences(caught) == []


def without_force(k):
    """`make_train_function` overridden as in TensorFlow's guides of old: Keras never passes `force`."""

    class Overrides(k.Sequential):
        def make_train_function(self):
            return super().make_train_function()

    return Overrides([k.layers.Dense(1, name="out")])


def with_one_function(k):
    """The train function is kept by the model's own code: no second one can be had."""

    class Keeps(k.Sequential):
        function = None

        def make_train_function(self, force=False):
            if self.function is None:
                self.function = tf.function(lambda iterator: self.train_step(next(iterator)))
            self.train_function = self.function
            return self.function

    return Keeps([k.layers.Dense(1, name="out")])


def fit_once(k, make, *callbacks):
    k.utils.set_random_seed(1)
    model, (x, y) = make(k), zoo.batch(16)
    model.compile(k.optimizers.SGD(0.1), "mse")
    history = model.fit(x, y, batch_size=4, verbose=0, shuffle=False, callbacks=list(callbacks))
    return history.history, [np.asarray(weight).tobytes() for weight in model.get_weights()]


@KERASES
def test_an_override_without_force_hides_nothing(k, tmp_path):
    logger = TbxLogger(tmp_path, gradient_freq=1)
    assert fit_once(k, without_force, logger) == fit_once(k, without_force)
    assert logger.report.errors == 0
    assert any(tag.startswith("gradient_norm/") for tag in scalar_tags(accumulate(tmp_path, "train")))


def test_a_train_function_that_is_only_returned(tmp_path):
    """Which tf_keras lets a model do."""

    class Returns(tf_keras.Sequential):
        def make_train_function(self, force=False):
            return tf.function(lambda iterator: self.train_step(next(iterator)))

    def make(k):
        return Returns([k.layers.Dense(1, name="out")])

    logger = TbxLogger(tmp_path, gradient_freq=1)
    assert fit_once(tf_keras, make, logger) == fit_once(tf_keras, make)
    assert logger.report.errors == 0
    assert any(tag.startswith("gradient_norm/") for tag in scalar_tags(accumulate(tmp_path, "train")))


@KERASES
def test_a_train_function_that_the_model_keeps_is_left_alone(k, tmp_path):
    logger = TbxLogger(tmp_path, gradient_freq=2, update_freq="batch")
    with pytest.warns(RuntimeWarning, match="makes no second train function"):
        logged = fit_once(k, with_one_function, logger)
    assert logged == fit_once(k, with_one_function)


@KERASES
def test_an_object_that_is_no_model_trains_in_a_loop_of_its_own(k, tmp_path):
    """A layer with a `train_step` and a train function, and nothing else that a model has."""

    class Trains(k.layers.Layer):
        train_function = None

        def __init__(self):
            super().__init__()
            self.out, self.optimizer = k.layers.Dense(1), k.optimizers.SGD(0.1)

        def call(self, x):
            return self.out(x)

        def train_step(self, data):
            loss, pairs = loss_and_gradients(self, data)
            self.optimizer.apply_gradients(pairs)
            return {"loss": loss}

        def make_train_function(self):
            if self.train_function is None:
                self.train_function = tf.function(lambda iterator: self.train_step(next(iterator)))

    def loop(*callbacks):
        k.utils.set_random_seed(1)
        model, (x, y) = Trains(), zoo.batch(16)
        model(x[:4])
        hooks = k.callbacks.CallbackList(list(callbacks), model=model, epochs=1)
        model.make_train_function()
        hooks.on_train_begin()
        hooks.on_epoch_begin(0)
        iterator = iter(tf.data.Dataset.from_tensor_slices((x, y)).batch(4))
        for step in range(4):
            hooks.on_train_batch_begin(step)
            hooks.on_train_batch_end(step, {"loss": float(model.train_function(iterator)["loss"])})
        hooks.on_epoch_end(0, {})
        hooks.on_train_end()
        return [np.asarray(weight).tobytes() for weight in model.get_weights()]

    logger = TbxLogger(tmp_path, gradient_freq=1, update_freq="batch")
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        assert loop(logger) == loop()
    assert logger.report.errors == 0
    assert any(tag.startswith("gradient_norm/") for tag in scalar_tags(accumulate(tmp_path, "train")))


def kept_by_a_method(k):
    class Keeps(k.Sequential):
        @tf.function
        def one_step(self, data):
            return self.train_step(data)

        def make_train_function(self, force=False):
            self.train_function = lambda iterator: self.one_step(next(iterator))
            return self.train_function

    return Keeps


def kept_in_an_attribute(k):
    class Keeps(k.Sequential):
        def make_train_function(self, force=False):
            self.mine = tf.function(lambda iterator: self.train_step(next(iterator)))
            self.train_function = lambda iterator: self.mine(iterator)
            return self.train_function

    return Keeps


def kept_within_another(k):
    class Keeps(kept_by_a_method(k)):
        def make_train_function(self, force=False):
            self.train_function = tf.function(super().make_train_function())
            return self.train_function

    return Keeps


def made_around_kerass_own(k):
    class Wraps(k.Sequential):
        def make_train_function(self, force=False):
            made = super().make_train_function(force=True) or self.train_function
            self.train_function = functools.partial(lambda function, iterator: function(iterator), made)
            return self.train_function

    return Wraps


def kept_as_a_concrete_function(k):
    class Keeps(k.Sequential):
        concrete = None

        def one_step(self, x, y):
            return self.train_step((x, y))

        def make_train_function(self, force=False):
            self.train_function = lambda iterator: self.one_concrete_step(*next(iterator))
            return self.train_function

        def one_concrete_step(self, x, y):
            if self.concrete is None:
                self.concrete = tf.function(self.one_step).get_concrete_function(x, y)
            return self.concrete(x, y)

    return Keeps


def around_the_step(around):
    """What a model's own train function does with what a step returns, in the `tf.function` or around it."""

    def outside(k):
        class Around(k.Sequential):
            def make_train_function(self, force=False):
                function = tf.function(lambda iterator: self.train_step(next(iterator)))
                self.train_function = lambda iterator: around(self, function(iterator))
                return self.train_function

        return Around

    def inside(k):
        class Around(k.Sequential):
            def make_train_function(self, force=False):
                function = tf.function(lambda iterator: around(self, self.train_step(next(iterator))))
                self.train_function = lambda iterator: function(iterator)
                return self.train_function

        return Around

    inside.__name__, outside.__name__ = f"inside_{around.__name__}", f"outside_{around.__name__}"
    return [inside, outside]


def adding_a_log(model, logs):
    return {**logs, "added": tf.constant(1.0)}


def reading_the_loss(model, logs):
    return {"loss": logs["loss"], "doubled": 2 * logs["loss"]}


def renaming(model, logs):
    return {f"my_{name}": value for name, value in logs.items()} | {"loss": logs["loss"]}


def two_steps_in_one(k):
    class Twice(k.Sequential):
        def make_train_function(self, force=False):
            def both(iterator):
                data = next(iterator)
                return {**self.train_step(data), "second": self.train_step(data)["loss"]}

            self.train_function = tf.function(both)
            return self.train_function

    return Twice


def noise_after_the_step(k):
    """A place in a random sequence that the step itself does not have."""

    class Adds(k.Sequential):
        def make_train_function(self, force=False):
            def noisy(iterator):
                logs = self.train_step(next(iterator))
                for weight in self.trainable_variables:
                    weight.assign_add(0.01 * tf.random.normal(weight.shape, seed=1))
                return logs

            self.train_function = tf.function(noisy)
            return self.train_function

    return Adds


def noise_in_a_function_beside(k):
    class Adds(k.Sequential):
        def make_train_function(self, force=False):
            step = tf.function(lambda data: self.train_step(data))
            noisy = tf.function(lambda x, y: (x + tf.random.normal(tf.shape(x), seed=1), y))
            self.train_function = lambda iterator: step(noisy(*next(iterator)))
            return self.train_function

    return Adds


def a_counter_of_its_own(k):
    class Counts(k.Sequential):
        def make_train_function(self, force=False):
            calls = tf.Variable(0.0)

            def counting(iterator):
                calls.assign_add(1.0)
                x, y = next(iterator)
                return self.train_step((x / calls, y))

            self.train_function = tf.function(counting)
            return self.train_function

    return Counts


def stored_elsewhere_too(k):
    class Stores(k.Sequential):
        def make_train_function(self, force=False):
            self.mine = tf.function(lambda iterator: self.train_step(next(iterator)))
            self.train_function = self.mine
            return self.train_function

    return Stores


OWN_TRAIN_FUNCTIONS = [
    kept_by_a_method, kept_in_an_attribute, kept_within_another, kept_as_a_concrete_function,
    made_around_kerass_own, two_steps_in_one, noise_after_the_step, noise_in_a_function_beside,
    a_counter_of_its_own, stored_elsewhere_too,
    *around_the_step(adding_a_log), *around_the_step(reading_the_loss), *around_the_step(renaming),
]  # fmt: skip


@pytest.mark.parametrize("eager", [False, True], ids=["graph", "eager"])
@pytest.mark.parametrize("make", OWN_TRAIN_FUNCTIONS, ids=lambda make: make.__name__)
@KERASES
def test_a_train_function_of_the_models_own(k, make, eager, tmp_path):
    """It sees the logs of its step alone, in whatever it does with them, and nobody steps in twice."""

    def trained(*fits):
        k.utils.set_random_seed(1)
        model = make(k)([k.Input((zoo.FEATURES,)), k.layers.Dense(1, name="out")])
        model.compile("sgd", "mse", run_eagerly=eager)
        x, y = zoo.batch(16)
        histories = [
            model.fit(x, y, batch_size=4, epochs=3, verbose=0, shuffle=False, callbacks=one).history
            for one in fits
        ]
        numbers = [{name: list(map(float, one)) for name, one in history.items()} for history in histories]
        return numbers, [np.asarray(weight).tobytes() for weight in model.get_weights()]

    logger = TbxLogger(tmp_path, gradient_freq=2, update_freq="batch")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RuntimeWarning)
        assert trained([logger], []) == trained([], [])
    assert sentences(caught) == []
    assert logger.report.errors == 0
    train = accumulate(tmp_path, "train")
    # Two updates in a batch are counted at the next epoch.
    expected = {2, 4} if make is two_steps_in_one else {2, 4, 6, 8, 10, 12}
    assert set(scalar(train, "gradient_norm/global")) >= expected


def set_before(k, model, callbacks):
    model.make_train_function()
    model.train_function = watched(model.train_function)
    return callbacks


def set_by_a_callback(k, model, callbacks, place=0):
    class Sets(k.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.model.train_function = watched(self.model.train_function)

    return [*callbacks[:place], Sets(), *callbacks[place:]]


def set_by_a_callback_behind(k, model, callbacks):
    return set_by_a_callback(k, model, callbacks, place=1)


def watched(function):
    def watching(iterator):
        watching.calls += 1
        return function(iterator)

    watching.calls = 0
    return watching


@pytest.mark.parametrize("put", [set_before, set_by_a_callback, set_by_a_callback_behind])
@KERASES
def test_a_train_function_that_somebody_put_in_place(k, put, tmp_path):
    """Nobody but its author can make another one like it: it runs every step, and one sentence says so."""

    def trained(*callbacks):
        k.utils.set_random_seed(1)
        model, (x, y) = zoo.sequential(k), zoo.batch(16)
        model.compile("sgd", "mse")
        model.fit(
            x, y, batch_size=4, epochs=2, verbose=0, shuffle=False,
            callbacks=put(k, model, list(callbacks)),
        )  # fmt: skip
        weights = [np.asarray(weight).tobytes() for weight in model.get_weights()]
        return model.train_function.calls, weights

    logger = TbxLogger(tmp_path, gradient_freq=2, update_freq="batch")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RuntimeWarning)
        logged = trained(logger)
    assert logged == trained()
    assert logged[0] == 8
    assert sentences(caught) == [REPLACED]
    assert logger.report.errors == 0


class WithSlots:
    __slots__ = ("anything",)


class EqualToAll:
    """Not hashable, as a dataclass is."""

    __hash__ = None

    def __eq__(self, other):
        return True


class WithOddWeights:
    weights = None
    variables = {"kernel": 1.0}  # noqa: RUF012

    def trainable_weights(self):
        raise AssertionError("nobody has to call this")


@pytest.mark.parametrize("update_freq", ["epoch", "batch"])
@pytest.mark.parametrize("kind", [object, tf.Module, WithSlots, EqualToAll, WithOddWeights])
def test_a_loop_around_what_is_no_model(kind, update_freq, tmp_path):
    """Nothing that a model has, not even weights: metrics are recorded, and one sentence says what is not."""

    class Trainer(kind):
        __slots__ = ()

        def train(self, *hooks):
            for step in range(4):
                [hook.on_train_batch_begin(step) for hook in hooks]
                [hook.on_train_batch_end(step, {"loss": 1.0}) for hook in hooks]

    logger, trainer = TbxLogger(tmp_path, gradient_freq=1, update_freq=update_freq), Trainer()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RuntimeWarning)
        logger.set_model(trainer)
        logger.on_train_begin()
        logger.on_epoch_begin(0)
        trainer.train(logger)
        logger.on_epoch_end(0, {"loss": 1.0})
        logger.on_train_end()
    assert [str(one.message).split(",")[0] for one in caught] == [
        "tbx_keras: gradients of this loop are not recorded"
    ]
    assert logger.report.errors == 0
    assert "epoch_loss" in scalar_tags(accumulate(tmp_path, "train"))
