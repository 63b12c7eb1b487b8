"""Stationary points, Hessians and thresholds against direct minimisation and differences."""

import jax.numpy as jnp
import numpy as np
import pytest
from landscape_oracles import TABLE, best_of, covariance, numeric_hessian, quartic

from jssl.errors import InputError
from jssl.theory import landscape

RNG = np.random.default_rng(10)
D = 5
A0 = covariance(RNG, np.array([1.0, 0.7, 0.5, 0.3, 0.2]))
C = covariance(RNG, np.array([2.2, 1.4, 0.8, 0.3, 0.1]))


def oracle(form, m):
    b = np.asarray(form.signal) - form.decay * np.eye(len(form.signal))
    args = (np.asarray(form.anchor), np.asarray(form.negative), form.own, form.cross)
    return quartic(b, *args, m)


@pytest.mark.parametrize("dim", [1, 2, 4])
def test_the_minimum_is_where_scipy_ends(dim):
    seen = landscape.from_loss(
        "info_nce_euclidean", A0, C, placement="clean-augmented-clean", weight_decay=0.02, dim=dim
    )
    starts = np.random.default_rng(1).standard_normal((8, dim * D))
    value, point = best_of(oracle(seen.form, dim), starts)
    np.testing.assert_allclose(seen.minima.loss, value, rtol=1e-8)
    w = point.reshape(dim, D)
    np.testing.assert_allclose(seen.minima.gram, w.T @ w, atol=2e-5)
    assert seen.rank == np.linalg.matrix_rank(w, tol=1e-4)
    np.testing.assert_allclose(seen.loss(seen.minima.weight), value, rtol=1e-8)


def test_every_start_ends_at_the_minimum_and_nowhere_else():
    seen = landscape.from_loss(
        "info_nce_euclidean", A0, C, placement="clean-augmented-clean", dim=2
    )
    starts = 0.5 * np.random.default_rng(2).standard_normal((300, 2, D))
    found = landscape.minimise_all(landscape_loss, jnp.asarray(starts), seen.form)
    assert not found.diverged.any()
    np.testing.assert_allclose(found.value, seen.minima.loss, rtol=1e-7)


def landscape_loss(weight, form):
    return landscape.energy(form, weight)


@pytest.mark.parametrize("dim", [1, 3])
def test_masks_are_stationary_with_the_hessian_stated(dim):
    """One covariance, in V = W Sigma^{1/2}; strengths of both signs."""
    seen = landscape.from_moments(A0 - 0.5 * C, A0, 0.75, dim=dim)
    s = np.asarray(seen.modes.strength)
    assert (s < 0).any()
    function = quartic(np.diag(s), np.eye(D), np.eye(D), 0.75, 0.0, dim)
    count = 0
    for mask in seen.masks():
        squares = np.asarray(landscape.squared_amplitudes(seen.modes, mask))
        np.testing.assert_allclose(squares[mask], s[mask] / 1.5)
        v = np.zeros((dim, D))
        v[range(mask.sum()), np.flatnonzero(mask)] = np.sqrt(squares[mask])
        value, slope = function(v.ravel())
        np.testing.assert_allclose(slope, 0, atol=1e-12)
        np.testing.assert_allclose(seen.stationary_loss(mask), value, atol=1e-12)
        hessian = np.linalg.eigvalsh(numeric_hessian(lambda x: function(x)[1], v.ravel()))[::-1]
        np.testing.assert_allclose(seen.hessian_spectrum(mask), hessian, atol=1e-8)
        formula = (
            sum((s[~mask] > s[r]).sum() for r in np.flatnonzero(mask))
            + (dim - mask.sum()) * (s[~mask] > 0).sum()
        )
        assert seen.saddle_index(mask) == formula == (hessian < -1e-7).sum()
        assert (seen.saddle_index(mask) == 0) == np.array_equal(mask, seen.minima.mask)
        count += 1
    assert count == sum(1 for bits in range(1 << (s > 0).sum()) if bits.bit_count() <= dim)


@pytest.mark.parametrize("placement", ["clean-augmented-augmented", "augmented-augmented-clean"])
def test_two_commuting_covariances_decouple(placement):
    """Amplitudes, Hessian (in W) and minimum of rows 3 and 4."""
    a = np.array([1.0, 0.8, 0.5, 0.3])
    c = np.array([0.4, 1.9, 0.6, 0.1])
    columns = np.linalg.qr(np.random.default_rng(3).standard_normal((4, 4)))[0]
    matrices = [(columns * x) @ columns.T for x in (a, c)]
    for dim in (4, 3):
        seen = landscape.from_loss(
            "info_nce_euclidean", *matrices, placement=placement, weight_decay=0.03, dim=dim
        )
        _, f, g, h = TABLE[placement]
        b, k, n = a - f * c - 0.03, a + g * c, a + h * c
        expected = np.maximum(b, 0) / (2 * (n**2 / 4 + k * n / 2))
        gram = np.asarray(seen.minima.gram)
        if dim == 4:
            np.testing.assert_allclose(gram, (columns * expected) @ columns.T, atol=1e-10)
        function = oracle(seen.form, dim)
        starts = np.random.default_rng(4).standard_normal((10, dim * 4))
        value, _ = best_of(function, starts)
        np.testing.assert_allclose(seen.minima.loss, value, rtol=1e-8)
        for mask in [*seen.masks()][::3]:
            w = np.asarray(landscape.stationary_weight(seen.modes, mask, dim)).ravel()
            np.testing.assert_allclose(function(w)[1], 0, atol=1e-12)
            hessian = np.linalg.eigvalsh(numeric_hessian(lambda x, f=function: f(x)[1], w))[::-1]
            np.testing.assert_allclose(seen.hessian_spectrum(mask), hessian, atol=1e-8)
            assert seen.saddle_index(mask) == (hessian < -1e-7).sum()


