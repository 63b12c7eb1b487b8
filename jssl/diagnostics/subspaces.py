r"""The span of the leading principal components, with a derivative that depends on the span only.

With the singular value decomposition Z = U S V^T of centred rows, U = [U_1 U_2], U_1 the leading
components, the span of U_1 moves with Z by

    dU_1 = U_2 X + (I - U U^T) dZ V_1 S_1^{-1},
    X_ji = (s_i u_j^T dZ v_i + s_j v_j^T dZ^T u_i) / (s_i^2 - s_j^2),   i leading, j not.

The derivative of U itself also has the differences s_i - s_k of two leading values, and of two
others, in denominators: it is infinite where they agree, though the span is smooth there.
"""

from functools import partial

import jax
import jax.numpy as jnp

from jssl.arithmetic import centred
from jssl.host_arithmetic import ROUNDING
from jssl.types import Array

_dot = partial(jnp.matmul, precision="highest")


def leading_components(z: Array, count: int) -> Array:
    """Return an orthonormal basis of the span of the leading components of the centred rows.

    Example:
        >>> z = jnp.array([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
        >>> basis = leading_components(z, 1)
        >>> print(jnp.abs(basis[:, 0]).round(3))
        [0.707 0.707 0.    0.   ]

    Differentiate only functions of the span, which are the same for all bases of it.

    Args:
        z: (..., n, dim) embeddings.
        count: number of components, at most min(n, dim). Static.

    Returns:
        (..., n, count). A component of zero variance is a column of zeros. NaN where a value is
        not finite, or where the variances of component `count` and of the next, not zero, agree to
        rounding error: the span is not defined there.
    """
    largest = jnp.max(jnp.abs(z), (-2, -1), keepdims=True)
    scaled = z / jnp.where(largest == 0, 1, largest)
    floor = ROUNDING * jnp.finfo(z.dtype).eps * jnp.linalg.norm(scaled, axis=(-2, -1))
    return _leading(centred(scaled), jax.lax.stop_gradient(floor), count)


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def _leading(z: Array, floor: Array, count: int) -> Array:
    vectors, values, _ = jnp.linalg.svd(z, full_matrices=False)
    return _kept(vectors, values, floor, count)


@_leading.defjvp
def _moved(
    count: int, primals: tuple[Array, Array], tangents: tuple[Array, Array]
) -> tuple[Array, Array]:
    (z, floor), (dz, _) = primals, tangents
    vectors, values, right = jnp.linalg.svd(z, full_matrices=False)
    right = right.mT
    u, s, v = vectors[..., :count], values[..., :count], right[..., :count]
    others, s_others, v_others = vectors[..., count:], values[..., count:], right[..., count:]
    along = _dot(dz, v)  # (..., n, count)
    ahead = _dot(others.mT, along) * s[..., None, :]
    back = _dot(v_others.mT, _dot(dz.mT, u)) * s_others[..., :, None]
    gap = (s[..., None, :] - s_others[..., None]) * (s[..., None, :] + s_others[..., None])
    present = (s > floor[..., None])[..., None, :]
    outside = along - _dot(vectors, _dot(vectors.mT, along))
    motion = _dot(others, (ahead + back) / jnp.where(present, gap, 1))
    motion = motion + outside / jnp.where(present, s[..., None, :], 1)
    return _kept(vectors, values, floor, count), jnp.where(present, motion, 0)


def _kept(vectors: Array, values: Array, floor: Array, count: int) -> Array:
    kept = jnp.where((values <= floor[..., None])[..., None, :], 0, vectors)[..., :count]
    if count == values.shape[-1]:
        return kept
    last, following = values[..., count - 1], values[..., count]
    undefined = (following > floor) & (last - following <= floor)
    return jnp.where(undefined[..., None, None], jnp.nan, kept)
