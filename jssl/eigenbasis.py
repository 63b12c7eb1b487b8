r"""Linear encoders in the eigenbasis of the cross moment Gamma of their pairs.

Under a loss of C = W Gamma W^T alone, z = W x on fixed pairs, with Gamma = Q diag(g) Q^T and
V = W Q,

    C = V diag(g) V^T,    dL/dV = (dL/dC + (dL/dC)^T) V diag(g),

costs two products of (dim, dim) by (dim, m) a step, where pairs cost two of (dim, m) by (m, 2n)
more. Losses of C that are quadratic in each of its entries alone, L = c + sum_ij b_ij C_ij +
a_ij C_ij^2 / 2, such as linearised Barlow Twins, need no other product: a, b, c follow from the
loss at 0 and at 1. An optimiser that commutes with rotations of the input makes the same steps in V
as in W. Whether a loss depends on C alone, an encoder is z = W x and an optimiser commutes is not
read from their names but tried (`agrees`). Simon et al. 2023, arXiv 2303.15438, section 4.
"""

import hashlib
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jssl.data.pairs import FixedPairs
from jssl.host_arithmetic import host_value
from jssl.precision import constant, float64
from jssl.simulation import Observe, embed_views, observe_embeddings
from jssl.single_use import compile_cheaply
from jssl.types import Array, Pairs, Params, Problem

STEPS = 3
"""Steps of an optimiser that are tried."""
_AGREE = 1e-8  # relative; the trial is in float64, and moments of other views differ by far more


class Basis:
    """Eigenvalues and eigenvectors of Gamma; equal where their numbers are.

    Attributes:
        values: (m,) g, ascending.
        vectors: (m, m) Q, with columns as eigenvectors.
        quadratic: whether the loss is quadratic in each entry of C alone.
    """

    def __init__(self, values: np.ndarray, vectors: np.ndarray, *, quadratic: bool = False) -> None:
        self.values, self.vectors, self.quadratic = values, vectors, quadratic
        content = values.tobytes() + vectors.tobytes() + bytes([quadratic])
        self.digest = hashlib.sha256(content).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Basis) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)


class Reduced(NamedTuple):
    """A problem in an eigenbasis, with the observables of the problem as it was."""

    problem: Problem
    observe: Observe


def basis_of(problem: Problem) -> Basis | None:
    """Return the eigenbasis of the pairs of a problem that may be simulated in it; None otherwise.

    Example:
        >>> import jssl
        >>> from jssl import losses, models
        >>> from jssl.data import pairs
        >>> from jssl.optim import gradient_descent
        >>> fixed = pairs.fixed(jssl.Pairs(jnp.eye(2), jnp.diag(jnp.array([3.0, -1.0]))))
        >>> loss, rule = losses.get("barlow_twins_linearized"), gradient_descent(0.1)
        >>> problem = jssl.Problem(fixed, models.linear(2, 1), loss, rule)
        >>> print(basis_of(problem).values)
        [-0.5  1.5]

    The pairs must be fixed and their numbers known, and the parameters one matrix (dim, m).
    """
    if problem.objective is not None or not isinstance(problem.pairs, FixedPairs):
        return None
    pairs = problem.pairs.pairs
    views = [host_value(view) for view in (pairs.first, pairs.second)]
    if pairs.negative is not None or any(v is None or v.dtype.kind != "f" for v in views):
        return None
    first, second = (
        np.reshape(np.asarray(v, np.float64), (len(v), -1)) for v in views if v is not None
    )
    leaves = jax.tree.leaves(jax.eval_shape(problem.model.init, jax.random.key(0)))
    if len(leaves) != 1 or leaves[0].shape[1:] != first.shape[1:]:
        return None
    half = first.T @ second / len(first)
    gamma = (half + half.T) / 2
    if not np.isfinite(gamma).all():
        return None
    return Basis(*np.linalg.eigh(gamma))


def in_eigenbasis(problem: Problem, basis: Basis, observe: Observe | None = None) -> Reduced:
    """Return the problem of V = W Q, and observables that are given W.

    Args:
        problem: one for which `agrees` holds.
        basis: of its pairs.
        observe: of the problem; None for the loss and the eigenvalues of C.
    """
    see = observe_embeddings(problem) if observe is None else observe
    quadratic = _coefficients(problem, jnp.result_type(float)) if basis.quadratic else None

    def rotated(params: Params, back: bool = False) -> Params:
        def one(leaf: Array) -> Array:
            vectors = constant(basis.vectors).astype(leaf.dtype)
            return jnp.matmul(leaf, vectors.T if back else vectors, precision="highest")

        return jax.tree.map(one, params)

    def objective(params: Params, pairs: Pairs, key: Array) -> Array:
        del pairs, key
        (v,) = jax.tree.leaves(params)
        matrix = cross_moment(v, constant(basis.values).astype(v.dtype))
        if quadratic is None:
            return loss_of_matrix(problem, matrix)
        a, b, c = (x.astype(v.dtype) for x in quadratic)
        return c + jnp.sum(matrix * (b + a / 2 * matrix))

    model = problem.model._replace(init=lambda key: rotated(problem.model.init(key)))
    return Reduced(
        problem._replace(model=model, objective=objective),
        lambda params, pairs: see(rotated(params, back=True), pairs),
    )


@jax.custom_jvp
def cross_moment(v: Array, values: Array) -> Array:
    """Return V diag(g) V^T, whose gradient is one product.

    Example:
        >>> print(cross_moment(jnp.array([[1.0, 2.0]]), jnp.array([3.0, 1.0])))
        [[7.]]

    Args:
        v: (dim, m).
        values: (m,) g; it has no derivative.
    """
    return jnp.matmul(v * values, v.T)


