r"""Whether the rows of two arrays belong to the same samples, in the same order.

Two arrays of embeddings are compared by linear CKA with the unbiased HSIC, in chunks of rows
(`jssl.formulas.similarity` has the formula). It is 0 on average for rows that do not correspond,
with a standard deviation of at most sqrt(2) / n. For rows that do, the standard error is that of
the linear term in the rows (the influence of row i on HSIC is
2 sum_j (A_i . A_j)(B_i . B_j) / n). Its variance counts that of the quadratic term twice (Efron and
Stein 1981), which is subtracted.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jssl.data.chunks import rows
from jssl.formulas.moments import cross_scatter
from jssl.formulas.similarity import unbiased_hsic

SURE = 4.0
"""Number of standard errors above 0 at which rows count as corresponding."""

LEAST = 8
"""Rows from which on it is known whether checkpoints hold the same samples."""

_COLUMNS = 4096


class Prepared(NamedTuple):
    """Embeddings with the quantities that their CKA with others needs.

    Attributes:
        z: (n, dim).
        mean: (dim,).
        own: (n,) squared norms of the centred rows.
        hsic: unbiased HSIC with itself, times n (n - 3); NaN for fewer than four rows and for a
            constant.
    """

    z: np.ndarray
    mean: np.ndarray
    own: np.ndarray
    hsic: float


def prepare(z: np.ndarray) -> Prepared:
    """Return embeddings (n, dim) with the quantities that `debiased_cka` needs."""
    n = len(z)
    mean = sum(part.sum(0) for _, part in rows(z)) / n
    own = np.concatenate([np.square(part - mean).sum(1) for _, part in rows(z)])
    size = sum(np.square(part).sum() for _, part in rows(z))
    alone = Prepared(z, mean, own, float("nan"))
    rounding = 4 * max(z.shape) * np.finfo(float).eps
    if n < 4 or own.sum() <= rounding**2 * size:
        return alone
    hsic = _hsic(alone, alone)
    return alone._replace(hsic=hsic if hsic > rounding * own.sum() ** 2 else float("nan"))


def debiased_cka(a: Prepared, b: Prepared) -> float:
    """Return the linear CKA with the unbiased HSIC, in [-1, 1].

    Example:
        >>> z = np.random.default_rng(0).normal(size=(50, 3))
        >>> print(round(debiased_cka(prepare(z), prepare(3 - z)), 6))
        1.0

    NaN for other numbers of rows, fewer than four, and a constant embedding.
    """
    if len(a.z) != len(b.z) or not np.isfinite(a.hsic * b.hsic):
        return float("nan")
    return float(np.clip(_hsic(a, b) / np.sqrt(a.hsic) / np.sqrt(b.hsic), -1, 1))


def debiased_cka_error(a: Prepared, b: Prepared) -> float:
    """Return the standard error of `debiased_cka` over draws of the rows; NaN where that is.

    Example:
        >>> z = np.random.default_rng(0).normal(size=(50, 3))
        >>> print(round(debiased_cka_error(prepare(z), prepare(3 - z)), 6))
        0.0
    """
    value, n = debiased_cka(a, b), len(a.z)
    if not np.isfinite(value):
        return float("nan")
    both, first, second = (_influence(*pair) for pair in ((a, b), (a, a), (b, b)))
    size = np.sqrt(first.mean()) * np.sqrt(second.mean())
    if not size > 0:
        return float("nan")
    linear = 2 * both / size - value * (first / first.mean() + second / second.mean())
    quadratic = 2 * (1 - value**2) ** 2 / n**2
    variance = float(np.var(linear)) / n
    return float(np.sqrt(max(variance - quadratic, variance / 2)))


def rows_correspond(similarities: Sequence[float], count: int) -> bool | None:
    """Return whether consecutive checkpoints hold the same samples; None where it is unknown.

    Of fewer than `LEAST` rows it is unknown: the debiased CKA of equal rows can be 0 or negative.

    Example:
        >>> rows_correspond([0.9, 0.8], 100), rows_correspond([0.01, -0.01], 100)
        (True, False)

    Args:
        similarities: debiased CKA of neighbouring checkpoints; those not finite are left out.
        count: rows of each.
    """
    known = np.asarray(similarities)[np.isfinite(similarities)]
    if not len(known) or count < LEAST:
        return None
    return bool(known.mean() > SURE * np.sqrt(2 / len(known)) / count)


def _hsic(a: Prepared, b: Prepared) -> float:
    n = len(a.z)
    if n >= max(a.z.shape[1], b.z.shape[1]):
        cross = float(np.square(cross_scatter(a.z, b.z, a.mean, b.mean)).sum())
    else:
        first = _gram(a)
        cross = float(np.sum(first * (first if b.z is a.z else _gram(b))))
    return float(n**2 * unbiased_hsic(cross / n**2, a.own, b.own, np))


def _influence(a: Prepared, b: Prepared) -> np.ndarray:
    """Return sum_{j != i} (A_i . A_j)(B_i . B_j) / (n - 1) for every row i."""
    n = len(a.z)
    if n >= max(a.z.shape[1], b.z.shape[1]):
        cross = cross_scatter(a.z, b.z, a.mean, b.mean)
        parts = []
        for start, part in rows(a.z):
            other = np.asarray(b.z[start : start + len(part)], np.float64) - b.mean
            parts.append(np.sum(((part - a.mean) @ cross) * other, 1))
        whole = np.concatenate(parts)
    else:
        first = _gram(a)
        whole = np.sum(first * (first if b.z is a.z else _gram(b)), 1)
    return np.asarray((whole - a.own * b.own) / (n - 1))


def _gram(a: Prepared) -> np.ndarray:
    gram = np.zeros((len(a.z),) * 2)
    for start in range(0, a.z.shape[1], _COLUMNS):
        columns = slice(start, start + _COLUMNS)
        part = np.asarray(a.z[:, columns], np.float64) - a.mean[columns]
        gram += part @ part.T
    return gram
