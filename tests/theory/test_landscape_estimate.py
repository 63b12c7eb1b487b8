"""Estimates against the population and against dense algebra, and the bound on heavy tails."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from landscape_oracles import covariance

from jssl import losses
from jssl.data import toy
from jssl.errors import InputError
from jssl.theory import landscape

A0 = covariance(np.random.default_rng(0), np.array([2.0, 1.0, 0.5, 0.2]))
C = covariance(np.random.default_rng(1), np.array([1.5, 0.6, 0.3, 0.1]))


@pytest.mark.parametrize("clean_first", [False, True])
def test_errors_are_the_spread_of_the_estimates(clean_first):
    placement = "second" if clean_first else "both"

    seen = [
        landscape.estimate_covariances(
            *toy.gaussian_pairs(k, 400, A0, C, placement=placement)[:2], clean_first=clean_first
        )
        for k in jax.random.split(jax.random.key(2), 150)
    ]
    for exact, name in ((A0, "data"), (C, "augmentation")):
        values = np.stack([getattr(x, name) for x in seen])
        errors = np.stack([getattr(x, name + "_error") for x in seen])
        np.testing.assert_allclose(errors.mean(0), values.std(0, ddof=1), rtol=0.25)
        z = (values.mean(0) - exact) / values.std(0, ddof=1) * np.sqrt(len(values))
        assert np.abs(z).max() < 4.5


@pytest.mark.parametrize("clean_first", [False, True])
def test_held_out_eigenvalues_have_honest_errors(clean_first):
    placement, name = (
        ("second", "clean-augmented-clean")
        if clean_first
        else ("both", "augmented-augmented-clean")
    )
    factor = landscape.augmentation_factor(name)
    exact = np.linalg.eigvalsh(A0 - 0.5 * C)[::-1]
    inside, biased = [], []
    for key in jax.random.split(jax.random.key(3), 60):
        pairs = toy.gaussian_pairs(key, 600, A0, C, placement=placement)
        seen = landscape.signal_spectrum(*pairs[:2], factor, clean_first=clean_first)
        inside.append(np.abs(seen.held_out[0] - exact[0]) < 2 * seen.errors[0])
        biased.append(np.asarray(seen.held_out - exact) / np.asarray(seen.errors))
    assert np.mean(inside) > 0.85
    assert np.abs(np.mean(biased, 0)).max() < 1.0


@pytest.mark.parametrize("clean_first", [False, True])
def test_numpy_arrays_are_estimated_on_the_host(clean_first):
    pairs = np.asarray(toy.gaussian_pairs(jax.random.key(5), 50, A0, C)[:2])
    given = {"clean_first": clean_first}
    for function, options in (
        (landscape.estimate_covariances, given),
        (landscape.signal_spectrum, {**given, "factor": 0.5}),
    ):
        on_host = function(*pairs, **options)
        known = function(*map(jnp.asarray, pairs), **options)
        for name, seen, expected in zip(known._fields, on_host, known, strict=True):
            assert isinstance(seen, np.ndarray)
            assert isinstance(expected, jax.Array)
            both = (seen, expected) if name != "directions" else map(np.abs, (seen, expected))
            np.testing.assert_allclose(*both, rtol=1e-9, atol=1e-12)


def test_lanczos_on_products_with_the_data_finds_what_dense_algebra_finds():
    spectrum = np.geomspace(3, 0.01, 40)
    pairs = toy.gaussian_pairs(jax.random.key(4), 500, spectrum, 0.3 * np.ones(40))
    dense = landscape.signal_spectrum(*pairs[:2], 0.5)
    few = landscape.signal_spectrum(*pairs[:2], 0.5, count=5)
    np.testing.assert_allclose(few.eigenvalues, dense.eigenvalues[:5], rtol=1e-9)
    np.testing.assert_allclose(few.held_out, dense.held_out[:5], rtol=1e-5)
    np.testing.assert_allclose(few.errors, dense.errors[:5], rtol=1e-5)


@pytest.mark.parametrize("score", ["euclidean", "dot"])
def test_no_distribution_goes_below_the_bound(score):
    draws = jax.random.t(jax.random.key(5), 2.2, (40, 3, 60, 3))
    sizes = jnp.geomspace(0.02, 2, 10)[:, None, None]
    weights = sizes * jax.random.normal(jax.random.key(6), (10, 2, 3))
    for anchor, positive, negatives in draws:
        seen = landscape.check_bound(weights, anchor, positive, negatives, score=score)
        assert seen.violations == 0
    loss = losses.get(
        "info_nce",
        negatives=negatives @ weights[3].T,
        score=score,
        include_positive=False,
        temperature=0.5,
    )
    small = 1e-3 * weights[3]
    tiny = landscape.check_bound(small[None], anchor, positive, negatives, score=score)
    value = loss(anchor @ small.T, positive @ small.T)
    assert np.isfinite(value)
    assert tiny.excess[0] < 1e-3 * np.abs(value)


def test_the_quartic_ratio_is_one_for_gaussian_data_and_not_for_heavy_tails():
    key = jax.random.key(7)
    weights = 0.05 * jax.random.normal(key, (1, 2, 3))
    gaussian = jax.random.normal(key, (3, 2000, 3))
    heavy = jax.random.laplace(key, (3, 2000, 3)) / jnp.sqrt(2.0)
    for score in ("euclidean", "dot"):
        ratio = landscape.check_bound(weights, *gaussian, score=score).quartic_ratio[0]
        assert abs(ratio - 1) < 0.15
    assert landscape.check_bound(weights, *heavy).quartic_ratio[0] > 1.2


def test_bad_samples_are_refused():
    x = jnp.ones((3, 2))
    with pytest.raises(InputError, match="four pairs"):
        landscape.signal_spectrum(x, x, 0.5)
    with pytest.raises(InputError, match="count"):
        landscape.signal_spectrum(jnp.ones((8, 2)), jnp.ones((8, 2)), 0.5, count=3)
    with pytest.raises(InputError, match="flatten"):
        landscape.estimate_covariances(jnp.ones((4, 2, 2)), jnp.ones((4, 2, 2)))


def test_nan_does_not_count_as_kept_bound():
    draws = np.random.default_rng(9).standard_normal((3, 20, 2))
    weights = jnp.array([[[1.0, 0.0]], [[np.nan, 0.0]]])
    assert landscape.check_bound(weights, *map(jnp.asarray, draws)).violations == 1
    with pytest.raises(InputError, match="factor must be"):
        landscape.signal_spectrum(*map(jnp.asarray, draws[:2]), np.nan)
