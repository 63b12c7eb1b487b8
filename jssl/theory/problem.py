"""The pairs and the weight of a `Problem`, for theories of linear encoders on fixed pairs."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from jssl.data.pairs import FixedPairs, check_pairs
from jssl.errors import InputError
from jssl.types import Array, Pairs, Params, Problem


def fixed_pairs(problem: Problem, key: Array, *, instead: str) -> Pairs:
    """Return the pairs of a problem, after checking that they do not change with the key.

    Example:
        >>> from jssl.data.pairs import fixed
        >>> problem = Problem(fixed(Pairs(jnp.eye(2), jnp.eye(2))), None, None, None)
        >>> fixed_pairs(problem, jax.random.key(0), instead="").first.shape
        (2, 2)

    Args:
        problem: a problem.
        key: the run's typed key.
        instead: end of the error message: what to do if pairs are drawn anew at every step.

    Raises:
        InputError: for pairs that change with the key, do not fit together or are not finite.
    """
    pairs = check_pairs(problem.pairs(key))
    if isinstance(problem.pairs, FixedPairs):
        return pairs
    again = problem.pairs(jax.random.fold_in(key, 1))
    views = zip(jax.tree.leaves(pairs), jax.tree.leaves(again), strict=True)
    if not all(jnp.array_equal(a, b) for a, b in views):
        message = (
            f"the pairs change with the key; fix them with jssl.data.pairs.fixed, or {instead}"
        )
        raise InputError(message)
    return pairs


def linear_weight(problem: Problem, params: Params, x: Array) -> Array:
    """Return W (out, in) of z = W x, after checking that W contains all parameters.

    Example:
        >>> from jssl.models.linear import linear
        >>> model = linear(3, 2)
        >>> problem = Problem(None, model, None, None)
        >>> params = model.init(jax.random.key(0))
        >>> bool((linear_weight(problem, params, jnp.ones((5, 3))) == params["weight"]).all())
        True

    The tangent kernel of z = W x is |x|^2 I; with a bias, a factor or a hidden layer it differs.

    Args:
        problem: a problem.
        params: of its model.
        x: (n, ...) samples, for their shape and dtype.

    Raises:
        InputError: for any other encoder.
    """
    features = math.prod(x.shape[1:])

    def apply(params: Params, rows: Array) -> Array:
        return problem.model.apply(params, rows.reshape(-1, *x.shape[1:]))

    weight = apply(params, jnp.eye(features, dtype=x.dtype)).T
    draws = np.random.default_rng(0)
    probe = jnp.asarray(draws.standard_normal((1, features)), x.dtype)
    z, pull = jax.vjp(lambda p: apply(p, probe), params)
    direction = jnp.asarray(draws.standard_normal(z.shape), z.dtype)
    gradients = jax.tree.leaves(pull(direction))
    tangent = sum(float(jnp.square(gradient).sum()) for gradient in gradients)
    plain = float(jnp.square(probe).sum() * jnp.square(direction).sum())
    size = float(jnp.abs(weight).sum() * jnp.abs(probe).max())
    linear = np.allclose(z, probe @ weight.T, rtol=0, atol=1e-3 * size)
    if not linear or not math.isclose(tangent, plain, rel_tol=1e-3):
        message = (
            "the encoder must be z = W x with W its only parameters (jssl.models.linear without "
            "bias): depth, factors and biases change the flow"
        )
        raise InputError(message)
    return weight
