"""Where the share of the signal ends, and the moments of a gradient at large norms."""

import math

import jax
import numpy as np
import pytest
from scipy.special import erf

from jssl.errors import InputError
from jssl.theory import highdim
from jssl.theory.highdim import Law, OnePass, rademacher, three_points

SETTING = OnePass(rademacher(2.0), learning_rate=0.5, decay=0.2)


def outputs(u):
    return erf(u / math.sqrt(2)), math.sqrt(2 / math.pi) * np.exp(-(u**2) / 2)


def normal_rule(count):
    """The trapezoidal rule for a standard normal law."""
    x = np.linspace(-8, 8, count)
    w = np.exp(-(x**2) / 2)
    return x, w / w.sum()


@pytest.mark.parametrize("square", [1e-8, 0.7, 30.0, 1e4])
def test_the_noise_of_gradients_is_the_closed_form_without_overlap(square):
    """Gaussian integrals at q = 0 and r = 0 (I-31)."""
    closed = 4 * (2 / np.pi) ** 2 * (1 + 2 * square) ** -0.5 * np.arcsin(square / (1 + square))
    found = highdim.gradient_noise([0.0], square, SETTING)
    np.testing.assert_allclose(found, closed, rtol=1e-12)


@pytest.mark.parametrize("r", [-1.0, -0.4, 0.9, 1.0])
@pytest.mark.parametrize(("q", "square"), [(1e-3, 1e-6), (-1.0, 1.5), (5.0, 30.0), (3.0, 300.0)])
def test_the_noise_of_gradients_is_the_double_integral(r, q, square):
    setting = OnePass(three_points(2.0, 0.6), 0.9, r, 0.7)
    x, w = normal_rule(1201)
    means, size = (setting.law.points * q)[:, :, None], 0.9 * math.sqrt(square)
    f1, d1 = outputs(means + size * x[:, None])
    f2, d2 = outputs(means + size * (r * x[:, None] + math.sqrt(1 - r**2) * x))
    terms = (d1 * f2) ** 2 + (f1 * d2) ** 2 + 2 * r * f1 * d1 * f2 * d2
    shares = setting.law.shares
    alone = shares @ (f1[:, :, 0] ** 2 @ w) * (shares @ (d1[:, :, 0] ** 2 @ w))
    by_nodes = shares @ np.einsum("sij,i,j->s", terms, w, w) + 2 * 0.7**2 * alone
    np.testing.assert_allclose(highdim.gradient_noise([q], square, setting), by_nodes, rtol=1e-10)


@pytest.mark.parametrize(("q", "square"), [(0.6, 1.3), (2.0, 9.0)])
def test_the_covariance_of_a_step_is_the_triple_integral(q, square):
    r, kappa, eta, decay = -0.4, 0.7, 0.5, 0.2
    setting = OnePass(rademacher(2.0), 0.9, r, kappa, eta, decay)
    x, w = normal_rule(101)
    size = 0.9 * math.sqrt(square)
    s = setting.law.points[:, 0]
    same, other, one, two, three = np.meshgrid(s, s, x, x, x, indexing="ij", sparse=True)
    noises = [size * z for z in (one, r * one + math.sqrt(1 - r**2) * two, three)]
    signals = (same, same, other)
    u = [a * q + p for a, p in zip(signals, noises, strict=True)]
    (f1, d1), (f2, d2), (f3, d3) = (outputs(z) for z in u)
    a = (d1 * (f2 - kappa * f3), f1 * d2, -kappa * f1 * d3)
    total = a[0] ** 2 + a[1] ** 2 + 2 * r * a[0] * a[1] + a[2] ** 2
    along = [part * (b + q * p / square) for part, b, p in zip(a, signals, noises, strict=True)]
    moved = eta * (along[0] + along[1] + along[2])
    grown = 2 * eta * (a[0] * u[0] + a[1] * u[1] + a[2] * u[2]) + eta**2 * 0.81 * total

    def mean(value):
        return np.einsum("abijk,i,j,k->", value, w, w, w) / 4

    across = mean(moved * grown) - mean(moved) * mean(grown)
    apart = eta**2 * 0.81 * (1 - q**2 / square) * mean(total)
    known = [mean(moved**2) - mean(moved) ** 2 + apart, across, across]
    known.append(mean(grown**2) - mean(grown) ** 2)
    found = highdim.step_covariance(q, square, setting)
    np.testing.assert_allclose(found.ravel(), known, rtol=1e-8)


