"""The exact spectrum of embeddings, from one pass over the rows."""

from typing import NamedTuple

import numpy as np

from jssl.data.chunks import rows
from jssl.formulas.moments import Moments, Scan, gram_spectrum, scan


class Metric(NamedTuple):
    """A number that describes embeddings, with what is needed to judge it.

    Attributes:
        name: of the metric.
        value: the number.
        error: its standard error; NaN where the value is exact for these rows.
        rows: number of rows from which it was computed.
        range: the possible range, in words.
        good: which values are good, in words.
        meaning: its definition, in words.
        source: the paper or library that defines it; empty for a standard quantity.
    """

    name: str
    value: float
    error: float
    rows: int
    range: str
    good: str
    meaning: str
    source: str = ""


class Spectrum(NamedTuple):
    """The spectrum of embeddings, from one pass over the rows.

    Attributes:
        moments: number, mean and scatter; None for fewer rows than columns.
        mean: (dim,) of the rows.
        eigenvalues: of the covariance, descending, min(n, dim) of them.
        uncentred: of the second moment.
        mean_square: mean |z|^2.
        scan: what the pass gave; None for fewer rows than columns.
    """

    moments: Moments | None
    mean: np.ndarray
    eigenvalues: np.ndarray
    uncentred: np.ndarray
    mean_square: float
    scan: Scan | None = None


def spectrum_of(z: np.ndarray, scanned: Scan | None = None) -> Spectrum:
    """Return the spectrum of rows of embeddings, exactly, in float64.

    Args:
        z: (n, dim).
        scanned: of z, where the pass over the rows was already made.
    """
    n, dim = z.shape
    if n >= dim:
        scanned = scanned or scan(z)
        of_rows = scanned.moments
        size = float(np.trace(of_rows.second_moment))
        values, uncentred = (
            np.linalg.eigvalsh(m)[::-1] for m in (of_rows.covariance, of_rows.second_moment)
        )
        mean = of_rows.mean
    else:
        of_rows, mean = None, np.asarray(np.mean(z, axis=0, dtype=np.float64))
        size = float(sum(np.sum(part**2) for _, part in rows(z)) / n)
        values, uncentred = gram_spectrum(z, mean), gram_spectrum(z, np.zeros(dim))
    noise = max(n, dim) * np.finfo(float).eps * max(uncentred[0], 0)
    uncentred = np.where(uncentred > noise, uncentred, 0)
    values = above_rounding(values, n, dim, size)
    return Spectrum(of_rows, mean, values, uncentred, size, scanned)


def above_rounding(values: np.ndarray, n: int, dim: int, mean_square: float) -> np.ndarray:
    """Return eigenvalues, with 0 for those below the rounding error of the matrix and of the mean.

    Example:
        >>> above_rounding(np.array([1.0, 1e-17]), 10, 2, 1.0).tolist()
        [1.0, 0.0]

    Args:
        values: eigenvalues of a covariance, descending.
        n: number of rows.
        dim: number of columns.
        mean_square: mean squared length of the rows.
    """
    epsilon = np.finfo(float).eps
    largest = max(values[0], 0) if len(values) else 0
    floor = max(n, dim) * epsilon * (largest + epsilon * mean_square)
    return np.where(values > floor, values, 0)
