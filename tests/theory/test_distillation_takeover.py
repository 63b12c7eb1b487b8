"""Rates that are differences: takeover, a held predictor, modes of a cosine (D-14, D-36, D-39).

The expected values are roots of quadratics with 60 decimal digits, or exact fractions.
"""

from decimal import Decimal, localcontext
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jssl.theory import distillation
from jssl.theory.distillation.cosine import CosineModes

DTYPES = [
    pytest.param(np.float32, marks=pytest.mark.float32),
    np.float64,
]
SIGNS = ((0.4, 0.8), (0.8, 0.4), (0.5, 0.5 + 2**-20), (0.5 + 2**-20, 0.5), (0.3, 0.3))


def larger_root(trace, determinant):
    """Return the larger root of r^2 - trace r + determinant with 60 digits."""
    with localcontext() as digits:
        digits.prec = 60
        return float((trace + (trace * trace - 4 * determinant).sqrt()) / 2)


def decimals(*values):
    return [Decimal(float(x)) for x in values]


def close(found, expected, dtype):
    np.testing.assert_allclose(float(found), expected, rtol=16 * np.finfo(dtype).eps, atol=0)


@pytest.mark.parametrize("rate", [1e-12, 1.0, 1e4, 1e5, 1e6, 1e8, 1e25])
@pytest.mark.parametrize("dtype", DTYPES)
def test_takeover_under_a_target_of_any_rate_is_an_eigenvalue(rate, dtype):
    for rho in SIGNS:
        lam, rho = np.array([1.0, 0.5], dtype), np.array(rho, dtype)
        found = distillation.takeover_rates(lam, rho, target_rate=rate)[0, 1]
        with localcontext() as digits:
            digits.prec = 60
            other, first, second, beta = decimals(lam[1], *rho, dtype(rate))
            speed = first**2 * other / second
            expected = larger_root(-(speed + beta), -beta * other * first * (1 - first / second))
        close(found, expected, dtype)