@pytest.mark.parametrize(
    ("changed", "start"),
    [
        ({"decay": 1e-3}, {}),
        ({"decay": 1e-4}, {}),
        ({"decay": 1e-3, "learning_rate": 1.0}, {}),
        ({"correlation": 0.9, "learning_rate": 0.01, "decay": 0.1}, {}),
        ({"correlation": -1.0}, {"overlap": -0.1}),
        ({}, {"overlap": 1.0, "square": 1.0}),
        ({"law": three_points(2.0, 0.2)}, {"overlap": 0.5}),
        ({"law": rademacher(0.1), "correlation": 0.3}, {}),
    ],
)
def test_the_end_is_where_two_long_paths_end(changed, start):
    setting = SETTING._replace(**changed)
    given = {"overlap": 0.3, "square": 1.0} | start
    late = 10 / (setting.learning_rate * setting.decay)
    path = highdim.trajectory([late, 30 * late], [given["overlap"]], given["square"], setting)
    found = highdim.end_share(setting, **given)
    np.testing.assert_allclose(found, path.share[1], rtol=1e-7, atol=1e-12)


def test_the_end_does_not_depend_on_a_small_start():
    known = highdim.end_share(SETTING)
    for start in ({"overlap": 1e-30}, {"overlap": 1e-300}, {"overlap": 1e-12, "square": 1e-15}):
        np.testing.assert_allclose(highdim.end_share(SETTING, **start), known, rtol=1e-10)
    assert highdim.end_share(SETTING, overlap=0.0) == 0


def test_a_signal_below_the_threshold_is_lost_and_one_above_it_is_learned():
    least = highdim.learnable_signal(SETTING)
    for factor, kept in ((0.99, False), (1.01, True)):
        setting = SETTING._replace(law=rademacher(factor * least))
        assert (highdim.end_share(setting, overlap=1e-3) > 1e-6) == kept


def test_where_the_norm_vanishes_the_share_is_the_limit_on_the_way():
    """At small R all is linear: dz/dt = 4 eta m2 (2/pi) - eta^2 (V / R) / (1 - Q), r = 0."""
    setting = SETTING._replace(decay=5.0)
    c = 4 * (2 / np.pi) ** 2  # V / E u^2 at R = 0
    path = highdim.trajectory([40.0, 80.0], [0.3], 1.0, setting)
    found = highdim.end_share(setting)
    np.testing.assert_allclose(path.share, found, rtol=1e-6)
    lost = 0.5**2 * c * (1 + 2.0 * found) / (1 - found)  # E u^2 = (sigma^2 + m2 Q) R
    np.testing.assert_allclose(lost, 4 * 0.5 * 2.0 * 2 / np.pi, rtol=1e-9)


def test_gradient_flow_ends_at_the_signal_alone():
    for setting in (OnePass(rademacher(2.0)), SETTING._replace(correlation=0.9)):
        assert highdim.end_share(setting, noise=False) == 1
        late = highdim.trajectory([1e4], [0.3], 1.0, setting, noise=False)
        np.testing.assert_allclose(late.share, 1, rtol=1e-6)
    silent = SETTING._replace(law=Law(np.zeros((1, 1)), np.ones(1)))
    assert highdim.end_share(silent, noise=False) == 0.3**2
    assert highdim.end_share(silent) == 0


def test_without_decay_there_is_no_end():
    with pytest.raises(InputError, match="without decay the norm grows without bound"):
        highdim.end_share(SETTING._replace(decay=0.0))


