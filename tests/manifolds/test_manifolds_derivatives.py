"""Derivatives of every method of every manifold at symmetric points, against differences.

The points are those where formulas by eigenvectors or singular vectors divide by zero: identities,
zero tangents, equal points, equal and vanishing principal angles. All go through one batch.
"""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from manifold_oracles import point, tangent

from jssl.manifolds import RETRACTIONS, Grassmann, Stiefel, base
from jssl.manifolds.nearest import nearest

RNG = np.random.default_rng(8)
MANIFOLDS = [Stiefel(), Stiefel(metric="canonical"), Grassmann()]
EYE = np.eye(6)[:, :3]


def turned(x, angles):
    """Return the end of a geodesic from x with these principal angles."""
    normal = np.linalg.qr(np.hstack([x, RNG.normal(size=x.shape)]))[0][:, x.shape[1] :]
    return x @ np.diag(np.cos(angles)) + normal @ np.diag(np.sin(angles))


GENERIC = point(RNG, 6, 3)
X = np.stack([EYE, EYE, EYE, GENERIC])
Y = np.stack([EYE, *(turned(EYE, a) for a in ([0.7] * 3, [0.0, 0.4, 0.4])), point(RNG, 6, 3)])
V = np.stack([0 * EYE, np.eye(6)[:, 3:], np.eye(6, 3, -3), tangent(RNG, GENERIC, 1.3)])
V[2, :, 1:] = 0  # rank one
OF_X, OF_Y, OF_V, WEIGHTS = RNG.normal(size=(4, *X.shape))


def matrix_weighted(value):
    return (value * WEIGHTS).sum((-2, -1))


METHODS = {
    "angles": lambda m, x, y, v: m.angles(x, y) @ jnp.array([1.0, 2.0, -1.0]),
    "distance": lambda m, x, y, v: m.distance(x, y),
    "distance, projector": lambda m, x, y, v: m.distance(x, y, "projector"),
    "error": lambda m, x, y, v: m.error(1.5 * x + v),
    "exp": lambda m, x, y, v: matrix_weighted(m.exp(x, v)),
    "gradient": lambda m, x, y, v: matrix_weighted(m.gradient(x, v)),
    "inner": lambda m, x, y, v: m.inner(x, v, v + y),
    "log": lambda m, x, y, v: matrix_weighted(m.log(x, y)),
    "orthonormalize": lambda m, x, y, v: matrix_weighted(m.orthonormalize(2 * x + 0.3 * y)),
    "project": lambda m, x, y, v: matrix_weighted(m.project(x, v)),
    "transport": lambda m, x, y, v: matrix_weighted(m.transport(x, y, v)),
    **{
        f"retract, {name}": lambda m, x, y, v, name=name: matrix_weighted(m.retract(x, v, name))
        for name in (*RETRACTIONS, "exp")
    },
}
KINKS = {"angles": [0, 1, 2], "distance": [0], "distance, projector": [0]}
"""Which points have no derivative, as the docstrings say: it is finite there all the same."""
CASES = [
    (m, name) for m in MANIFOLDS for name in METHODS if hasattr(m, name.split(",", maxsplit=1)[0])
]
NOT_SMOOTH = {"check", "host_error", "matrices", "per_matrix", "random", "restore"}


def test_every_manifold_and_every_method_is_here():
    assert {type(m) for m in MANIFOLDS} == set(base.Manifold.__subclasses__())
    for m in MANIFOLDS:
        methods = {name for name, _ in inspect.getmembers(m, inspect.ismethod) if name[0] != "_"}
        assert methods - NOT_SMOOTH == {n.split(",")[0] for k, n in CASES if k == m}


def derivatives(function):
    """Return values beside 0, and all first and second derivatives at 0, of s -> (points,)."""
    h, zero = 2e-3, jnp.zeros(len(X))

    def along(s):
        return jax.jvp(function, (s,), (jnp.ones_like(s),))[1]

    def back(s):
        return jax.grad(lambda s: function(s).sum())(s)

    @jax.jit
    def all_of(zero):
        values = jax.lax.map(lambda k: function(zero + k * h), jnp.arange(-2.0, 3.0))
        first = along(zero), back(zero)
        second = [jax.jvp(f, (zero,), (jnp.ones_like(zero),))[1] for f in (along, back)]
        second.append(jax.grad(lambda s: back(s).sum())(zero))
        return values, first, second

    return h, all_of(zero)


