"""The NumPy kernels are the oracle."""

import sys
import threading

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tbx_keras.backends.buckets import histograms_from_counts
from tbx_keras.backends.numpy import cpu
from tbx_keras.backends.numpy.kernels import float_bits_histogram

HUGE = float(np.finfo(np.float32).max)
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])


def assert_as_numpy(arrays):
    found = histograms_from_counts([str(index) for index in range(len(arrays))], *cpu.summarize(arrays))
    for index, (one, array) in enumerate(zip(found, arrays, strict=True)):
        expected = float_bits_histogram(str(index), array)
        np.testing.assert_array_equal(one.edges, expected.edges)
        assert one.counts.tolist() == expected.counts.tolist()
        assert (one.tag, one.min, one.max) == (expected.tag, expected.min, expected.max)
        rounding = 1e-12 * np.sqrt(expected.sum_squares) * expected.num  # where large values cancel out
        assert one.sum == pytest.approx(expected.sum, rel=1e-9, abs=rounding)
        assert one.sum_squares == pytest.approx(expected.sum_squares, rel=1e-9)
        assert (one.num, one.nonfinite) == (expected.num, expected.nonfinite)


@DTYPES
@pytest.mark.parametrize(
    "values",
    [[], [np.nan], [np.inf, -np.inf], [np.inf, 2.0], [-np.inf, -2.0], [-3.0], [0.0, -0.0], [1e-7], [-np.nan]],
    ids=str,
)
def test_awkward_values(dtype, values):
    assert_as_numpy([np.array(values).astype(dtype)])


@pytest.mark.parametrize(
    "values", [[HUGE, -HUGE], [HUGE] * 3, [1e-45, -1e-45], [np.nan, HUGE, -HUGE]], ids=str
)
def test_the_ends_of_float32(values):
    assert_as_numpy([np.array(values, np.float32)])


@given(st.lists(st.floats(width=32), max_size=40))
@settings(max_examples=200, deadline=None)
def test_any_values(values):
    assert_as_numpy([np.array(values, np.float32)])


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("times", [1, 3])
def test_every_value_of_16_bits(dtype, times):
    """As many as have a counter each, and some fewer, which are widened."""
    codes = np.random.default_rng(0).permutation(np.repeat(np.arange(1 << 16, dtype=np.uint16), times))
    assert_as_numpy([codes.view(dtype), codes[: (1 << 16) - 5].view(dtype)])


@DTYPES
def test_many_of_all_sizes(dtype, monkeypatch):
    """Longer than a part, exactly one, empty, of no dimension, of several, with gaps."""
    monkeypatch.setattr(cpu, "CHUNK", 1 << 17)
    random = np.random.default_rng(1)
    shapes = [(1 << 17,), (3, 1 << 17), (0,), (), ((1 << 17) + 1,), (7, 5, 3), *[(9,)] * 50]
    arrays = [random.normal(0, 0.1, shape).astype(dtype) for shape in shapes]
    assert_as_numpy([*arrays, arrays[1][:, ::3], arrays[5].T])


def test_each_part_is_done_once_however_many_threads(monkeypatch):
    monkeypatch.setattr(cpu, "CHUNK", 100)
    monkeypatch.setattr(cpu, "_cores", lambda: 7)
    assert_as_numpy([np.random.default_rng(2).normal(size=10_001).astype(np.float32)])


def test_no_thread_is_left(monkeypatch):
    monkeypatch.setattr(cpu, "_cores", lambda: 4)
    before = set(threading.enumerate())
    cpu.summarize([np.ones(10, np.float32)])
    assert set(threading.enumerate()) == before


def test_an_error_in_a_thread_is_raised(monkeypatch):
    monkeypatch.setattr(cpu, "_cores", lambda: 2)
    monkeypatch.setattr(cpu._Describe, "__call__", lambda self, part: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cpu.summarize([np.ones(10, np.float32)])


def test_no_arrays():
    counts, statistics = cpu.summarize([])
    assert counts.shape == (0, 4096)
    assert statistics.shape == (0, 4)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("float32", True), ("float16", True), ("bfloat16", True), ("float64", False), ("int8", False)],
)
def test_which_dtypes(dtype, expected):
    assert cpu.serves(dtype) is expected
    assert cpu.serves(np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)) is expected


@pytest.fixture
def _anew(monkeypatch):
    """Numba is looked for again, before the test and after it."""
    monkeypatch.delitem(sys.modules, "tbx_keras.backends.numpy.numba_kernels", raising=False)
    monkeypatch.delattr("tbx_keras.backends.numpy.numba_kernels", raising=False)
    cpu.is_compiled.cache_clear()
    yield
    cpu.is_compiled.cache_clear()


@pytest.mark.usefixtures("_anew")
def test_without_numba(monkeypatch, recwarn):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert cpu.is_compiled() is False
    assert not recwarn.list


@pytest.mark.usefixtures("_anew")
def test_numba_that_does_not_work_is_reported_once(monkeypatch):
    """As when it is older than NumPy."""
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    with pytest.warns(UserWarning, match="pip install --upgrade numba"):
        assert cpu.is_compiled() is False
    assert cpu.is_compiled() is False
