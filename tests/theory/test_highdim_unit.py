"""Drift, fluctuations and the exact chain against plain SGD on vectors, and known values."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.stats
from scipy.special import erf, owens_t

from jssl.errors import InputError
from jssl.theory.highdim import (
    OnePass,
    chain,
    drift,
    end_share,
    escape_rate,
    fluctuation,
    gradient_noise,
    learnable_signal,
    mean_product,
    rademacher,
    selection_angle,
    start_square,
    step_covariance,
    three_points,
    trajectory,
    two_features,
    view_noise,
)
from jssl.theory.highdim.law import chi_square
from jssl.theory.highdim.unit import slopes

SETTING = OnePass(three_points(2.0, 0.6), 0.9, -0.4, 1.0, 0.5, 0.2)
KNOWN = OnePass(rademacher(2.0), 1.0, 0.0, 1.0, 0.5, 0.2)


def plain_step(w, setting, rng, v):
    """One step of SGD on runs (runs, d) by the chain rule on vectors."""
    runs, d = w.shape
    law = setting.law
    s, other = (law.points[rng.choice(len(law.shares), runs, p=law.shares)] for _ in range(2))
    first, fresh, third = setting.noise * rng.normal(size=(3, runs, d))
    r = setting.correlation
    second = r * first + np.sqrt(1 - r**2) * fresh
    x = (s @ v + first, s @ v + second, other @ v + third)
    u = [(w * z).sum(1, keepdims=True) for z in x]
    f = [erf(z / np.sqrt(2)) for z in u]
    g = [np.sqrt(2 / np.pi) * np.exp(-(z**2) / 2) for z in u]
    k = setting.negatives
    gradient = -(g[0] * f[1] * x[0] + f[0] * g[1] * x[1])
    gradient += k * (g[0] * f[2] * x[0] + f[0] * g[2] * x[2]) + setting.decay * w
    return w - setting.learning_rate / d * gradient


def start(q, square, d, runs):
    w = np.zeros((runs, d))
    w[:, 0], w[:, 1] = q, np.sqrt(square - q**2)
    return w, np.eye(1, d)


@pytest.mark.parametrize("q", [0.0, 0.6, -0.9])
def test_the_mean_product_is_owens_function_and_the_double_integral(q):
    square, law = 1.7, SETTING.law
    nu = 0.81 * square
    rho = -0.4 * nu / (1 + nu)
    h = law.points[:, 0] * q / np.sqrt(1 + nu)
    by_owen = law.shares @ (1 - 8 * owens_t(h, np.sqrt((1 - rho) / (1 + rho))))
    x, w = np.polynomial.hermite_e.hermegauss(60)
    w = w / w.sum()
    means, size = (law.points[:, 0] * q)[:, None, None], np.sqrt(nu)
    first = means + size * x[:, None]
    second = means + size * (-0.4 * x[:, None] + np.sqrt(1 - 0.16) * x)
    product = erf(first / np.sqrt(2)) * erf(second / np.sqrt(2))
    by_nodes = law.shares @ np.einsum("sij,i,j->s", product, w, w)
    found = mean_product(np.array([q]), square, SETTING)
    np.testing.assert_allclose(found, by_owen, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(found, by_nodes, atol=1e-10)


@pytest.mark.parametrize("dtype", [pytest.param(np.float32, marks=pytest.mark.float32), float])
@pytest.mark.parametrize("r", [-1.0, -0.4, 0.0, 0.4, 1.0])
def test_the_mean_product_of_a_small_weight_keeps_its_digits(r, dtype):
    """Against Owen's integral by mpmath, with its derivatives in overlap and norm."""
    setting = OnePass(rademacher(2.0), correlation=r)

    def exact(q, square):
        with mpmath.workdps(50):
            rho = r * square / (1 + square)
            h = mpmath.sqrt(2) * q / mpmath.sqrt(1 + square)
            a = mpmath.sqrt((1 - rho) / (1 + rho))
            integral = mpmath.quad(
                lambda x: mpmath.exp(-(h**2) * (1 + x**2) / 2) / (1 + x**2), [0, a]
            )
            return 1 - 4 / mpmath.pi * integral

    found = jax.jit(jax.value_and_grad(lambda q, s: mean_product(q, s, setting), (0, 1)))
    assert mean_product(np.zeros(1), 0.0, setting) == 0
    for at in [(0.0, 1e-6), (1e-12, 1e-20), (1e-3, 1e-3), (1e-3, 1e-6), (0.3, 1.0)]:
        q, square = (dtype(x) for x in at)
        value, (by_q, by_square) = found(jnp.full(1, q), jnp.asarray(square))
        rtol = 32 * np.finfo(dtype).eps
        with mpmath.workdps(50):
            known = [mpmath.mpf(float(x)) for x in (q, square)]
            expected = exact(*known)
            slopes = [mpmath.diff(exact, known, n, h=mpmath.mpf("1e-25")) for n in ((1, 0), (0, 1))]
        np.testing.assert_allclose(value, float(expected), rtol=rtol, atol=1e-35)
        np.testing.assert_allclose(by_q[0], float(slopes[0]), rtol=rtol, atol=1e-20)
        np.testing.assert_allclose(by_square, float(slopes[1]), rtol=rtol, atol=1e-20)


