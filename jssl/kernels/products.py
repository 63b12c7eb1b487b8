r"""Products with the empirical tangent kernel that never form it, and the modes they give.

The trace kernel is K = (1/dim) sum_k J_k J_k^T with J_k (n, parameters) the gradients of output k,
so a product is one reverse and one forward pass through the network for each output and column,

    K v = (1/dim) sum_k J_k (J_k^T v),

in memory for one gradient a column. The leading modes of the contrastive kernel need some ten such
products (`jssl.kernels.lanczos`): no (2n, 2n) matrix, and nothing that grows with n squared.
"""

from collections.abc import Callable
from functools import lru_cache

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from jssl.arithmetic import floating
from jssl.data.checks import require_count
from jssl.errors import InputError
from jssl.kernels.contrastive import ContrastiveModes, contrastive_modes, embed
from jssl.kernels.empirical import check_samples
from jssl.kernels.gradients import Apply, in_blocks, split_params
from jssl.types import Array, Pairs, Params


def ntk_product(
    apply: Apply, params: Params, x1: Array, x2: Array, vectors: Array, *, block: int = 256
) -> Array:
    """Return Theta(x1, x2) v of the trace kernel, without the kernel.

    Example:
        >>> import jax.numpy as jnp
        >>> x, linear = jnp.array([[1.0, 2.0], [0.0, 1.0]]), lambda weight, x: x @ weight.T
        >>> ntk_product(linear, jnp.ones((3, 2)), x, x, jnp.eye(2)).tolist()
        [[5.0, 2.0], [2.0, 1.0]]

    Can be jitted (with `apply` fixed), mapped and differentiated.

    Args:
        apply: `apply(params, x) -> z` with z (n, dim); row i of z depends on row i of x alone.
        params: any pytree; leaves that are not floating point are held fixed.
        x1: (n1, ...) samples.
        x2: (n2, ...) samples.
        vectors: (n2, columns) v, at least one column.
        block: samples that pass through the network at a time. Memory is that of their activations
            for every column, and of two gradients a column.

    Returns:
        (n1, columns) in the dtype of the vectors.

    Raises:
        InputError: if z is not (n, dim), samples differ in shape, there is not one row of v for
            each sample of `x2`, or `block` is not positive.
    """
    dim = check_samples(apply, params, x1, x2)
    (vectors,), block = floating(vectors=vectors), require_count("block", block)
    if vectors.ndim != 2 or len(vectors) != len(x2) or not vectors.size:
        message = f"vectors must be ({len(x2)}, columns), a row a sample; got {vectors.shape}"
        raise InputError(message)
    trained, merge = split_params(params)
    dtype = jax.eval_shape(apply, params, x1[:1]).dtype
    block = min(block, max(len(x1), len(x2)))
    size = -len(x2) % block
    weights = jnp.pad(vectors.astype(dtype), ((0, size), (0, 0))).reshape(
        -1, block, vectors.shape[1]
    )
    inputs, queries = in_blocks(x2, block), in_blocks(x1, block)

    def network(x: Array) -> Callable[[list[Array]], Array]:
        return lambda leaves: apply(merge(leaves), x)

    def of_output(unit: Array) -> Array:
        def pull(total: list[Array], part: tuple[Array, Array]) -> tuple[list[Array], None]:
            _, backward = jax.vjp(network(part[0]), trained)
            gradient = jax.vmap(lambda v: backward(v[:, None] * unit)[0], in_axes=1)(part[1])
            return jax.tree.map(jnp.add, total, gradient), None

        def push(x: Array) -> Array:
            def along(tangent: list[Array]) -> Array:
                return jax.jvp(network(x), (trained,), (tangent,))[1] @ unit

            return jax.vmap(along, out_axes=1)(gradient)

        zero = [jnp.zeros((vectors.shape[1], *a.shape), a.dtype) for a in trained]
        gradient, _ = jax.lax.scan(pull, zero, (inputs, weights))
        return jax.lax.map(push, queries).reshape(-1, vectors.shape[1])

    with jax.default_matmul_precision("highest"):
        products = jax.lax.map(of_output, jnp.eye(dim, dtype=dtype))
    return jnp.mean(products, axis=0)[: len(x1)].astype(vectors.dtype)


