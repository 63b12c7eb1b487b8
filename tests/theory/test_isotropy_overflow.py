"""Slopes and values where one product of many factors underflows and a ratio of two overflows.

The closed forms for K equal eigenvalues are evaluated by mpmath with 60 digits.
"""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from jssl.theory import isotropy

DTYPES = [pytest.param(np.float32, marks=pytest.mark.float32), np.float64]
SIZES = [1e-20, 1e-3, 0.26, 1.0, 1.4, 10.0, 1e3, 1e6, 1e10, 1e15]


def closed_forms(dim, s, width):
    """Return R of BHEP, its slope, and the slope of that in the own and in another eigenvalue."""
    with mpmath.workdps(60):
        b, s, half = mpmath.mpf(width), mpmath.mpf(float(s)), mpmath.mpf(dim) / 2
        first, second = (1 + 2 * b * s) ** -half, (1 + b + b * s) ** -half
        u, v = b / (1 + 2 * b * s), b / (1 + b + b * s)
        value = first - 2 * second + (1 + 2 * b) ** -half
        slope = v * second - u * first
        other = u**2 * first - v**2 * second / 2
        own = 3 * u**2 * first - 3 * v**2 * second / 2
        return [float(x) for x in (value, slope, own, other)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [None, 1.0])
@pytest.mark.parametrize("dim", [1, 8, 256, 2048])
def test_values_and_slopes_of_bhep_are_the_closed_forms_at_every_size(dim, width, dtype):
    @jax.jit
    def found(x):
        def slope(x):
            return isotropy.slope(x, regulariser="bhep", width=width)[:2]

        along = jnp.zeros_like(x).at[0].set(1)
        moved = jax.jvp(slope, (x,), (along,))[1]
        back = jax.grad(lambda x: slope(x)[0])(x)
        return isotropy.value(x, regulariser="bhep", width=width), slope(x), moved, back

    info = np.finfo(dtype)
    for size in SIZES:
        s = np.full(dim, size, dtype)
        value, slope, own, other = closed_forms(dim, s[0], width or 2 / dim)
        known, slopes, moved, back = found(jnp.asarray(s))
        assert moved.dtype == back.dtype == dtype
        # a number that is exp(-x) has a relative error of x eps; the least ones lose digits
        rtol = (4 * 700 if dtype == np.float64 else 4 * 88) * info.eps
        atol = 64 * float(info.tiny)
        np.testing.assert_allclose(known, value, rtol, atol)
        np.testing.assert_allclose(slopes[0], slope, rtol, atol)
        np.testing.assert_allclose((moved[0], back[0]), own, rtol, atol)
        if dim > 1:
            np.testing.assert_allclose((moved[1], back[1]), other, rtol, atol)
        if dtype == np.float64:
            host = isotropy.slope(s, regulariser="bhep", width=width)
            np.testing.assert_allclose(host[0], slope, rtol, atol)


def test_growth_of_large_eigenvalues_is_that_of_the_noise_alone():
    ones = np.ones(2048)
    options = {"regulariser": "bhep", "eigenvalues": 1e6 * ones}
    np.testing.assert_allclose(isotropy.growth_rates(ones, 0.1 * ones, 5.0, **options), -0.4)


