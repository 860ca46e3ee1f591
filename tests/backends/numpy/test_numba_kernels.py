"""What the kernels rely on Numba for; their results are looked at in `test_cpu`."""

import numpy as np
import pytest

from tbx_keras.backends.buckets import BUCKET_COUNT
from tbx_keras.backends.numpy import numba_kernels as kernels

KERNELS = [
    "count_buckets",
    "fast_statistics",
    "finite_only_statistics",
    "count_bit_patterns",
    "statistics_of_bit_patterns",
]


@pytest.mark.parametrize("name", KERNELS)
def test_kernels_run_without_the_interpreter_lock(name):
    """Guards speed: with it one core would work."""
    assert getattr(kernels, name).targetoptions["nogil"]


def test_statistics_are_computed_by_vector_instructions():
    """Guards speed: a change of the loop, or of the compiler, may cost a factor of eight."""
    values = np.ones(8, np.float32)
    kernels.fast_statistics(values, values.view(np.int32))
    for code in kernels.fast_statistics.inspect_llvm().values():
        assert "x double>" in code
        assert "x i32>" in code


@pytest.mark.parametrize("size", range(9))
def test_tables_are_left_as_they_were(size):
    tables, counts = np.zeros((kernels.TABLES, BUCKET_COUNT), np.uint32), np.full(BUCKET_COUNT, 7, np.int64)
    kernels.count_buckets(np.ones(size, np.float32).view(np.uint32), tables, counts)
    assert counts.sum() == counts[0x3F8] == size
    assert not tables.any()
