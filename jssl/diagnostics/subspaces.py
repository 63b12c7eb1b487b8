r"""The span of the leading principal components, with a derivative that depends on the span only.

With the singular value decomposition Z = U S V^T of centred rows, U = [U_1 U_2], U_1 the leading
components, the span of U_1 moves with Z by

    dU_1 = U_2 X + (I - U U^T) dZ V_1 S_1^{-1},
    X_ji = (s_i u_j^T dZ v_i + s_j v_j^T dZ^T u_i) / (s_i^2 - s_j^2),   i leading, j not.

The derivative of U itself also has the differences s_i - s_k of two leading values, and of two
others, in denominators: it is infinite where they agree, though the span is smooth there.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from jssl.formulas.algebra import centred, constant, matmul
from jssl.formulas.libraries import is_jax
from jssl.host_arithmetic import ROUNDING


def leading_components(z: Any, count: int, xp: Any) -> Any:
    """Return an orthonormal basis of the span of the leading components of the centred rows.

    Example:
        >>> import numpy as np
        >>> z = np.array([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
        >>> basis = leading_components(z, 1, np)
        >>> print(np.abs(basis[:, 0]).round(3))
        [0.707 0.707 0.    0.   ]

    Differentiate only functions of the span, which are the same for all bases of it.

    Args:
        z: (..., n, dim) embeddings.
        count: number of components, at most min(n, dim). Static.
        xp: array namespace. JAX has derivatives of every order, PyTorch the first.

    Returns:
        (..., n, count). A component of zero variance is a column of zeros. NaN where a value is
        not finite, or where the variances of component `count` and of the next, not zero, agree to
        rounding error: the span is not defined there.
    """
    largest = xp.max(xp.abs(z), axis=(-2, -1), keepdims=True)
    scaled = z / xp.where(largest == 0, 1, largest)
    size = xp.linalg.matrix_norm(constant(scaled, xp))
    floor = ROUNDING * xp.finfo(z.dtype).eps * size
    moved = centred(scaled, xp)
    if is_jax(xp):
        return _of_jax()(moved, floor, count)
    fixed = constant(moved, xp)
    basis, motion = _basis_and_motion(fixed, floor, count, moved - fixed, xp)
    return basis + motion  # the motion is 0 and has the derivative


def _decomposed(z: Any, xp: Any) -> tuple[Any, Any, Any]:
    """Return the singular value decomposition; NaN where a value is not finite."""
    finite = xp.all(xp.isfinite(z), axis=(-2, -1))[..., None, None]
    vectors, values, right = xp.linalg.svd(xp.where(finite, z, 0), full_matrices=False)
    return (
        xp.where(finite, vectors, xp.nan),
        xp.where(finite[..., 0], values, xp.nan),
        xp.where(finite, right, xp.nan),
    )


def _basis_and_motion(z: Any, floor: Any, count: int, dz: Any, xp: Any) -> tuple[Any, Any]:
    """Return the basis, and how its span moves with dz; the motion is linear in dz."""
    vectors, values, right = _decomposed(z, xp)
    right = right.mT
    u, s, v = vectors[..., :count], values[..., :count], right[..., :count]
    others, s_others, v_others = vectors[..., count:], values[..., count:], right[..., count:]
    along = matmul(dz, v, xp)  # (..., n, count)
    ahead = matmul(others.mT, along, xp) * s[..., None, :]
    back = matmul(v_others.mT, matmul(dz.mT, u, xp), xp) * s_others[..., :, None]
    gap = (s[..., None, :] - s_others[..., None]) * (s[..., None, :] + s_others[..., None])
    present = (s > floor[..., None])[..., None, :]
    outside = along - matmul(vectors, matmul(vectors.mT, along, xp), xp)
    motion = matmul(others, (ahead + back) / xp.where(present, gap, 1), xp)
    motion = motion + outside / xp.where(present, s[..., None, :], 1)
    return _kept(vectors, values, floor, count, xp), xp.where(present, motion, 0)


@functools.cache
def _of_jax() -> Callable[..., Any]:
    import jax
    import jax.numpy as jnp

    @functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
    def leading(z: Any, floor: Any, count: int) -> Any:
        vectors, values, _ = _decomposed(z, jnp)
        return _kept(vectors, values, floor, count, jnp)

    @leading.defjvp
    def moved(count: int, primals: tuple[Any, Any], tangents: tuple[Any, Any]) -> tuple[Any, Any]:
        return _basis_and_motion(*primals, count, tangents[0], jnp)

    return leading


def _kept(vectors: Any, values: Any, floor: Any, count: int, xp: Any) -> Any:
    kept = xp.where((values <= floor[..., None])[..., None, :], 0, vectors)[..., :count]
    if count == values.shape[-1]:
        return kept
    last, following = values[..., count - 1], values[..., count]
    undefined = (following > floor) & (last - following <= floor)
    return xp.where(undefined[..., None, None], xp.nan, kept)
