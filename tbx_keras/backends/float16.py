"""Tables of the 65536 values of a 16-bit float.

Guarantees: pure NumPy; a table is made once for a dtype.
"""

from __future__ import annotations

import functools

import numpy as np

from tbx_keras.backends.buckets import BUCKET_COUNT

BIT_PATTERNS = 1 << 16


@functools.cache
def bit_pattern_table(dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Tabulate the bucket index and the value of each bit pattern.

    Args:
        dtype: A NumPy dtype of 16 bits, such as that of float16 or bfloat16.

    Returns:
        int32 array `(65536,)`, in rising order, and float32 array `(65536,)`, NaN and infinities too.
    """
    wide = np.arange(BIT_PATTERNS, dtype=np.uint16).view(dtype).astype(np.float32)
    return (wide.view(np.uint32) // (2**32 // BUCKET_COUNT)).astype(np.int32), wide
