"""Values near the target and for narrow widths keep their digits; strengths that keep no mode.

R is the mean over Gaussian t of (e^{-b v t^2 / 2} - e^{-b t^2 / 2})^2, v the variance of a slice: a
sum of squares, which cancels nothing. Closed forms are evaluated with 60 decimal digits.
"""

import warnings
from decimal import Decimal, localcontext

import jax.numpy as jnp
import numpy as np
import pytest

from jssl.theory import isotropy

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(120)
WEIGHTS = WEIGHTS / np.sqrt(2 * np.pi)
ANGLES = (np.arange(64) + 0.5) * np.pi / 64
AXES = np.stack([np.cos(ANGLES) ** 2, np.sin(ANGLES) ** 2])
DTYPES = [
    pytest.param(np.float32, marks=pytest.mark.float32),
    np.float64,
]


def directions(regulariser):
    """Return squares (2, points) of the vectors t, and their weights."""
    if regulariser == "sigreg":
        squares = AXES[:, :, None] * NODES**2
        weights = np.broadcast_to(WEIGHTS / len(ANGLES), squares.shape[1:])
        return squares.reshape(2, -1), weights.ravel()
    squares = np.stack(np.broadcast_arrays(NODES[:, None] ** 2, NODES**2))
    return squares.reshape(2, -1), np.outer(WEIGHTS, WEIGHTS).ravel()


def by_quadrature(s, b, regulariser):
    """Return R and its slopes for two eigenvalues."""
    squares, weights = directions(regulariser)
    whole = np.exp(-b * squares.sum(0) / 2)
    change = -b / 2 * ((np.asarray(s, float) - 1) @ squares)
    root = whole * np.expm1(change)
    slopes = (weights * 2 * root * whole * np.exp(change) * -b / 2 * squares).sum(1)
    return (weights * root**2).sum(), slopes


@pytest.mark.parametrize("regulariser", ["bhep", "sigreg"])
@pytest.mark.parametrize("width", [1e-4, 1e-2, 1.0])
@pytest.mark.parametrize("off", [1e-6, 1e-4, 1e-2, 0.3, 0.7])
@pytest.mark.parametrize("dtype", DTYPES)
def test_values_and_slopes_near_the_target_keep_their_digits(regulariser, width, off, dtype):
    s = np.array([1 + off, 1 - 0.4 * off], dtype)
    given = jnp.asarray(s) if dtype == np.float32 else s
    value, slopes = by_quadrature(s, width, regulariser)
    options = {"regulariser": regulariser, "width": width}
    rtol = 64 * np.finfo(dtype).eps
    np.testing.assert_allclose(isotropy.value(given, **options), value, rtol=rtol)
    np.testing.assert_allclose(isotropy.slope(given, **options), slopes, rtol=4 * rtol)
    found = isotropy.slope(given, batch=16, **options)
    repulsion = isotropy.parts(given, **options).repulsion / 16
    np.testing.assert_allclose(found, slopes + repulsion, rtol=4 * rtol)


@pytest.mark.parametrize("dim", [300, 8000])
def test_values_in_many_dimensions_are_those_of_a_beta_law(dim):
    """With s_1 apart from the others R is a mean of T over a_1^2, of law Beta(1/2, (K - 1)/2)."""
    nodes, weights = np.polynomial.legendre.leggauss(400)
    x = (nodes + 1) / 2 * np.minimum(1, 9 / np.sqrt(dim))  # a_1, up to nine standard deviations
    law = weights * (1 - x**2) ** ((dim - 3) / 2)
    s = np.full(dim, 1.01)
    s[0] = 1.2
    squares = 0.01 + 0.19 * x**2
    slices = [
        WEIGHTS @ (np.exp(-(NODES**2) / 2) * np.expm1(-v * NODES**2 / 2)) ** 2 for v in squares
    ]
    np.testing.assert_allclose(isotropy.value(s), law @ slices / law.sum(), rtol=1e-9)