@pytest.mark.parametrize("r", [-0.9, 0.0, 0.8])
def test_slopes_are_the_derivatives_of_the_mean_product(r):
    setting = SETTING._replace(correlation=r)
    by_q, by_square = jax.grad(lambda q, s: mean_product(q, s, setting), (0, 1))(
        jnp.array([0.6]), 1.3
    )
    found = slopes(np.array([0.6]), 1.3, setting)
    np.testing.assert_allclose(found[0], by_q, rtol=1e-10)
    np.testing.assert_allclose(found[1], by_square, rtol=1e-9)


def test_values_are_the_known_ones():
    setting = OnePass(rademacher(2.0), correlation=-0.4)
    np.testing.assert_allclose(
        mean_product(np.array([0.6]), 1.3, setting), 0.0781010001, atol=1e-10
    )
    for kappa, known in ((1.0, 0.544834), (0.0, 0.281685)):
        found = gradient_noise([0.6], 1.3, setting._replace(negatives=kappa))
        assert abs(found - known) < 1e-6
    np.testing.assert_allclose(start_square(KNOWN), 0.476480, atol=1e-6)
    np.testing.assert_allclose(escape_rate(KNOWN), 0.762348, atol=1e-6)
    np.testing.assert_allclose(learnable_signal(KNOWN), 0.231925, atol=1e-6)
    for r, known in ((-0.5, 1.571932), (0.5, 0.294748)):
        found = escape_rate(KNOWN._replace(learning_rate=1.0, decay=0.1, correlation=r))
        np.testing.assert_allclose(found, known, atol=1e-6)
    found = trajectory([4.0], [0.3], 1.0, KNOWN._replace(correlation=-0.4))
    np.testing.assert_allclose(found.overlap[0], 0.984319, atol=1e-6)
    np.testing.assert_allclose(found.square[0], 1.305466, atol=1e-6)


def test_view_noise_has_the_known_end_shares():
    data = OnePass(rademacher(2.0), correlation=1.0)
    cases = ((0.0, 0.0, 0.639301), (0.3, 0.0, 0.573778), (0.3, -1.0, 0.640355))
    for extra, c, known in cases:
        np.testing.assert_allclose(end_share(view_noise(data, extra, c)), known, atol=1e-6)


def test_closed_forms_at_no_overlap():
    """Gaussian integrals at q = 0 and r = 0."""
    square = 0.7
    found = gradient_noise([0.0], square, KNOWN)
    closed = 4 * (2 / np.pi) ** 2 * (1 + 2 * square) ** -0.5 * np.arcsin(square / (1 + square))
    np.testing.assert_allclose(found, closed, rtol=1e-12)
    m2 = np.pi * 0.2 * (1 + start_square(KNOWN)) / 4
    np.testing.assert_allclose(learnable_signal(KNOWN), m2, rtol=1e-9)


@pytest.mark.parametrize("r", [0.0, -0.5, 0.5])
def test_the_escape_rate_is_the_slope_of_the_drift(r):
    setting = KNOWN._replace(correlation=r, learning_rate=1.0, decay=0.1)
    square = start_square(setting)
    assert abs(drift([0.0], square, setting)[1]) < 1e-10
    slope = drift([1e-5], square, setting)[0] / 1e-5
    np.testing.assert_allclose(escape_rate(setting), slope, rtol=1e-7)


