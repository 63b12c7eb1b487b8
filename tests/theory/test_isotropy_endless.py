"""Modes without an end under BHEP, noise shares above 1, and calls under tracing."""

import time

import jax
import numpy as np
import pytest
import scipy.integrate
import scipy.optimize

from jssl.errors import InputError
from jssl.theory import isotropy, learnability

SHARES = np.array([0.0, 0.9, 0.9, 0.9, 0.9, 0.9])
WIDE = {"regulariser": "bhep", "width": 1.0}


def pull(s):
    """Minus dR/ds_j of BHEP at width 1, from the products (I-7)."""
    repulsion, attraction = np.prod((1 + 2 * s) ** -0.5), np.prod((2 + s) ** -0.5)
    return repulsion / (1 + 2 * s) - attraction / (2 + s)


def strength_at(noisy, modes):
    """Return the strength at which `modes` of share .9 rest at `noisy`, and one without noise."""

    def state(log_first):
        return np.array([np.exp(log_first)] + [noisy] * modes + [0.0] * (5 - modes))

    if pull(state(10.0))[0] > 0:
        return np.inf
    first = scipy.optimize.brentq(lambda x: pull(state(x))[0], -1, 10, xtol=1e-14)
    return 0.9 / pull(state(first))[1]


def fold(modes, bracket):
    """Return the least strength at which these modes have a finite end together."""
    found = scipy.optimize.minimize_scalar(
        lambda x: strength_at(x, modes), bracket=bracket, tol=1e-12
    )
    return found.fun


@pytest.mark.parametrize("strength", [0.5, 10.0, 41.7])
def test_a_mode_without_noise_has_no_end_where_the_plateau_is_infinite(strength):
    assert isotropy.plateau(6, 1, **WIDE) == np.inf
    ended = isotropy.end_state(SHARES, strength, **WIDE)
    np.testing.assert_array_equal(ended.eigenvalues, [np.inf, 0, 0, 0, 0, 0])
    assert ended.kept.tolist() == [True] + [False] * 5


@pytest.mark.parametrize(("dim", "free"), [(10, 2), (10, 5), (20, 3), (20, 5)])
def test_several_modes_without_noise_end_at_their_plateau(dim, free):
    shares = np.where(np.arange(dim) < free, 0, 0.9)
    ended = isotropy.end_state(shares, 0.5, **WIDE).eigenvalues
    np.testing.assert_allclose(ended[:free], isotropy.plateau(dim, free, **WIDE), rtol=1e-7)
    assert not ended[free:].any()


def test_the_finite_end_is_returned_from_the_strength_at_which_it_exists():
    least = fold(5, (0.25, 0.31, 0.5))
    below, above = (isotropy.end_state(SHARES, x * least, **WIDE) for x in (0.999, 1.001))
    assert np.isinf(below.eigenvalues[0])
    noisy = above.eigenvalues[1]
    np.testing.assert_allclose(strength_at(noisy, 5), 1.001 * least, rtol=1e-7)


def test_the_strength_that_keeps_a_mode_is_that_at_which_the_others_have_an_end():
    began = time.perf_counter()
    found = isotropy.strength_that_keeps(SHARES, 1, **WIDE)
    assert time.perf_counter() - began < 20
    np.testing.assert_allclose(found, fold(4, (0.36, 0.42, 0.6)), rtol=1e-6)


def test_half_times_do_not_wait_for_a_mode_that_grows_for_ever():
    start = np.full(6, 1e-3)
    found = isotropy.half_times(start, np.ones(6), SHARES, 0.5, **WIDE)

    def rates(_, y):
        return 4 * (0.5 * pull(np.exp(y)) - SHARES)

    def reached(_, y):
        return y[0] - np.log(0.5)

    solved = scipy.integrate.solve_ivp(
        rates, (0, 10), np.log(start), events=reached, rtol=1e-10, atol=1e-10
    )
    np.testing.assert_allclose(found[0], solved.t_events[0][0], rtol=1e-7)
    assert np.isinf(found[1:]).all()


def test_opposite_views_end_where_the_slope_is_twice_the_inverse_strength():
    """X and -x have the share 2; for equal shares I-24 is one equation."""
    strength, dim = 40.0, 4
    s = isotropy.end_state(np.full(dim, 2.0), strength, regulariser="bhep", width=0.5).eigenvalues

    def excess(s):
        return (1 + s) ** -3 - (1.5 + 0.5 * s) ** -3 - 2 / (0.5 * strength)

    np.testing.assert_allclose(s, scipy.optimize.brentq(excess, 0, 1), rtol=1e-9)
    setting = {"regulariser": "bhep", "width": 0.5, "level": 0.9 * s[0]}
    start, shares = np.full(dim, 1e-3), np.full(dim, 2.0)
    assert np.isfinite(isotropy.half_times(start, 1 + 0 * start, shares, strength, **setting)).all()


@pytest.mark.parametrize(
    "call",
    [
        lambda x: isotropy.end_state([x, 0.1], 9.0),
        lambda x: isotropy.end_state([0.1, 0.1], x),
        lambda x: isotropy.trajectory([1.0], [x, 0.1], [1.0, 1.0], [0.0, 0.0], 1.0),
        lambda x: isotropy.half_times([0.1, 0.1], [1.0, 1.0], [0.0, 0.0], x),
        lambda x: isotropy.growth_rates(x * np.ones(2), [0.0, 0.0], 1.0),
        lambda x: isotropy.estimate_error(x),
        lambda x: learnability.minimum(x, 0.001),
    ],
)
@pytest.mark.parametrize("transform", [jax.jit, jax.grad])
def test_a_function_on_the_host_says_that_it_cannot_be_traced(call, transform):
    with pytest.raises(InputError, match="not traced: this function computes on the host"):
        transform(call)(0.5)
