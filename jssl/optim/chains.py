"""Ready-made chains: gradient descent and Adam on Stiefel and Grassmann manifolds.

    project_to_tangent -> momentum or Adam -> learning rate -> retract

    X_{k+1} = R_X(-learning_rate grad L(X_k)),   t = sum of the learning rates

Without momentum this follows the gradient flow X' = -grad L to first order in the learning rate,
so such a chain is a `Descent` and a run under it has a gradient-flow time.
"""

from typing import Any

import jax
import optax

from jssl.manifolds.grassmann import Grassmann
from jssl.manifolds.linalg import PRECISION
from jssl.manifolds.stiefel import Stiefel
from jssl.optim.descent import Descent, Schedule, require_rate
from jssl.optim.riemannian import (
    project_to_tangent,
    retract,
    riemannian_trace,
    scale_by_riemannian_adam,
)
from jssl.optim.specs import ManifoldTree

Rate = float | jax.Array | Schedule


def stiefel_sgd(
    learning_rate: Rate,
    momentum: float | jax.Array | None = None,
    nesterov: bool = False,
    *,
    manifold: ManifoldTree = Stiefel(),  # noqa: B008
    method: str = "polar",
    precision: Any = PRECISION,
) -> Descent | optax.GradientTransformationExtraArgs:
    """Return gradient descent, or descent with momentum, over orthonormal columns.

    Example:
        >>> import jax, jax.numpy as jnp, optax
        >>> from jssl.optim import manifold_error, stiefel_sgd
        >>> target, w = jnp.diag(jnp.array([1.0, 2.0, 3.0])), jnp.ones((3, 1)) / jnp.sqrt(3.0)
        >>> tx = stiefel_sgd(0.1)
        >>> state = tx.init(w)
        >>> for _ in range(50):
        ...     gradient = jax.grad(lambda w: jnp.trace(w.T @ target @ w))(w)
        ...     updates, state = tx.update(gradient, state, w)
        ...     w = optax.apply_updates(w, updates)
        >>> print(jnp.abs(w).round(2).T, manifold_error(w, Stiefel()) < 1e-5)
        [[1. 0. 0.]] True

    Weights are (in, out), orthonormal along `col_axis`; other axes are batch.

    Args:
        learning_rate: positive; a number, a tracer, or a schedule `step -> learning rate`.
        momentum: decay in [0, 1); None for plain descent.
        nesterov: look ahead, with momentum.
        manifold: a spec, or a prefix pytree of specs with None for free parameters.
        method: the retraction, see `retract`.
        precision: of its matrix products.

    Returns:
        An optax transformation; a `Descent`, with its learning rate, where there is no momentum.

    Raises:
        InputError: in `init` for shapes that contain no such matrices, or a start that is not on
            the manifold.

    References:
        Absil, Mahony and Sepulchre 2008, section 4.2.
    """
    require_rate(learning_rate)
    last = (
        optax.scale_by_learning_rate(learning_rate),
        retract(manifold, method, precision=precision),
    )
    if momentum is None:
        plain = optax.chain(project_to_tangent(manifold), *last)
        return Descent(plain.init, plain.update, learning_rate)
    trace = riemannian_trace(momentum, nesterov, manifold=manifold)
    return optax.chain(project_to_tangent(manifold), trace, *last)


