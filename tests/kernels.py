"""Arrays that kernels of every framework have to describe as the reference does."""

from __future__ import annotations

import numpy as np

_draw = np.random.default_rng(11)
_NORMAL = _draw.normal(size=(64, 33)).astype("float32")
_SPOILT = _NORMAL.copy()
_SPOILT[3, 4], _SPOILT[5, 6], _SPOILT[7, 8] = np.nan, np.inf, -np.inf

ARRAYS = {
    "normal": _NORMAL,
    "one element": np.float32([2.5]),
    "a scalar": np.float32(-3.0),
    "empty": np.zeros((0, 3), "float32"),
    "zeros": np.zeros(10, "float32"),
    "not finite here and there": _SPOILT,
    "nothing finite": np.float32([np.nan, np.inf, -np.inf]),
    "huge": np.float32([3e38, -2e38, 1e30]),
    "a sum that overflows": np.full(100, 3e38, "float32"),
    "tiny": np.float32([1e-30, -3e-31]),
    "half precision": _NORMAL.astype("float16"),
    "whole numbers": np.arange(-5, 20, dtype="int32"),
    "truths": np.array([True, False, True]),
    "squares that overflow": np.full(10, 1e25, "float32"),
    "squares that underflow": np.float32([1e-22, -3e-23, 2e-20]),
    "many": _draw.normal(0, 1e-3, 300_000).astype("float32"),
    "long, whose squares overflow": np.full(20_000, 1e25, "float32"),
    "long, whose squares underflow": _draw.normal(0, 1e-22, 20_000).astype("float32"),
    "long, zeros": np.zeros(20_000, "float32"),
    "long, not finite": np.where(np.arange(20_000) == 7, np.nan, 1).astype("float32"),
    "large enough to be split": _draw.normal(0, 1e-3, (1031, 1100)).astype("float32"),
}
REL = 1e-5  # of sums of float32


def same(counts: np.ndarray, statistics: np.ndarray, array: np.ndarray) -> None:
    """Assert that a row describes an array."""
    from tbx_keras.backends.numpy.kernels import count_float_bits

    expected_counts, expected = count_float_bits("one", array)
    np.testing.assert_array_equal(np.asarray(counts), expected_counts)
    np.testing.assert_allclose(np.asarray(statistics)[:2], np.asarray(expected)[:2], rtol=1e-7)
    scale = np.sqrt(max(float(expected[3]) * max(array.size, 1), 1e-300))
    np.testing.assert_allclose(statistics[2], expected[2], rtol=REL, atol=REL * scale)
    np.testing.assert_allclose(statistics[3], expected[3], rtol=REL)


def squares(array: np.ndarray) -> float:
    return float(np.sum(np.asarray(array, np.float64) ** 2))


def main() -> None:
    """Describe all arrays by PyTorch; in a process of its own, where TensorFlow is not loaded."""
    import torch

    from tbx_keras.backends.torch import kernels

    tensors = [torch.as_tensor(array) for array in ARRAYS.values()]
    counts, statistics = map(np.asarray, kernels.summarize(tensors))
    for row, array in enumerate(ARRAYS.values()):
        same(counts[row], statistics[row], array)
    found = np.asarray(kernels.sums_of_squares(tensors))
    for row, array in enumerate(ARRAYS.values()):
        np.testing.assert_allclose(
            found[row], np.nan if not np.isfinite(array).all() else squares(array), rtol=REL
        )
    parts = np.random.default_rng(1).normal(size=(5, 3, 2)).astype("float32")
    counts, statistics = map(np.asarray, kernels.summarize([torch.view_as_complex(torch.as_tensor(parts))]))
    same(counts[0], statistics[0], parts)
    large = torch.randn(5_000_000)
    counts, statistics = map(np.asarray, kernels.summarize([large]))
    same(counts[0], statistics[0], large.numpy())


if __name__ == "__main__":
    main()
