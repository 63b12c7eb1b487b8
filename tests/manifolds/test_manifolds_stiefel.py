"""Stiefel geometry against its definitions and integrated geodesics."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from manifold_oracles import integrate_geodesic, point, tangent

import jssl
from jssl.manifolds import Grassmann, Stiefel

RNG = np.random.default_rng(4)
MANIFOLDS = [Stiefel(), Stiefel(metric="canonical"), Grassmann()]
X = point(RNG, 7, 3)


def is_horizontal(manifold):
    return isinstance(manifold, Grassmann)


@pytest.mark.parametrize("manifold", MANIFOLDS)
def test_projection_is_tangent_idempotent_and_nearest(manifold):
    v = RNG.normal(size=(7, 3))
    xi = np.asarray(manifold.project(X, v))
    defect = X.T @ xi if is_horizontal(manifold) else X.T @ xi + xi.T @ X
    np.testing.assert_allclose(defect, 0, atol=1e-14)
    np.testing.assert_allclose(manifold.project(X, xi), xi, atol=1e-14)
    other = tangent(RNG, X, horizontal=is_horizontal(manifold))
    np.testing.assert_allclose(np.sum((v - xi) * other), 0, atol=1e-14)


@pytest.mark.parametrize("manifold", MANIFOLDS)
def test_gradient_represents_the_derivative_in_its_metric(manifold):
    """<grad, xi> = tr(G^T xi) for every tangent xi, where the loss is defined on the manifold."""
    g = RNG.normal(size=(7, 3))
    if is_horizontal(manifold):  # a loss of the span alone: tr(W^T C W)
        c = RNG.normal(size=(7, 7))
        g = (c + c.T) @ X
    xi = tangent(RNG, X, horizontal=is_horizontal(manifold))
    gradient = manifold.gradient(X, g)
    np.testing.assert_allclose(manifold.project(X, gradient), gradient, atol=1e-13)
    np.testing.assert_allclose(manifold.inner(X, gradient, xi), np.sum(g * xi), rtol=1e-12)


def test_canonical_metric_counts_rotations_half():
    a = RNG.normal(size=(3, 3))
    rotation, normal = X @ (a - a.T), tangent(RNG, X, horizontal=True)
    manifold = Stiefel(metric="canonical")
    expected = np.sum(np.square(a - a.T)) / 2 + 1.0
    u = rotation + normal
    np.testing.assert_allclose(manifold.inner(X, u, u), expected, rtol=1e-12)
    np.testing.assert_allclose(Stiefel().inner(X, u, u), np.sum(u * u), rtol=1e-12)


@pytest.mark.parametrize("metric", ["euclidean", "canonical"])
def test_exponential_solves_the_geodesic_equation(metric):
    xi = tangent(RNG, X, 1.7)
    end = integrate_geodesic(X, xi, metric)
    np.testing.assert_allclose(Stiefel(metric=metric).exp(X, xi), end, atol=1e-10)


@pytest.mark.parametrize("manifold", MANIFOLDS)
@pytest.mark.parametrize("method", ["polar", "cholesky_qr2", "qr", "exp"])
def test_a_zero_step_stays_and_its_derivative_is_the_identity(manifold, method):
    """R_X(0) = X and dR_X(0) = identity, forwards and backwards, with no NaN."""
    xi = tangent(RNG, X, horizontal=is_horizontal(manifold))
    zero = jnp.zeros((7, 3))

    def end(step):
        return manifold.retract(X, step, method)

    @jax.jit
    def both(direction):
        at, along = jax.jvp(end, (zero,), (direction,))
        return at, along, jax.grad(lambda s: jnp.sum(end(s) * direction))(zero)

    at, along, back = both(xi)
    np.testing.assert_allclose(at, X, atol=1e-14)
    np.testing.assert_allclose(along, xi, atol=1e-13)
    assert np.isfinite(back).all()
    np.testing.assert_allclose(np.sum(np.asarray(back) * xi), 1.0, rtol=1e-12)


ORDERS = [
    (Stiefel(), "polar", 2),
    (Stiefel(), "cholesky_qr2", 1),
    (Stiefel(), "qr", 1),
    (Grassmann(), "polar", 2),
    (Grassmann(), "cholesky_qr2", 2),
]


@pytest.mark.parametrize(("manifold", "method", "order"), ORDERS)
def test_retraction_leaves_the_geodesic_at_its_order(manifold, method, order):
    """The distance is O(size^(order + 1)), so halving the step divides it by 2^(order + 1)."""
    xi = tangent(RNG, X, horizontal=is_horizontal(manifold))
    steps = np.array([0.02, 0.01])[:, None, None] * xi
    x = np.broadcast_to(X, steps.shape)
    ends = np.asarray(manifold.retract(x, steps, method))
    exact = np.asarray(manifold.exp(x, steps))
    if is_horizontal(manifold):
        ends, exact = (m @ np.swapaxes(m, 1, 2) for m in (ends, exact))
    errors = np.linalg.norm(ends - exact, axis=(1, 2))
    np.testing.assert_allclose(errors[0] / errors[1], 2 ** (order + 1), rtol=0.05)


def test_any_two_axes_hold_the_matrix_and_the_rest_is_batch():
    manifold, moved = Stiefel(), Stiefel(row_axis=0, col_axis=2)
    x = np.stack([point(RNG, 6, 2) for _ in range(4)])
    v = RNG.normal(size=x.shape)
    back = (1, 0, 2)  # (batch, row, col) -> (row, batch, col)
    a, b = x.transpose(back), v.transpose(back)
    for name in ("project", "retract", "exp"):
        expected = getattr(manifold, name)(x, v).transpose(back)
        np.testing.assert_allclose(getattr(moved, name)(a, b), expected, atol=1e-14)
    np.testing.assert_allclose(moved.inner(a, b, b), manifold.inner(x, v, v), rtol=1e-14)
    assert moved.inner(a, b, b, keepdims=True).shape == (1, 4, 1)
    np.testing.assert_allclose(moved.error(2 * a), 3 * np.sqrt(2.0), rtol=1e-12)
    assert manifold.error(moved.random(jax.random.key(0), a.shape).transpose(1, 0, 2)).max() < 1e-13


def test_wide_matrices_are_held_by_exchanging_the_axes():
    wide = point(RNG, 6, 2).T
    with pytest.raises(jssl.InputError, match="exchange row_axis and col_axis"):
        Stiefel().project(wide, wide)
    assert Stiefel(row_axis=-1, col_axis=-2).error(wide) < 1e-14


def test_arrays_that_hold_no_matrices_are_refused():
    with pytest.raises(jssl.InputError, match="at least two axes"):
        Stiefel().error(np.ones(3))
    with pytest.raises(jssl.InputError, match="real floating"):
        Stiefel().error(np.eye(3, dtype=int))
    with pytest.raises(jssl.InputError, match="one shape"):
        Stiefel().project(X, X[:, :2])
    with pytest.raises(jssl.InputError, match="did you mean 'canonical'"):
        Stiefel(metric="canonic")
    with pytest.raises(jssl.InputError, match="must differ"):
        Grassmann(row_axis=-1)
    with pytest.raises(jssl.InputError, match="unknown retraction 'cayley'"):
        Stiefel().retract(X, X, "cayley")


def test_random_points_are_uniform():
    """Haar moments: E x = 0 and E x_1^2 = 1/n, each within 4.5 standard errors."""
    x = np.asarray(Stiefel().random(jax.random.key(1), (20_000, 3, 2)))
    assert np.abs(x.mean(0)).max() < 4.5 * np.sqrt(1 / 3 / 20_000)
    assert np.abs(np.square(x).mean(0) - 1 / 3).max() < 4.5 * np.sqrt(4 / 45 / 20_000)


def test_orthonormalize_finds_the_nearest_point():
    y = RNG.normal(size=(7, 3))
    q = np.asarray(Stiefel().orthonormalize(y))
    assert Stiefel().error(q) < 1e-14
    others = [point(RNG, 7, 3) for _ in range(5)] + [Stiefel().exp(q, tangent(RNG, q, 0.01))]
    assert all(np.linalg.norm(y - q) < np.linalg.norm(y - other) for other in others)
    np.testing.assert_allclose(q.T @ y, (q.T @ y).T, atol=1e-13)


def test_transport_carries_to_the_new_tangent_space():
    y = point(RNG, 7, 3)
    v = Stiefel().transport(X, y, tangent(RNG, X))
    np.testing.assert_allclose(y.T @ v + v.T @ y, 0, atol=1e-14)
