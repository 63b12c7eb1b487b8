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


def end_at(angles):
    """Return the end of a geodesic with these principal angles, and its initial velocity."""
    u, v = point(RNG, 3, 3), orthonormal_directions()
    y = X @ u @ np.diag(np.cos(angles)) + v @ np.diag(np.sin(angles))
    return y @ point(RNG, 3, 3), v @ np.diag(angles) @ u.T


@pytest.mark.parametrize("gap", [1e-2, 1e-4, 1e-7])
@pytest.mark.parametrize("count", [1, 2])
def test_logarithm_keeps_its_digits_near_the_cut_locus(gap, count):
    """Rounding of y alone moves the answer by eps / (cos t_1 + cos t_2)."""
    angles = np.array([0.3, *[1.0] * (2 - count), *[np.pi / 2 - gap] * count])
    y, xi = end_at(angles)
    cosines = np.sort(np.cos(angles))[:2].sum()
    np.testing.assert_allclose(GR.log(X, y), xi, atol=2e-14 + 1e-15 / cosines)


@pytest.mark.float32
@pytest.mark.parametrize("gap", [1e-2, 1e-4, 1e-7])
def test_logarithm_in_float32_keeps_its_digits_near_the_cut_locus(gap):
    y, xi = end_at(np.array([0.3, 1.0, np.pi / 2 - gap]))
    found = GR.log(X.astype(np.float32), y.astype(np.float32))
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, xi, atol=3e-6)


@pytest.mark.parametrize(
    "angles", [[np.pi / 2] * 3, [0.0, 0.4, np.pi / 2], [0.2, *[np.pi / 2] * 2]]
)
def test_logarithm_at_the_cut_locus_is_a_shortest_way_there(angles):
    y, _ = end_at(np.array(angles))
    xi = np.asarray(GR.log(X, y))
    np.testing.assert_allclose(X.T @ xi, 0, atol=1e-14)
    np.testing.assert_allclose(np.linalg.norm(xi), np.linalg.norm(angles), rtol=1e-13)
    end = np.asarray(GR.exp(X, xi))
    np.testing.assert_allclose(end @ end.T, y @ y.T, atol=1e-12)


def test_orthogonal_subspaces_have_right_angles_alone():
    x, y = np.eye(4)[:, :2], np.eye(4)[:, 2:]
    np.testing.assert_allclose(GR.distance(x, y), np.pi / np.sqrt(2), rtol=1e-13)
    np.testing.assert_allclose(np.linalg.svd(GR.log(x, y))[1], np.pi / 2, rtol=1e-13)


def test_distance_is_the_length_of_the_logarithm_and_symmetric():
    for angles in ([1e-9, 1e-8, 1e-8], [0.2, 0.2, 1.5], [0.0, 0.0, 1e-3], [1.0, *[np.pi / 2] * 2]):
        y, _ = end_at(np.array(angles))
        distance = GR.distance(X, y)
        np.testing.assert_allclose(distance, np.linalg.norm(angles), rtol=1e-13, atol=2e-15)
        np.testing.assert_allclose(distance, np.linalg.norm(GR.log(X, y)), rtol=1e-13)
        np.testing.assert_allclose(distance, GR.distance(y, X), rtol=1e-12, atol=2e-15)


@pytest.mark.float32
def test_small_distances_in_float32_keep_their_digits():
    y, _ = end_at(np.array([1e-3, 0.0, 0.0]))
    distance = GR.distance(X.astype(np.float32), y.astype(np.float32))
    np.testing.assert_allclose(distance, 1e-3, rtol=1e-3)


def test_logarithm_and_distance_take_any_axes_and_batches():
    x, y = (np.stack([point(RNG, 8, 3) for _ in range(4)]).reshape(2, 2, 8, 3) for _ in range(2))
    moved = Grassmann(row_axis=0, col_axis=2)
    a, b = (m.transpose(2, 0, 3, 1) for m in (x, y))
    np.testing.assert_allclose(moved.log(a, b).transpose(1, 3, 0, 2), GR.log(x, y), atol=1e-13)
    np.testing.assert_allclose(moved.distance(a, b), GR.distance(x, y), rtol=1e-12)
    np.testing.assert_allclose(jax.vmap(GR.distance)(x, y), GR.distance(x, y), rtol=1e-12)
    slope = jax.vmap(jax.vmap(jax.grad(GR.distance)))(x, y)
    np.testing.assert_allclose(
        slope, -GR.log(x, y) / GR.distance(x, y)[..., None, None], atol=1e-13
    )