@pytest.mark.parametrize("width", [1e-6, 1.0, 50.0])
@pytest.mark.parametrize("variance", [0.0, 1 - 1e-9, 1.0, 1 + 1e-6, 1.5, 1e9])
@pytest.mark.parametrize("mean", [0.0, 1e-6, 2.0])
def test_slices_near_the_target_keep_their_digits(width, variance, mean):
    with localcontext() as digits:
        digits.prec = 60
        b, v, m = Decimal(width), Decimal(variance), Decimal(mean)
        spread = 1 + b + b * v
        attraction = 2 / spread.sqrt() * (-b * m * m / (2 * spread)).exp()
        expected = float(1 / (1 + 2 * b * v).sqrt() - attraction + 1 / (1 + 2 * b).sqrt())
    np.testing.assert_allclose(
        isotropy.slice_value(variance, mean, width=width), expected, rtol=1e-14, atol=1e-58
    )


@pytest.mark.parametrize("width", [1e-6, 1e-3, 1.0])
@pytest.mark.parametrize("samples", [2, 40, 2**50])
def test_numbers_of_narrow_widths_keep_their_digits(width, samples):
    with localcontext() as digits:
        digits.prec = 60
        b, n = Decimal(width), Decimal(samples)
        floor = 1 - (1 + 2 * b) ** Decimal("-1.5")
        pair, square = (1 + 4 * b) ** Decimal("-1.5"), (1 + 2 * b) ** -3
        mixed = ((1 + b) * (1 + 3 * b)) ** Decimal("-1.5")
        null = 2 * (1 - 1 / n) * (pair - 2 * mixed + square) + 4 / n * (mixed - square)
        u = (1 - 1 / n) ** Decimal("0.4")
        shrunk = max((u * (1 + b) - 1) / (b * (2 - u)), 0)
        p = (1 + b) ** Decimal("-0.5")  # K = 3, k = 2 of 4: (K - k) / (k + 2)
        height = (1 + b - p) / (b * (2 * p - 1))
    options = {"regulariser": "bhep", "width": width}
    for found, expected in (
        (isotropy.floor(3, **options), floor),
        (isotropy.null_variance(3, samples, width=width), null),
        (isotropy.shrunk_variance(samples, 3, **options), shrunk),
        (isotropy.plateau(4, 2, **options), height),
    ):
        np.testing.assert_allclose(found, float(expected), rtol=2e-14)


@pytest.mark.parametrize("regulariser", ["bhep", "sigreg"])
@pytest.mark.parametrize(
    ("shares", "mode", "width"),
    [([0.2], 0, 0.1), ([0.1, 0.2], 1, 0.1), ([0.0, 0.1, 0.2], 2, 0.3), ([0.0, 0.4], 1, 0.05)],
)
def test_no_strength_keeps_a_mode_where_a_batch_repels_too_little(regulariser, shares, mode, width):
    """With N = 2 the repulsion is halved, and is below the attraction at every state (I-18)."""
    options = {"regulariser": regulariser, "width": width, "batch": 2}
    power = 1.5 if regulariser == "sigreg" else len(shares) / 2 + 1
    assert (1 + width) ** -power >= 0.5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert isotropy.strength_that_keeps(shares, mode, **options) == np.inf
        for strength in (1.0, 1e6):
            assert not isotropy.end_state(shares, strength, **options).kept.any()
    rates = isotropy.growth_rates(
        np.ones(len(shares)), shares, 1e9, eigenvalues=np.linspace(0, 3, len(shares)), **options
    )
    assert (rates < 0).all()


@pytest.mark.parametrize("regulariser", ["bhep", "sigreg"])
def test_a_batch_just_large_enough_keeps_a_single_mode_at_a_finite_strength(regulariser):
    """One mode rises from 0 above n / (b (E - (1 + b)^(-3/2))) with E = 1 - 1/N."""
    for batch in (8.0, 7.6, 7.4):
        pull = 0.1 * (1 - 1 / batch - 1.1**-1.5)
        found = isotropy.strength_that_keeps(
            [0.2], 0, regulariser=regulariser, width=0.1, batch=batch
        )
        np.testing.assert_allclose(found, 0.2 / pull if pull > 0 else np.inf, rtol=1e-9)
