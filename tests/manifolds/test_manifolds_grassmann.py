"""Grassmann geometry against integration, singular values and scipy's subspace angles."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from manifold_oracles import integrate_geodesic, point, tangent

import jssl
from jssl.manifolds import Grassmann

RNG = np.random.default_rng(5)
GR = Grassmann()
X, Y = point(RNG, 8, 3), point(RNG, 8, 3)


def log_by_svd(x, y):
    """Edelman, Arias and Smith: (I - x x^T) y (x^T y)^-1 = U tan(S) V^T -> U S V^T."""
    m = (y - x @ (x.T @ y)) @ np.linalg.inv(x.T @ y)
    u, s, vt = np.linalg.svd(m, full_matrices=False)
    return u @ np.diag(np.arctan(s)) @ vt


def test_exponential_solves_the_geodesic_equation():
    xi = tangent(RNG, X, 1.3, horizontal=True)
    np.testing.assert_allclose(GR.exp(X, xi), integrate_geodesic(X, xi), atol=1e-10)


def test_logarithm_equals_the_formula_by_singular_values():
    np.testing.assert_allclose(GR.log(X, Y), log_by_svd(X, Y), atol=1e-12)


def test_logarithm_inverts_the_exponential_below_the_cut_locus():
    for size in (1e-9, 1e-4, 1.2):
        xi = tangent(RNG, X, size, horizontal=True)
        np.testing.assert_allclose(GR.log(X, GR.exp(X, xi)), xi, atol=1e-14 + 1e-13 * size)


def test_logarithm_depends_on_the_span_of_the_end_alone():
    rotation = point(RNG, 3, 3)
    np.testing.assert_allclose(GR.log(X, Y @ rotation), GR.log(X, Y), atol=1e-13)


def test_logarithm_has_the_projection_as_derivative_at_its_start():
    direction = RNG.normal(size=(8, 3))
    derivative = jax.jit(lambda y: jax.jvp(lambda y: GR.log(X, y), (y,), (direction,))[1])
    np.testing.assert_allclose(derivative(X), GR.project(X, direction), atol=1e-13)


def orthonormal_directions():
    u = RNG.normal(size=(8, 3))
    return np.linalg.qr(u - X @ (X.T @ u))[0]


@pytest.mark.parametrize("angles", [[0.7, 0.7, 0.7], [0.08, 0.08, 0.08], [0.05, 0.7, 1.3]])
def test_logarithm_is_differentiable_at_equal_small_and_distinct_angles(angles):
    """Against central differences of the formula by singular values, whose error is 1e-10."""
    y = X @ np.diag(np.cos(angles)) + orthonormal_directions() @ np.diag(np.sin(angles))
    direction, h = RNG.normal(size=(8, 3)), 1e-5
    difference = (log_by_svd(X, y + h * direction) - log_by_svd(X, y - h * direction)) / (2 * h)

    def log_of_any_basis(y):  # log_by_svd takes any basis, log an orthonormal one
        return GR.log(X, jnp.linalg.qr(y)[0])

    slope = jax.jvp(log_of_any_basis, (y,), (direction,))[1]
    np.testing.assert_allclose(slope, difference, atol=1e-7)


def test_angles_equal_those_of_scipy():
    np.testing.assert_allclose(
        GR.angles(X, Y), np.sort(scipy.linalg.subspace_angles(X, Y)), rtol=1e-12
    )


def test_tiny_and_right_angles_keep_their_digits():
    u = orthonormal_directions()
    angles = np.array([1e-12, 1e-3, np.pi / 2])
    y = X @ np.diag(np.cos(angles)) + u @ np.diag(np.sin(angles))
    np.testing.assert_allclose(GR.angles(X, y @ point(RNG, 3, 3)), angles, rtol=1e-9, atol=1e-15)


def test_distances_are_those_of_the_definitions():
    gap = np.linalg.norm(X @ X.T - Y @ Y.T)
    np.testing.assert_allclose(GR.distance(X, Y, "projector"), gap, rtol=1e-12)
    geodesic = np.linalg.norm(scipy.linalg.subspace_angles(X, Y))
    np.testing.assert_allclose(GR.distance(X, Y), geodesic, rtol=1e-12)
    np.testing.assert_allclose(GR.distance(X, Y), np.linalg.norm(GR.log(X, Y)), rtol=1e-12)
    with pytest.raises(jssl.InputError, match="unknown distance"):
        GR.distance(X, Y, "chordal")


@pytest.mark.parametrize("kind", ["geodesic", "projector"])
def test_distance_has_a_finite_gradient_at_zero(kind):
    gradient = jax.jit(jax.grad(lambda y: GR.distance(X, y, kind)))
    assert np.isfinite(gradient(jnp.asarray(X))).all()
    away = gradient(jnp.asarray(Y))
    xi = tangent(RNG, Y, horizontal=True)
    ends = (GR.exp(Y, 1e-5 * xi), GR.exp(Y, -1e-5 * xi))
    slope = (GR.distance(X, ends[0], kind) - GR.distance(X, ends[1], kind)) / 2e-5
    np.testing.assert_allclose(np.sum(away * xi), slope, rtol=1e-7)


def test_geometry_is_batched_as_a_loop_is():
    x, y = (np.stack([point(RNG, 8, 3) for _ in range(4)]) for _ in range(2))
    for f in (GR.log, GR.angles, GR.distance):
        np.testing.assert_allclose(f(x, y)[2], f(x[2], y[2]), atol=1e-12)
