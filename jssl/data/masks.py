"""Masked images: some patches are the context, the others are the target.

A mask of P patches with k of them kept is drawn uniformly for each image. Missing pixels are 0, so
context and target never overlap. Over all masks, with C the second moment of the pixels,

    S_x = C o A,     A = k/P within a patch, k (k-1) / (P (P-1)) between two,
    S_yx = C o A',   A' = 0 within a patch, k (P-k) / (P (P-1)) between two,

o the product of entries, so that no masks need to be sampled. The diagonal of S_yx is 0: some of
its eigenvalues are negative.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jssl.data.checks import require_count
from jssl.data.moments import Moments, require_no_overflow
from jssl.errors import InputError, shown
from jssl.host_arithmetic import host_float64, host_value
from jssl.keys import require_key
from jssl.types import Array, Pairs


def masked_pairs(x: Array, patch: int = 2, kept: int | None = None) -> Callable[[Array], Pairs]:
    """Return the sampler that draws a mask for each image: (visible part, hidden part).

    Example:
        >>> images = jnp.ones((5, 4, 4, 1))
        >>> pairs = masked_pairs(images, patch=2, kept=1)(jax.random.key(0))
        >>> print(pairs.first.sum((1, 2, 3)), bool((pairs.first + pairs.second == images).all()))
        [4. 4. 4. 4. 4.] True

    Args:
        x: (n, height, width, channels) floating-point images.
        patch: side of a patch in pixels, static; it divides height and width.
        kept: number of patches in the context, static, 1 to the number of patches minus 1; None for
            half of them.

    Returns:
        `sampler(key) -> Pairs` of the shape of x.

    Raises:
        InputError: for images or patches that do not fit, images that are not finite, or a mask
            that leaves no context or no target.
    """
    dtype = getattr(x, "dtype", None)
    if dtype is None or np.ndim(x) != 4 or not jnp.issubdtype(dtype, jnp.floating):
        found = shown(x) if dtype is None else f"{np.shape(x)} of {dtype}"
        message = f"masks need float images (n, height, width, channels); got {found}"
        raise InputError(message)
    if not all(x.shape):
        message = f"masks need images (n, height, width, channels), none of them 0; got {x.shape}"
        raise InputError(message)
    known = host_value(x)
    if known is not None:
        _require_finite(known)
    rows, columns, kept = _sizes(x.shape[1:3], patch, kept)

    def mask(key: Array) -> Array:
        order = jax.random.permutation(key, rows * columns)
        grid = (order < kept).reshape(rows, columns)
        return jnp.repeat(jnp.repeat(grid, patch, 0), patch, 1)[..., None]

    def sampler(key: Array) -> Pairs:
        require_key(key)
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(len(x)))
        visible = jax.vmap(mask)(keys)
        return Pairs(jnp.where(visible, x, 0), jnp.where(visible, 0, x))

    return sampler


def masked_moments(x: Any, patch: int = 2, kept: int | None = None) -> Moments:
    """Return the exact moments of `masked_pairs` over all masks, on the host.

    Example:
        >>> moments = masked_moments(np.ones((5, 4, 4, 1)), patch=2, kept=2)
        >>> moments.context[0, :3].round(4).tolist(), moments.cross[0, :3].round(4).tolist()
        ([0.5, 0.5, 0.1667], [0.0, 0.0, 0.3333])

    Args:
        x: (n, height, width, channels) images; subtract their mean image first.
        patch: side of a patch in pixels.
        kept: number of patches in the context; None for half of them.

    Returns:
        Moments of the flattened pixels, (m, m) each.

    Raises:
        InputError: as `masked_pairs`, or for moments that exceed the largest number of float64.
    """
    x = host_float64("x", x)
    _require_finite(x)
    if x.ndim != 4 or not all(x.shape):
        message = f"masks need images (n, height, width, channels), none of them 0; got {x.shape}"
        raise InputError(message)
    rows, columns, kept = _sizes(x.shape[1:3], patch, kept)
    count = rows * columns
    grid = np.arange(count).reshape(rows, columns)
    of_pixels = np.repeat(np.repeat(grid, patch, 0), patch, 1)
    labels = np.repeat(of_pixels.ravel(), x.shape[3])
    same = labels[:, None] == labels
    flat = x.reshape(len(x), -1)
    with np.errstate(over="ignore", invalid="ignore"):
        pixels = flat.T @ flat / len(flat)
    require_no_overflow("the images", pixels)
    pairs = count * (count - 1)
    hidden = count - kept
    return Moments(
        pixels * np.where(same, kept / count, kept * (kept - 1) / pairs),
        pixels * np.where(same, 0.0, kept * hidden / pairs),
        pixels * np.where(same, hidden / count, hidden * (hidden - 1) / pairs),
    )


def _require_finite(x: np.ndarray) -> None:
    if not np.isfinite(x).all():
        message = "x has values that are not finite; drop or repair those images"
        raise InputError(message)


def _sizes(shape: tuple[int, ...], patch: int, kept: int | None) -> tuple[int, int, int]:
    """Return rows and columns of patches and the number that is kept."""
    patch = require_count("patch", patch)
    if any(side % patch for side in shape):
        message = f"patch {patch} must divide both sides of the image, {shape[0]} x {shape[1]}"
        raise InputError(message)
    rows, columns = (side // patch for side in shape)
    if rows * columns < 2:
        message = (
            f"one patch of {patch} pixels covers the image, which leaves no target; use a smaller "
            "patch"
        )
        raise InputError(message)
    most = rows * columns - 1
    if kept is None:
        return rows, columns, rows * columns // 2
    if isinstance(kept, int) and not 1 <= kept <= most:
        left = "context" if kept < 1 else "target"
        message = (
            f"the mask leaves no {left}: kept must be from 1 to {most} of {most + 1} patches; "
            f"got {kept}"
        )
        raise InputError(message)
    return rows, columns, require_count("kept", kept, high=most)
