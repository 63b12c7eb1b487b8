"""Every public function where numbers go wrong: not finite, half precision, integers, any scale.

Each gives its value in float64 on the same numbers, or NaN, or `InputError`; never a wrong number
or an error from inside a library. A new function is covered as soon as it is in `__all__`: its
required arguments are made by name, so it uses known names or adds its own below. That float64
values are right is for the tests of each function.
"""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jssl import diagnostics
from jssl.diagnostics import KINDS
from jssl.errors import InputError
from jssl.precision import float64

pytestmark = pytest.mark.float32
PUBLIC = {name: getattr(diagnostics, name) for name in diagnostics.__all__}
FUNCTIONS = sorted(
    name for name, value in PUBLIC.items() if callable(value) and not inspect.isclass(value)
)
EVERY = pytest.mark.parametrize("name", FUNCTIONS)
N, DIM = 64, 6
DTYPES = ("float16", "bfloat16", "int8")


def whole_numbers(rows=N):
    """Return two arrays of related whole numbers up to 127, exact in every dtype."""
    own, noise = np.random.default_rng(0).normal(size=(2, N, DIM))
    x, y = (np.clip(np.round(40 * z), -127, 127) for z in (own, own + 0.3 * noise))
    return x[:rows], y[:rows]


def symmetric(x, diagonal):
    """Return a positive definite matrix of whole numbers up to 127."""
    corner = np.resize(x, (DIM, DIM)) % 5
    return np.triu(corner, 1) + np.triu(corner, 1).T + diagonal * np.eye(DIM)


def data(x, y):
    """Return what can be scaled, cast or spoilt, by the name of the argument."""
    growing = np.maximum(np.sort(np.abs(x), axis=0), 1)
    moving = [
        np.stack([np.resize(np.roll(z, k, 0), (4, 2)) for k in range(len(z))]) for z in (x, y)
    ]
    views = 4 if len(x) % 4 == 0 else 1
    firsts = dict.fromkeys(("a", "first", "train", "z", "za"), x)
    seconds = dict.fromkeys(("b", "second", "test", "zb"), y)
    return {
        **firsts,
        **seconds,
        "between": symmetric(x, 60),
        "clouds": x.reshape(-1, views, DIM),
        "eigenvalues": np.sort(np.abs(x[0]))[::-1],
        "embeddings": moving[0],
        "limit": moving[1],
        "matrix": symmetric(x, 100),
        "values": growing,
        "within": symmetric(y, 100),
    }


SECOND = {"b", "limit", "second", "test", "within", "zb"}
"""Arguments made from the second array."""


def arguments(name, x, y, change):
    """Return the required arguments of a function, those that are data changed by `change`."""
    made = {key: change(value) for key, value in data(x, y).items()}
    made |= {
        "mean_a": np.asarray(made["a"], np.float64).mean(0),
        "mean_b": np.asarray(made["b"], np.float64).mean(0),
        "mean_square": 2 * float(np.abs(np.asarray(made["eigenvalues"], np.float64)).sum()),
        "pairs": 2,
        "points": len(x) + 1,
        "t": np.arange(len(x)),
        "test_labels": np.arange(len(y)) % 3,
        "train_labels": np.arange(len(x)) % 3,
        "widths": np.arange(1, len(x) + 1),
    }
    signature = inspect.signature(PUBLIC[name]).parameters.values()
    wanted = [p.name for p in signature if p.default is inspect.Parameter.empty]
    missing = set(wanted) - set(made)
    assert not missing, f"{name} has arguments that this file cannot make: {missing}; add them"
    return {key: made[key] for key in wanted}


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