def test_two_covariances_few_outputs_and_weight_decay_can_have_a_second_minimum():
    """Clean anchors, augmented negatives: each of two masks is a local minimum with one output."""
    case = ("info_nce_euclidean", [0.637, 1.73], [0.011, 1.632])
    options = {"placement": "clean-augmented-augmented", "weight_decay": 0.3086}
    seen = landscape.from_loss(*case, dim=1, **options)
    assert [seen.saddle_index(mask) for mask in seen.masks()].count(0) == 2
    assert not seen.minima.isolated
    ends = [best_of(oracle(seen.form, 1), start[None])[0] for start in 0.8 * np.eye(2) + 0.01]
    exact = sorted(float(seen.stationary_loss(mask)) for mask in seen.masks())[:2]
    np.testing.assert_allclose(sorted(ends), exact, rtol=1e-8)
    assert exact[1] - exact[0] > 1e-4
    enough = landscape.from_loss(*case, dim=2, **options)
    assert [enough.saddle_index(mask) for mask in enough.masks()].count(0) == 1
    assert enough.minima.isolated


def test_two_covariances_that_do_not_commute_are_minimised():
    seen = landscape.from_loss(
        "info_nce_euclidean", A0, C, placement="augmented-augmented-clean", dim=D
    )
    assert seen.modes is None
    assert "do not commute" in seen.caveats[0]
    starts = np.random.default_rng(5).standard_normal((3, D * D))
    value, point = best_of(oracle(seen.form, D), starts)
    np.testing.assert_allclose(seen.minima.loss, value, rtol=1e-7)
    assert seen.rank == np.linalg.matrix_rank(point.reshape(D, D), tol=1e-3)
    with pytest.raises(InputError, match="do not decouple"):
        seen.masks()


def test_a_singular_sigma_is_restricted_to_its_range_and_said_so():
    data = covariance(np.random.default_rng(6), np.array([1.0, 0.6, 0.0, 0.0]))
    noise = covariance(np.random.default_rng(7), np.array([0.9, 0.5, 0.3, 0.2]))
    seen = landscape.from_loss(
        "info_nce_euclidean", data, noise, placement="clean-augmented-clean", dim=3
    )
    assert "restricted to its range, and 2 of 4" in seen.caveats[0]
    starts = np.random.default_rng(8).standard_normal((6, 12))
    value, point = best_of(oracle(seen.form, 3), starts)
    np.testing.assert_allclose(seen.minima.loss, value, rtol=1e-7)
    w = point.reshape(3, 4)
    np.testing.assert_allclose(seen.minima.gram, w.T @ w, atol=1e-4)
    with pytest.raises(InputError, match="no minimum"):
        landscape.from_moments([1.0, 1.0], [1.0, 0.0], dim=1)


@pytest.mark.parametrize("singular", [False, True])
def test_augmentation_thresholds_are_where_eigenvalues_of_b_change_sign(singular):
    noise = (
        covariance(np.random.default_rng(9), np.array([2.0, 1.0, 0.5, 0.0, 0.0])) if singular else C
    )
    found = landscape.from_loss(
        "info_nce_euclidean", A0, noise, placement="clean-augmented-clean", weight_decay=0.25, dim=D
    ).thresholds.augmentation
    for strength in np.geomspace(0.01, 50, 40):
        positive = (np.linalg.eigvalsh(A0 - 0.25 * np.eye(D) - strength * noise / 2) > 0).sum()
        assert (np.asarray(found) > strength).sum() == positive
    never = landscape.from_loss("info_nce_euclidean", A0, noise, dim=D).thresholds
    assert np.isinf(never.augmentation).all()
    np.testing.assert_allclose(never.decay, np.linalg.eigvalsh(A0)[::-1], rtol=1e-12)


def test_rank_is_the_number_of_eigenvalues_of_b_above_the_decay_whatever_sigma():
    rng = np.random.default_rng(11)
    for _ in range(20):
        b = covariance(rng, rng.normal(0.2, 0.5, 4))
        sigma = covariance(rng, rng.uniform(0.1, 3, 4))
        decay, dim = rng.uniform(0, 0.5), int(rng.integers(1, 5))
        seen = landscape.from_moments(b, sigma, rng.uniform(0.2, 2), dim=dim, weight_decay=decay)
        assert seen.rank == min(dim, (np.linalg.eigvalsh(b) > decay).sum())


def test_without_negatives_nothing_but_the_kernel_of_c_is_kept():
    seen = landscape.from_loss("no_negatives", A0, [1.0, 1.0, 0.5, 0.0, 0.0], dim=2)
    assert seen.rank == 0
    assert "2 dimensions" in seen.caveats[0]
    assert landscape.from_loss("no_negatives", A0, C, dim=2).caveats == ()


def test_masks_are_lazy():
    seen = landscape.from_moments(np.ones(60), np.ones(60), dim=30)
    masks = seen.masks()
    assert [next(masks).sum() for _ in range(3)] == [0, 1, 1]
    with pytest.raises(InputError, match="more than the 2 outputs"):
        landscape.hessian_spectrum(seen.modes, np.arange(60) < 3, 2)
