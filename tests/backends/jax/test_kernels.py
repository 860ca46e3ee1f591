"""JAX describes arrays as NumPy does, traced and not."""

import numpy as np
import pytest

from tests.kernels import ARRAYS, REL, same, squares

jax = pytest.importorskip("jax")
kernels = pytest.importorskip("tbx_keras.backends.jax.kernels")
EACH = pytest.mark.parametrize("name", ARRAYS)


@EACH
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_one_array(name, compiled):
    described = (jax.jit(kernels.summarize) if compiled else kernels.summarize)([ARRAYS[name]])
    same(described.counts[0], np.asarray(described.scaled())[0], ARRAYS[name])


def test_several_arrays_where_one_is_not_finite():
    names = ["normal", "not finite here and there", "empty", "huge", "many"]
    described = jax.jit(kernels.summarize)([ARRAYS[name] for name in names])
    statistics = np.asarray(described.scaled())
    for row, name in enumerate(names):
        same(described.counts[row], statistics[row], ARRAYS[name])


@EACH
def test_sums_of_squares(name):
    found = np.asarray(kernels.sums_of_squares([ARRAYS[name]]).scaled())[0]
    expected = squares(ARRAYS[name]) if np.isfinite(ARRAYS[name]).all() else np.nan
    np.testing.assert_allclose(found, expected, rtol=REL)


def test_one_program_for_a_set_of_shapes():
    compiled = jax.jit(kernels.summarize)
    sizes = []
    for seed in range(3):
        compiled([np.random.default_rng(seed).normal(size=(4, 5)).astype("float32")])
        sizes.append(compiled._cache_size())
    assert sizes[0] == sizes[2]


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize(
    "left_out", [(), ("long, not finite", "long, zeros", "long, whose squares overflow")]
)
def test_sums_of_squares_of_arrays_of_all_lengths(compiled, left_out):
    """With and without one for which a plain sum is not good enough."""
    arrays = [one for name, one in ARRAYS.items() if name not in left_out]
    sums = jax.jit(kernels.sums_of_squares) if compiled else kernels.sums_of_squares
    expected = [squares(one) if np.isfinite(one).all() else np.nan for one in arrays]
    np.testing.assert_allclose(np.asarray(sums(arrays).scaled()), expected, rtol=REL)


def test_complex_numbers_are_two_numbers_each():
    array = np.random.default_rng(1).normal(size=(5, 3, 2)).astype("float32")
    given = [jax.numpy.asarray(array[..., 0] + 1j * array[..., 1])]
    described = kernels.summarize(given)
    same(described.counts[0], np.asarray(described.scaled())[0], array)
    np.testing.assert_allclose(
        np.asarray(kernels.sums_of_squares(given).scaled()), [squares(array)], rtol=REL
    )
