"""Imbalance and design: the losses themselves on samples, and the rank that a design promises."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from landscape_oracles import best_of, covariance

from jssl import losses
from jssl.errors import InputError
from jssl.theory import landscape

P = np.array([0.6, 0.25, 0.1, 0.05])


def end_of(loss, dim, size, starts=4):
    """The lowest minimum of a loss of W over a few starts, by scipy with automatic gradients."""
    value = jax.jit(lambda flat: loss(flat.reshape(dim, size)))
    slope = jax.jit(jax.grad(value))
    points = 0.5 * np.random.default_rng(0).standard_normal((starts, dim * size))
    best = best_of(lambda x: (float(value(x)), np.asarray(slope(x))), points)
    return best[1].reshape(dim, size)


def balanced(n=400):
    """Samples with class frequencies exactly P and both signs, second moment exactly P r^2."""
    labels = np.repeat(np.arange(4), (P * n / 2).round().astype(int))
    x = np.eye(4)[labels] * 2.0
    return np.concatenate([x, -x])


def test_class_variances_are_where_the_spectral_loss_ends():
    """q_k = (a_k - decay)_+ / (a_k + c_k): the spectral loss is twice the dot score's."""
    x = balanced()
    noise = np.array([0.0, 0.5, 0.2, 0.4])
    n = len(x)
    # augmentation with exact moments: independent signs, orthogonal to the samples
    e = np.linalg.qr(np.concatenate([x, np.random.default_rng(1).standard_normal((n, 8))], 1))[0]
    first = jnp.asarray(x + e[:, 4:8] * np.sqrt(n * noise))
    second = jnp.asarray(x + e[:, 8:] * np.sqrt(n * noise))
    decay = 0.3
    spectral = losses.get("spectral_contrastive", negatives="all")

    def loss(w):
        return spectral(first @ w.T, second @ w.T) + 2 * decay * jnp.sum(w**2)

    weight = end_of(loss, 4, 4)
    variances = np.diag(weight.T @ weight) * (4 * P + noise)
    expected = landscape.class_variances(P, 2.0, augmentation=noise, weight_decay=decay)
    np.testing.assert_allclose(variances, expected, atol=2e-5)
    assert (np.asarray(expected) > 0).tolist() == (decay < 4 * P).tolist()
    np.testing.assert_allclose(landscape.class_variances(P, 2.0), 1.0)


def test_class_covariance_is_that_of_the_samples():
    for one_sided in (False, True):
        x, labels = landscape.class_samples(
            jax.random.key(0), 200_000, jnp.asarray(P), 1.5, one_sided=one_sided
        )
        x = np.asarray(x)
        for centred in (True, False):
            z = x - centred * x.mean(0)
            exact = landscape.class_covariance(P, 1.5, one_sided=one_sided, centred=centred)
            np.testing.assert_allclose(exact, z.T @ z / len(z), atol=0.02)
        np.testing.assert_allclose(np.bincount(labels) / len(x), P, atol=0.005)
    modes = np.linalg.eigvalsh(landscape.class_covariance(P, one_sided=True))
    assert (modes > 1e-12).sum() == 3


def test_one_sided_augmentation_loses_a_class_past_twice_its_variance():
    """Clean anchors and negatives, exact thresholds of the quartic landscape: c_k >= 2 p_k r^2."""
    data = landscape.class_covariance(P)
    for c, kept in ((0.09, 4), (0.11, 3), (0.21, 2), (0.6, 1), (1.3, 0)):
        seen = landscape.from_loss(
            "info_nce_euclidean", data, c, placement="clean-augmented-clean", dim=4
        )
        assert seen.rank == kept


def test_a_design_keeps_the_signal_and_loses_the_nuisance():
    rng = np.random.default_rng(2)
    data = covariance(rng, np.array([2.0, 1.0, 0.7, 0.4, 0.2]))
    nuisance = jnp.asarray(rng.standard_normal((5, 3)))
    for placement, alignment in (
        ("clean-augmented-clean", 1.0),
        ("augmented-augmented-both_clean", 1.0),
        ("augmented-augmented-augmented", 1.5),
    ):
        options = {"placement": placement, "alignment": alignment}
        noise = landscape.collapsing_augmentation(data, nuisance, margin=0.1, **options)
        seen = landscape.from_loss("info_nce_euclidean", data, noise, dim=5, **options)
        assert seen.rank == 2
        # just below the threshold nothing is lost
        less = landscape.from_loss("info_nce_euclidean", data, noise / 1.11, dim=5, **options)
        assert less.rank > 2
        basis = np.linalg.qr(nuisance)[0]
        inside = basis.T @ np.asarray(seen.form.signal) @ basis
        np.testing.assert_allclose(inside, -0.1 * basis.T @ data @ basis, atol=1e-12)


def test_designs_that_cannot_work_are_refused():
    data, directions = np.eye(3), jnp.eye(3)[:, :1]
    with pytest.raises(InputError, match="causes no collapse; pass clean-augmented-clean"):
        landscape.collapsing_augmentation(
            data, directions, placement="augmented-augmented-augmented"
        )
    with pytest.raises(InputError, match="margin"):
        landscape.collapsing_augmentation(data, directions, margin=0.0)
    with pytest.raises(InputError, match="nuisance must be"):
        landscape.collapsing_augmentation(data, jnp.ones(2))
    with pytest.raises(InputError, match="sum 1"):
        landscape.class_variances([0.5, 0.6])
