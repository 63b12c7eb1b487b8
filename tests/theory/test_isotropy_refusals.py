"""Numbers far out of range, arguments that do not go together, and closed forms everywhere."""

import itertools
import math
import time
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import elliprf, ndtr

from jssl.errors import InputError
from jssl.theory import isotropy


def density(x):
    return np.exp(-x * x / 2) / np.sqrt(2 * np.pi)


def flip_by_quadrature(r, a):
    """E h(z) E[h(z') | z] by adaptive quadrature in z, the inner mean of a truncated normal law."""
    s = math.sqrt((1 - r) * (1 + r))

    def inner(z):
        up, down = (a - r * z) / s, (-a - r * z) / s
        return r * z - 2 * (r * z * (ndtr(up) - ndtr(down)) - s * (density(up) - density(down)))

    def part(z):
        return z * (1 - 2 * (z < a)) * inner(z) * density(z)

    ends = sorted({0.0, 40.0, *(max(a + c * s, 0.0) for c in (-8, -1, -0.1, 0, 0.1, 1, 8))})
    pieces = itertools.pairwise(ends)
    return 2 * sum(quad(part, u, v, epsabs=1e-14, epsrel=1e-12, limit=200)[0] for u, v in pieces)


@pytest.mark.parametrize(
    ("r", "a"), [(0.7, 0.2), (0.7, 5.0), (0.3, 3.0), (0.999, 1.0), (0.9999, 1.0), (1 - 1e-8, 1.0)]
)
def test_a_flip_has_the_correlation_of_a_double_integral(r, a):
    found = isotropy.map_statistics("flip", r, a)
    np.testing.assert_allclose(found.correlation, flip_by_quadrature(r, a), rtol=1e-10)


@pytest.mark.parametrize("a", [50.0, 100.0, 200.0, 1e300, 1e-300])
def test_a_flip_of_nothing_or_of_everything_is_linear(a):
    np.testing.assert_allclose(isotropy.map_statistics("flip", 0.7, a), (0.7, 1), rtol=1e-14)


@pytest.mark.parametrize("k", [1e-300, 1e-3, 30.0, 1e300])
def test_a_spiral_is_right_at_every_speed(k):
    """E exp(i k (|z'|^2 - |z|^2)) <z, z'> / 2 by the sum over Laguerre degrees (I-47)."""
    found = isotropy.map_statistics("spiral", 0.9, k)
    if k < 100:
        rest = 4 * k**2 / (1 + 4 * k**2)
        degrees = np.arange(4000)
        share = (1 + 4 * k**2) ** -2.0
        series = 0.9 * share * np.sum((degrees + 1) * (rest * 0.81) ** degrees)
        np.testing.assert_allclose(found, (series, share), rtol=1e-9)
    else:
        assert found == (0, 0)


def test_multiplicities_are_exact_or_refused():
    values, counts = isotropy.whitened_eigenvalues(0.5, 30, 20)
    assert counts.tolist() == [math.comb(29 + k, k) for k in range(1, 21)]
    assert counts.dtype.kind == "i"
    assert values[0] == 0.5
    assert isotropy.whitened_eigenvalues(0.5, 1, 40)[1].tolist() == [1] * 40
    for dim, degree in ((1000, 12), (100, 40), (10**30, 2)):
        with pytest.raises(InputError, match="lower the dimension or the degree"):
            isotropy.whitened_eigenvalues(0.5, dim, degree)


@pytest.mark.parametrize("x", [2.0, 0.9e6, 1.1e6, 1e9, 1e20, 1e90])
def test_the_mean_inverse_root_is_carlsons_integral_for_eigenvalues_far_apart(x):
    for alpha in ([x, 1.0, 1.0], [x, x, 1.0]):
        found = isotropy.mean_inverse_root(np.array(alpha))
        np.testing.assert_allclose(found, elliprf(*alpha), rtol=2e-11)


def test_slopes_are_those_of_the_value_for_eigenvalues_far_apart():
    s = np.array([1e8, 3.0, 1.0])
    steps = np.array([1e3, 1e-4, 1e-4])
    expected = [
        (isotropy.value(s + h) - isotropy.value(s - h)) / (2 * h.max()) for h in np.diag(steps)
    ]
    np.testing.assert_allclose(isotropy.slope(s), expected, rtol=1e-3, atol=1e-13)


def test_the_slope_of_bhep_holds_for_many_modes_and_wide_weights():
    """At s = 0 it is -b (1 - (1 + b)^(-K/2 - 1)) (I-13)."""
    for dim, b in ((2048, 1.0), (64, 1e20), (4, 1e6), (3, 0.5)):
        found = isotropy.slope(np.zeros(dim), regulariser="bhep", width=b)
        known = b * np.expm1((-dim / 2 - 1) * np.log1p(b))
        np.testing.assert_allclose(found, known, rtol=1e-12)
    assert isotropy.late_rates(100, regulariser="bhep", width=1e20)[0] == 1
    assert isotropy.curvature(64, regulariser="bhep", width=1e30).conditioning == math.inf