@cross_moment.defjvp
def _moved(primals: tuple[Array, Array], tangents: tuple[Array, Any]) -> tuple[Array, Array]:
    (v, values), (dv, _) = primals, tangents
    half = jnp.matmul(dv, (v * values).T)
    return cross_moment(v, values), half + half.T


def loss_of_matrix(problem: Problem, matrix: Array) -> Array:
    """Return the loss of a problem at embeddings with the given C (dim, dim).

    They are dim samples with first views sqrt(dim) I and second views sqrt(dim) C.
    """
    size = math.sqrt(len(matrix))
    return problem.loss(size * jnp.eye(len(matrix), dtype=matrix.dtype), size * matrix)


def _coefficients(problem: Problem, dtype: Any) -> tuple[Array, Array, Array]:
    """Return a, b (dim, dim) and c of L = c + sum_ij b_ij C_ij + a_ij C_ij^2 / 2."""
    dim = _dim(problem)
    of_matrix = jax.value_and_grad(lambda matrix: loss_of_matrix(problem, matrix))
    value, slope = of_matrix(jnp.zeros((dim, dim), dtype))
    return of_matrix(jnp.ones((dim, dim), dtype))[1] - slope, slope, value


def _dim(problem: Problem) -> int:
    """Return the number of rows of the one matrix of parameters."""
    (leaf,) = jax.tree.leaves(jax.eval_shape(problem.model.init, jax.random.key(0)))
    return int(leaf.shape[0])


def is_quadratic(problem: Problem) -> bool:
    """Return whether a loss of C is quadratic in each of its entries alone, at random C.

    Example:
        >>> import jssl
        >>> from jssl import losses, models
        >>> loss = losses.get("barlow_twins_linearized")
        >>> problem = jssl.Problem(None, models.linear(3, 2), loss, None)
        >>> is_quadratic(problem), is_quadratic(problem._replace(loss=lambda a, b: loss(a, b) ** 2))
        (True, False)

    Args:
        problem: one with concrete numbers, whose loss depends on C alone.
    """
    draws = np.random.default_rng(0)

    def both(matrices: Array) -> Any:
        a, b, c = _coefficients(problem, matrices.dtype)
        of_loss = jax.vmap(jax.value_and_grad(lambda m: loss_of_matrix(problem, m)))(matrices)
        values = c + jnp.sum(matrices * (b + a / 2 * matrices), axis=(1, 2))
        return of_loss, (values, b + a * matrices)

    with float64():
        try:
            dim = _dim(problem)
            matrices = draws.normal(size=(STEPS, dim, dim))
            found, expected = compile_cheaply(both)(matrices + np.swapaxes(matrices, 1, 2))
        except Exception:  # whatever a loss raises for numbers that it was not made for
            return False
        return _are_equal(found, expected)


def agrees(problem: Problem, basis: Basis) -> bool:
    """Return whether a problem is the same in an eigenbasis, to rounding.

    At two random W, loss and gradient are compared; then a few updates of the optimiser for random
    gradients, from a random W. All in float64.

    Args:
        problem: one with concrete numbers, whose pairs have the basis.
        basis: as `basis_of`.
    """
    shapes = jax.eval_shape(problem.model.init, jax.random.key(0))
    (leaf,), tree = jax.tree.flatten(shapes)
    draws = np.random.default_rng(0).normal(size=(2 + STEPS, *leaf.shape))
    size = np.abs(basis.values).sum()
    if not size:
        return False
    with float64():
        try:
            first, second = _trial(problem, basis, tree)(draws / np.sqrt(size))
        except Exception:  # whatever a loss or an optimiser raises for other shapes or dtypes
            return False
        return _are_equal(first, second)


def _are_equal(found: tuple[Array, ...], expected: tuple[Array, ...]) -> bool:
    """Return whether arrays are finite and equal to rounding."""
    pairs = zip(map(np.asarray, found), map(np.asarray, expected), strict=True)
    return all(
        bool(np.isfinite(a).all()) and np.abs(a - b).max() <= _AGREE * np.abs(a).max()
        for a, b in pairs
    )


def _trial(problem: Problem, basis: Basis, tree: Any) -> Callable[[np.ndarray], Any]:
    """Return a function of random matrices: losses, gradients and updates, in both ways."""
    fixed = problem.pairs(jax.random.key(0))
    wide = Pairs(*(jnp.asarray(view, jnp.float64) for view in fixed[:2]))

    def of_pairs(w: Array) -> Array:
        return problem.loss(*embed_views(problem, jax.tree.unflatten(tree, [w]), wide))

    def of_values(v: Array) -> Array:
        return loss_of_matrix(problem, cross_moment(v, jnp.asarray(basis.values)))

    def trained(w: Array, gradients: Array) -> Array:
        params = jax.tree.unflatten(tree, [w])
        state = problem.optimiser.init(params)
        for gradient in gradients:
            slope = jax.tree.unflatten(tree, [gradient])
            updates, state = problem.optimiser.update(slope, state, params)
            params = optax.apply_updates(params, updates)
        return jax.tree.leaves(params)[0]

    def both(w: Array) -> Any:
        v = w @ basis.vectors
        value, slope = jax.vmap(jax.value_and_grad(of_pairs))(w[:2])
        other, other_slope = jax.vmap(jax.value_and_grad(of_values))(v[:2])
        ends = trained(w[0], w[2:]) @ basis.vectors, trained(v[0], v[2:])
        return (value, slope @ basis.vectors, ends[0]), (other, other_slope, ends[1])

    return compile_cheaply(both)
