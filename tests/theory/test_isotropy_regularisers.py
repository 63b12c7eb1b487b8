"""SIGReg and BHEP of Gaussian embeddings against scipy's integrals and special functions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import elliprf, hyp2f1
from scipy.stats import beta

from jssl.errors import InputError
from jssl.theory.isotropy import curvature, mean_inverse_root, parts, slope, value
from jssl.theory.isotropy.target import effective_weight

BOTH = pytest.mark.parametrize("regulariser", ["sigreg", "bhep"])


def agm(a, b):
    for _ in range(60):
        a, b = (a + b) / 2, np.sqrt(a * b)
    return a


def test_the_mean_over_directions_is_the_agm_in_the_plane_and_carlsons_integral_in_space():
    for x, y in [(1.0, 9.0), (3.0, 3.1), (1e-3, 50.0)]:
        found = mean_inverse_root(np.array([x, y]))
        np.testing.assert_allclose(found, 1 / agm(x**0.5, y**0.5), rtol=1e-12)
    for alpha in [(1.0, 2.0, 4.0), (0.1, 0.1, 30.0)]:
        np.testing.assert_allclose(mean_inverse_root(np.array(alpha)), elliprf(*alpha), rtol=1e-12)


@pytest.mark.parametrize(("dim", "high"), [(5, 1), (16, 4), (64, 1)])
def test_two_levels_are_gauss_hypergeometric(dim, high):
    for top, low in [(3.0, 1.0), (129.0, 1.0), (1.2, 2.0)]:
        alpha = np.where(np.arange(dim) < high, top, low)
        ratio = hyp2f1(0.5, high / 2, dim / 2, -(top - low) / low)
        np.testing.assert_allclose(mean_inverse_root(alpha), low**-0.5 * ratio, rtol=2e-12)


@pytest.mark.parametrize(("dim", "high"), [(512, 7), (2048, 1)])
def test_two_levels_in_many_dimensions_are_a_mean_over_a_beta_law(dim, high):
    """The share of a unit vector in the first block is Beta(high/2, (dim - high)/2)."""
    law = beta(high / 2, (dim - high) / 2)
    for top, low in [(3.0, 1.0), (dim + 1.0, 1.0)]:
        alpha = np.where(np.arange(dim) < high, top, low)
        p = np.polynomial.legendre.leggauss(2000)
        share, weight = law.ppf((p[0] + 1) / 2), p[1] / 2
        expected = weight @ (low + (top - low) * share) ** -0.5
        np.testing.assert_allclose(mean_inverse_root(alpha), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("eigenvalues", "known"),
    [
        ([4, 0.25], 0.0461005669),
        ([2, 1, 0.1], 0.0143673534),
        ([1] * 4 + [0] * 12, 0.0693660431),
        ([128] + [0] * 127, 0.0667578375),
    ],
)
def test_sigreg_has_the_known_values(eigenvalues, known):
    np.testing.assert_allclose(value(np.array(eigenvalues, float)), known, atol=1e-10)


def test_sigreg_is_the_mean_of_slices_over_directions():
    s = np.array([2.0, 1.0, 0.1])
    a = np.random.default_rng(0).normal(size=(400_000, 3))
    v = (a**2 @ s) / (a**2).sum(1)
    slices = (1 + 2 * v) ** -0.5 - 2 * (2 + v) ** -0.5 + 3**-0.5
    assert abs(slices.mean() - value(s)) < 4 * slices.std() / len(a) ** 0.5


def test_bhep_has_the_known_value_and_is_the_mean_over_frequencies():
    s, b = np.array([2.0, 1.0, 0.1]), 0.49
    found = value(s, regulariser="bhep", width=b)
    np.testing.assert_allclose(found, 0.0241236762, atol=1e-10)
    t = np.random.default_rng(0).normal(size=(400_000, 3)) * b**0.5
    gaps = (np.exp(-(t**2 @ s) / 2) - np.exp(-(t**2).sum(1) / 2)) ** 2
    assert abs(gaps.mean() - found) < 4 * gaps.std() / len(t) ** 0.5


def test_one_dimension_is_the_integral_over_a_line():
    for s, b in [(0.3, 1.0), (4.0, 0.5)]:

        def gap(t, s=s, b=b):
            weight = np.exp(-(t**2) / (2 * b)) / np.sqrt(2 * np.pi * b)
            return (np.exp(-s * t**2 / 2) - np.exp(-(t**2) / 2)) ** 2 * weight

        expected = quad(gap, -np.inf, np.inf, epsabs=1e-13)[0]
        for regulariser in ("sigreg", "bhep"):
            found = value(np.array([s]), regulariser=regulariser, width=b)
            np.testing.assert_allclose(found, expected, rtol=1e-9)


@BOTH
@pytest.mark.parametrize("eigenvalues", [[2.0, 1.0, 0.1], [0.0, 0.5, 7.0, 1.0], [0.4]])
def test_slopes_are_the_derivatives_of_the_value(regulariser, eigenvalues):
    s = jnp.array(eigenvalues)
    expected = jax.grad(lambda s: value(s, regulariser=regulariser))(s)
    np.testing.assert_allclose(slope(s, regulariser=regulariser), expected, atol=1e-11)
    on_host = slope(np.array(eigenvalues), regulariser=regulariser)
    np.testing.assert_allclose(on_host, expected, atol=1e-11)
    repulsion, attraction = parts(np.array(eigenvalues), regulariser=regulariser)
    np.testing.assert_allclose(attraction - repulsion, expected, atol=1e-11)


@BOTH
def test_a_batch_weakens_the_engine_alone(regulariser):
    s = np.array([0.2, 1.5, 1.0])
    repulsion, attraction = parts(s, regulariser=regulariser)
    found = slope(s, regulariser=regulariser, batch=16)
    np.testing.assert_allclose(found, attraction - (1 - 1 / 16) * repulsion, rtol=1e-12)


def test_the_slope_of_bhep_near_the_target_has_no_cancellation():
    """Against the Hessian: the error is of second order, 1e-8 of the slope, not 1e-7."""
    for size in (1e-6, 1e-8, 1e-10):
        away = size * np.array([1.0, -2.0, 0.5, 0.0, 1.0])
        found = slope(1 + away, regulariser="bhep", width=1.0)
        h = curvature(5, regulariser="bhep", width=1.0).shape
        np.testing.assert_allclose(
            found, h * (away + away.sum() / 2), rtol=40 * size + 1e-15 / size
        )


@pytest.mark.parametrize(
    ("regulariser", "diagonal", "off"),
    [("bhep", 0.0106916717, 0.0035638906), ("sigreg", 0.0082478610, 0.0027492870)],
)
def test_the_hessian_at_the_target_has_the_known_entries(regulariser, diagonal, off):
    hessian = jax.hessian(lambda s: value(s, regulariser=regulariser, width=1.0))(jnp.ones(5))
    h = curvature(5, regulariser=regulariser, width=1.0).shape
    np.testing.assert_allclose(hessian, h * (np.eye(5) + 0.5), atol=1e-10)
    np.testing.assert_allclose(hessian[0, :2], [diagonal, off], atol=1e-9)


def test_collapse_has_the_known_slopes_and_conditioning():
    near = {r: curvature(16, regulariser=r, width=1.0) for r in ("sigreg", "bhep")}
    assert abs(near["sigreg"].start - 0.0404029131) < 1e-10
    assert abs(near["bhep"].start - 0.998046875) < 1e-12
    for r, c in near.items():
        np.testing.assert_allclose(-slope(np.zeros(16), regulariser=r, width=1.0), c.start)
    assert 5.8e4 < near["bhep"].conditioning < 6e4
    assert curvature(64, regulariser="bhep", width=1.0).conditioning > 1e16
    four = curvature(4, regulariser="bhep", width=1.0)
    np.testing.assert_allclose([four.slow, four.fast], [0.0493827, 0.148148], atol=1e-6)


@pytest.mark.parametrize("dim", [4, 16, 64])
def test_the_usual_width_of_bhep_maximises_the_curvature(dim):
    usual = curvature(dim, regulariser="bhep").shape
    for factor in (0.9, 1.1):
        other = curvature(dim, regulariser="bhep", width=factor * 2 / dim).shape
        assert other < usual
    assert 40 < curvature(16, regulariser="bhep").conditioning < 60


def test_a_mean_is_curved_as_stated():
    """I-7 with a mean: 2 D2 exp(-b |mu|^2 / (2 (1 + 2b))) at S = I."""
    dim, b, mean = 5, 0.7, 1e-3
    attraction = 2 * (1 + 2 * b) ** (-dim / 2) * -np.expm1(-b * mean**2 / (2 * (1 + 2 * b)))
    stated = curvature(dim, regulariser="bhep", width=b).mean
    np.testing.assert_allclose(attraction, stated * mean**2 / 2, rtol=1e-6)


def test_the_weight_of_lejepa_is_that_of_its_two_terms():
    """Coefficient of tr(W C W^T) and of R in the loss itself, for one pair of numbers."""
    trade_off, samples, dim = 0.05, 64, 3
    weight = effective_weight(trade_off, samples, dim)
    # E of (1/2d) sum_v |z_v - mean|^2 = tr(W C W^T) / (2d); sigreg = N sqrt(2 pi) R
    expected = trade_off * samples * np.sqrt(2 * np.pi) / ((1 - trade_off) / (2 * dim))
    np.testing.assert_allclose(weight, expected)
    assert round(effective_weight(0.02, 256, 16, views=4)) == 279


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: value(np.zeros(0)), "K >= 1"),
        (lambda: value(np.ones((2, 2))), "K >= 1"),
        (lambda: value(np.ones(2), regulariser="sigregs"), "did you mean 'sigreg'"),
        (lambda: value(np.ones(2), width=0.0), "width must be a number above 0"),
        (lambda: slope(np.ones(2), batch=1), "at least 2; got 1"),
        (lambda: curvature(0), "dim must be a whole number of at least 1; got 0"),
        (lambda: effective_weight(1.0, 10, 2), "trade_off must be .* below 1"),
    ],
)
def test_wrong_input_is_refused_in_one_line(call, message):
    with pytest.raises(InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
