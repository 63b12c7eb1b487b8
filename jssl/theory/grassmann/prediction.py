"""The prediction for a `Problem`.

`predict(problem, times, key)` reads the problem (a plain linear encoder on a fixed set of pairs,
the linear contrastive or non-contrastive loss, an optimiser with or without an orthogonality
constraint) and returns the exact flow as a Trajectory; `trajectory` is the pure function inside.

Esser, Mukherjee, Ghoshdastidar 2023, arXiv 2309.02011, sections 3 and 4.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl.data.checks import require_range
from jssl.data.pairs import cross_moment, flatten
from jssl.errors import InputError
from jssl.theory.grassmann.constrained import excess_loss, optimum_angles, subspace
from jssl.theory.grassmann.naive import naive_weight
from jssl.theory.grassmann.objective import objective_matrix
from jssl.theory.grassmann.rates import optimal_loss
from jssl.theory.problem import fixed_pairs, linear_weight
from jssl.types import Array, Pairs, Params, Problem, Trajectory, start_key


class Setting(NamedTuple):
    """The parts of a problem that the theory depends on.

    Attributes:
        objective: (d, d) C with L = Tr(W^T C W).
        cross_moment: (d, d) Gamma of the pairs, whose part in the embedding is observed.
        weight: (d, dim) W(0).
        constrained: whether the optimiser keeps W^T W = I.
        learning_rate: of the descent, a number or a schedule.
    """

    objective: Array
    cross_moment: Array
    weight: Array
    constrained: bool
    learning_rate: Any


def predict(problem: Problem, times: Array, key: Array) -> Trajectory:
    """Return the exact loss, spectrum and angles of a linear problem at the given times.

    Example:
        >>> from jssl.data.pairs import fixed
        >>> from jssl.losses.linearized import linear_non_contrastive
        >>> from jssl.manifolds import Grassmann
        >>> from jssl.models.linear import linear
        >>> from jssl.optim import grassmann_sgd, orthonormal_start
        >>> x, rows = jnp.diag(jnp.array([2.0, 1.0, 0.2])), Grassmann(row_axis=-1, col_axis=-2)
        >>> problem = Problem(
        ...     fixed(Pairs(x, x)), orthonormal_start(linear(3, 2), rows), linear_non_contrastive,
        ...     grassmann_sgd(0.01, manifold=rows),
        ... )
        >>> prediction = predict(problem, jnp.array([0.0, 20.0]), jax.random.key(0))
        >>> print(prediction.observables["loss"][1].round(3))  # -(4 + 1) / 3, the top two of x x^T
        -1.667

    The run's parameters are `model.init(start_key(key))`, as a simulation with this key draws them.
    The optimiser determines the flow: that on the Grassmannian if it keeps the weight orthonormal,
    and otherwise the unconstrained one. Descent differs from the flow by O(learning rate).

    Args:
        problem: a plain linear encoder on a fixed set of pairs under `linear_contrastive` or
            `linear_non_contrastive`.
        times: (points,) finite times >= 0, learning rate x step.
        key: the run's typed key.

    Returns:
        Trajectory on t = times with the observables `loss` (points,), `eigenvalues`
        (points, dim), those of the embeddings' C = W^T Gamma W in descending order, and, with the
        constraint, `angles` (points, dim) to the optimal subspace, ascending, in radians.

    Raises:
        InputError: where the theory does not apply: another loss or objective, an encoder that is
            not z = W x with W its only parameters, pairs that change with the key, an optimiser
            with momentum, a start that is not orthonormal, or is orthogonal to a part of the
            optimum.

    References:
        Esser et al. 2023, arXiv 2309.02011, sections 3 and 4.
    """
    setting = read(problem, key)
    times = jnp.asarray(times, setting.objective.dtype)
    require_range("times", times, 0, float(jnp.finfo(times.dtype).max))
    return trajectory(times, setting)


def trajectory(times: Array, setting: Setting) -> Trajectory:
    """Return the exact loss, spectrum and angles of a setting; a pure function that can be vmapped.

    Example:
        >>> c = jnp.diag(jnp.array([-1.0, 0.0]))
        >>> setting = Setting(c, -c, jnp.full((2, 1), 0.5**0.5), True, 0.1)
        >>> print(trajectory(jnp.array([0.0, 10.0]), setting).observables["loss"].round(3))
        [-0.5 -1. ]

    Args:
        times: (points,) times >= 0.
        setting: from `read`.

    Returns:
        As `predict`.
    """
    objective, moment, weight, constrained, learning_rate = setting
    observables = {}
    if constrained:
        now = subspace(objective, weight, times)
        best = optimal_loss(objective, weight.shape[1])
        observables["loss"] = best + excess_loss(objective, weight, times)
        observables["angles"] = optimum_angles(objective, weight, times)
    else:
        now = naive_weight(objective, weight, times)
        observables["loss"] = jnp.einsum("...ij,ik,...kj->...", now, objective, now)
    observables["eigenvalues"] = jnp.linalg.eigvalsh(now.mT @ moment @ now)[..., ::-1]
    known = learning_rate is not None and not callable(learning_rate)
    step = times / learning_rate if known else jnp.full_like(times, jnp.nan)
    return Trajectory(step, times, observables)


def read(problem: Problem, key: Array) -> Setting:
    """Return the parts of a problem that the theory depends on.

    Example:
        >>> from jssl.data.pairs import fixed
        >>> from jssl.losses.linearized import linear_non_contrastive
        >>> from jssl.models.linear import linear
        >>> from jssl.optim import gradient_descent
        >>> pairs = fixed(Pairs(jnp.eye(3), jnp.eye(3)))
        >>> problem = Problem(pairs, linear(3, 2), linear_non_contrastive, gradient_descent(0.1))
        >>> read(problem, jax.random.key(0)).constrained
        False

    Args:
        problem: as in `predict`.
        key: the run's typed key.

    Raises:
        InputError: as `predict`.
    """
    if problem.objective is not None:
        message = "the theory covers losses of two embeddings only; leave out `objective`"
        raise InputError(message)
    instead = "take the expectation of the objective over them and give it to trajectory()"
    pairs = flatten(fixed_pairs(problem, key, instead=instead))
    params = problem.model.init(start_key(key))
    weight = linear_weight(problem, params, pairs.first).T
    _require_linear_loss(problem, pairs, weight)
    rate = getattr(problem.optimiser, "learning_rate", None)
    constrained = _keeps_orthonormal(problem.optimiser, params)
    if rate is None:
        message = (
            "this optimiser has no gradient-flow time; use jssl.optim.gradient_descent, or "
            "stiefel_sgd or grassmann_sgd without momentum"
        )
        raise InputError(message)
    return Setting(objective_matrix(pairs), cross_moment(pairs), weight, constrained, rate)


def _keeps_orthonormal(optimiser: Any, params: Params) -> bool:
    """Return whether the optimiser ignores a gradient along W, which would only rescale W."""
    update, _ = optimiser.update(params, optimiser.init(params), params)
    size = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(params))
    return all(float(jnp.abs(leaf).max()) < 1e-5 * size for leaf in jax.tree.leaves(update))


def _require_linear_loss(problem: Problem, pairs: Pairs, weight: Array) -> None:
    draws = np.random.default_rng(0).standard_normal((3, 7, weight.shape[1]))
    za, zb, other = jnp.asarray(draws, weight.dtype)
    negative = {} if pairs.negative is None else {"negatives": other}
    expected = (za * (other - zb if negative else -zb)).sum(1).mean()
    if not np.allclose(problem.loss(za, zb, **negative), expected, rtol=1e-3):
        name = "linear_contrastive" if negative else "linear_non_contrastive"
        message = f"the loss must be {name} on these pairs for the theory of quadratic objectives"
        raise InputError(message)
