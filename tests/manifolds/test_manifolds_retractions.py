"""Every way back to orthonormal columns, against LAPACK."""

import jax
import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st
from manifold_oracles import point, tangent

from jssl.manifolds import RETRACTIONS, cholesky_qr2, polar, polish, qr
from jssl.manifolds.linalg import expm, symmetric_polynomial

RNG = np.random.default_rng(6)


def step_with_spectrum(rng, n, p, singular_values):
    """Return X + xi, xi horizontal with these singular values."""
    frame = point(rng, n, 2 * p)
    x, u = frame[:, :p], frame[:, p:]
    return x + u @ np.diag(singular_values) @ point(rng, p, p)


def defect(q):
    return np.linalg.norm(np.asarray(q).T @ q - np.eye(q.shape[1]))


def test_polar_is_the_polar_factor():
    y = step_with_spectrum(RNG, 12, 4, [0.0, 0.1, 1.0, 5.0])
    np.testing.assert_allclose(polar(y), scipy.linalg.polar(y)[0], atol=1e-13)


def test_cholesky_and_householder_give_the_same_factor():
    y = step_with_spectrum(RNG, 12, 4, [0.0, 0.1, 1.0, 50.0])
    q, r = np.linalg.qr(y)
    expected = q * np.sign(np.diag(r))
    np.testing.assert_allclose(cholesky_qr2(y), expected, atol=1e-13)
    np.testing.assert_allclose(qr(y), expected, atol=1e-13)


@settings(max_examples=25, deadline=None)
@given(
    shape=st.sampled_from([(2, 1), (9, 4), (8, 4)]),
    norm=st.floats(0, 10),
    decay=st.floats(0.01, 1),
    seed=st.integers(0, 2**20),
)
def test_every_retraction_lands_on_the_manifold_whatever_the_spectrum(shape, norm, decay, seed):
    n, p = shape
    rng = np.random.default_rng(seed)
    y = step_with_spectrum(rng, n, p, norm * decay ** np.arange(p))
    for name, method in RETRACTIONS.items():
        assert defect(method(y)) < 1e-13 * p, name


@pytest.mark.float32
@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_polar_in_float32_bears_a_step_of_spectral_norm_20(spread):
    values = 20.0 * (1 - spread * np.arange(16) / 15)
    y = step_with_spectrum(RNG, 64, 16, values).astype(np.float32)
    assert defect(polar(y)) < 4e-6


def test_polar_commutes_with_rotations_of_the_columns():
    y, rotation = step_with_spectrum(RNG, 9, 4, [0.3, 0.5, 1.0, 2.0]), point(RNG, 4, 4)
    np.testing.assert_allclose(polar(y @ rotation), polar(y) @ rotation, atol=1e-13)
    assert np.abs(cholesky_qr2(y @ rotation) - cholesky_qr2(y) @ rotation).max() > 0.1


def test_polish_squares_the_defect():
    """Singular value 1 + e goes to 1 - 3 e^2 / 2 - e^3 / 2."""
    x = 1.001 * point(RNG, 6, 3)
    s = np.linalg.svd(polish(x), compute_uv=False)
    np.testing.assert_allclose(s, 1 - 1.5e-6 - 0.5e-9, rtol=1e-13)


@pytest.mark.parametrize("name", RETRACTIONS)
def test_retractions_are_mapped_as_a_loop_is(name):
    method = RETRACTIONS[name]
    x = np.stack([point(RNG, 6, 3) for _ in range(4)])
    y = x + np.stack([tangent(RNG, point_) for point_ in x])
    np.testing.assert_allclose(jax.jit(jax.vmap(method))(y)[1], method(y[1]), atol=1e-14)
    np.testing.assert_allclose(method(y)[3], method(y[3]), atol=1e-14)


def test_symmetric_polynomial_is_the_chebyshev_series_of_the_eigenvalues():
    v, values = point(RNG, 4, 4), np.array([0.3, 0.3, 0.0, 1.0])
    coefficients = tuple(RNG.normal(size=7))
    images = np.polynomial.chebyshev.chebval(2 * values - 1, coefficients)
    found = symmetric_polynomial(coefficients, v @ np.diag(values) @ v.T)
    np.testing.assert_allclose(found, v @ np.diag(images) @ v.T, atol=1e-13)


@pytest.mark.parametrize("size", [0.0, 1e-8, 0.3, 1.0, 16.0, 40.0])
def test_matrix_exponential_equals_that_of_scipy(size):
    """Squaring s times multiplies rounding by 2^s, about four times the norm."""
    a = RNG.normal(size=(5, 5))
    a = (a - a.T) * size / np.abs(a - a.T).sum(-1).max()
    np.testing.assert_allclose(expm(a), scipy.linalg.expm(a), atol=2e-15 * (1 + 4 * size))
