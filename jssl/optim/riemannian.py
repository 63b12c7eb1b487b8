"""Optax transformations that keep parameters on a manifold.

    gradient -> project_to_tangent -> any of optax -> retract -> optax.apply_updates

Tangent vectors pass through ordinary transformations. The last one, `retract`, turns a tangent step
xi at X into R_X(xi) - X, so that `optax.apply_updates` gives a point of the manifold. Put any
transformation that rescales or adds (scale, clip, weight decay, averages of parameters) before
`retract`: after it, the parameters leave the manifold.

`manifold` is one spec for all parameters, or a pytree of specs that is a prefix of theirs, with
None for parameters that are free: those pass `project_to_tangent` and `retract` untouched and get
the ordinary momentum and Adam. Non-finite gradients give non-finite parameters, as in optax; wrap
the chain in `optax.apply_if_finite` to skip them.

Absil, Mahony and Sepulchre 2008, "Optimization algorithms on matrix manifolds", for retractions
and transport by projection; Becigneul and Ganea 2019, arXiv 1810.00760, for Riemannian Adam.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jssl.data.checks import require_name
from jssl.manifolds.base import Manifold
from jssl.manifolds.linalg import PRECISION
from jssl.manifolds.retractions import RETRACTIONS
from jssl.optim.specs import ManifoldTree, check_start, map_manifold, require_params
from jssl.types import Array, Params


class RiemannianTraceState(NamedTuple):
    """State of `riemannian_trace`.

    Attributes:
        trace: the momentum, tangent at the parameters it was computed at.
    """

    trace: Params


class RiemannianAdamState(NamedTuple):
    """State of `scale_by_riemannian_adam`.

    Attributes:
        count: steps taken, int32.
        mu: the first moment, tangent at the parameters it was computed at.
        nu: the second moment, one number per matrix (axes of length 1) or one per entry.
    """

    count: Array  # type: ignore[assignment]
    mu: Params
    nu: Params


def project_to_tangent(manifold: ManifoldTree) -> optax.GradientTransformation:
    """Return the first link: Euclidean gradient -> Riemannian gradient.

    Example:
        >>> from jssl.manifolds import Stiefel
        >>> link, x = project_to_tangent(Stiefel()), jnp.eye(3)[:, :2]
        >>> tangent, _ = link.update(jnp.ones((3, 2)), link.init(x), x)
        >>> print(tangent)
        [[0. 0.]
         [0. 0.]
         [1. 1.]]

    Args:
        manifold: a spec, or a prefix pytree of specs and None.

    Returns:
        A stateless link; `init` checks the start, `update` needs `params`.
    """

    def init(params: Params) -> optax.EmptyState:
        check_start(manifold, params)
        return optax.EmptyState()

    def update(updates: Params, state: Any, params: Params = None) -> tuple[Params, Any]:
        require_params(params)
        return _gradient(manifold, updates, params), state

    return optax.GradientTransformation(init, update)


def riemannian_trace(
    decay: float | Array, nesterov: bool = False, *, manifold: ManifoldTree
) -> optax.GradientTransformation:
    """Return momentum, transported from point to point by projection.

    Example:
        >>> from jssl.manifolds import Stiefel
        >>> link, x = riemannian_trace(0.5, manifold=Stiefel()), jnp.eye(2)[:, :1]
        >>> g = jnp.array([[0.0], [1.0]])
        >>> first, state = link.update(g, link.init(x), x)
        >>> second, state = link.update(g, state, x)
        >>> print(first.T, second.T)
        [[0. 1.]] [[0.  1.5]]

    m_k = g_k + decay P(m_{k-1}), P the projection at the current point; with `nesterov` the step
    is g_k + decay m_k.

    Args:
        decay: in [0, 1).
        nesterov: look ahead.
        manifold: a spec, or a prefix pytree of specs and None.

    References:
        Absil, Mahony and Sepulchre 2008, section 8.1 (vector transport by projection).
    """

    def init(params: Params) -> RiemannianTraceState:
        check_start(manifold, params)
        return RiemannianTraceState(jax.tree.map(jnp.zeros_like, params))

    def update(
        updates: Params, state: RiemannianTraceState, params: Params = None
    ) -> tuple[Params, RiemannianTraceState]:
        require_params(params)
        carried = _project(manifold, state.trace, params)
        trace = _combine(updates, carried, decay)
        steps = _combine(updates, trace, decay) if nesterov else trace
        return steps, RiemannianTraceState(trace)

    return optax.GradientTransformation(init, update)


def scale_by_riemannian_adam(
    b1: float | Array = 0.9,
    b2: float | Array = 0.999,
    eps: float | Array = 1e-8,
    *,
    manifold: ManifoldTree,
    second_moment: str = "matrix",
) -> optax.GradientTransformation:
    """Return Adam with a transported first moment and one second moment per matrix.

    Example:
        >>> from jssl.manifolds import Stiefel
        >>> link, x = scale_by_riemannian_adam(manifold=Stiefel()), jnp.eye(3)[:, :1]
        >>> step, _ = link.update(jnp.array([[0.0], [3.0], [4.0]]), link.init(x), x)
        >>> print(step.round(3).T)
        [[0.  0.6 0.8]]

    m_k = b1 P(m_{k-1}) + (1 - b1) g_k,  v_k = b2 v_{k-1} + (1 - b2) <g_k, g_k>,  step
    m_k / (sqrt(v_k) + eps) with both moments corrected for their start at 0. As the whole matrix
    shares v, a step has about unit length in the metric, for all n and p: the learning rate is an
    angle in radians a step. It commutes with rotations of the columns, which Adam by entries does
    not. Free parameters get ordinary Adam.

    Args:
        b1: in [0, 1), decay of the first moment.
        b2: in [0, 1), decay of the second.
        eps: added to the root, in units of the gradient.
        manifold: a spec, or a prefix pytree of specs and None.
        second_moment: `matrix`, or `elementwise` for Adam by entries, projected to the tangent.

    Raises:
        InputError: for an unknown `second_moment`.

    References:
        Becigneul and Ganea 2019, arXiv 1810.00760, section 3 and algorithm 1a.
    """
    require_name("second moment", second_moment, ("elementwise", "matrix"))
    by_matrix = second_moment == "matrix"

    def init(params: Params) -> RiemannianAdamState:
        check_start(manifold, params)
        mu = jax.tree.map(jnp.zeros_like, params)
        return RiemannianAdamState(jnp.zeros((), jnp.int32), mu, squares(mu, params))

    def squares(gradients: Params, params: Params) -> Params:
        def constrained(spec: Manifold, x: Array, g: Array) -> Array:
            return spec.inner(x, g, g, keepdims=True).astype(g.dtype) if by_matrix else g * g

        return map_manifold(constrained, lambda _, g: g * g, manifold, params, gradients)

    def update(
        updates: Params, state: RiemannianAdamState, params: Params = None
    ) -> tuple[Params, RiemannianAdamState]:
        require_params(params)
        count = optax.safe_increment(state.count)
        carried = _project(manifold, state.mu, params)
        mu = optax.tree.update_moment(updates, carried, b1, 1)
        nu = optax.tree.update_moment(squares(updates, params), state.nu, b2, 1)
        mean = optax.tree.bias_correction(mu, b1, count)
        scale = optax.tree.bias_correction(nu, b2, count)
        steps = jax.tree.map(lambda m, v: m / (_root(v) + eps).astype(m.dtype), mean, scale)
        if not by_matrix:
            steps = _project(manifold, steps, params)
        return steps, RiemannianAdamState(count, mu, nu)

    return optax.GradientTransformation(init, update)


def retract(
    manifold: ManifoldTree, method: str = "polar", *, precision: Any = PRECISION
) -> optax.GradientTransformation:
    """Return the last link: a tangent step xi at X -> R_X(xi) - X.

    Example:
        >>> from jssl.manifolds import Stiefel
        >>> link, x = retract(Stiefel()), jnp.eye(2)[:, :1]
        >>> update, _ = link.update(jnp.array([[0.0], [1.0]]), link.init(x), x)
        >>> print((x + update).round(4).T)
        [[0.7071 0.7071]]

    Every method but `exp` also undoes what rounding added before, so errors do not accumulate.

    Args:
        manifold: a spec, or a prefix pytree of specs and None.
        method: `polar` (second order, commutes with rotations of the columns, products only),
            `cholesky_qr2`, `exp` (the geodesic, polished) or `qr` (LAPACK, the reference).
        precision: of the matrix products of `polar` and `cholesky_qr2`.

    Returns:
        A stateless link; `init` checks the start, `update` needs `params`.

    Raises:
        InputError: for an unknown method; in `init` for a start off the manifold.

    References:
        Absil, Mahony and Sepulchre 2008, section 4.1.
    """
    require_name("retraction", method, (*RETRACTIONS, "exp"))

    def init(params: Params) -> optax.EmptyState:
        check_start(manifold, params)
        return optax.EmptyState()

    def constrained(spec: Manifold, x: Array, step: Array) -> Array:
        return (spec.retract(x, step, method, precision=precision) - x).astype(x.dtype)

    def update(updates: Params, state: Any, params: Params = None) -> tuple[Params, Any]:
        require_params(params)
        return map_manifold(constrained, lambda _, step: step, manifold, params, updates), state

    return optax.GradientTransformation(init, update)


def _gradient(manifold: ManifoldTree, gradients: Params, params: Params) -> Params:
    def constrained(spec: Manifold, x: Array, g: Array) -> Array:
        return spec.gradient(x, g).astype(g.dtype)

    return map_manifold(constrained, lambda _, g: g, manifold, params, gradients)


def _project(manifold: ManifoldTree, vectors: Params, params: Params) -> Params:
    def constrained(spec: Manifold, x: Array, v: Array) -> Array:
        return spec.project(x, v).astype(v.dtype)

    return map_manifold(constrained, lambda _, v: v, manifold, params, vectors)


def _combine(updates: Params, trace: Params, decay: float | Array) -> Params:
    return jax.tree.map(lambda g, m: g + jnp.asarray(decay, g.dtype) * m, updates, trace)


def _root(square: Array) -> Array:
    """Return the square root with derivative 0 at 0."""
    positive = square > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1)), 0)