def test_only_the_second_moment_enters_the_escape_and_the_fourth_the_end():
    laws = [rademacher(2.0), three_points(2.0, 1 / 3), three_points(2.0, 0.2)]
    settings = [KNOWN._replace(law=law) for law in laws]
    rates = [escape_rate(s) for s in settings]
    np.testing.assert_allclose(rates, rates[0], rtol=1e-12)
    shares = [end_share(s, overlap=0.5) for s in settings]
    assert shares[0] - shares[1] > 0.05
    assert shares[1] - shares[2] > 0.05


def test_a_norm_that_vanishes_is_reported_as_zero():
    strong = OnePass(rademacher(1.0), correlation=-0.9, decay=3.0)
    assert start_square(strong) == 0
    slope = drift([1e-5], 1.01e-10, strong)[0] / 1e-5
    np.testing.assert_allclose(escape_rate(strong), slope, rtol=1e-4)


@pytest.mark.parametrize("d", [12, 60])
def test_drift_and_step_covariance_are_those_of_plain_sgd(d):
    """One step from one weight, 200,000 times: d E(dq, dR) and d^2 Cov, exact but for 1/d."""
    runs, q, square = 200_000, 0.6, 1.3
    w, v = start(q, square, d, runs)
    moved = plain_step(w, SETTING, np.random.default_rng(0), v)
    change = d * np.stack([moved[:, 0] - q, (moved**2).sum(1) - square])
    error = 4 * change.std(1) / runs**0.5
    # the square of the drift itself adds (eta / d) of it to dR
    assert np.all(
        np.abs(change.mean(1) - drift([q], square, SETTING)) < error + np.array([0, 2 / d])
    )
    expected = step_covariance(q, square, SETTING)
    np.testing.assert_allclose(np.cov(change), expected, rtol=0.05 + 3 / d, atol=0.02)


def test_one_step_of_the_chain_has_the_law_of_plain_sgd_in_five_dimensions():
    d, runs, q, square = 5, 100_000, 0.6, 1.3
    w, v = start(q, square, d, runs)
    plain = plain_step(w, SETTING, np.random.default_rng(1), v)
    plain = np.stack([plain[:, 0], (plain**2).sum(1)])
    found = chain(jax.random.key(0), SETTING, d, [1], overlap=q, square=square, seeds=runs)
    found = np.stack([found.overlap[0], found.square[0]])
    for power in (1, 2, 3):
        ours, theirs = ((x - plain.mean(1, keepdims=True)) ** power for x in (found, plain))
        error = ((ours.var(1) + theirs.var(1)) / runs) ** 0.5
        assert np.all(np.abs(ours.mean(1) - theirs.mean(1)) < 4.5 * error)
    mixed = [np.mean((x[0] - q) * (x[1] - square)) for x in (found, plain)]
    assert abs(mixed[0] - mixed[1]) < 4.5 * plain.std(1).prod() / runs**0.5 * 3


def test_many_steps_of_the_chain_have_the_law_of_plain_sgd():
    d, runs, steps = 30, 1500, 90
    w, v = start(0.3, 1.0, d, runs)
    rng = np.random.default_rng(2)
    for _ in range(steps):
        w = plain_step(w, KNOWN, rng, v)
    plain = np.stack([w[:, 0], (w**2).sum(1)])
    found = chain(jax.random.key(1), KNOWN, d, [40, steps], overlap=0.3, square=1.0, seeds=6000)
    found = np.stack([found.overlap[1], found.square[1]])
    error = (found.var(1) / 6000 + plain.var(1) / runs) ** 0.5
    assert np.all(np.abs(found.mean(1) - plain.mean(1)) < 4 * error)
    ratio = found.std(1) / plain.std(1)
    assert np.all(np.abs(ratio - 1) < 4 * (1 / 3000 + 1 / 12000) ** 0.5 * 1.5)


def test_fluctuations_have_the_known_sizes_and_are_those_of_the_chain():
    setting = KNOWN._replace(correlation=-0.4)
    predicted = fluctuation([1.0, 2.0, 4.0, 8.0], 0.3, 1.0, setting)[:, 0, 0] ** 0.5
    np.testing.assert_allclose(predicted, [0.598, 0.700, 0.529, 0.345], atol=1.5e-3)
    d, seeds = 200, 3000
    found = chain(jax.random.key(2), setting, d, [200, 800], overlap=0.3, square=1.0, seeds=seeds)
    seen = np.asarray(found.overlap).std(1) * d**0.5
    np.testing.assert_allclose(seen, predicted[[0, 2]], rtol=4 / (2 * seeds) ** 0.5 + 4 / d)


