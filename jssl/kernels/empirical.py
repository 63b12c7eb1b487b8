r"""The empirical neural tangent kernel of any network, in blocks of bounded memory.

For outputs f_k(x), k = 1 ... dim, of a network with parameters theta,

    full:   Theta[i, j, k, l] = <d f_k(x_i) / d theta, d f_l(x_j) / d theta>,
    trace:  Theta[i, j] = (1/dim) sum_k Theta[i, j, k, k],

where `trace` is per output, so that it is what the infinite-width kernel of the same architecture
is the limit of (Jacot, Gabriel, Hongler 2018, arXiv 1806.07572). The gradients of one output at a
block of samples are all that is held at a time.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jssl.errors import InputError, unknown_name
from jssl.types import Array, Params

_dot = partial(jnp.matmul, precision="highest")

Apply = Callable[[Params, Array], Array]


def empirical_ntk(
    apply: Apply,
    params: Params,
    x1: Array,
    x2: Array | None = None,
    *,
    outputs: str = "trace",
    block: int = 64,
) -> Array:
    """Return the tangent kernel of a network at its present parameters.

    Gradients of a block of samples are contracted at once, leaf by leaf; without `x2` only the
    upper half of the blocks is computed. One program serves all blocks, and `apply` is traced a
    few times however many there are. Can be jitted (with `apply` fixed), mapped over parameters
    and differentiated.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[1.0, 2.0], [0.0, 1.0]])
        >>> linear = lambda weight, x: x @ weight.T
        >>> bool(jnp.allclose(empirical_ntk(linear, jnp.ones((3, 2)), x), x @ x.T))
        True

    Args:
        apply: `apply(params, x) -> z` with z (n, dim); row i of z depends on row i of x alone
            (no batch statistics).
        params: any pytree; leaves that are not floating point are held fixed.
        x1: (n1, ...) samples.
        x2: (n2, ...) samples; `x1` if None.
        outputs: `trace` (mean over the outputs) or `full`.
        block: samples in a block. The largest arrays hold 2 x block x parameters numbers:
            `peak_bytes` gives that in bytes, `block_for` the block that fits.

    Returns:
        (n1, n2) for `trace`, (n1, n2, dim, dim) for `full`.

    Raises:
        InputError: if z is not (n, dim), samples differ in shape, or `block` is not positive.

    References:
        Jacot et al. 2018, arXiv 1806.07572, section 4.
    """
    if outputs not in ("trace", "full"):
        kind = "outputs"
        raise unknown_name(kind, outputs, ["trace", "full"])
    if block < 1:
        message = f"block must be at least 1; got {block}"
        raise InputError(message)
    other = x1 if x2 is None else x2
    if x1.shape[1:] != other.shape[1:] or not x1.ndim or not len(x1) or not len(other):
        message = f"x1 and x2 must hold samples of one shape; got {x1.shape} and {other.shape}"
        raise InputError(message)
    shape = jax.eval_shape(apply, params, x1[:1]).shape
    if len(shape) != 2 or shape[0] != 1 or not shape[1]:
        message = f"apply must return (n, dim) for n samples; it returns {shape} for one"
        raise InputError(message)
    block = min(block, max(len(x1), len(other)))
    return _kernel(apply, params, x1, x2, shape[1], outputs == "full", block)


def peak_bytes(params: Params, block: int = 64) -> int:
    """Return the bytes of gradients that `empirical_ntk` holds at a time, 2 x block x parameters.

    On top of them come the activations of one block and three copies of the result.

    Example:
        >>> import jax.numpy as jnp
        >>> peak_bytes({"weight": jnp.zeros((100, 10))}, block=8)
        64000

    Args:
        params: the parameters, or their shapes as from `jax.eval_shape`.
        block: samples in a block.
    """
    leaves = [a for a in jax.tree.leaves(params) if jnp.issubdtype(a.dtype, jnp.inexact)]
    return 2 * block * sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)


def block_for(params: Params, memory_bytes: int) -> int:
    """Return the largest block whose gradients fit in so many bytes.

    Example:
        >>> import jax.numpy as jnp
        >>> block_for(jnp.zeros((1000,)), memory_bytes=80_000)
        10

    Args:
        params: the parameters, or their shapes.
        memory_bytes: memory for gradients.

    Raises:
        InputError: if not even one sample fits.
    """
    one = peak_bytes(params, 1)
    if memory_bytes < one:
        message = f"the gradients of two samples take {one} bytes; {memory_bytes} are too few"
        raise InputError(message)
    return memory_bytes // max(one, 1)


@partial(jax.jit, static_argnames=("apply", "dim", "full", "block"))
def _kernel(
    apply: Apply,
    params: Params,
    x1: Array,
    x2: Array | None,
    dim: int,
    full: bool,
    block: int,
) -> Array:
    rows = _in_blocks(x1, block)
    columns = rows if x2 is None else _in_blocks(x2, block)
    if x2 is None:
        first, second = np.triu_indices(len(rows))
    else:
        first, second = (a.ravel() for a in np.indices((len(rows), len(columns))))
    basis = jnp.eye(dim, dtype=jax.eval_shape(apply, params, x1[:1]).dtype)

    def pair(index: tuple[Array, Array]) -> Array:
        left = partial(_gradients, apply, params, rows[index[0]])
        right = partial(_gradients, apply, params, columns[index[1]])
        if full:
            return _every_pair(left, right, basis)
        return _mean(left, right, basis)

    blocks = jax.lax.map(pair, (jnp.asarray(first), jnp.asarray(second)))
    kernel = jnp.zeros((len(rows), len(columns), *blocks.shape[1:]), blocks.dtype)
    if x2 is None:
        mirror = jnp.swapaxes(blocks, 1, 2)
        mirror = jnp.swapaxes(mirror, 3, 4) if full else mirror
        diagonal = (first == second).reshape(-1, *(1,) * (blocks.ndim - 1))
        blocks = jnp.where(diagonal, (blocks + mirror) / 2, blocks)
        kernel = kernel.at[second, first].set(mirror)
    kernel = jnp.swapaxes(kernel.at[first, second].set(blocks), 1, 2)
    kernel = kernel.reshape(kernel.shape[0] * block, -1, *kernel.shape[4:])
    return kernel[: len(x1), : len(x1 if x2 is None else x2)]


def _in_blocks(x: Array, block: int) -> Array:
    """Return (blocks, block, ...), the last block filled up with its last sample."""
    padding = [(0, -len(x) % block)] + [(0, 0)] * (x.ndim - 1)
    return jnp.pad(x, padding, mode="edge").reshape(-1, block, *x.shape[1:])


def _gradients(apply: Apply, params: Params, x: Array, cotangent: Array) -> list[Array]:
    """Return the gradient of cotangent . f at each sample, (block, ...) for each floating leaf."""
    leaves, tree = jax.tree.flatten(params)
    moving = [jnp.issubdtype(leaf.dtype, jnp.inexact) for leaf in leaves]

    def output(floating: list[Array], sample: Array) -> Array:
        values = iter(floating)
        merged = [next(values) if m else leaf for m, leaf in zip(moving, leaves, strict=True)]
        return jnp.vdot(cotangent, apply(jax.tree.unflatten(tree, merged), sample[None])[0])

    floating = [leaf for m, leaf in zip(moving, leaves, strict=True) if m]
    return jax.vmap(jax.grad(output), (None, 0))(floating, x)


def _contract(left: list[Array], right: list[Array]) -> Array:
    pairs = zip(left, right, strict=True)
    products = [_dot(a.reshape(len(a), -1), b.reshape(len(b), -1).T) for a, b in pairs]
    return jnp.sum(jnp.stack(products), axis=0)


def _mean(left: Callable, right: Callable, basis: Array) -> Array:
    return jnp.mean(jax.lax.map(lambda unit: _contract(left(unit), right(unit)), basis), axis=0)


def _every_pair(left: Callable, right: Callable, basis: Array) -> Array:
    def row(unit: Array) -> Array:
        gradients = left(unit)
        return jax.lax.map(lambda other: _contract(gradients, right(other)), basis)

    return jnp.transpose(jax.lax.map(row, basis), (2, 3, 0, 1))