def check_derivatives(function, smooth):
    h, (values, first, second) = derivatives(function)
    slope = (values[0] - 8 * values[1] + 8 * values[3] - values[4]) / (12 * h)
    bend = (-values[0] + 16 * values[1] - 30 * values[2] + 16 * values[3] - values[4]) / (12 * h**2)
    for found in first:
        assert np.isfinite(found).all()
        np.testing.assert_allclose(found[smooth], slope[smooth], rtol=1e-5, atol=1e-6)
    for found in second:
        np.testing.assert_allclose(found[smooth], bend[smooth], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("manifold", "name"), CASES)
def test_first_and_second_derivatives_are_right_at_symmetric_points(manifold, name):
    def function(s):
        s = s[:, None, None]
        x, y = nearest(X + s * OF_X), nearest(Y + s * OF_Y)
        return METHODS[name](manifold, x, y, V + s * OF_V)

    check_derivatives(function, np.setdiff1d(np.arange(len(X)), KINKS.get(name, [])))


def test_nearest_point_is_differentiable_at_equal_singular_values():
    """Multiples of the identity, points of the manifold, a double and a small singular value."""
    u, v = point(RNG, 6, 3), point(RNG, 3, 3)
    y = np.stack([5 * EYE, GENERIC, u @ np.diag([2.0, 2.0, 0.3]) @ v.T, u @ np.diag([3, 2, 0.9])])
    check_derivatives(
        lambda s: matrix_weighted(Stiefel().orthonormalize(y + s[:, None, None] * OF_X)), slice(4)
    )


def test_nearest_rotation_of_square_matrices_is_differentiable():
    y, change = np.stack([np.eye(3)] * 4), RNG.normal(size=(4, 3, 3))
    check_derivatives(lambda s: nearest(y + s[:, None, None] * change)[:, 0, 1], slice(4))


def test_derivative_of_the_nearest_point_is_the_projection_on_the_manifold():
    change = RNG.normal(size=(6, 3))
    slope = jax.jvp(Stiefel().orthonormalize, (jnp.asarray(GENERIC),), (jnp.asarray(change),))[1]
    np.testing.assert_allclose(slope, Stiefel().project(GENERIC, change), atol=1e-13)


@pytest.mark.float32
def test_nearest_point_is_differentiable_in_float32():
    slope = jax.grad(lambda x: Stiefel().orthonormalize(x)[0, 1])(jnp.eye(6, 3) * jnp.float32(2))
    expected = np.zeros((6, 3))
    expected[0, 1], expected[1, 0] = 0.25, -0.25
    assert slope.dtype == jnp.float32
    np.testing.assert_allclose(slope, expected, atol=1e-7)


@pytest.mark.parametrize("manifold", MANIFOLDS)
def test_error_has_derivatives_zero_at_zero(manifold):
    x = jnp.asarray(EYE)
    assert manifold.error(x) == 0
    assert not jax.grad(manifold.error)(x).any()
    assert not jax.hessian(manifold.error)(x).any()


def test_transport_of_distances_that_vanish_or_reach_the_cut_locus_is_finite():
    """At distance 0 and at orthogonal subspaces, both kinks of the distance."""
    x = jnp.asarray(EYE)
    for y in (x, jnp.asarray(np.eye(6)[:, 3:])):
        for argument in (0, 1):
            gradient = jax.grad(Grassmann().distance, argument)(x, y)
            assert np.isfinite(gradient).all()
            np.testing.assert_allclose(np.linalg.norm(gradient), 1.0 if y is not x else 0.0)


def test_gradient_of_the_distance_is_the_unit_tangent_away_from_the_other_point():
    x, y = X[3], Y[3]
    gradient = jax.grad(Grassmann().distance)(jnp.asarray(x), y)
    away = -np.asarray(Grassmann().log(x, y)) / Grassmann().distance(x, y)
    np.testing.assert_allclose(gradient, away, atol=1e-13)
    np.testing.assert_allclose(np.linalg.norm(gradient), 1, rtol=1e-12)