def test_a_path_keeps_the_rate_of_a_small_overlap():
    square, rate = highdim.start_square(SETTING), highdim.escape_rate(SETTING)
    path = highdim.trajectory([20.0], [1e-30], square, SETTING)
    np.testing.assert_allclose(path.overlap[0, 0], 1e-30 * math.exp(20 * rate), rtol=1e-7)


def test_a_law_of_lists_is_that_of_arrays_and_no_time_has_no_fluctuation():
    listed = SETTING._replace(law=Law([[1.0], [-1.0]], [0.5, 0.5]))
    plain = SETTING._replace(law=rademacher(1.0))
    assert listed.law.moment(2) == [1.0]
    np.testing.assert_array_equal(
        highdim.drift([0.3], 1.0, listed), highdim.drift([0.3], 1.0, plain)
    )
    assert highdim.escape_rate(listed) == highdim.escape_rate(plain)
    np.testing.assert_array_equal(highdim.fluctuation([0.0], 0.3, 1.0, listed), np.zeros((1, 2, 2)))


@pytest.mark.parametrize("temperature", [1e-3, 0.01, 0.3, 1.0, 1e100])
def test_the_critical_hardness_solves_its_equation_at_every_temperature(temperature):
    """The equation p (e^c - 1) beta T = 1, in logarithms; below the least float64 it is 0."""
    found = highdim.critical_hardness(4, temperature=temperature)
    gap = 4 / (3 * temperature)
    if gap > 750:
        assert found == 0
        return
    share = 1 / (1 + 3 * math.exp(-found * 4 / 3))
    rest = gap + math.log(-math.expm1(-gap)) + math.log(share * temperature) + math.log(found)
    assert abs(rest) < 1e-12


ONE_SIDED = Law(np.array([[1.0]]), np.array([1.0]))
UNEVEN = Law(np.array([[1.0, 0.0], [-1.0, 0.0]]), np.array([0.6, 0.4]))
KEY = jax.random.key(0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        *[
            (lambda law=law: highdim.escape_rate(SETTING._replace(law=law)), "symmetric about 0")
            for law in (ONE_SIDED, UNEVEN)
        ],
        (
            lambda: highdim.mean_product(jax.numpy.ones(1), 1.0, SETTING._replace(law=ONE_SIDED)),
            "symmetric about 0",
        ),
        (lambda: highdim.independent(ONE_SIDED, ONE_SIDED), "symmetric about 0"),
        (lambda: rademacher(1e300), "of size 1e-15 to 1e"),
        (lambda: highdim.trajectory([1e300], [0.3], 1.0, SETTING), "times must be at most 1e"),
        (lambda: highdim.fluctuation([1e300], 0.3, 1.0, SETTING), "times must be at most 1e"),
        (lambda: highdim.fluctuation([1.0], 0.3, 200.0, SETTING), "noise.2 times square of 30"),
        (lambda: highdim.drift([0.3], 1e300, SETTING), "square must be a number at least 0 and at"),
        (
            lambda: highdim.chain(KEY, SETTING, 9, [2**31], overlap=0.3, square=1.0, seeds=2),
            "a number of steps must be a whole number",
        ),
        (
            lambda: highdim.chain(KEY, SETTING, 9, [2], overlap=0.3, square=1.0, seeds=10**30),
            "take fewer seeds",
        ),
        (
            lambda: highdim.chain(KEY, SETTING, 9, [2], overlap=0.3, square=1e300, seeds=2),
            "of size at most 1e",
        ),
        (
            lambda: highdim.chain(
                KEY, SETTING._replace(decay=1e9), 9, [99], overlap=0.3, square=1.0, seeds=2
            ),
            "a run diverges",
        ),
        *[
            (lambda c=c: highdim.escape_rate(SETTING._replace(**c)), f"{next(iter(c))} must be")
            for c in ({"learning_rate": 1e300}, {"noise": 1e150}, {"negatives": 1e300})
        ],
    ],
)
def test_numbers_that_no_formula_holds_are_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
