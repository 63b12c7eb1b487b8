"""One pass over embeddings: their spectrum, exactly, and the verdict on it."""

from typing import NamedTuple

import numpy as np

from jssl.data.chunks import rows
from jssl.formulas.moments import Moments, gram_spectrum, moments
from jssl.formulas.verdict import Verdict, verdict

CONSTANT = 1e-4
"""A collapse is complete where the variance is at most this share of the mean square."""


class Reading(NamedTuple):
    """One figure with what is needed to judge it.

    Attributes:
        name: of the quantity.
        value: the number.
        error: its standard error; NaN where it is exact for these rows.
        span: the range it can have, in words.
        good: what a good value is, in words.
        source: the paper.
        points: rows it was computed on.
    """

    name: str
    value: float
    error: float
    span: str
    good: str
    source: str
    points: int


class Spectrum(NamedTuple):
    """What one pass over the rows gives.

    Attributes:
        moments: number, mean and scatter; None for fewer rows than columns.
        eigenvalues: of the covariance, descending, min(n, dim) of them.
        uncentred: of the second moment.
        mean_square: mean |z|^2.
        constant: number of columns that never change.
    """

    moments: Moments | None
    eigenvalues: np.ndarray
    uncentred: np.ndarray
    mean_square: float
    constant: int


def spectrum_of(z: np.ndarray) -> Spectrum:
    """Return the spectrum of rows of embeddings, exactly, in float64."""
    n, dim = z.shape
    if n >= dim:
        seen = moments(z)
        size = float(np.trace(seen.second_moment))
        values, uncentred = (
            np.linalg.eigvalsh(m)[::-1] for m in (seen.covariance, seen.second_moment)
        )
        still = int((np.diag(seen.scatter) == 0).sum())
    else:
        seen, mean = None, np.asarray(np.mean(z, axis=0, dtype=np.float64))
        size = float(sum(np.sum(part**2) for _, part in rows(z)) / n)
        values, uncentred = gram_spectrum(z, mean), gram_spectrum(z, np.zeros(dim))
        still = int((z == z[:1]).all(0).sum())
    # What rounding leaves of an eigenvalue of zero: that of the matrix, and that of the mean.
    epsilon = np.finfo(float).eps
    floor = max(n, dim) * epsilon * max(values[0], 0) + epsilon**2 * max(n, dim) * size
    kept = np.where(values > floor, values, 0)
    noise = max(n, dim) * epsilon * max(uncentred[0], 0)
    return Spectrum(seen, kept, np.where(uncentred > noise, uncentred, 0), size, still)


def verdict_of(whole: Spectrum, count: int, tolerance: float) -> Verdict:
    """Return the verdict on a spectrum of so many rows."""
    square = np.asarray(whole.mean_square)
    return verdict(whole.eigenvalues, square, count, tolerance, CONSTANT, np)
