r"""The tangent kernel of all outputs of a network, between a few modes of the samples.

With J_l (rows, parameters) the derivative of output l at all rows, and weights w_j (rows,) of r
modes, the gradients g_jl = J_l^T w_j have the Gram matrix

    G[(i, k), (j, l)] = <g_ik, g_jl> = w_i^T Theta_kl w_j,    Theta_kl = J_k J_l^T        (F-5)

Gradient descent moves the parameters along the g_jl if its gradient with respect to the outputs is
a combination of the w_j. The Gram matrix then gives the outputs. At infinite width,
Theta_kl = delta_kl K. At width n, Theta_kl with k != l has entries of order n^{-1/2}.
`leak` is the effect of one output on all others (F-3).
"""

from collections.abc import Callable
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np

from jssl.errors import InputError
from jssl.kernels.empirical import Apply, check_samples, in_blocks, split_params
from jssl.types import Array, Params

Progress = Callable[[float], None]

_ROWS = 512  # rows that pass through the network at a time
_TOGETHER = 16  # largest number of columns at a time


def mode_kernel(
    apply: Apply,
    params: Params,
    x: Array,
    weights: Array,
    *,
    memory_bytes: int = 2**30,
    progress: Progress | None = None,
) -> np.ndarray:
    """Return the Gram matrix G of the gradients of all modes and outputs (F-5).

    Example:
        >>> x, linear = jnp.array([[1.0, 2.0], [0.0, 1.0]]), lambda weight, x: x @ weight.T
        >>> gram = mode_kernel(linear, jnp.ones((3, 2)), x, jnp.eye(2))
        >>> gram.shape, gram[:, 0, :, 0].tolist()
        ((2, 3, 2, 3), [[5.0, 2.0], [2.0, 1.0]])
        >>> bool((gram[:, 0, :, 1] == 0).all())  # outputs of a linear map share no parameter
        True

    Each column costs one product with J^T, which gives g_jl, and one with J, which gives all
    outputs at all rows. Only a few columns are held at a time.

    Args:
        apply: `apply(params, x) -> z` with z (rows, dim); row i of z depends on row i of x alone.
        params: any pytree; leaves that are not floating point are held fixed.
        x: (rows, ...) samples, for example all first views and then all second views.
        weights: (rows, r) the w_j, for example A q_j.
        memory_bytes: for gradients. The activations of 512 rows come on top.
        progress: called with the share that is done.

    Returns:
        (r, dim, r, dim) in float64, symmetric: entry [i, k, j, l] is w_i^T Theta_kl w_j.

    Raises:
        InputError: if z is not (rows, dim), or `weights` is not (rows, r).
    """
    dim = _checked(apply, params, x, weights)
    modes = weights.shape[1]
    leaves, _ = split_params(params)
    size = sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)
    parts = _in_rows(x, weights, leaves)
    together = int(np.clip(memory_bytes // (3 * size), 1, min(modes, _TOGETHER)))
    gram = _columns(apply, params, parts, modes, dim, together, progress or (lambda _: None))
    gram = np.transpose(gram.reshape(dim, modes, dim, modes), (1, 0, 3, 2))
    return (gram + np.transpose(gram, (2, 3, 0, 1))) / 2


def leak(apply: Apply, params: Params, x: Array, coefficients: Array, direction: Array) -> Array:
    """Return the change of all outputs when one output direction moves along a function (F-3).

    Example:
        >>> x = jnp.array([[1.0, 2.0], [0.0, 1.0]])
        >>> moved = leak(lambda w, x: x @ w.T, jnp.ones((2, 2)), x, jnp.ones(2), jnp.eye(2)[0])
        >>> moved.tolist()  # K coefficients in the first output, nothing in the second
        [[7.0, 0.0], [3.0, 0.0]]

    One product with J^T and one with J: row k is sum_l Theta_kl a u_l. With
    a = A q_1 / gamma_1 it is the embedding at the moment at which dimension 1, in direction u, has
    reached q_1. Outputs other than u are moved at finite width only.

    Args:
        apply: as in `mode_kernel`.
        params: as in `mode_kernel`.
        x: (rows, ...).
        coefficients: (rows,) a.
        direction: (dim,) u.

    Returns:
        (rows, dim).

    Raises:
        InputError: as in `mode_kernel`, and if `direction` is not (dim,).
    """
    coefficients = jnp.asarray(coefficients)
    dim = _checked(apply, params, x, coefficients[:, None])
    if np.shape(direction) != (dim,):
        message = f"direction must be ({dim},), a number per output; got {np.shape(direction)}"
        raise InputError(message)
    leaves, _ = split_params(params)
    inputs, weights = _in_rows(x, coefficients[:, None], leaves)
    cotangents = weights * jnp.asarray(direction, weights.dtype)
    moved = _compiled_leak(apply)(params, inputs, cotangents[:, None])[0]
    return moved.reshape(-1, dim)[: len(x)]


def _checked(apply: Apply, params: Params, x: Array, weights: Array) -> int:
    dim = check_samples(apply, params, x, x)
    if weights.ndim != 2 or len(weights) != len(x):
        message = f"weights must be ({len(x)}, modes), a row per sample; got {weights.shape}"
        raise InputError(message)
    return dim


def _in_rows(x: Array, weights: Array, leaves: list[Array]) -> tuple[Array, Array]:
    """Return blocks of rows (blocks, rows, ...) and their weights; rows that fill up weigh 0."""
    block = min(_ROWS, len(x))
    dtype = jnp.result_type(*leaves)
    padded = jnp.pad(jnp.asarray(weights, dtype), ((0, -len(x) % block), (0, 0)))
    return in_blocks(jnp.asarray(x), block), padded.reshape(-1, block, weights.shape[1])


def _pull(apply: Apply, params: Params, inputs: Array, cotangents: Array) -> list[Array]:
    """Return J^T of cotangents (blocks, columns, rows, dim): a gradient per column."""
    leaves, merge = split_params(params)

    def add(total: list[Array], part: tuple[Array, Array]) -> tuple[list[Array], None]:
        z, backward = jax.vjp(lambda moving: apply(merge(moving), part[0]), leaves)
        gradient = jax.vmap(lambda v: backward(v.astype(z.dtype))[0])(part[1])
        return jax.tree.map(jnp.add, total, gradient), None

    zero = [jnp.zeros((cotangents.shape[1], *a.shape), a.dtype) for a in leaves]
    with jax.default_matmul_precision("highest"):
        if len(inputs) == 1:
            return add(zero, (inputs[0], cotangents[0]))[0]
        return jax.lax.scan(add, zero, (inputs, cotangents))[0]


def _moved(apply: Apply, params: Params, inputs: Array, gradient: list[Array]) -> Array:
    """Return J of gradients: (columns, blocks, rows, dim)."""
    leaves, merge = split_params(params)

    def of_block(x: Array) -> Array:
        _, push = jax.linearize(lambda moving: apply(merge(moving), x), leaves)
        return jax.vmap(push)(gradient)

    with jax.default_matmul_precision("highest"):
        return jnp.moveaxis(jax.lax.map(of_block, inputs), 0, 1)


@lru_cache(maxsize=16)
def _compiled(apply: Apply) -> Callable[..., Array]:
    """Return one program per network, for all its parameters."""

    def column(params: Params, inputs: Array, weights: Array, cotangents: Array) -> Array:
        """Return w_i^T J J^T of cotangents: (columns, dim, modes)."""
        moved = _moved(apply, params, inputs, _pull(apply, params, inputs, cotangents))
        return jnp.einsum("cbnd,bnr->cdr", moved, weights, precision="highest")

    return jax.jit(column)


@lru_cache(maxsize=16)
def _compiled_leak(apply: Apply) -> Callable[..., Array]:
    def moved(params: Params, inputs: Array, cotangents: Array) -> Array:
        """Return J J^T of cotangents: (columns, blocks, rows, dim)."""
        return _moved(apply, params, inputs, _pull(apply, params, inputs, cotangents))

    return jax.jit(moved)


def _cotangents(weights: Array, output: int, dim: int) -> Array:
    """Return (blocks, modes, rows, dim): the weights of all modes, in one output."""
    unit = jnp.zeros(dim, weights.dtype).at[output].set(1)
    return jnp.swapaxes(weights, 1, 2)[..., None] * unit


def _columns(
    apply: Apply,
    params: Params,
    parts: tuple[Array, Array],
    modes: int,
    dim: int,
    together: int,
    report: Progress,
) -> np.ndarray:
    """Return the Gram matrix (dim * modes, dim * modes), a few columns at a time."""
    inputs, weights = parts
    column = _compiled(apply)
    gram = np.empty((dim * modes, dim * modes))
    for output in range(dim):
        cotangents = _cotangents(weights, output, dim)
        for first in range(0, modes, together):
            start = min(first, max(modes - together, 0))  # one shape, one program
            chosen = cotangents[:, start : start + together]
            moved = np.asarray(column(params, inputs, weights, chosen))
            at = output * modes + start
            gram[at : at + len(moved)] = moved.reshape(len(moved), -1)
            report((output + min(first + together, modes) / modes) / dim)
    return gram
