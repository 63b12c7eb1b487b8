r"""Weighted moments of batches of rows, merged exactly: arrays of NumPy, JAX or PyTorch.

Batch b has w_b rows with the mean m_b. With the total weight W and the mean m of all rows,

    within  = sum_b sum_i (z_bi - m_b)(z_bi - m_b)^T
    between = sum_b w_b (m_b - m)(m_b - m)^T
    within + between = sum_bi (z_bi - m)(z_bi - m)^T

Batches are merged as Chan, Golub and LeVeque (1983) do, so that a large mean causes no loss of
accuracy. Where an encoder changes during training, its mean moves from batch to batch: this adds to
`between` only, and `within` still shows that all rows of a batch are equal.
"""

from typing import Any, NamedTuple

from jssl.data.array_files import LARGEST


class Sums(NamedTuple):
    """Weighted sums over rows. A row of the last batch has the weight 1.

    Attributes:
        weight: () sum of the weights.
        squares: () sum of the squared weights.
        freedom: () `weight` without the weight of one row of each batch.
        mean: (dim,).
        within: (dim, dim) scatter about the mean of each batch.
        between: (dim, dim) scatter of the means of the batches.
        refused: () rows that are not `usable`. They are left out.
        apart: () sum of the squared distances between views of a row, scaled to length 1.
        pairs: () sum of the weights of the rows with a second view.
        single: () rows that are `usable` and whose second view is not.
    """

    weight: Any
    squares: Any
    freedom: Any
    mean: Any
    within: Any
    between: Any
    refused: Any
    apart: Any
    pairs: Any
    single: Any


def of_batch(z: Any, views: Any, xp: Any) -> Sums:
    """Return the sums of one batch.

    Example:
        >>> import numpy as np
        >>> sums = of_batch(np.array([[1.0], [3.0], [np.nan]]), None, np)
        >>> float(sums.weight), sums.mean.tolist(), sums.within.tolist(), float(sums.refused)
        (2.0, [2.0], [[2.0]], 1.0)

    Args:
        z: (n, dim) floating point.
        views: (n, dim) second views of the same rows, or None.
        xp: `numpy`, `jax.numpy` or `torch`.
    """
    one = xp.ones_like(z[:, 0])
    known = usable(z, xp)
    weight = (one * known).sum()
    unit = xp.where(weight > 0, weight, 1.0)
    mean = xp.where(known[:, None], z, 0.0).sum(0) / unit
    centred = xp.where(known[:, None], z - mean, 0.0)
    apart = pairs = single = 0 * weight
    if views is not None:
        both = known & usable(views, xp)
        first, second = (_unit(xp.where(both[:, None], rows, 0.0), xp) for rows in (z, views))
        apart, pairs = ((first - second) ** 2).sum(), (one * both).sum()
        single = weight - pairs
    return Sums(
        weight=weight,
        squares=weight,
        freedom=xp.where(weight > 0, weight - 1, 0.0),
        mean=mean,
        within=centred.T @ centred,
        between=0 * mean[:, None] * mean,
        refused=one.sum() - weight,
        apart=apart,
        pairs=pairs,
        single=single,
    )


def usable(z: Any, xp: Any) -> Any:
    """Return (n,) whether the values of each row are finite and their powers fit in float64.

    Rows of zeros are usable. Otherwise the largest absolute value is at most `LARGEST` and at least
    its inverse, as `jssl.diagnose` asks of all rows together; only float64 can leave this range.

    Example:
        >>> import numpy as np
        >>> rows = np.array([[1.0, 1e-99], [0, 0], [np.nan, 1], [1e99, 1], [1e-99, 0]])
        >>> usable(rows, np).tolist()
        [True, True, False, False, False]

    Args:
        z: (n, dim) floating point.
        xp: `numpy`, `jax.numpy` or `torch`.
    """
    size = xp.abs(z)
    tiny = (size < 1 / LARGEST).all(1) & (size > 0).any(1)
    return (size <= LARGEST).all(1) & ~tiny


def merged(a: Sums, b: Sums, factor: float, xp: Any) -> Sums:
    """Return the sums over the rows of both, those of `a` with their weights times a factor.

    Example:
        >>> import numpy as np
        >>> one, two = (of_batch(np.array(z), None, np) for z in ([[1.0], [3.0]], [[5.0]]))
        >>> both = merged(one, two, 1.0, np)
        >>> both.mean.tolist(), (both.within + both.between).tolist()
        ([3.0], [[8.0]])

    Args:
        a: sums of the earlier rows.
        b: sums of the later rows.
        factor: in [0, 1]; 1 for equal weights.
        xp: `numpy`, `jax.numpy` or `torch`.
    """
    before = factor * a.weight
    weight = before + b.weight
    share = b.weight / xp.where(weight > 0, weight, 1.0)
    step = b.mean - a.mean
    return Sums(
        weight=weight,
        squares=factor**2 * a.squares + b.squares,
        freedom=factor * a.freedom + b.freedom,
        mean=a.mean + share * step,
        within=factor * a.within + b.within,
        between=factor * a.between + b.between + (before * share) * (step[:, None] * step),
        refused=a.refused + b.refused,
        apart=factor * a.apart + b.apart,
        pairs=factor * a.pairs + b.pairs,
        single=a.single + b.single,
    )


def _unit(rows: Any, xp: Any) -> Any:
    """Return rows scaled to length 1; a row of zeros is unchanged."""
    length = ((rows**2).sum(1) ** 0.5)[:, None]
    return rows / xp.where(length > 0, length, 1.0)
