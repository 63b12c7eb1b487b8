"""The collapse verdict on embeddings: without outlier coordinates and rows, which are named."""

from typing import Any, NamedTuple

import numpy as np

from jssl.data.chunks import strips
from jssl.diagnosis.outliers import (
    Outliers,
    far_coordinates,
    far_rows,
    moments_without,
)
from jssl.diagnosis.spectra import Spectrum, above_rounding
from jssl.diagnosis.views import unit
from jssl.formulas.moments import Moments, gram_spectrum
from jssl.formulas.ranks import entropy_rank
from jssl.formulas.verdict import KINDS, Thresholds, Verdict, one_direction, verdict


class Judgement(NamedTuple):
    """A verdict, what it is about, and what was named and left out of it.

    Attributes:
        verdict: on the rows and coordinates that are no outliers.
        outliers: named coordinates, rows and dead units.
        effective_rank: of the same rows and coordinates.
        points: number of these rows.
        dim: number of these coordinates.
    """

    verdict: Verdict
    outliers: Outliers
    effective_rank: float
    points: int
    dim: int


def judge(z: Any, spectrum: Spectrum, chosen: np.ndarray, thresholds: Thresholds) -> Judgement:
    """Return the verdict on embeddings whose spectrum is known.

    Example:
        >>> from jssl.diagnosis.spectra import spectrum_of
        >>> z = np.random.default_rng(0).normal(size=(200, 8))
        >>> z[:, 3] += 2000
        >>> judged = judge(z, spectrum_of(z), np.arange(200), Thresholds())
        >>> int(judged.verdict.kind), judged.outliers.coordinates.tolist()
        (0, [3])

    Args:
        z: (n, dim) array or memory map; a pass over it finds rows that are outliers.
        spectrum: of z.
        chosen: numbers of the rows from which the mean cosine is computed.
        thresholds: of the verdict.
    """
    far = far_rows(z, spectrum.mean, spectrum.scan)
    if len(z) - len(far) < 3:
        far = far[:0]
    if spectrum.moments is not None:
        of_rows = moments_without(z, far) if len(far) else spectrum.moments
        judged = judge_moments(of_rows, thresholds, far)
    else:
        judged = _judge_few(z, spectrum, far, thresholds)
    near = np.setdiff1d(chosen, far)
    if not len(near):
        return judged
    return with_sample(judged, z if len(near) == len(z) else z[near], thresholds)


def with_sample(judged: Judgement, sample: Any, thresholds: Thresholds) -> Judgement:
    """Return a judgement that also knows the spread of the rows' directions, from some rows.

    Args:
        judged: from moments.
        sample: (rows, dim), all coordinates, no rows that are outliers.
        thresholds: of the verdict.
    """
    kept = np.setdiff1d(np.arange(sample.shape[1]), judged.outliers.coordinates)
    few = sample if len(kept) == sample.shape[1] else sample[:, kept]
    spread = directional_spread(few)
    return judged._replace(verdict=with_directions(judged.verdict, spread, thresholds))


def directional_spread(z: Any) -> float:
    """Return 1 less the mean cosine of two rows; NaN where all rows are zero.

    For rows u_i of length 1 it is the mean of |u_i - mean u|^2, summed from one of them.

    Example:
        >>> round(directional_spread(np.array([[1.0, 0.0], [5.0, 0.1], [0.0, 0.0]])), 4)
        0.0001

    Args:
        z: (n, dim). Rows of zeros have no direction and take no part.
    """
    first, total, square, count = None, np.zeros(z.shape[1]), 0.0, 0
    for _, part in strips(z):
        u = unit(part)
        u = u[u.any(1)]
        if len(u):
            first = u[0].copy() if first is None else first  # u is overwritten
            u -= first
            total += u.sum(0)
            square += float(np.vecdot(u, u).sum())
            count += len(u)
    return max(square - float(total @ total) / count, 0) / count if count else float("nan")


def with_directions(seen: Verdict, directional: float, thresholds: Thresholds) -> Verdict:
    """Return a verdict that also knows the spread of the rows' directions."""
    seen = seen._replace(directional=np.asarray(directional))
    if int(seen.kind) != KINDS.index("undefined") and one_direction(seen, thresholds):
        seen = seen._replace(kind=np.asarray(KINDS.index("complete")))
    return seen


def judge_moments(
    of_rows: Moments, thresholds: Thresholds, far: np.ndarray | None = None
) -> Judgement:
    """Return the verdict from moments alone.

    Example:
        >>> from jssl.formulas.moments import moments
        >>> z = np.random.default_rng(0).normal(size=(200, 8))
        >>> int(judge_moments(moments(z), Thresholds()).verdict.kind)
        0

    Args:
        of_rows: moments of n rows.
        thresholds: of the verdict.
        far: numbers of rows that were left out of the moments as outliers.
    """
    covariance, mean = of_rows.covariance, of_rows.mean
    variances = np.diag(covariance)
    found, offset = far_coordinates(mean, variances)
    kept = np.setdiff1d(np.arange(len(mean)), found)
    values = np.linalg.eigvalsh(covariance[np.ix_(kept, kept)])[::-1]
    square = float(variances[kept].sum() + np.square(mean[kept]).sum())
    outliers = Outliers(found, offset, _none(far), np.flatnonzero(variances == 0))
    return _judgement(values, square, of_rows.points, len(kept), outliers, thresholds)


def _judge_few(z: Any, spectrum: Spectrum, far: np.ndarray, thresholds: Thresholds) -> Judgement:
    """Return the verdict on fewer rows than columns, from the Gram matrix of the rows."""
    few = np.delete(np.asarray(z, np.float64), far, axis=0)
    mean, variances = few.mean(0), few.var(0)
    variances = np.where((few == few[:1]).all(0), 0, variances)
    found, offset = far_coordinates(mean, variances)
    kept = np.setdiff1d(np.arange(len(mean)), found)
    if len(found) or len(far):
        values = gram_spectrum(few[:, kept], mean[kept])
        square = float(np.square(few[:, kept]).sum() / len(few))
    else:
        values, square = spectrum.eigenvalues, spectrum.mean_square
    outliers = Outliers(found, offset, _none(far), np.flatnonzero(variances == 0))
    return _judgement(values, square, len(few), len(kept), outliers, thresholds)


def _judgement(
    values: np.ndarray,
    square: float,
    points: int,
    dim: int,
    outliers: Outliers,
    thresholds: Thresholds,
) -> Judgement:
    values = above_rounding(values, points, dim, square)
    seen = verdict(values, np.asarray(square), points, thresholds, np)
    rank = float(entropy_rank(np.sqrt(values), False, np))
    return Judgement(seen, outliers, rank, points, dim)


def _none(far: np.ndarray | None) -> np.ndarray:
    return np.zeros(0, int) if far is None else far
