r"""The contrastive kernel of a set of positive pairs, its modes, and the embedding they give.

With Z the n first views followed by the n second views, K = k(Z, Z) (2n, 2n) and J the operator
that swaps the views of every pair,

    K_Gamma = (1/2n) K^{1/2} J K^{1/2}.

Its nonzero eigenvalues are those of J K / 2n, so no square root is needed: a mode is

    J K c = 2n eigenvalue c,    c^T K c = 1,

and the embedding that self-supervised learning ends in is
f_j(x) = eigenvalue_j^{-1/2} k(x, Z) c_j for the dim largest eigenvalues, up to a rotation. Any
symmetric A in C = sum_ij A_ij f_i f_j^T may stand in place of J/2n: more views than two, weights
for the pairs. Two networks are the Gram matrix diag(K_A, K_B).

Source: Simon, Knutins, Ziyin, Geisz, Fetterman, Albrecht, ICML 2023, arXiv 2303.15438.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from jssl.arithmetic import unit_of, working
from jssl.data.checks import require_count
from jssl.errors import InputError, shown, unknown_name
from jssl.host_arithmetic import host_value
from jssl.kernels import dense, lanczos
from jssl.kernels.dense import square_root
from jssl.kernels.mode_checks import (
    check_converged,
    check_definite,
    check_representable,
    check_size,
    check_tolerance,
    too_few,
)
from jssl.kernels.pairing import (
    as_product,
    check_product,
    check_symmetric,
    pairing_product,
    size_of,
)
from jssl.keys import require_key
from jssl.types import Array


class ContrastiveModes(NamedTuple):
    """The largest eigenvalues of the contrastive kernel and the functions that belong to them.

    Attributes:
        eigenvalues: (dim,) descending.
        coefficients: (size, dim) c_j: the mode's function is x -> k(x, Z) c_j.
        residual: (dim,) || A K c - eigenvalue c ||_K: an exact eigenvalue is at most this far.
        rank: numerical rank of K; below `size` K is singular. -1: the method does not see it.
        steps: products of K with a block of vectors; 0 for the dense method.
        clipped: the most negative energy v^T K v met, over the largest, as a positive number.
    """

    eigenvalues: Array
    coefficients: Array
    residual: Array
    rank: Array
    steps: Array
    clipped: Array


def contrastive_kernel(gram: Array, pairing: Array | None = None) -> Array:
    """Return K_Gamma = K^{1/2} A K^{1/2}, by default (1/2n) K^{1/2} J K^{1/2}.

    A dense eigendecomposition: for the leading modes alone `contrastive_modes` is far cheaper.
    Negative eigenvalues of K are set to zero; `square_root` says how large they were.

    Example:
        >>> import jax.numpy as jnp
        >>> jnp.linalg.eigvalsh(contrastive_kernel(jnp.eye(4))).round(3) + 0.0
        Array([-0.25, -0.25,  0.25,  0.25], dtype=float32)

    Args:
        gram: (2n, 2n) k(Z, Z), as from `two_view_gram`.
        pairing: (size, size) symmetric A; J/2n by default.

    Returns:
        (2n, 2n) symmetric; its eigenvalues may be negative.

    Raises:
        InputError: for a matrix that is not square, or is indefinite beyond rounding.

    References:
        Simon et al. 2023, arXiv 2303.15438, section 5.
    """
    if callable(gram):
        message = "contrastive_kernel needs the Gram matrix itself; got a function"
        raise InputError(message)
    size = size_of(gram, None, pairing)
    gram = _checked(gram)
    root = square_root(gram)
    check_definite(root.clipped)
    paired = _pairing(pairing, size, gram.dtype)(root.root)
    check_product("pairing", paired, root.root)
    kernel = _dot(root.root, paired)
    check_definite(jnp.where(jnp.isfinite(kernel).all(), 0, jnp.nan))
    return (kernel + kernel.T) / 2


def contrastive_modes(
    gram: Array | Callable[[Array], Array],
    dim: int,
    *,
    method: str = "dense",
    pairing: Array | Callable[[Array], Array] | None = None,
    size: int | None = None,
    key: Array | None = None,
    tolerance: float | None = None,
    steps: int = 200,
) -> ContrastiveModes:
    r"""Return the `dim` largest modes of the contrastive kernel, A K c = eigenvalue c.

    `dense` factors K = B B^T, by Cholesky if K is regular and else by its eigenvectors
    restricted to its range, and diagonalises B^T A B. `iterative` runs block Lanczos in the inner
    product of K: one product of K with a (size, dim) block a step, no factorisation, and K may be
    singular or known by its products alone. Under jit `dense` always takes the eigenvectors, and
    of the checks only those of shapes are made. `iterative` has no derivative in reverse mode,
    and that of `dense` is right where no two eigenvalues of K, but those at 0, are equal.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> x = jax.random.normal(jax.random.key(0), (6, 3))
        >>> modes = contrastive_modes(x @ x.T, 1)
        >>> a, b = x[:3], x[3:]
        >>> bool(jnp.allclose(modes.eigenvalues, jnp.linalg.eigvalsh((a.T @ b + b.T @ a) / 6)[-1:]))
        True
        >>> int(modes.rank)
        3

    Args:
        gram: (2n, 2n) symmetric positive semi-definite, or v -> K v for v (2n, columns). A function
            that is passed again is not traced again; arrays that it holds are constants, so wrap a
            function of large arrays in `jax.tree_util.Partial`.
        dim: number of modes, at least 1.
        method: `dense` or `iterative`.
        pairing: symmetric A, as (size, size) or as v -> A v; J/2n by default.
        size: number of rows of K where `gram` is a function.
        key: typed key of the random start block of `iterative`; the answer does not depend on it.
        tolerance: for `iterative`, the residual at which it stops, as a share of the largest
            eigenvalue, at most 0.1; eigenvalues are then right to about its square over the
            relative gap, and those below it count as 0. epsilon^(2/3) by default: 4e-11 in
            float64, 2e-5 in float32.
        steps: for `iterative`, the bound on products with K, at least 4.

    Returns:
        The modes. `rank` < 2n says that K is singular; modes are defined all the same.

    Raises:
        InputError: if fewer than `dim` modes are positive (it says how many are), K is indefinite
            or asymmetric beyond rounding, or too small for its dtype, shapes do not fit, or
            `iterative` does not converge within `steps`.

    References:
        Simon et al. 2023, arXiv 2303.15438, section 5.
    """
    if method not in ("dense", "iterative"):
        kind = "method"
        raise unknown_name(kind, method, ["dense", "iterative"])
    if method == "dense" and callable(gram):
        message = "method 'dense' needs the Gram matrix itself; use 'iterative' for products"
        raise InputError(message)
    size = size_of(gram, size, pairing)
    dim, steps = require_count("dim", dim, high=size), require_count("steps", steps, low=4)
    if not callable(gram):
        gram = _checked(gram)
        if method == "dense":
            return _dense(gram, _pairing(pairing, size, gram.dtype), dim)
    product = as_product(gram)
    dtype = jnp.result_type(float if callable(gram) else gram)
    apply_pairing = _pairing(pairing, size, dtype)
    if tolerance is None:
        tolerance = float(jnp.finfo(dtype).eps) ** (2 / 3)
    check_tolerance(tolerance)
    key = jax.random.key(0) if key is None else require_key(key)
    start = jax.random.normal(key, (size, min(max(dim, 4), size)), dtype)
    ritz = _largest(product, apply_pairing, start, tolerance, dim=dim, steps=steps)
    check_definite(ritz.clipped)
    check_converged(ritz, dim, tolerance)
    check_representable(ritz.eigenvalues)
    return ContrastiveModes(
        ritz.eigenvalues,
        ritz.vectors,
        ritz.residual,
        jnp.full((), -1),
        ritz.steps,
        ritz.clipped,
    )


def embed(modes: ContrastiveModes, cross: Array) -> Array:
    """Return the final embedding f_j(x) = eigenvalue_j^{-1/2} k(x, Z) c_j.

    On the pairs themselves it has C = I: zero loss. A mode that is not positive is not learned
    and embeds to 0.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> x = jax.random.normal(jax.random.key(0), (8, 5))
        >>> z = embed(contrastive_modes(x @ x.T, 2), x @ x.T)
        >>> za, zb = z[:4], z[4:]
        >>> bool(jnp.allclose((za.T @ zb + zb.T @ za) / 8, jnp.eye(2), atol=1e-5))
        True

    Args:
        modes: from `contrastive_modes`.
        cross: (q, 2n) k(x, Z) for q points, seen or not.

    Returns:
        (q, dim) embedding, one of its rotations.

    Raises:
        InputError: for what is no ContrastiveModes, or a cross that has not one column a view.

    References:
        Simon et al. 2023, arXiv 2303.15438, section 5.
    """
    if not isinstance(modes, ContrastiveModes):
        message = f"modes must be what contrastive_modes returns; got {shown(modes)}"
        raise InputError(message)
    if modes.coefficients.ndim != 2:
        message = f"modes hold coefficients of shape {modes.coefficients.shape}; map with jax.vmap"
        raise InputError(message)
    (cross,) = working(cross=cross)
    size = modes.coefficients.shape[0]
    if cross.ndim < 2 or cross.shape[-1] != size:
        message = f"cross must be (q, {size}), k(x, Z) for the views Z; got {cross.shape}"
        raise InputError(message)
    unlearned = modes.eigenvalues <= 0  # not so for NaN, which stays NaN
    scale = jnp.where(unlearned, 0, jax.lax.rsqrt(jnp.where(unlearned, 1, modes.eigenvalues)))
    return _dot(cross, modes.coefficients) * scale


_dot = partial(jnp.matmul, precision="highest")


def _pairing(pairing: Array | Callable[[Array], Array] | None, size: int, dtype: Any) -> Partial:
    if pairing is not None and not callable(pairing):
        given = pairing
        pairing = check_symmetric("pairing", *working(pairing=given)).astype(dtype)
        if isinstance(given, np.ndarray) and given.any() and host_value(~pairing.any()):
            message = f"pairing is 0 in {pairing.dtype.name}; multiply it by a constant"
            raise InputError(message)
    return pairing_product(pairing, size)


def _checked(gram: Array) -> Array:
    """Return a Gram matrix, symmetric and not so small that it vanishes."""
    (array,) = working(gram=gram)
    array = check_symmetric("the Gram matrix", array)
    on_host = isinstance(gram, np.ndarray) and gram.dtype.kind == "f"  # of more digits, perhaps
    largest = np.max(np.abs(gram)) if on_host else jnp.max(jnp.abs(array))
    check_size(largest, array.dtype, "the Gram matrix")
    return array


def _dense(gram: Array, pairing: Partial, dim: int) -> ContrastiveModes:
    size, eps = gram.shape[0], float(jnp.finfo(gram.dtype).eps)
    unit = unit_of(gram)
    gram = gram / unit
    rank, clipped = jnp.full((), size), jnp.zeros((), gram.dtype)
    factor = dense.cholesky(gram)
    if factor is None:
        factor, _, rank, clipped = dense.range_factor(gram)
        check_definite(clipped)
    (values, vectors, residual, pairing_unit), positive = dense.diagonalise(
        gram, factor, pairing, dim, size * eps
    )
    count = host_value(positive)
    if count is not None:
        check_definite(jnp.where(jnp.isfinite(values).all(), clipped, jnp.nan))
    if count is not None and count < dim:
        raise too_few(dim, int(count))
    values, residual = (lanczos.times(x, unit, pairing_unit) for x in (values, residual))
    check_representable(values)
    vectors = vectors / jnp.sqrt(unit)
    return ContrastiveModes(values, vectors, residual, rank, jnp.zeros((), int), clipped)


@partial(jax.jit, static_argnames="dim")
def _largest(
    product: Partial, pairing: Partial, start: Array, tolerance: float, *, dim: int, steps: int
) -> lanczos.Ritz:
    depth = max(6, 96 // start.shape[1])
    return lanczos.largest(
        product, pairing, start, dim=dim, tolerance=tolerance, steps=steps, depth=depth
    )
