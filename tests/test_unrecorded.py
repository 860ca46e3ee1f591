"""What a backend does not record is said once, and nothing that is not so."""

import warnings

import pytest

from tbx_keras import EveryNSteps, Recorder, TbxLogger, unrecorded
from tbx_keras.recorders.profiler import Profiler
from tbx_keras.unrecorded import Unrecorded


def said(profiler=None, **arguments) -> list[str]:
    """By two fits of one logger."""
    dispatcher = TbxLogger("logs", **arguments)._dispatcher
    others = [one for one in dispatcher._recorders if not isinstance(one, Profiler)]
    found = Unrecorded(dispatcher.kinds, others if profiler is None else [*others, profiler])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            found.warn(None)
    assert all(one.category is RuntimeWarning for one in caught)
    return [str(one.message) for one in caught]


@pytest.fixture
def backend(monkeypatch):
    def choose(name: str) -> None:
        monkeypatch.setattr("tbx_keras.backends.base.backend_name", lambda: name)
        monkeypatch.setattr(unrecorded, "backend_name", lambda: name)

    return choose


def test_on_tensorflow_nothing_is_said():
    assert said(Profiler((2, 2)), update_freq=1, profile_batch=2) == []


@pytest.mark.parametrize(("name", "shown"), [("numpy", "NumPy"), ("openvino", "OpenVINO"), ("new", "new")])
def test_gradients(backend, name, shown):
    backend(name)
    (message,) = said()
    assert f"Keras's {shown} backend" in message
    assert "gradient_freq" in message
    assert "step_loss" not in message
    (message,) = said(update_freq=3)
    assert "step_loss" in message
    assert said(gradient_freq=0) == said(gradient_freq=0, update_freq="batch") == []


def test_a_recorder_of_ones_own_is_named(backend):
    class Sparsity(Recorder):
        trigger = EveryNSteps(2)
        captures = frozenset({"gradients"})

    backend("numpy")
    (message,) = said(gradient_freq=0, recorders=[Sparsity()])
    assert "not recorded are Sparsity." in message


@pytest.mark.parametrize(("name", "count"), [("numpy", 1), ("tensorflow", 0)])
def test_profile_batch(backend, name, count):
    backend(name)
    profiler = Profiler((1, 1))
    assert len(said(profiler, gradient_freq=0, profile_batch=1)) == count
    assert profiler._first == 1 - count