def test_a_slow_mode_is_waited_for_and_not_called_lost():
    """Without noise time scales as 1 / (strength x variance) once the first mode is at 1."""
    slow, slower = (
        isotropy.half_times([1e-3, 1e-3], [1.0, q], [0.0, 0.0], 1.0)[1] for q in (1e-4, 1e-6)
    )
    np.testing.assert_allclose(slower / slow, 100, rtol=2e-3)
    weak = isotropy.half_times([1e-3, 1e-3], [1.0, 0.8], [0.0, 0.0], 1e-12)
    plain = isotropy.half_times([1e-3, 1e-3], [1.0, 0.8], [0.0, 0.0], 1.0)
    np.testing.assert_allclose(weak, 1e12 * plain, rtol=1e-8)


@pytest.mark.parametrize(
    "call",
    [
        lambda: isotropy.half_times([1e-3] * 2, [0.3, 1e300], [0.0, 0.0], 2.0),
        lambda: isotropy.half_times([1e-3] * 2, [0.3, 0.2], [0.0, 0.0], 1e300),
        lambda: isotropy.trajectory([1.0], [1e-3] * 2, [0.3, 0.2], [0.0, 0.0], 1e300),
        lambda: isotropy.trajectory([1.0], [1e-3] * 2, [0.3, 1e300], [0.0, 0.0], 1.0),
    ],
)
def test_flows_that_no_solver_follows_end_soon_in_one_line(call):
    begin = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError):
            call()
    assert time.process_time() - begin < 20


def velocity(**changed):
    given = {"weight": jnp.eye(2), "view_cov": jnp.eye(2), "noise_cov": 0.1 * jnp.eye(2)}
    return isotropy.velocity(**(given | {"strength": 1.0} | changed))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"view_cov": jnp.array([[1.0, 0.5], [0.0, 1.0]])}, "view_cov must be a covariance"),
        ({"view_cov": -jnp.eye(2)}, "view_cov must be a covariance"),
        ({"view_cov": jnp.nan * jnp.eye(2)}, "view_cov must be finite"),
        ({"noise_cov": -0.1 * np.eye(2)}, "noise_cov must be a covariance"),
        ({"strength": jnp.array(-1.0)}, "strength must be a number above 0"),
        ({"strength": jnp.ones(2)}, "strength must be a number above 0"),
    ],
)
def test_a_velocity_needs_covariances_and_one_positive_strength(changed, message):
    with pytest.raises(InputError, match=message):
        velocity(**changed)


def test_a_velocity_in_half_precision_or_under_jit_is_that_in_float32():
    plain = velocity()
    half = velocity(**{n: jnp.eye(2, dtype="float16") for n in ("weight", "view_cov")})
    np.testing.assert_allclose(half, plain, atol=1e-4)
    traced = jax.jit(lambda w, x: velocity(weight=w, strength=x))(jnp.eye(2), 1.0)
    np.testing.assert_allclose(traced, plain, rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: isotropy.value(jnp.array([0.3, -0.4])), "eigenvalues must be finite and >= 0"),
        (lambda: isotropy.expected_value([0.3, -0.4], 8), "eigenvalues must be finite and >= 0"),
        (lambda: isotropy.mean_inverse_root([0.3, -0.4]), "alpha must be finite and >= 0"),
        (lambda: isotropy.mean_inverse_root([0.3, 0.0]), "every alpha must be positive"),
        (lambda: isotropy.growth_rates([1.0], [0.0], 1.0, eigenvalues=[-1.0]), "eigenvalues must"),
        (lambda: isotropy.pooled_views_value([1.0] * 2, [0.1] * 3, 9, 2), "for each eigenvalue"),
        (lambda: isotropy.pooled_views_value([1.0], [1.5], 9, 2), "at most that eigenvalue"),
        (lambda: isotropy.swap_rate([1.0, -0.5], [0.1, 0.2], 0, 1), "variances must be finite"),
        (lambda: isotropy.swap_rate([1.0, 0.5], [0.1, 1.1], 0, 1), "at most twice the variances"),
        (lambda: isotropy.swap_rate([1.0, 0.0], [0.1, 0.0], 0, 1), "variances must be positive"),
        (lambda: isotropy.expected_value([1.0], 2.5), "samples in a batch must be a whole number"),
        (lambda: isotropy.shrunk_variance(2.5), "samples in a batch must be a whole number"),
        (lambda: isotropy.effective_weight(0.1, 2.5, 2), "samples must be a whole number"),
        (lambda: isotropy.null_variance(2, np.array([3, 4])), "samples in a batch must be"),
        (lambda: isotropy.curvature(3, width=1e-300), "width must be a number at least"),
        (lambda: isotropy.slice_value(1.0, 1e300), "mean must be a number at least"),
        (lambda: isotropy.nearest_rotation_bound(1e300, 0.5), "misalignment must be a number"),
        (lambda: isotropy.estimate_error(1e-300), "correlation must be a number at least"),
        (lambda: isotropy.plateau(10**30), "dim must be a whole number"),
        (lambda: isotropy.plateau(10**9), "dim must be a whole number"),
        (lambda: isotropy.value([1.0], regulariser=np.array(["bhep", "x"])), "unknown regulariser"),
        (lambda: isotropy.grid_value(1.0, np.array(["code", "x"])), "unknown grid"),
        (lambda: isotropy.map_statistics(np.array(["flip", "x"]), 0.5), "unknown map"),
    ],
)
def test_arguments_out_of_range_are_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
