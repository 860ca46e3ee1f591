import ml_dtypes
import numpy as np
import pytest

from tbx_keras.backends.float16 import bit_pattern_table

DTYPES = pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])


@DTYPES
def test_keys_rise_with_the_codes(dtype):
    """What TensorFlow's sum over segments needs, and what NumPy must go on to do with NaN."""
    keys, _ = bit_pattern_table(np.dtype(dtype))
    assert (np.diff(keys) >= 0).all()
    assert (keys[0], keys[-1]) == (0, 4095)


@DTYPES
def test_values_are_those_of_the_codes(dtype):
    _, wide = bit_pattern_table(np.dtype(dtype))
    assert wide[np.array(1.5, dtype).view(np.uint16)] == 1.5
    assert wide[np.array(-0.25, dtype).view(np.uint16)] == -0.25
