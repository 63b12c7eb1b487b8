"""Moments of pairs as weights of their views, against covariances that are stated."""

import jax.numpy as jnp
import numpy as np
import pytest

from jssl.errors import InputError
from jssl.theory import landscape
from jssl.theory.landscape.pairing import covariance_pairings, first_is_clean, signal_pairing

DATA, NOISE = np.array([1.0, 2.0]), np.array([0.1, 3.0])


def exact_views(clean, n=60):
    """Return views whose data and noise have exactly these covariances and no overlap."""
    draws = np.random.default_rng(0).normal(size=(n, 6))
    q = np.linalg.qr(draws - draws.mean(0))[0] * np.sqrt(n)
    x, e, f = q[:, :2] * DATA**0.5, q[:, 2:4] * NOISE**0.5, q[:, 4:] * NOISE**0.5
    return (x, x + e) if clean else (x + e, x + f)


def moment(pairing, first, second):
    cross = first.T @ second
    parts = (first.T @ first, (cross + cross.T) / 2, second.T @ second)
    return sum(weight * part for weight, part in zip(pairing, parts, strict=True)) / len(first)


@pytest.mark.parametrize("clean", [True, False])
@pytest.mark.parametrize("placement", landscape.PLACEMENTS)
def test_signal_and_covariances_are_those_of_the_dictionary(placement, clean):
    views = exact_views(clean)
    stated = landscape.form("info_nce_euclidean", DATA, NOISE, placement=placement)
    signal = moment(signal_pairing(placement, clean_first=clean), *views)
    np.testing.assert_allclose(signal, stated.signal, atol=1e-12)
    anchor, negative = covariance_pairings(placement, clean_first=clean)
    np.testing.assert_allclose(moment(anchor, *views), stated.anchor, atol=1e-12)
    np.testing.assert_allclose(moment(negative, *views), stated.negative, atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_clean_first_views_are_told_from_augmented_ones(seed):
    draws = np.random.default_rng(seed)
    x, e, f = (jnp.asarray(draws.normal(size=(1500, 3))) for _ in range(3))
    for size in (0.3, 1.0):
        assert first_is_clean(x, x + size * e)
        assert not first_is_clean(x + size * e, x + size * f)
    assert not first_is_clean(x, x)


def test_pairs_that_do_not_show_it_are_refused():
    x, e, f = jnp.asarray(np.random.default_rng(0).normal(size=(3, 300, 3)))
    with pytest.raises(InputError, match="swap the views"):
        first_is_clean(x + e, x)
    with pytest.raises(InputError, match="pass clean_first=True or clean_first=False"):
        first_is_clean(x + 0.7 * e, x + f)
    with pytest.raises(InputError, match="pass clean_first"):
        first_is_clean(x[:4], x[:4] + e[:4])
