"""The exact spectrum of embeddings, from one pass over the rows, and the collapse verdict."""

from typing import NamedTuple

import numpy as np

from jssl.data.chunks import rows
from jssl.formulas.moments import Moments, gram_spectrum, moments
from jssl.formulas.verdict import Verdict, verdict

CONSTANT = 1e-4
"""A collapse is complete where the variance is at most this share of the mean square."""


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
        eigenvalues: of the covariance, descending, min(n, dim) of them.
        uncentred: of the second moment.
        mean_square: mean |z|^2.
        constant: number of columns with the same value in every row.
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
        of_rows = moments(z)
        size = float(np.trace(of_rows.second_moment))
        values, uncentred = (
            np.linalg.eigvalsh(m)[::-1] for m in (of_rows.covariance, of_rows.second_moment)
        )
        constant = int((np.diag(of_rows.scatter) == 0).sum())
    else:
        of_rows, mean = None, np.asarray(np.mean(z, axis=0, dtype=np.float64))
        size = float(sum(np.sum(part**2) for _, part in rows(z)) / n)
        values, uncentred = gram_spectrum(z, mean), gram_spectrum(z, np.zeros(dim))
        constant = int((z == z[:1]).all(0).sum())
    # An eigenvalue of zero comes out as large as the rounding errors of the matrix and of the mean.
    epsilon = np.finfo(float).eps
    floor = max(n, dim) * epsilon * max(values[0], 0) + epsilon**2 * max(n, dim) * size
    kept = np.where(values > floor, values, 0)
    noise = max(n, dim) * epsilon * max(uncentred[0], 0)
    return Spectrum(of_rows, kept, np.where(uncentred > noise, uncentred, 0), size, constant)


def verdict_of(spectrum: Spectrum, count: int, tolerance: float) -> Verdict:
    """Return the collapse verdict on a spectrum of `count` rows."""
    square = np.asarray(spectrum.mean_square)
    return verdict(spectrum.eigenvalues, square, count, tolerance, CONSTANT, np)
