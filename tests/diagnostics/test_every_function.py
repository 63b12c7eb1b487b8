"""Every public function where numbers go wrong: not finite, half precision, integers, any scale.

Each gives its value in float64 on the same numbers, or NaN, or `InputError`; never a wrong number
or an error from inside a library. That float64 values are right is for the tests of each function.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from every_argument import FUNCTIONS, PUBLIC, SECOND, N, arguments, data, whole_numbers

from jssl.diagnostics import KINDS
from jssl.errors import InputError
from jssl.precision import float64

pytestmark = pytest.mark.float32
EVERY = pytest.mark.parametrize("name", FUNCTIONS)
DTYPES = ("float16", "bfloat16", "int8")


def call(name, given):
    """Return the result as arrays, or None where the function refuses its input in one line."""
    try:
        result = PUBLIC[name](**given)
    except InputError as error:
        if "\n" in str(error):
            raise
        return None
    leaves = jax.tree.leaves(result)  # sizes that only depend on shapes are Python integers
    return [np.asarray(x) for x in leaves if not isinstance(x, int)]


def in_float64(name, given):
    """Return the function's result in float64 on the numbers given."""
    with float64():
        wide = {
            key: np.asarray(value, np.float64)
            if hasattr(value, "dtype") and key in data(*whole_numbers())
            else value
            for key, value in given.items()
        }
        return call(name, wide)


def assert_agree(name, given, *, least=0.0, tolerance=2e-5):
    """Compare with float64 on the same numbers; what float32 cannot hold may be infinite.

    The tolerance is relative to the largest number of an array, or to `least`.
    """
    found, expected = call(name, given), in_float64(name, given)
    assert (found is None) == (expected is None)
    for ours, reference in zip(found or [], expected or [], strict=True):
        with np.errstate(over="ignore"):
            reference = reference.astype(ours.dtype)
        finite = np.abs(reference[np.isfinite(reference)].astype(float))
        atol = tolerance * finite.max(initial=least) if ours.dtype.kind == "f" else 0
        np.testing.assert_allclose(ours, reference, rtol=tolerance, atol=atol)


@EVERY
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("place", [1, -1])
@pytest.mark.parametrize("second", [False, True])
def test_a_value_that_is_not_finite_is_refused_or_seen_in_every_number(name, bad, place, second):
    given = arguments(name, *whole_numbers(), lambda value: value.astype(np.float32))
    touched = [key for key in given if (key in SECOND) == second and key in data(*whole_numbers())]
    for key in touched:
        given[key].flat[place] = bad
    leaves = call(name, given) or [] if touched else []
    for leaf in leaves:
        if leaf.dtype.kind == "f":
            assert not np.isfinite(leaf).all()
    counts = [leaf for leaf in leaves if leaf.dtype.kind == "i"]
    unknown = [leaf for leaf in counts if leaf in (-1, KINDS.index("undefined"))]
    assert bool(unknown) == bool(counts)


@EVERY
@pytest.mark.parametrize("dtype", DTYPES)
def test_half_precision_and_integers_have_the_value_of_the_same_numbers_in_float64(name, dtype):
    given = arguments(name, *whole_numbers(), lambda value: jnp.asarray(value, dtype))
    found = call(name, given)
    assert found is not None
    assert all(x.dtype in ("float32", "float64", "int32", "bool") for x in found)
    assert_agree(name, given)


@EVERY
@pytest.mark.parametrize("scale", [1e-12, 1e12, 1e18])
def test_every_scale_of_float32_has_the_value_of_float64(name, scale):
    given = arguments(
        name, *whole_numbers(), lambda value: (scale / 127 * value).astype(np.float32)
    )
    assert_agree(name, given)


@EVERY
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
@pytest.mark.parametrize("rows", [1, N])
def test_identical_rows_and_one_row_have_the_value_of_float64(name, scale, rows):
    x, y = (np.tile(z[:1], (rows, 1)) for z in whole_numbers())
    given = arguments(name, x, y, lambda value: (scale / 127 * value).astype(np.float32))
    assert_agree(name, given, least=max(scale, 0.1) ** 2)


@EVERY
@pytest.mark.parametrize(
    "bad",
    [
        np.ones((4, 2), complex),
        np.full((4, 2), "a"),
        [[1.0, 2.0], [1.0]],
        np.ones((0, 2)),
        np.ones((4, 0)),
        np.array(1.0),
    ],
)
def test_what_is_no_array_of_numbers_of_that_rank_is_refused_in_one_line(name, bad):
    given = arguments(name, *whole_numbers(), np.float32)
    for key in set(given) & set(data(*whole_numbers())):
        found = call(name, {**given, key: bad})
        assert found is None or not any(leaf.size for leaf in found)  # no spectra, no ranks
