"""Masks of patches and exact moments against sampled ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jssl.data import images, masks, moments
from jssl.data.moments import Moments
from jssl.errors import InputError
from jssl.types import Pairs


def picture(n=3, side=4, channels=1):
    return np.random.default_rng(0).normal(size=(n, side, side, channels))


def test_context_and_target_are_complementary_patches():
    x = jnp.ones((50, 6, 4, 2))
    pairs = jax.jit(masks.masked_pairs(x, patch=2, kept=2))(jax.random.key(0))
    np.testing.assert_array_equal(pairs.first + pairs.second, x)
    blocks = np.asarray(pairs.first).reshape(50, 3, 2, 2, 2, 2)  # patches of 2 x 2, 2 channels
    sums = blocks.sum((2, 4, 5))
    assert set(np.unique(sums)) == {0.0, 8.0}
    assert np.all((sums == 8).sum((1, 2)) == 2)
    assert len(np.unique(sums.reshape(50, -1), axis=0)) > 5


@pytest.mark.parametrize(("patch", "kept", "channels"), [(2, 1, 1), (2, 3, 2), (1, 5, 1)])
def test_exact_moments_are_the_mean_over_many_masks(patch, kept, channels):
    x = picture(channels=channels)
    exact = masks.masked_moments(x, patch, kept)
    sampler = jax.jit(masks.masked_pairs(jnp.asarray(np.tile(x, (400, 1, 1, 1))), patch, kept))
    draws = [sampler(jax.random.key(seed)) for seed in range(30)]
    first, second = (
        np.concatenate([np.asarray(draw[view]) for draw in draws]).reshape(36_000, -1)
        for view in (0, 1)
    )
    for found, left, right in (
        (exact.context, first, first),
        (exact.cross, second, first),
        (exact.target, second, second),
    ):
        products = left[:, :, None] * right[:, None, :]
        error = products.std(0) / np.sqrt(len(first))
        assert np.all(np.abs(products.mean(0) - found) <= 5.5 * error + 1e-12)


def test_half_of_the_patches_of_digits_are_as_stated():
    x = images.digits().x.astype(float)
    x -= x.mean(0)
    found = masks.masked_moments(x, 2)
    pixels = np.einsum("ni,nj->ij", *[x.reshape(len(x), -1)] * 2) / len(x)
    np.testing.assert_allclose(found.context[10, 11], pixels[10, 11] / 2)
    np.testing.assert_allclose(found.context[10, 30], pixels[10, 30] * 7 / 30)
    np.testing.assert_allclose(found.cross[10, 30], pixels[10, 30] * 4 / 15)
    assert found.cross[10, 11] == 0
    values = np.linalg.eigvalsh(found.cross)
    assert (np.sum(values > 1e-9), np.sum(values < -1e-9)) == (20, 41)
    np.testing.assert_allclose(values[-1], 0.1316, atol=5e-5)


@pytest.mark.parametrize(
    ("shape", "settings", "message"),
    [
        ((2, 4, 4, 1), {"kept": 0}, "the mask leaves no context: kept must be from 1 to 3"),
        ((2, 4, 4, 1), {"kept": 4}, "the mask leaves no target: kept must be from 1 to 3"),
        ((2, 4, 4, 1), {"patch": 3}, "patch 3 must divide both sides"),
        ((2, 4, 4, 1), {"patch": 4}, "which leaves no target"),
        ((2, 4, 4, 1), {"patch": 0}, "patch must be a whole number"),
        ((2, 16), {}, "masks need"),
    ],
)
def test_masks_that_leave_nothing_are_refused_in_one_line(shape, settings, message):
    for use in (masks.masked_moments, lambda x, **s: masks.masked_pairs(jnp.asarray(x), **s)):
        with pytest.raises(InputError, match=message) as caught:
            use(np.ones(shape), **settings)
        assert "\n" not in str(caught.value)


def test_integers_are_no_images():
    with pytest.raises(InputError, match="float images"):
        masks.masked_pairs(jnp.ones((2, 4, 4, 1), int))


def test_pairs_have_exactly_the_moments_they_are_made_from():
    made = masks.masked_moments(picture(), 2)
    pairs = moments.pairs_with_moments(made)
    n = len(pairs.first)
    np.testing.assert_allclose(pairs.first.T @ pairs.first / n, made.context, atol=1e-12)
    np.testing.assert_allclose(pairs.second.T @ pairs.first / n, made.cross, atol=1e-12)
    np.testing.assert_allclose(pairs.second.T @ pairs.second / n, made.target, atol=1e-12)


def test_moments_of_both_directions_are_symmetric():
    x, y = np.random.default_rng(0).normal(size=(2, 50, 3))
    found = moments.pair_moments(Pairs(x, y))
    np.testing.assert_allclose(found.context, (x.T @ x + y.T @ y) / 100)
    np.testing.assert_allclose(found.cross, (x.T @ y + y.T @ x) / 100)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (Moments(np.eye(2), np.eye(2)), "pass Moments"),
        (Moments(np.eye(2), np.eye(2), np.eye(3)), r"must all be \(m, m\)"),
        (Moments(np.eye(2), 2 * np.eye(2), np.eye(2)), "no two views have these moments"),
    ],
)
def test_moments_that_no_views_have_are_refused(given, message):
    with pytest.raises(InputError, match=message):
        moments.pairs_with_moments(given)


@pytest.mark.parametrize(
    ("bad", "message"),
    [(np.nan, "not finite"), (1j, "real numbers")],
)
def test_pixels_that_are_no_finite_numbers_are_refused(bad, message):
    with pytest.raises(InputError, match=message):
        masks.masked_moments(np.full((2, 4, 4, 1), bad))
