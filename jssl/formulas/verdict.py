"""Has an encoder collapsed? `jssl.diagnostics.verdict` has the definitions."""

from typing import Any, NamedTuple

KINDS = ("none", "dimensional", "complete", "undefined")
"""Names of `Verdict.kind`."""


class Verdict(NamedTuple):
    """Which collapse, and by how much.

    Attributes:
        kind: (...) 0 to 3: an index of `KINDS`; 3, undefined, where a value is not finite.
        rank: (...) dimensions above the tolerance; 0 for a complete collapse, -1 if undefined.
        possible: how many there can be, min(n - 1, dim).
        spread: (...) variance as a share of the mean square, in [0, 1]; NaN if undefined.
    """

    kind: Any
    rank: Any
    possible: int
    spread: Any


def verdict(
    eigenvalues: Any, mean_square: Any, points: int, tolerance: float, constant: float, xp: Any
) -> Verdict:
    """Return whether embeddings have collapsed, as `diagnostics.collapse_verdict`.

    Example:
        >>> import numpy as np
        >>> seen = verdict(np.array([1.0, 0.5, 0.0]), np.array(2.0), 100, 1e-6, 1e-4, np)
        >>> KINDS[int(seen.kind)], int(seen.rank)
        ('dimensional', 2)

    Args:
        eigenvalues: (..., dim) of the covariance, descending.
        mean_square: (...) mean |z|^2, not centred.
        points: n, two or more.
        tolerance: share of the largest variance at which a dimension counts as lost.
        constant: share of the mean square at which a collapse is complete.
        xp: `numpy` or `jax.numpy`.
    """
    possible = min(points - 1, eigenvalues.shape[-1])
    known = xp.isfinite(eigenvalues).all(-1) & xp.isfinite(mean_square)
    top = xp.max(xp.abs(eigenvalues), -1)
    unit = xp.where(top == 0, 1, top)  # sums of shares of it do not overflow
    shares = eigenvalues / unit[..., None]
    variance = xp.sum(xp.maximum(shares, 0), -1)
    square = xp.maximum(mean_square.astype(eigenvalues.dtype) / unit, variance)
    spread = variance / xp.where(square == 0, 1, square)
    complete = spread <= constant
    rank = xp.where(complete, 0, xp.sum(shares > tolerance, -1))
    kind = xp.where(complete, 2, xp.where(rank < possible, 1, 0))
    return Verdict(
        xp.where(known, kind, KINDS.index("undefined")),
        xp.where(known, rank, -1),
        possible,
        xp.where(known, spread, xp.nan),
    )
