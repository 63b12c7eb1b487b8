"""Single coordinates and rows that dominate the second moment, and units that never change.

A coordinate whose mean or scale is far above all others decides every spectral quantity, though the
other coordinates may be healthy: large language models and vision transformers have them ("massive
activations", Sun et al. 2024, arXiv 2402.17762). The same holds for a row. Both are named, and the
verdict is about the others.

A few coordinates are outliers where their mean square is `FAR` times the median one and `GAP` times
the largest of the others. The gap separates them from a spectrum that decreases steadily along
the axes. The same thresholds hold for the squared distances of rows from the mean.
"""

from typing import Any, NamedTuple

import numpy as np

from jssl.data.chunks import rows
from jssl.formulas.moments import Moments, Scan, moments

FAR, GAP = 100.0, 10.0
"""Mean square of an outlier in units of the median and of the largest of the others."""

_PASSES = 8  # over rows some of which are outliers, to find others beside them
_MARGIN = 1e-6  # for the rounding of sums of squares

MOST = 0.02
"""The largest share of coordinates, or of rows, that are outliers (one is always allowed)."""

MOST_OFFSETS = 0.125
"""The largest share of coordinates whose mean is large and whose variance is not.

A collapse leaves variance in few coordinates and takes it from the others. A large mean does not.
"""


LEAST = 16
"""Coordinates from which on one with a much larger variance is an outlier beside the others.

Of fewer, it is one of few directions that have the variance.
"""


class Outliers(NamedTuple):
    """What dominates the second moment, and what is constant.

    Attributes:
        coordinates: their numbers, from 0.
        offset: for each, whether its mean and not its variance is large.
        rows: numbers of the rows, from 0.
        dead: numbers of the coordinates that have one value in every row.
    """

    coordinates: np.ndarray
    offset: np.ndarray
    rows: np.ndarray
    dead: np.ndarray


def few_far(sizes: np.ndarray, share: float = MOST) -> np.ndarray:
    """Return the positions of the few sizes that are far above all others, sorted.

    Example:
        >>> few_far(np.array([1.0, 2.0, 5000.0, 0.0, 1.0])).tolist()
        [2]
        >>> few_far(1 / np.arange(1, 100.0) ** 2).tolist()
        []

    Args:
        sizes: (n,) not negative; zeros take no part.
        share: of the sizes, the most that are few; one is always allowed.
    """
    living = np.flatnonzero(sizes > 0)
    most = max(1, int(share * len(sizes)))
    if len(living) < 3:
        return living[:0]
    order = living[np.argsort(sizes[living])[::-1]]
    ranked = sizes[order]
    largest = min(most, len(order) - 2)
    gaps = ranked[:largest] >= GAP * ranked[1 : largest + 1]
    far = ranked[:largest] >= FAR * np.median(ranked)
    counts = np.flatnonzero(gaps & far)
    return np.sort(order[: counts[-1] + 1]) if len(counts) else living[:0]


def far_coordinates(means: np.ndarray, variances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the outlier coordinates, and for each whether it is its mean that is large.

    At most `MOST` of them have a large variance, and at most `MOST_OFFSETS` only a large mean.

    Example:
        >>> far_coordinates(np.array([0.0, 0.1, 90.0, 0.0]), np.array([1.0, 2.0, 1.0, 3.0]))
        (array([2]), array([ True]))

    Args:
        means: (dim,).
        variances: (dim,).
    """
    by_variance = few_far(variances) if len(variances) >= LEAST else np.zeros(0, int)
    rest = np.setdiff1d(np.arange(len(means)), by_variance)
    squares = means[rest] ** 2 + variances[rest]
    offsets = few_far(squares, MOST_OFFSETS)
    large = variances[rest] >= GAP * np.median(variances[rest])
    if large[offsets].any():
        one_is_left = len(variances) >= LEAST and not len(by_variance)
        offsets = few_far(squares) if one_is_left else offsets[~large[offsets]]
    found = np.union1d(by_variance, rest[offsets]).astype(int)
    return found, means[found] ** 2 > variances[found]


def far_rows(z: Any, mean: np.ndarray, scanned: Scan | None = None) -> np.ndarray:
    """Return the positions of the rows that are far above all others, sorted.

    Example:
        >>> far_rows(np.array([[0.0], [1.0], [-1.0], [900.0]]), np.array([225.0])).tolist()
        []
        >>> z = np.append(np.random.default_rng(0).normal(size=500), 900)[:, None]
        >>> far_rows(z, z.mean(0)).tolist()
        [500]

    Far rows move the mean, which hides others that are less far. So the distances are computed
    again from the mean of the other rows, until the same rows are found.

    Args:
        z: (n, dim) array or memory map.
        mean: (dim,) of the rows.
        scanned: of z; where it already shows that no row is far, z is not read.
    """
    if scanned is not None and _all_near(scanned):
        return np.zeros(0, int)
    far = few_far(distances_from(z, mean))
    for _ in range(_PASSES if len(far) else 0):
        before, far = far, few_far(distances_from(z, moments_without(z, far).mean))
        if np.array_equal(before, far):
            break
    return far


def _all_near(scanned: Scan) -> bool:
    """Return whether squared distances from the origin show that no row is far from the mean.

    With s_i = |z_i - origin| and t = |mean - origin|, the distance of a row from the mean is
    between s_i - t and s_i + t. No row is `FAR` times the median squared distance away where more
    than half of the rows have s_i - t > (max s + t) / sqrt(FAR).
    """
    apart = float(np.linalg.norm(scanned.moments.mean - scanned.origin))
    least = apart + (float(np.sqrt(scanned.sizes.max())) + apart) / np.sqrt(FAR)
    above = np.count_nonzero(scanned.sizes > (1 + _MARGIN) * least**2)
    return bool(2 * above > len(scanned.sizes))


def distances_from(z: Any, mean: np.ndarray) -> np.ndarray:
    """Return |z_i - mean|^2 of every row, in chunks.

    Example:
        >>> distances_from(np.array([[0.0, 0.0], [3.0, 4.0]]), np.zeros(2)).tolist()
        [0.0, 25.0]
    """
    return np.concatenate([np.square(part - mean).sum(1) for _, part in rows(z)])


def moments_without(z: Any, dropped: np.ndarray) -> Moments:
    """Return the moments of all rows but some, from the stretches between them.

    Example:
        >>> moments_without(np.array([[1.0], [90.0], [3.0]]), np.array([1])).mean.tolist()
        [2.0]

    Args:
        z: (n, dim) array or memory map.
        dropped: numbers of the rows left out, ascending.
    """
    ends = [*dropped.tolist(), len(z)]
    starts = [0, *(dropped + 1).tolist()]
    parts = [moments(z[a:b]) for a, b in zip(starts, ends, strict=True) if b > a]
    whole = parts[0]
    for part in parts[1:]:
        count = whole.points + part.points
        step = part.mean - whole.mean
        scatter = whole.scatter + part.scatter
        scatter = scatter + np.outer(step * (whole.points * part.points / count), step)
        whole = Moments(count, whole.mean + step * (part.points / count), scatter)
    return whole
