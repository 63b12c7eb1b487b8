"""Times where rest points meet: at the threshold of decay and at the edge of collapse (D-21, D-25).

Every expected value is a quadrature of dw / (dw/dt) in float64, of the numbers that the function is
given: those of float32 are rounded to it first.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate

from jssl.theory import distillation

DTYPES = [
    pytest.param(np.float32, marks=pytest.mark.float32),
    np.float64,
]
ROUNDINGS = 40
"""Most units of rounding by which a time may be off, as a share of what one unit of input moves."""


def area(function, start, end):
    """Return an integral over the logarithm of the distance from 0, in float64."""
    low, high = np.log(start), np.log(end)
    return scipy.integrate.quad(
        lambda x: np.exp(x) * function(np.exp(x)), low, high, epsabs=0, epsrel=1e-12, limit=500
    )[0]


def decayed(lam, rho, start, end, eta):
    lam, rho, eta = float(lam), float(rho), float(eta)
    return area(lambda w: 1 / (w * (w * lam * (1 - w / rho) - eta)), float(start), float(end))


def unbalanced(lam, rho, w, a, b, alpha=1.0):
    lam, rho, w, a, b, alpha = map(float, (lam, rho, w, a, b, alpha))

    def inverse(step):  # 1 / (dv/dt); v^2 + c with c = alpha w^2 - a^2, from the step v - a
        square = step * (2 * a + step) + alpha * w**2
        return 1 / (square * lam * (1 - (a + step) / rho))

    if b < a:
        return area(lambda v: inverse(v - a), a, b)
    first = alpha * w**2 / (a + w)  # the step within which v^2 + c changes
    return area(lambda x: inverse(x - first), first, first + (b - a))


@functools.cache
def with_slopes(function, count):
    return jax.jit(jax.value_and_grad(function, tuple(range(count))))


def compare(function, oracle, given, dtype):
    """Compare at rounded arguments, within what their rounding moves, and check the slopes."""
    given = [dtype(x) for x in given]
    expected = oracle(*given)
    found, slopes = with_slopes(function, len(given))(*map(jnp.asarray, given))
    assert found.dtype == dtype
    slopes = np.array([float(x) for x in slopes])
    assert np.isfinite(slopes).all()
    moved = abs(expected) + np.abs(slopes * np.array(given, float)).sum()
    assert abs(float(found) - expected) < ROUNDINGS * np.finfo(dtype).eps * moved
    return slopes


def check_slopes(oracle, given, slopes, width=1e-4):
    """Compare slopes with difference quotients of the quadrature, to second order."""
    for i, slope in enumerate(slopes):
        step = np.zeros(len(given))
        step[i] = width * given[i]
        ends = [oracle(*(np.array(given) + sign * step)) for sign in (1, -1)]
        np.testing.assert_allclose(slope, (ends[0] - ends[1]) / (2 * step[i]), rtol=2e-4)


AT_THRESHOLD = [
    (1.0, 0.8, 0.8, 0.5),
    (1.0, 0.8, 0.3, 0.1),
    (1.0, 1.0, 0.9, 0.6),
    (1.0, 1.0, 0.4, 0.1),
    (1.7, 0.9, 20.0, 0.5),
]


@pytest.mark.parametrize("given", AT_THRESHOLD)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "gap", [0, 1e-9, 1e-7, 1e-6, 1e-4, 1e-2, -1e-9, -1e-7, -1e-6, -1e-4, -1e-2]
)
def test_times_beside_the_threshold_are_the_integral_of_the_flow(given, dtype, gap):
    decay = (1 + gap) * given[0] * given[1] / 4
    compare(distillation.decayed_time, decayed, (*given, decay), dtype)


@pytest.mark.parametrize("given", AT_THRESHOLD)
def test_slopes_at_the_threshold_are_difference_quotients(given):
    given = (*given, given[0] * given[1] / 4)
    slopes = compare(distillation.decayed_time, decayed, given, np.float64)
    check_slopes(decayed, given, slopes)


@pytest.mark.parametrize(
    ("given", "time"),
    [
        ((1.0, 0.8, 0.8, 0.5, 0.2), 10.418547),
        ((1.0, 0.8, 0.3, 0.1, 0.2), 24.319456),
        ((1.0, 1.0, 0.9, 0.6, 0.25), 11.076683),
        ((1.0, 1.0, 0.4, 0.1, 0.25), 26.090355),
        ((1.0, 0.8, 0.1, 0.6, 1e-6), 12.139075),
        ((1.0, 0.8, 0.1, 0.6, 1e-8), 12.138987),
        ((1.0, 0.8, 0.1, 0.6, 1e-10), 12.138986),
        ((1.0, 0.8, 0.01, 0.6, 1e-7), 105.16894),
    ],
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_decayed_times_have_the_known_answers_where_digits_could_be_lost(given, time, dtype):
    found = distillation.decayed_time(*map(dtype, given))
    np.testing.assert_allclose(found, time, rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_threshold_given_back_as_a_decay_has_the_time_of_the_threshold(dtype):
    for lam, rho in ((1.0, 0.8), (0.7, 0.3), (3.1, 1.9)):
        decay = distillation.collapse_threshold(dtype(lam), dtype(rho))
        given = (lam, rho, 0.9 * rho, 0.6 * rho, float(decay))
        compare(distillation.decayed_time, decayed, given, dtype)
    assert float(distillation.collapse_threshold(dtype(1), dtype(0.8))) == dtype(0.8) / 4


@pytest.mark.parametrize("dtype", DTYPES)
def test_no_time_leads_through_the_double_rest_point(dtype):
    """At the threshold dw/dt = -s w (w - rho/2)^2: rho/2 is not passed from above."""
    for start, end in ((0.75, 0.25), (0.75, 0.5), (0.25, 0.75)):
        assert np.isnan(distillation.decayed_time(*map(dtype, (1.0, 1.0, start, end, 0.25))))
    assert distillation.decayed_time(*map(dtype, (1.0, 1.0, 0.5, 0.5, 0.25))) == 0


@pytest.mark.parametrize("decay", [1e-30, 1e-14, 1e-10, 1e-8, 1e-6, 1e-4, 1e-2])
@pytest.mark.parametrize(("start", "end"), [(0.1, 0.6), (0.3, 0.3001), (1.5, 0.9), (40.0, 9.0)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_times_are_continuous_where_decay_vanishes(decay, start, end, dtype):
    given = (1.0, 0.8, start, end, decay)
    slopes = compare(distillation.decayed_time, decayed, given, dtype)
    rest = scipy.integrate.quad(lambda w: 1 / (w**3 * (1 - w / 0.8) ** 2), start, end)[0]
    if decay <= 1e-8:  # the slope is the integral of 1 / (w^3 (1 - w/rho)^2)
        np.testing.assert_allclose(slopes[-1], rest, rtol=2e-3 if dtype == np.float32 else 1e-5)


@pytest.mark.parametrize("decay", [1e-9, 0.02, 0.15, 0.1999, 0.2001, 0.5, 30.0])
@pytest.mark.parametrize("dtype", DTYPES)
def test_times_over_all_sizes_of_decay_and_start(decay, dtype):
    """Above, between and below the rest points; a far start must not cancel."""
    if decay < 0.2:
        half = np.sqrt(0.16 - 0.8 * decay)
        high = 0.4 + half
        low = 0.8 * decay / high
        ways = [(1.1 * high, 1.01 * high), (500.0, 90.0), (0.9 * low, 0.001 * low)]
        ways += [(low + 0.1 * (high - low), low + 0.95 * (high - low))]
    else:
        ways = [(500.0, 90.0), (500.0, 0.01), (0.5, 0.3), (0.01, 0.009)]
    for start, end in ways:
        given = (1.0, 0.8, start, end, decay)
        compare(distillation.decayed_time, decayed, given, dtype)


AT_EDGE = [(1.0, 0.6, 0.8, 0.7), (1.0, 0.6, 0.8, 0.61), (1.0, 0.3, 0.4, 0.4), (1.3, 0.5, 30.0, 9.0)]


@pytest.mark.parametrize("given", AT_EDGE)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("gap", [0, 1e-9, 1e-7, 1e-5, 1e-3, 0.02, -1e-9, -1e-7, -1e-5, -1e-3])
def test_times_beside_the_edge_of_collapse_are_the_integral_of_the_flow(given, dtype, gap):
    lam, rho, w, end = given
    first = np.sqrt(rho**2 + w**2)
    given = (lam, rho, w * (1 + gap), first, end, 1.0)
    compare(distillation.unbalanced_time, unbalanced, given, dtype)


@pytest.mark.parametrize("given", AT_EDGE)
def test_slopes_at_the_edge_of_collapse_are_difference_quotients(given):
    lam, rho, w, end = given
    given = (lam, rho, w, np.sqrt(rho**2 + w**2), end, 1.0)
    slopes = compare(distillation.unbalanced_time, unbalanced, given, np.float64)
    check_slopes(unbalanced, given, slopes, width=1e-5)


@pytest.mark.parametrize(
    ("given", "time"),
    [
        ((1.0, 0.6, 0.8, 1.0, 0.7, 1.0), 3.258894),
        ((1.0, 0.6, 0.8, 1.0, 0.61, 1.0), 47.329377),
        ((1.0, 0.3, 0.4, 0.5, 0.4, 1.0), 2.033654),
        ((1.0, 0.6, 0.8 * (1 + 1e-7), 1.0, 0.7, 1.0), 3.258892),
    ],
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_unbalanced_times_have_the_known_answers_at_the_edge(given, time, dtype):
    found = distillation.unbalanced_time(*map(dtype, given))
    np.testing.assert_allclose(found, time, rtol=3e-6 if dtype == np.float32 else 3e-7)


@pytest.mark.parametrize(
    "given",
    [
        (1.0, 0.6, 1e-5, 0.5, 0.55, 1.0),  # alpha w_0^2 is lost in alpha w_0^2 - v_0^2
        (1.0, 0.6, 1e-5, 1e-5, 0.3, 1.0),  # balanced
        (1.0, 0.6, 1e-5, 1.2e-5, 0.3, 1.0),
        (1.0, 0.6, 0.1, 0.0, 0.3, 2.0),
        (1.0, 0.6, 0.05, 5.0, 4.99999, 1.0),  # collapse
        (1.0, 0.6, 100.0, 100.0, 80.0, 1.0),
        (1.0, 0.6, 0.01, 0.2, 0.599, 3.0),
    ],
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_unbalanced_times_keep_their_digits_over_all_sizes(given, dtype):
    compare(distillation.unbalanced_time, unbalanced, given, dtype)


@pytest.mark.parametrize("factor", [1 - 1e-6, 1 - 1e-9, 1.0, 1 + 1e-9, 1 + 1e-6])
def test_slopes_are_continuous_where_the_conserved_number_vanishes(factor):
    """At c = 0 the slope in c is -int dv / (v^4 (lambda - s v)), not that of a truncated series."""
    given = (1.0, 0.6, 0.05 * factor, 0.05, 0.3, 1.0)
    slopes = compare(distillation.unbalanced_time, unbalanced, given, np.float64)
    check_slopes(unbalanced, given, slopes)


def test_what_is_not_reached_leaves_the_slopes_of_the_others_finite():
    ends = jnp.array([0.6, 0.75, 0.05])

    def total(lam, rho, decay):
        return jnp.nansum(distillation.decayed_time(lam, rho, 0.1, ends, decay))

    assert np.isfinite(jax.grad(total, (0, 1, 2))(1.0, 0.8, 0.05)).all()

    def unbalanced_total(lam, rho, w):
        return jnp.nansum(distillation.unbalanced_time(lam, rho, w, 0.1, ends, 1.0))

    assert np.isfinite(jax.grad(unbalanced_total, (0, 1, 2))(1.0, 0.7, 0.1)).all()
