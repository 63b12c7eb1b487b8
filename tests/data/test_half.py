"""Half precision converted by its bits: all 65,536 values of both types, bit for bit."""

import ml_dtypes
import numpy as np
import pytest

from jssl.data.chunks import rows
from jssl.data.half import is_half, widen

ALL = np.arange(2**16, dtype=np.uint16)
TYPES = [np.float16, ml_dtypes.bfloat16]


@pytest.mark.parametrize("dtype", TYPES)
def test_every_value_is_that_of_numpy(dtype):
    values = ALL.view(dtype)
    with np.errstate(invalid="ignore"):  # NaN that signals
        expected = values.astype(np.float64)
        finite = np.isfinite(expected)
        for chosen in (np.ones_like(finite), finite, ~finite & ~np.isnan(expected)):
            out = np.empty(chosen.sum())
            widen(values[chosen], out)
            np.testing.assert_array_equal(out, expected[chosen])
            numbers = ~np.isnan(out)
            signs = np.signbit(expected[chosen])
            np.testing.assert_array_equal(np.signbit(out)[numbers], signs[numbers])


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan, -np.nan])
@pytest.mark.parametrize("dtype", TYPES)
def test_one_value_that_is_not_finite_stays_so_among_others(dtype, bad):
    values = np.full((4, 3), -2.5, dtype)
    values[2, 1] = bad
    out = np.empty((4, 3))
    widen(values, out)
    np.testing.assert_array_equal(out, values.astype(np.float64))


@pytest.mark.parametrize("dtype", [*TYPES, ">f2", np.float32, ">f4", np.float64, np.int8, bool])
def test_slices_of_any_order_and_type_are_converted(dtype):
    values = np.random.default_rng(0).normal(size=(7, 6)).astype(dtype)
    for part in (values, values[:, ::2], values.T, np.asfortranarray(values)[1:]):
        out = np.empty(part.shape)
        widen(part, out)
        np.testing.assert_array_equal(out, part.astype(np.float64))
        together = np.concatenate([each for _, each in rows(part, 2)])
        np.testing.assert_array_equal(together, part.astype(np.float64))


def test_other_byte_orders_and_void_are_not_read_by_their_bits():
    assert [is_half(np.dtype(name)) for name in ("f2", ">f2", "V2", "f4")] == [True, *[False] * 3]
    assert is_half(np.dtype(ml_dtypes.bfloat16))
    assert not is_half(np.dtype(ml_dtypes.float8_e5m2))