@pytest.mark.parametrize("degrees", [1.0, 2.0, 4998.0])
def test_chi_square_variables_have_their_law(degrees):
    own = jax.random.split(jax.random.key(5), 3)
    normal, uniform = jax.random.normal(own[0], 40_000), jax.random.uniform(own[1], 40_000)
    draws = jax.jit(chi_square)(own[2], jnp.float64(degrees), normal, uniform)
    assert scipy.stats.kstest(np.asarray(draws), scipy.stats.chi2(degrees).cdf).pvalue > 1e-4


def test_records_do_not_change_the_chain():
    both = chain(jax.random.key(3), KNOWN, 50, [0, 7, 20], overlap=0.3, square=1.0, seeds=5)
    last = chain(jax.random.key(3), KNOWN, 50, [20], overlap=0.3, square=1.0, seeds=5)
    np.testing.assert_allclose(both.overlap[2], last.overlap[0], rtol=1e-12)
    assert both.share.shape == (3, 5)


def test_the_separatrix_is_that_of_the_kurtoses():
    np.testing.assert_allclose(selection_angle(rademacher(), three_points(1, 0.5)), 54.735610)
    assert selection_angle(rademacher(2.0), rademacher(2.0)) == 45
    np.testing.assert_allclose(
        selection_angle(rademacher(), three_points(1, 0.8)), 46.91, atol=0.01
    )


def test_two_features_have_the_drift_of_each_alone():
    both = two_features(rademacher(2.0), three_points(2.0, 0.5), KNOWN)
    alone = drift([0.4], 1.0, KNOWN)
    np.testing.assert_allclose(drift([0.4, 0.0], 1.0, both)[0] > 0, alone[0] > 0)
    np.testing.assert_allclose(drift([0.0, 0.0], 1.0, both)[:2], 0, atol=1e-15)
    expected = jax.grad(lambda q: mean_product(q, 1.0, both))(jnp.array([0.4, 0.2]))
    np.testing.assert_allclose(slopes(np.array([0.4, 0.2]), 1.0, both)[0], expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rademacher(0.0), "second_moment must be a number above 0"),
        (lambda: three_points(1.0, 1.5), "share must be a number"),
        (lambda: trajectory([1.0], [2.0], 1.0, KNOWN), "at least the sum of the squared overlaps"),
        (
            lambda: trajectory([1.0], [0.1], 1.0, KNOWN._replace(noise=0.0)),
            "noise must be a number above 0",
        ),
        (
            lambda: trajectory([1.0], [0.1], 1.0, KNOWN._replace(correlation=2.0)),
            "correlation must be a number at least -1 and at most 1",
        ),
        (lambda: start_square(KNOWN._replace(decay=0.0)), "without decay"),
        (
            lambda: chain(jax.random.key(0), KNOWN, 2, [1], overlap=0.1, square=1.0, seeds=3),
            "dim must be a whole number of at least 3",
        ),
        (
            lambda: chain(jax.random.key(0), KNOWN, 9, [3, 3], overlap=0.1, square=1.0, seeds=3),
            "steps must be increasing",
        ),
        (lambda: selection_angle(rademacher(1.0), rademacher(2.0)), "one second moment"),
        (lambda: selection_angle(rademacher(), three_points(1.0, 0.2)), "mixture"),
        (lambda: view_noise(KNOWN, -0.1, 0.0), "extra must be a number at least 0"),
    ],
)
def test_wrong_input_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


@pytest.mark.parametrize("correlation", [-1.0, -0.9999, -0.5, 0.7, 1.0])
@pytest.mark.parametrize("noise", [0.3, 10.0, 1e3])
@pytest.mark.parametrize("q", [0.01, 0.6, 3.0])
def test_the_mean_product_with_large_noise_is_owens_function(correlation, noise, q):
    law, square = rademacher(2.0), max(100.0, q * q)
    nu = noise**2 * square
    h = law.points[:, 0] * q / np.sqrt(1 + nu)
    equal, opposite = 1 + nu * (1 + correlation), 1 + nu * (1 - correlation)
    expected = law.shares @ (1 - 8 * owens_t(h, np.sqrt(opposite / equal)))
    setting = OnePass(law, noise=noise, correlation=correlation)
    found = mean_product(np.array([q]), square, setting)
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-13)
