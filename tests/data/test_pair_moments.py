"""Moments and the pairs that have them: what is no moment of two views is refused."""

import jax.numpy as jnp
import numpy as np
import pytest

from jssl.data.masks import masked_moments, masked_pairs
from jssl.data.moments import Moments, pair_moments, pairs_with_moments
from jssl.errors import InputError
from jssl.types import Pairs

EYE = np.eye(2)
SKEWED = np.array([[1.0, 0.5], [0.0, 1.0]])
WRONG = ("x", None, object(), 1j * EYE, [[1.0], [1.0, 2.0]], 0.5, np.ones(3), np.nan * EYE)


@pytest.mark.parametrize("name", Moments._fields)
def test_what_is_no_moment_makes_no_pairs(name):
    symmetric = (SKEWED, SKEWED * 1e200) if name != "cross" else ()
    for value in (*WRONG, np.inf * np.ones((2, 2)), *symmetric):
        with pytest.raises(InputError) as refused:
            pairs_with_moments(Moments(EYE, 0.1 * EYE, EYE)._replace(**{name: value}))
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("value", [None, "x", 3, (EYE, EYE, EYE)])
def test_what_has_no_moments_is_refused(value):
    for call in (pair_moments, pairs_with_moments):
        with pytest.raises(InputError, match="must be jssl"):
            call(value)


@pytest.mark.parametrize("view", [None, "x", [[1.0], [2.0]], np.array(["a", "b"]), 1j * EYE])
def test_views_that_are_no_arrays_of_numbers_have_no_moments(view):
    with pytest.raises(InputError):
        pair_moments(Pairs(view, view))


def test_moments_that_exceed_the_largest_number_are_refused():
    large = np.full((3, 2, 2, 1), 1e200)
    with pytest.raises(InputError, match="exceed the largest number of float64"):
        pair_moments(Pairs(large, large))
    with pytest.raises(InputError, match="exceed the largest number of float64"):
        masked_moments(large, 1)


@pytest.mark.float32
def test_pairs_that_exceed_the_largest_number_of_their_dtype_are_refused():
    with pytest.raises(InputError, match="largest number of float32"):
        pairs_with_moments(Moments(1e300 * EYE, 0 * EYE, EYE))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_images_that_are_not_finite_are_not_masked(bad):
    with pytest.raises(InputError, match="not finite"):
        masked_pairs(jnp.ones((2, 4, 4, 1)).at[1, 2, 3, 0].set(bad))


@pytest.mark.parametrize("images", ["x", None, [[1.0], [1.0, 2.0]]])
def test_what_is_no_image_is_not_masked(images):
    for call in (masked_pairs, masked_moments):
        with pytest.raises(InputError):
            call(images)
