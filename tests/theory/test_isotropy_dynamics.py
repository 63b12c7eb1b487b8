"""Eigenvalues in time against the flow of the weight, special functions and known values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import brentq
from scipy.special import hyp2f1

from jssl.errors import InputError
from jssl.theory.isotropy import (
    convex_below,
    end_state,
    growth_rates,
    half_times,
    late_rates,
    lost_modes,
    plateau,
    slope,
    slow_growth,
    strength_that_keeps,
    swap_rate,
    trajectory,
    value,
    velocity,
)
from jssl.theory.isotropy.dynamics import moments

BOTH = pytest.mark.parametrize("regulariser", ["sigreg", "bhep"])
Q, C = np.array([1.0, 0.7, 0.5]), np.array([0.05, 0.1, 0.02])


@BOTH
def test_velocity_is_minus_the_gradient_where_covariances_do_not_commute(regulariser):
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(3, 4))
    root, noise_root = rng.normal(size=(2, 4, 4))
    noise = noise_root @ noise_root.T / 10
    view = root @ root.T + noise

    def objective(w):
        values = jnp.linalg.eigvalsh(w @ view @ w.T)
        return jnp.trace(w @ noise @ w.T) + 2.0 * value(values, regulariser=regulariser)

    expected = -jax.grad(objective)(jnp.asarray(weight))
    found = velocity(jnp.asarray(weight), view, noise, 2.0, regulariser=regulariser)
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-9)


@BOTH
def test_the_trajectory_is_that_of_the_weight_itself(regulariser):
    """The flow of w by jax.grad of the value, in the basis of the modes."""
    start, times = np.array([1e-3, 2e-3, 1e-2]), np.array([1.0, 4.0, 15.0])

    @jax.jit
    def flow(w):
        def objective(w):
            return jnp.sum(C * w**2) + 3.0 * value(Q * w**2, regulariser=regulariser)

        return -jax.grad(objective)(w)

    solved = solve_ivp(
        lambda _, w: np.asarray(flow(w)),
        (0, 15),
        np.sqrt(start / Q),
        method="DOP853",
        t_eval=times,
        rtol=1e-10,
        atol=1e-13,
    )
    found = trajectory(times, start, Q, C, 3.0, regulariser=regulariser)
    np.testing.assert_allclose(found, Q * solved.y.T**2, rtol=2e-7)


def test_small_modes_share_one_clock():
    """log(s_j / s_j(0)) = q_j Theta(t) - 4 c_j t, while small."""
    s = trajectory([0.8], np.full(3, 1e-12), Q, C, 2.0, regulariser="bhep", width=1.0)[0]
    theta = (np.log(s / 1e-12) + 4 * C * 0.8) / Q
    np.testing.assert_allclose(theta, theta[0], rtol=1e-8)


def test_noise_makes_a_direction_be_learned_earlier_where_the_regulariser_is_strong():
    q, c = np.array([1.0, 1.3]), np.array([0.0, 0.3])  # equal shared variance
    weak, strong = (growth_rates(q, c, lam, regulariser="bhep", width=1.0) for lam in (0.5, 20.0))
    assert weak[0] > weak[1]
    assert strong[1] > strong[0]


@pytest.mark.parametrize(
    ("dim", "last", "regulariser", "width", "known"),
    [
        (4, 3, "bhep", 1.0, [4.366, 6.857, 18.163, 71.694]),
        (4, 3, "bhep", None, [4.086, 6.001, 13.483, 39.007]),
        (4, 3, "sigreg", None, [4.110, 6.054, 13.480, 38.222]),
        (8, 7, "bhep", 1.0, [3.87, 5.95, 39.45, 1753.82]),
        (8, 7, "bhep", None, [3.53, 4.87, 17.62, 154.46]),
        (8, 7, "sigreg", None, [3.57, 4.98, 18.27, 171.49]),
    ],
)
def test_half_times_have_the_known_values(dim, last, regulariser, width, known):
    q = np.array([1, 0.8, 0.6, 0.4]) if dim == 4 else 0.8 ** np.arange(8)
    rate = 3.5 if dim == 4 else 3.875
    zero = np.zeros(dim)
    first = growth_rates(q, zero, 1.0, regulariser=regulariser, width=width)[0]
    found = half_times(
        np.full(dim, 1e-6), q, zero, rate / first, regulariser=regulariser, width=width
    )
    chosen = np.arange(4) if dim == 4 else np.array([0, 1, 3, 7])
    np.testing.assert_allclose(found[chosen], known, rtol=2e-3)


def test_the_last_half_times_have_the_known_digits():
    q, zero = np.array([1, 0.8, 0.6, 0.4]), np.zeros(4)
    for regulariser, known in (("bhep", 71.6944), ("sigreg", 38.2217)):
        first = growth_rates(q, zero, 1.0, regulariser=regulariser, width=1.0)[0]
        found = half_times(
            np.full(4, 1e-6), q, zero, 3.5 / first, regulariser=regulariser, width=1.0
        )
        np.testing.assert_allclose(found[3], known, atol=6e-5)


def test_a_lost_mode_has_an_infinite_half_time():
    found = half_times(np.full(2, 1e-4), [1.0, 1.0], [0.05, 0.9], 1.0)
    assert np.isfinite(found[0]) == (growth_rates([1.0, 1.0], [0.05, 0.9], 1.0)[0] > 0)
    assert np.isinf(found[1])


def test_plateaus_have_the_known_heights():
    options = {"regulariser": "bhep", "width": 1.0}
    np.testing.assert_allclose(
        [plateau(2, **options), plateau(3, **options)], [2.05362158, 5.27098315], atol=1e-8
    )
    np.testing.assert_allclose(plateau(4, regulariser="bhep", width=0.25), 3.0, rtol=1e-12)
    assert plateau(4, **options) == np.inf
    found = [plateau(dim) for dim in (2, 3, 8, 16)]
    np.testing.assert_allclose(found, [1.791751, 2.711543, 7.783627, 16.124227], atol=1e-6)
    assert plateau(5, 5) == 1


@pytest.mark.parametrize("dim", [2, 4, 16])
def test_the_plateau_of_sigreg_is_a_zero_of_gauss_hypergeometric_functions(dim):
    def pull(s):
        attraction = 2**-1.5 * hyp2f1(1.5, 1.5, dim / 2 + 1, -s / 2)
        return attraction - hyp2f1(1.5, 1.5, dim / 2 + 1, -2 * s)

    np.testing.assert_allclose(plateau(dim), brentq(pull, 1, 100), rtol=1e-10)


def test_the_plateau_grows_as_the_dimension():
    np.testing.assert_allclose(plateau(4096) / 4096, 1.048021, rtol=1e-3)


def test_late_rates_have_the_known_values():
    known = [1, 0.5614, 0.3111, 0.1690, 0.0889, 0.0442]
    found = late_rates(6, regulariser="bhep", width=1.0)
    np.testing.assert_allclose(found, known, atol=5e-5)
    np.testing.assert_allclose(found[2], 0.311111, atol=1e-6)
    known = [1, 0.6932, 0.4757, 0.3206, 0.2095, 0.1295]
    np.testing.assert_allclose(late_rates(6), known, atol=5e-5)
    np.testing.assert_allclose(late_rates(6)[2], 0.475730, atol=1e-6)
    np.testing.assert_allclose(late_rates(16, regulariser="bhep", width=1.0)[-1], 1.7e-4, rtol=0.03)
    np.testing.assert_allclose(late_rates(64)[-1], 0.0068, atol=8e-4)


@pytest.mark.parametrize("learned", [0, 2, 5])
def test_late_rates_are_the_closed_forms(learned):
    dim, b = 6, 1.0

    def g(high, low):
        ratio = hyp2f1(1.5, learned / 2, dim / 2 + 1, -(high - low) / low)
        return low**-1.5 * ratio / dim

    start = (1 - 2**-1.5) / dim
    sliced = (g(1 + 2 * b, 1) - g(1 + 2 * b, 1 + b)) / start
    np.testing.assert_allclose(late_rates(dim)[learned], sliced, rtol=1e-10)
    closed = 3 ** (-learned / 2) * (1 - 2 ** (-(dim - learned) / 2 - 1)) / (1 - 2**-4.0)
    found = late_rates(dim, regulariser="bhep", width=1.0)[learned]
    np.testing.assert_allclose(found, closed, rtol=1e-10)


@pytest.mark.parametrize(("dim", "exponent"), [(8, 2 / 3), (4, 2 / 5)])
def test_without_a_plateau_the_first_mode_grows_as_a_power_of_time(dim, exponent):
    start = np.r_[1e-6, np.full(dim - 1, 1e-300)]
    s = trajectory(
        [1e5, 1e6],
        start,
        np.r_[1.0, np.full(dim - 1, 1e-9)],
        np.zeros(dim),
        1.0,
        regulariser="bhep",
        width=1.0,
    )[:, 0]
    np.testing.assert_allclose(np.log(s[1] / s[0]) / np.log(10), exponent, atol=0.01)


def test_slow_growth_is_the_limit_of_the_flow():
    size = 300.0
    grown = slow_growth(8, np.exp(-size), (1.0, 0.5), 1.0)
    np.testing.assert_allclose(grown.size / size, 0.4, rtol=1e-9)
    times = np.linspace(0.9, 1.3, 9) * grown.time
    q, start = np.array([1.0, 0.5] + [1e-9] * 6), np.full(8, np.exp(-size))
    s = trajectory(times, start, q, np.zeros(8), 1.0, regulariser="bhep", width=1.0)
    crossed = np.searchsorted(s[:, 1], 0.5)
    assert 0 < crossed < 9  # within 30 %: the error falls slowly with log(1 / start)


def test_end_states_have_the_known_values():
    ended = end_state([0.02, 0.05, 0.08, 0.11], 60.0, regulariser="bhep", width=1.0)
    known = [1.029333, 0.990252, 0.953982, 0.920176]
    np.testing.assert_allclose(ended.eigenvalues, known, atol=1e-6)
    equal = end_state(np.full(4, 0.05), 1.0, regulariser="bhep", width=1.0).eigenvalues
    np.testing.assert_allclose(equal, 0.540406, atol=1e-6)
    s = equal[0]
    np.testing.assert_allclose((1 + 2 * s) ** -3 - (2 + s) ** -3, 0.05, rtol=1e-9)


@BOTH
@pytest.mark.parametrize("batch", [None, 32])
def test_the_flow_ends_in_the_end_state(regulariser, batch):
    shares, q = np.array([0.02, 0.3, 0.1, 0.05]), np.array([1.0, 0.8, 0.7, 0.5])
    options = {"regulariser": regulariser, "batch": batch}
    strength = 4.0
    ended = end_state(shares, strength, **options)
    flow = trajectory([4000.0], np.full(4, 1e-3), q, shares * q, strength, **options)[0]
    np.testing.assert_allclose(ended.eigenvalues, np.where(flow < 1e-8, 0, flow), atol=1e-7)


@pytest.mark.parametrize("regulariser", ["sigreg", "bhep"])
def test_without_noise_the_target_is_the_only_minimum(regulariser):
    """I-23: sum_j (s_j - 1) dR/ds_j > 0, so some empty mode of a stationary point grows."""
    draws = np.random.default_rng(0)
    for dim in (1, 2, 5, 16):
        for _ in range(40):
            s = draws.gamma(draws.choice([0.2, 1.0, 5.0]), size=dim) * draws.choice([0.1, 1, 30])
            s *= draws.uniform(size=dim) < 0.8
            assert (s - 1) @ slope(s, regulariser=regulariser) > 0


def test_sigreg_is_convex_up_to_the_stated_eigenvalue_and_not_far_above():
    draws = np.random.default_rng(1)
    edge = convex_below()
    for dim in (1, 3, 6):
        for _ in range(20):
            first, second = edge * draws.uniform(size=(2, dim))
            middle = value((first + second) / 2)
            assert middle <= (value(first) + value(second)) / 2 + 1e-12
    around = [float(value(np.full(1, edge + h))) for h in (0.5, 1.0, 1.5)]
    assert around[1] > (around[0] + around[2]) / 2


def test_a_batch_ends_below_the_population_without_noise():
    ended = end_state(np.zeros(3), 1.0, batch=16).eigenvalues
    np.testing.assert_allclose(ended, 0.878766, atol=1e-6)  # I-11


def test_strengths_that_keep_a_mode_have_the_known_values():
    options = {"regulariser": "bhep", "width": 1.0}
    np.testing.assert_allclose(strength_that_keeps([0.3] * 3, 1, **options), 0.364421, atol=1e-6)
    kept = strength_that_keeps([0.05, 0.1, 0.3], 2, **options)
    np.testing.assert_allclose(kept, 1.121282, atol=1e-6)
    assert lost_modes([0.05, 0.1, 0.3], 0.999 * kept, **options).tolist() == [2]
    assert lost_modes([0.05, 0.1, 0.3], 1.001 * kept, **options).tolist() == []


def test_the_smallest_shares_are_kept_and_a_swap_grows_at_its_rate():
    a, c = np.array([1.0, 0.5]), np.array([1.0, 0.05])
    q = a + c
    np.testing.assert_allclose(swap_rate(q, c, held=0, other=1), 0.9)
    assert end_state(c / q, 8.0, dim=1).kept.tolist() == [False, True]
    held = end_state(c[:1] / q[:1], 8.0).eigenvalues[0]
    tilt = 1e-6  # one output that looks along mode 1, and by a little along mode 2
    weight = jnp.array([[np.sqrt(held / q[0]), tilt]])
    moved = velocity(weight, jnp.diag(jnp.asarray(q)), jnp.diag(jnp.asarray(c)), 8.0)
    np.testing.assert_allclose(2 * moved[0, 1] / tilt, 0.9, atol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: moments([1.0], [2.1], 1.0), "noises from 0 to 2 q"),
        (lambda: moments([1.0], [0.0], 0.0), "strength must be a number above 0"),
        (lambda: trajectory([1.0], [0.0], [1.0], [0.0], 1.0), "every start must be positive"),
        (
            lambda: trajectory([2.0, 1.0], [0.1], [1.0], [0.0], 1.0),
            "finite, increasing",
        ),
        (lambda: trajectory([np.nan], [0.1], [1.0], [0.0], 1.0), "times must be finite"),
        (lambda: swap_rate([1.0, 0.5], [0.1, 0.1], 0, 2), "other must be a whole number"),
        (lambda: swap_rate([1.0, 0.5], [0.1], 0, 1), "one noise for each of the 2 modes"),
        (lambda: trajectory([1.0], [0.1, 0.1], [1.0], [0.0], 1.0), "each of the 1 modes"),
        (lambda: plateau(3, 0), "learned must be a whole number .*; got 0"),
        (lambda: plateau(0), "dim must be a whole number"),
        (lambda: end_state([2.1], 1.0), "noise shares must be from 0 to 2"),
        (lambda: end_state([0.5], 1.0, dim=2), "dim must be a whole number in .*; got 2"),
        (lambda: strength_that_keeps([0.0, 0.1], 0), "positive noise share"),
        (lambda: slow_growth(4, 0.1, (1.0, 0.5), 1.0), "dim must be a whole number of at least 5"),
        (lambda: growth_rates([1.0], [0.0], 1.0, batch=1), "at least 2; got 1"),
    ],
)
def test_wrong_input_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
