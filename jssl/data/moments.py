"""Second moments of two views, context and target, and pairs that have given moments.

    S_x = E[x x^T],   S_yx = E[y x^T],   S_y = E[y y^T]

A linear encoder under a quadratic loss depends on its data through these alone.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl.data.pairs import check_pairs, flatten
from jssl.errors import InputError, shown
from jssl.host_arithmetic import host_float64
from jssl.types import Pairs


class Moments(NamedTuple):
    """Second moments of context x and target y.

    Attributes:
        context: (m, m) S_x, positive semi-definite.
        cross: (m, m) S_yx.
        target: (m, m) S_y, or None where it is not known.
    """

    context: np.ndarray
    cross: np.ndarray
    target: np.ndarray | None = None


def require_moments(moments: Any) -> None:
    """Raise unless the argument has the fields of `Moments`; their values are not checked.

    Example:
        >>> require_moments(None)
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: moments must be jssl.data.moments.Moments(context, cross); got None

    Raises:
        InputError: for anything else.
    """
    if not all(hasattr(moments, name) for name in Moments._fields):
        message = f"moments must be jssl.data.moments.Moments(context, cross); got {shown(moments)}"
        raise InputError(message)


def require_no_overflow(name: str, *matrices: np.ndarray) -> None:
    """Raise if a moment of finite values exceeds the largest number of float64.

    Example:
        >>> require_no_overflow("the images", np.array([np.inf]))
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: the second moments of the images exceed the largest number of ...

    Raises:
        InputError: for values that are not finite.
    """
    if not all(np.isfinite(matrix).all() for matrix in matrices):
        message = (
            f"the second moments of {name} exceed the largest number of float64; divide {name} by "
            "their size first"
        )
        raise InputError(message)


def pair_moments(pairs: Pairs) -> Moments:
    """Return the moments of pairs whose loss is averaged over both directions.

    Example:
        >>> moments = pair_moments(Pairs(np.eye(2), np.eye(2)[::-1].copy()))
        >>> moments.context.tolist(), moments.cross.tolist()
        ([[0.5, 0.0], [0.0, 0.5]], [[0.0, 0.5], [0.5, 0.0]])

    Each view is the context once and the target once, so S_x = S_y is the mean of the second
    moments of both views and S_yx is the symmetrised cross moment. Nothing is centred.

    Args:
        pairs: n pairs of any shape; samples are flattened to m features.

    Raises:
        InputError: for pairs that do not match, are not finite, or whose moments are not.
    """
    if not all(hasattr(pairs, name) for name in Pairs._fields):
        message = f"pairs must be jssl.Pairs(first, second); got {shown(pairs)}"
        raise InputError(message)
    for name, view in zip(Pairs._fields[:2], pairs, strict=False):
        if not hasattr(view, "dtype"):
            message = f"pairs.{name} must be an array (n, ...); got {shown(view)}"
            raise InputError(message)
    first, second = (np.asarray(x, float) for x in flatten(check_pairs(pairs))[:2])
    with np.errstate(over="ignore", invalid="ignore"):
        own = (first.T @ first + second.T @ second) / (2 * len(first))
        cross = second.T @ first / len(first)
        cross = (cross + cross.T) / 2
    require_no_overflow("the pairs", own, cross)
    return Moments(own, cross, own)


def pairs_with_moments(moments: Moments) -> Pairs:
    """Return 2m pairs (context, target) whose sample moments are exactly the given ones.

    Example:
        >>> pairs = pairs_with_moments(Moments(np.eye(1), np.eye(1) / 2, np.eye(1)))
        >>> print((pairs.first.T @ pairs.second / 2).round(6))
        [[0.5]]

    Training a linear encoder on them is training on the population, without sampling noise.

    Args:
        moments: all three; [[S_x, S_yx^T], [S_yx, S_y]] is positive semi-definite.

    Returns:
        Pairs of shape (2m, m) in JAX's default float.

    Raises:
        InputError: without a target moment, for shapes that do not match, for values that are not
            finite real numbers, or for moments that no two views have together.
    """
    require_moments(moments)
    if moments.target is None:
        message = "pairs need the target moment as well; pass Moments(context, cross, target)"
        raise InputError(message)
    fields = [(name, getattr(moments, name)) for name in Moments._fields]
    context, cross, target = (host_float64(name, value) for name, value in fields)
    m = len(context) if context.ndim else 0
    if not context.shape == cross.shape == target.shape == (m, m) or not m:
        message = (
            f"the moments must all be (m, m); got {context.shape}, {cross.shape} and {target.shape}"
        )
        raise InputError(message)
    for (name, given), matrix in zip(fields, (context, cross, target), strict=True):
        if not np.isfinite(matrix).all():
            message = f"{name} has values that are not finite; drop or repair them"
            raise InputError(message)
        if name != "cross":
            _require_symmetric(name, given, matrix)
    values, vectors = np.linalg.eigh(np.block([[context, cross.T], [cross, target]]))
    if not values[0] >= -1e-9 * values[-1]:
        message = (
            "no two views have these moments together: their joint moment must be positive "
            f"semi-definite, and its least eigenvalue is {values[0]:.3g}"
        )
        raise InputError(message)
    rows = (np.sqrt(2 * m) * np.sqrt(np.maximum(values, 0)))[:, None] * vectors.T
    working = np.finfo(jax.dtypes.canonicalize_dtype(np.float64))
    if not np.abs(rows).max() <= working.max:
        message = (
            f"pairs with these moments exceed {working.max:.1e}, the largest number of "
            f"{working.dtype}; divide the moments by their size, or work inside "
            "jssl.precision.float64()"
        )
        raise InputError(message)
    return Pairs(jnp.asarray(rows[:, :m]), jnp.asarray(rows[:, m:]))


def _require_symmetric(name: str, given: Any, matrix: np.ndarray) -> None:
    """Raise unless a matrix is symmetric up to rounding in the dtype in which it is given."""
    single = getattr(given, "dtype", None) == np.float32
    dtype = np.float32 if single else jax.dtypes.canonicalize_dtype(np.float64)
    asymmetry = 2 * np.abs(matrix / 2 - matrix.T / 2).max()
    if asymmetry > 1e3 * np.finfo(dtype).eps * np.abs(matrix).max():
        message = (
            f"{name} must be symmetric, as second moments of one view are; it differs from its "
            f"transpose by {asymmetry:.3g}"
        )
        raise InputError(message)