def stiefel_adam(
    learning_rate: Rate,
    b1: float | jax.Array = 0.9,
    b2: float | jax.Array = 0.999,
    eps: float | jax.Array = 1e-8,
    *,
    manifold: ManifoldTree = Stiefel(),  # noqa: B008
    second_moment: str = "matrix",
    method: str = "polar",
    precision: Any = PRECISION,
) -> optax.GradientTransformationExtraArgs:
    """Return Adam over orthonormal columns, with one second moment per matrix.

    Example:
        >>> import jax.numpy as jnp, optax
        >>> params = {"encoder": jnp.eye(4)[:, :2], "head": jnp.zeros(2)}
        >>> tx = stiefel_adam(1e-2, manifold={"encoder": Stiefel(), "head": None})
        >>> gradients = {"encoder": jnp.ones((4, 2)), "head": jnp.ones(2)}
        >>> updates, state = tx.update(gradients, tx.init(params), params)
        >>> params = optax.apply_updates(params, updates)
        >>> print(params["head"].round(4), jnp.linalg.norm(updates["encoder"]).round(4))
        [-0.01 -0.01] 0.01

    Args:
        learning_rate: the length of a step, an angle in radians that does not depend on the size of
            the matrix.
        b1: in [0, 1), decay of the first moment.
        b2: in [0, 1), decay of the second.
        eps: added to the root of the second moment.
        manifold: a spec, or a prefix pytree of specs with None for free parameters.
        second_moment: `matrix` or `elementwise`, see `scale_by_riemannian_adam`.
        method: the retraction, see `retract`.
        precision: of its matrix products.

    Returns:
        An optax transformation.

    Raises:
        InputError: in `init` for shapes that contain no such matrices, or a start that is not on
            the manifold.

    References:
        Becigneul and Ganea 2019, arXiv 1810.00760.
    """
    require_rate(learning_rate)
    return optax.chain(
        project_to_tangent(manifold),
        scale_by_riemannian_adam(b1, b2, eps, manifold=manifold, second_moment=second_moment),
        optax.scale_by_learning_rate(learning_rate),
        retract(manifold, method, precision=precision),
    )


def grassmann_sgd(
    learning_rate: Rate,
    momentum: float | jax.Array | None = None,
    nesterov: bool = False,
    *,
    manifold: ManifoldTree = Grassmann(),  # noqa: B008
    method: str = "polar",
    precision: Any = PRECISION,
) -> Descent | optax.GradientTransformationExtraArgs:
    """Return gradient descent over subspaces: `stiefel_sgd` with horizontal gradients.

    Example:
        >>> import jax.numpy as jnp
        >>> tx = grassmann_sgd(0.5)
        >>> x = jnp.eye(3)[:, :2]
        >>> updates, _ = tx.update(jnp.ones((3, 2)), tx.init(x), x)
        >>> print(tx.learning_rate, updates.shape)
        0.5 (3, 2)

    For a loss that depends on the span of the columns only, such as tr(W^T C W), it takes the
    same path as `stiefel_sgd`.

    Args:
        learning_rate: positive; a number, a tracer, or a schedule `step -> learning rate`.
        momentum: decay in [0, 1); None for plain descent.
        nesterov: look ahead, with momentum.
        manifold: a spec, or a prefix pytree of specs with None for free parameters.
        method: the retraction, see `retract`.
        precision: of its matrix products.

    Returns:
        An optax transformation; a `Descent`, with its learning rate, where there is no momentum.

    References:
        Esser, Mukherjee, Ghoshdastidar 2023, arXiv 2309.02011, section 4.
    """
    return stiefel_sgd(
        learning_rate, momentum, nesterov, manifold=manifold, method=method, precision=precision
    )


def grassmann_adam(
    learning_rate: Rate,
    b1: float | jax.Array = 0.9,
    b2: float | jax.Array = 0.999,
    eps: float | jax.Array = 1e-8,
    *,
    manifold: ManifoldTree = Grassmann(),  # noqa: B008
    second_moment: str = "matrix",
    method: str = "polar",
    precision: Any = PRECISION,
) -> optax.GradientTransformationExtraArgs:
    """Return Adam over subspaces: `stiefel_adam` with horizontal gradients.

    Example:
        >>> import jax.numpy as jnp
        >>> tx, x = grassmann_adam(1e-2), jnp.eye(3)[:, :2]
        >>> updates, _ = tx.update(jnp.ones((3, 2)), tx.init(x), x)
        >>> print(jnp.linalg.norm(updates).round(4))
        0.01

    Args:
        learning_rate: the length of a step, an angle in radians that does not depend on the size of
            the matrix.
        b1: in [0, 1), decay of the first moment.
        b2: in [0, 1), decay of the second.
        eps: added to the root of the second moment.
        manifold: a spec, or a prefix pytree of specs with None for free parameters.
        second_moment: `matrix` or `elementwise`, see `scale_by_riemannian_adam`.
        method: the retraction, see `retract`.
        precision: of its matrix products.

    Returns:
        An optax transformation.

    References:
        Becigneul and Ganea 2019, arXiv 1810.00760.
    """
    return stiefel_adam(
        learning_rate,
        b1,
        b2,
        eps,
        manifold=manifold,
        second_moment=second_moment,
        method=method,
        precision=precision,
    )