@pytest.mark.parametrize(
    ("rate", "value"), [(1e4, 0.099998), (1e5, 0.0999998), (1e6, 0.1), (1e8, 0.1)]
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_takeover_under_a_fast_target_has_the_known_answers(rate, value, dtype):
    found = distillation.takeover_rates(
        np.array([1.0, 0.5], dtype), np.array([0.4, 0.8], dtype), target_rate=rate
    )
    np.testing.assert_allclose(found[0, 1], value, rtol=4e-7)


@pytest.mark.parametrize("depth", [1, 2, 5])
@pytest.mark.parametrize("second", [1.0, 1e-6, 1e-8, 1e-20])
@pytest.mark.parametrize("dtype", DTYPES)
def test_takeover_of_a_weak_mode_keeps_its_digits_and_its_sign(depth, second, dtype):
    for rho in SIGNS:
        lam, rho = np.array([1.0, second], dtype), np.array(rho, dtype)
        found = distillation.takeover_rates(lam, rho, depth=depth)[0, 1]
        other, first, last = (Fraction(float(x)) for x in (lam[1], *rho))
        close(found, float(other * first ** (2 * depth - 1) * (1 - first / last)), dtype)
        assert np.sign(found) == np.sign(rho[1] - rho[0])


@pytest.mark.parametrize("depth", [1, 2, 5])
@pytest.mark.parametrize("second", [1.0, 1e-6, 1e-12])
@pytest.mark.parametrize("dtype", DTYPES)
def test_takeover_in_a_masked_autoencoder_keeps_its_digits_and_its_sign(depth, second, dtype):
    for rho in SIGNS:
        lam, rho = np.array([1.0, second], dtype), np.array(rho, dtype)
        rates = distillation.takeover_rates(lam, rho, depth=depth, objective="mae")
        for i, j in ((0, 1), (1, 0)):
            with localcontext() as digits:
                digits.prec = 60
                own, other, first, last = decimals(lam[i], lam[j], rho[i], rho[j])
                w = first ** (Decimal(1) / (depth + 1))
                speeds = -(w ** (2 * depth)) * other / last, -(w ** (2 * depth)) * own / first
                drive = w ** (depth - 1) * other
                expected = larger_root(sum(speeds), speeds[0] * speeds[1] - drive**2)
            close(rates[i, j], 0 if own * first == other * last else expected, dtype)


@pytest.mark.parametrize("decay", [0.0, 1e-12, 1e-4, 0.02, 0.0999])
@pytest.mark.parametrize("dtype", DTYPES)
def test_takeover_under_decay_is_the_growth_at_the_decayed_end(decay, dtype):
    """A small mode j grows at the rate lambda_j v (1 - v / rho_j) - eta, v the end of mode i."""
    for second in (0.5, 1e-3):
        lam, rho = np.array([1.0, second], dtype), np.array([0.4, 0.8], dtype)
        found = distillation.takeover_rates(lam, rho, decay=dtype(decay))[0, 1]
        with localcontext() as digits:
            digits.prec = 60
            own, other, first, last, eta = decimals(*lam, *rho, dtype(decay))
            v = (1 + (1 - 4 * eta / (own * first)).sqrt()) * first / 2
            exact = other * v * (1 - v / last) - eta
            moved = other * v + eta + eta * v / abs(2 * v - first)
        assert abs(float(found) - float(exact)) < 8 * np.finfo(dtype).eps * float(moved)
    same = distillation.takeover_rates(np.ones(2, dtype), np.full(2, 0.7, dtype), decay=dtype(0.1))
    assert not same.any()


def test_slopes_of_takeover_rates_are_finite():
    def total(lam, rho, beta):
        return distillation.takeover_rates(lam, rho, target_rate=beta).sum()

    pairs = jnp.array([1.0, 0.5]), jnp.array([0.4, 0.8])
    for beta in (0.0, 1e-3, 1e9):
        for slope in jax.grad(total, (0, 1, 2))(*pairs, beta):
            assert np.isfinite(slope).all()

    def decayed(lam, rho, eta):
        return distillation.takeover_rates(lam, rho, decay=eta)[0, 1]

    for slope in jax.grad(decayed, (0, 1, 2))(jnp.array([1.0, 0.1]), pairs[1], jnp.asarray(0.05)):
        assert np.isfinite(slope).all()  # the second mode has collapsed


@pytest.mark.parametrize("excess", [-0.5, -(2.0**-18), 0.0, 2.0**-18, 0.5, 30.0])
@pytest.mark.parametrize("dtype", DTYPES)
def test_growth_with_a_held_predictor_keeps_its_digits_and_its_sign(excess, dtype):
    for rate in (1e-6, 0.2, 1.5, 1e4):
        given = [dtype(x) for x in (1.1, 0.7, 0.7 * (1 + excess), rate)]
        found = distillation.held_predictor_growth(*given)
        with localcontext() as digits:
            digits.prec = 60
            lam, rho, v, beta = decimals(*given)
            shrink = lam / rho * v**2
            expected = larger_root(-(shrink + beta), beta * (shrink - v * lam))
        close(found, expected if v != rho else 0, dtype)
        assert np.sign(found) == -np.sign(excess)


@pytest.mark.parametrize("dtype", DTYPES)
def test_close_modes_of_a_cosine_keep_the_digits_of_their_difference(dtype):
    """dp_j/dt = f_j sum_k p_k f_k (p_k - p_j) / (second N_V N_W), a sum of differences."""
    p = np.array([0.7, 0.7 * (1 + 1e-6), 0.7 * (1 - 3e-6)], dtype)
    f = np.array([0.4, 0.9, 0.6], dtype)
    found = distillation.cosine_velocity(CosineModes(jnp.asarray(p), jnp.asarray(f)), dtype(0.25))
    p, f = p.astype(float), f.astype(float)
    second = (p**2 * f).sum()
    differences = ((p * f) * (p - p[:, None])).sum(1)
    expected = f * differences / second / (1.25 * np.sqrt(second * f.sum()))
    np.testing.assert_allclose(found.predictor, expected, rtol=32 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
def test_ends_beside_collapse_keep_their_digits(dtype):
    """w_end^2 = w_0^2 + (rho - v_0)(rho + v_0) / alpha, for v_0 near rho and a small w_0."""
    rho, v, w = dtype(0.7), dtype(0.7 * (1 + 2e-6)), dtype(3e-3)
    end = distillation.unbalanced_end(rho, w, v)
    exact = Fraction(float(w)) ** 2 + Fraction(float(rho)) ** 2 - Fraction(float(v)) ** 2
    close(end.layer, float(exact) ** 0.5, dtype)


def test_slopes_of_ends_that_collapse_are_zero_and_leave_the_others_finite():
    starts = jnp.array([0.1, 0.8])

    def total(rho, w):
        return distillation.unbalanced_end(rho, w, jnp.array([1.0, 0.2])).layer.sum()

    slopes = jax.grad(total, (0, 1))(0.6, starts)
    end = np.sqrt(0.8**2 + 0.6**2 - 0.2**2)
    np.testing.assert_allclose(slopes[0], 0.6 / end, rtol=1e-12)
    np.testing.assert_allclose(slopes[1], [0, 0.8 / end], rtol=1e-12)

    def decayed(eta):
        return distillation.unequal_decay_end(1.0, 0.8, eta, 0.1).layer.sum()

    slopes = jax.grad(decayed)(jnp.array([0.05, 0.3]))
    # sqrt(.1 / eta) (1 + sqrt(1 - 5 eta)) .4 at eta = .05
    root = np.sqrt(0.75)
    exact = -np.sqrt(2) / 0.1 * (1 + root) * 0.4 - np.sqrt(2) * 0.4 * 2.5 / root
    np.testing.assert_allclose(slopes, [exact, 0], rtol=1e-12)


@pytest.mark.parametrize("decay", [0.0, 1e-12, 1e-9, 1e-4, 0.06, 0.07, 0.5])
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_normalised_time_and_its_slope_keep_their_digits_at_small_decay(decay, dtype):
    found, slope = jax.value_and_grad(distillation.normalised_time, 1)(dtype(4), dtype(decay))
    expected = 4, 16
    if decay:
        with localcontext() as digits:
            digits.prec = 60
            x = 8 * decimals(dtype(decay))[0]
            expected = 4 * (x.exp() - 1) / x, 32 * (x * x.exp() - x.exp() + 1) / x**2
    close(found, float(expected[0]), dtype)
    np.testing.assert_allclose(slope, float(expected[1]), rtol=128 * np.finfo(dtype).eps)