@pytest.mark.float32
def test_every_entry_of_the_jacobian_is_finite_where_the_slope_underflows():
    s = jnp.full(256, 1e10, jnp.float32)
    jacobian = jax.jacfwd(lambda s: isotropy.slope(s, regulariser="bhep"))(s)
    np.testing.assert_array_equal(jacobian, 0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("dim", [300, 2048, 8192])
def test_sigreg_of_many_equal_eigenvalues_near_the_target_is_that_of_one_slice(dim, dtype):
    """Every slice has the variance s, and every eigenvalue has 1/K of its slope."""
    s = dtype(0.26)
    given = jnp.full(dim, s) if dtype == np.float32 else np.full(dim, s)
    with mpmath.workdps(60):
        v = mpmath.mpf(float(s))
        value = (1 + 2 * v) ** -0.5 - 2 * (2 + v) ** -0.5 + mpmath.mpf(3) ** -0.5
        slope = (2 + v) ** -1.5 - (1 + 2 * v) ** -1.5
    # the rounding of a sum of K logarithms
    rtol = (64 if dtype == np.float32 else 2 * dim) * np.finfo(dtype).eps
    np.testing.assert_allclose(isotropy.value(given), float(value), rtol=rtol)
    np.testing.assert_allclose(isotropy.slope(given) * dim, float(slope), rtol=rtol)
    if dtype == np.float32:
        np.testing.assert_allclose(jax.grad(isotropy.value)(given) * dim, float(slope), rtol=rtol)


def test_the_end_of_many_modes_is_found_without_overflow():
    """With equal shares n all modes end where the slope is -n / strength."""
    found = isotropy.end_state(np.full(2048, 0.01), 60.0, regulariser="bhep", width=1.0)
    s = found.eigenvalues[0]
    np.testing.assert_allclose(closed_forms(2048, s, 1.0)[1], -0.01 / 60, rtol=1e-9)


def mean_of_two_kinds(many, alpha, beta):
    """Return M and its slope in the first alpha, for `many` alpha and as many beta as complete K.

    M = 2 Gamma(K/2) / (sqrt(pi) Gamma((K-1)/2)) int prod (1 + alpha_j t^2)^(-1/2) dt, by mpmath.
    """
    (m, rest), dim = many, sum(many)
    with mpmath.workdps(30):
        a, b = mpmath.mpf(alpha), mpmath.mpf(beta)
        front = 2 * mpmath.gamma(mpmath.mpf(dim) / 2) / mpmath.gamma(mpmath.mpf(dim - 1) / 2)
        front /= mpmath.sqrt(mpmath.pi)

        def over_log(extra):
            def integrand(y):
                t2 = mpmath.exp(2 * y)
                ratio = (1 + a * t2) ** (-mpmath.mpf(m) / 2) * (1 + b * t2) ** (
                    -mpmath.mpf(rest) / 2
                )
                return mpmath.exp(y) * ratio * (t2 / (1 + a * t2)) ** extra

            return mpmath.quad(integrand, mpmath.linspace(-40, 40, 81))

        return float(front * over_log(0)), float(-front * over_log(1) / 2)


@pytest.mark.parametrize("size", [30.0, 5e2, 5e3, 4e5])
@pytest.mark.parametrize("many", [(1, 1), (1, 15), (16, 496), (64, 4032)])
def test_sigreg_of_eigenvalues_far_apart_is_that_of_a_finer_integral(many, size):
    s = np.r_[np.full(many[0], size), np.zeros(many[1])]
    first = mean_of_two_kinds(many, 1 + 2 * size, 1)
    second = mean_of_two_kinds(many, 2 + size, 2)
    value = first[0] - 2 * second[0] + 3**-0.5
    slope = 2 * (first[1] - second[1])
    np.testing.assert_allclose(isotropy.value(s), value, rtol=1e-10)
    scale = abs(2 * first[1])
    np.testing.assert_allclose(isotropy.slope(s)[0], slope, atol=1e-9 * scale)
    found = jax.jit(isotropy.slope)(jnp.asarray(s))[0]
    np.testing.assert_allclose(found, slope, atol=1e-9 * scale)


@pytest.mark.float32
def test_sigreg_in_float32_of_eigenvalues_far_apart_is_that_in_float64():
    s = np.array([1.0, 1e20])
    found = isotropy.slope(jnp.asarray(s, jnp.float32))
    np.testing.assert_allclose(found, isotropy.slope(s), rtol=1e-4)


@pytest.mark.float32
@pytest.mark.parametrize("large", [([1e8] * 4), ([1e6] * 7)])
def test_gradients_in_float32_beside_huge_eigenvalues_are_the_slope(large):
    s = jnp.asarray([*large, 0.3], jnp.float32)
    found = jax.grad(lambda s: isotropy.value(s))(s)
    np.testing.assert_allclose(found[-1], isotropy.slope(np.asarray(s, float))[-1], rtol=1e-3)