def tangent_modes(
    apply: Apply,
    params: Params,
    pairs: Pairs,
    dim: int,
    *,
    block: int = 256,
    tolerance: float | None = None,
    steps: int = 200,
) -> ContrastiveModes:
    """Return the `dim` largest modes of K_Gamma of a network's tangent kernel, by products alone.

    Example:
        >>> import jax
        >>> x = jax.random.normal(jax.random.key(0), (2, 20, 5))
        >>> modes = tangent_modes(lambda w, x: x @ w.T, jax.numpy.ones((3, 5)), Pairs(*x), 2)
        >>> modes.coefficients.shape
        (40, 2)

    The same modes as `contrastive_modes(empirical_ntk(apply, params, views), dim)`, in memory
    linear in n; from a few thousand pairs on, or many parameters, also in less time.

    Args:
        apply: `apply(params, x) -> z` with z (n, any dimension).
        params: any pytree.
        pairs: n positive pairs.
        dim: number of modes, at most n: zero loss needs as many pairs as dimensions.
        block: as in `ntk_product`.
        tolerance: as in `contrastive_modes`; by default that of the dtype of z.
        steps: bound on the products.

    Returns:
        ContrastiveModes; `coefficients` (2n, dim), first views first.

    Raises:
        InputError: for dim above n, and as in `contrastive_modes` and `ntk_product`.

    References:
        Simon et al. 2023, arXiv 2303.15438, section 5.
    """
    views = jnp.concatenate([pairs.first, pairs.second])
    check_samples(apply, params, views, views)
    n = len(pairs.first)
    if dim > n:
        message = f"dim is {dim} but {n} pairs have at most {n} positive modes: give more pairs"
        raise InputError(message)
    if tolerance is None:
        dtype = jax.eval_shape(apply, params, views[:1]).dtype
        tolerance = float(jnp.finfo(dtype).eps) ** (2 / 3)
    return contrastive_modes(
        Partial(_operator(apply, block), params, views),
        dim,
        method="iterative",
        size=2 * n,
        tolerance=tolerance,
        steps=steps,
    )


def tangent_embedding(
    apply: Apply,
    params: Params,
    pairs: Pairs,
    modes: ContrastiveModes,
    x: Array,
    *,
    block: int = 256,
) -> Array:
    """Return the embedding that training a network's linearisation ends in, at any points.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> pairs = Pairs(*jax.random.normal(jax.random.key(0), (2, 20, 5)))
        >>> linear, weight = lambda w, x: x @ w.T, jnp.ones((3, 5))
        >>> modes = tangent_modes(linear, weight, pairs, 2)
        >>> za, zb = (tangent_embedding(linear, weight, pairs, modes, x) for x in pairs[:2])
        >>> bool(jnp.allclose((za.T @ zb + zb.T @ za) / 40, jnp.eye(2), atol=1e-3))
        True

    f_j(x) = eigenvalue_j^{-1/2} Theta(x, Z) c_j, as `jssl.kernels.embed`, without Theta(x, Z).

    Args:
        apply: the network.
        params: its parameters.
        pairs: those that the modes were computed from.
        modes: from `tangent_modes`, or from `contrastive_modes` of the same kernel.
        x: (q, ...) points, seen or not.
        block: as in `ntk_product`.

    Returns:
        (q, dim) embedding, one of its rotations.

    Raises:
        InputError: as in `ntk_product`.
    """
    views = jnp.concatenate([pairs.first, pairs.second])
    product = ntk_product(apply, params, x, views, modes.coefficients, block=block)
    identity = jnp.eye(product.shape[1], dtype=product.dtype)
    return embed(modes._replace(coefficients=identity), product)


@lru_cache(maxsize=64)
def _operator(apply: Apply, block: int) -> Callable[[Params, Array, Array], Array]:
    """Return one function per network, so that it is not traced again at every call."""

    def product(params: Params, views: Array, vectors: Array) -> Array:
        return ntk_product(apply, params, views, views, vectors, block=block)

    return product
