"""Numbers of half precision in double precision, by their bits: NumPy converts one at a time.

float16 has 1 bit of sign, 5 of exponent (bias 15) and 10 of fraction; float32 has 1, 8 (bias 127)
and 23. The bits of a float16, moved up by 13 with the sign kept on top, are those of a float32 that
is 2^-112 times as large, subnormal numbers included. bfloat16 is the upper half of a float32.
"""

from typing import Any

import numpy as np

_SHIFT = 23 - 10
_KEPT = np.array([0x8FFFE000], np.uint32).view(np.int32)[0]
"""The sign and the bits of a shifted float16; the copies of the sign between them are cleared."""

_SCALE = np.float32(2.0 ** (127 - 15))
_INFINITE, _MINUS_INFINITE = 0x7C00, 0xFC00  # all numbers beyond, of the same sign, are NaN


def widen(values: np.ndarray, out: np.ndarray) -> None:
    """Write real numbers of any dtype into a float64 array of the same shape, exactly.

    Example:
        >>> out = np.empty(3)
        >>> widen(np.array([-1.5, 6e-8, np.inf], np.float16), out)
        >>> out.tolist()
        [-1.5, 5.960464477539063e-08, inf]
    """
    if values.dtype == np.float16 and not _any_infinite(values):
        bits = values.view(np.int16).astype(np.int32)
        bits <<= _SHIFT
        bits &= _KEPT
        wide = bits.view(np.float32)
        wide *= _SCALE
        np.copyto(out, wide)
    elif _is_bfloat16(values.dtype):
        bits = values.view(np.uint16).astype(np.uint32)
        bits <<= 16
        with np.errstate(invalid="ignore"):  # NaN that signals
            np.copyto(out, bits.view(np.float32))
    else:
        np.copyto(out, values, casting="unsafe")


def is_half(dtype: Any) -> bool:
    """Return whether a dtype is float16, or the bfloat16 of ml_dtypes, in native byte order.

    Example:
        >>> is_half(np.dtype("float16")), is_half(np.dtype("float32")), is_half(np.dtype("V2"))
        (True, False, False)
    """
    return bool(dtype == np.float16) or _is_bfloat16(dtype)


def _is_bfloat16(dtype: Any) -> bool:
    return dtype.isbuiltin == 2 and dtype.name == "bfloat16"  # without importing ml_dtypes


def _any_infinite(values: np.ndarray) -> bool:
    """Return whether a float16 is infinite or NaN."""
    if not values.size:
        return False
    highest, lowest = values.view(np.int16).max(), values.view(np.uint16).max()
    return bool(highest >= _INFINITE or lowest >= _MINUS_INFINITE)
