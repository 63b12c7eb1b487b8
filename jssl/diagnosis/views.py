"""What second views of the same samples show: alignment, LiDAR, and whether the rows match."""

from typing import NamedTuple

import numpy as np

from jssl.data.chunks import rows
from jssl.diagnosis.spectra import Reading, Spectrum
from jssl.formulas.lidar import lidar
from jssl.formulas.moments import cross_scatter, moments

_LIDAR_RIDGE = 1e-4
_LIDAR_MOST = 4096
_SURE = 4.0
_EQUAL = 1e-12


class Pairs(NamedTuple):
    """Squared distances of unit rows, of pairs and of all other combinations of rows.

    Attributes:
        apart: mean over pairs (i, i).
        error: its standard error.
        shuffled: mean over i != j.
        matched: whether pairs are closer than others beyond sampling noise.
    """

    apart: float
    error: float
    shuffled: float
    matched: bool


def compare(z: np.ndarray, second: np.ndarray) -> Pairs:
    """Return how far views of one sample are apart, and those of two samples.

    Example:
        >>> seen = compare(np.eye(9), np.eye(9)[::-1])
        >>> print(round(seen.apart, 2), round(seen.shuffled, 2), seen.matched)
        1.78 1.78 False

    Rows count as matched where the mean over pairs is four standard errors below that over all
    other combinations, 2 - 2 (sum_i u_i . sum_j v_j - sum_i u_i . v_i) / (n (n - 1)) for rows of
    length 1, or is 0.
    """
    n, dim = z.shape
    apart, lengths, inner = np.zeros(n), 0.0, 0.0
    sums = np.zeros((2, dim))
    for start, part in rows(z):
        end = start + len(part)
        u, v = unit(part), unit(np.asarray(second[start:end], np.float64))
        apart[start:end] = np.square(u - v).sum(1)
        lengths += float(np.sum(u**2) + np.sum(v**2))
        inner += float(np.sum(u * v))
        sums += np.stack([u.sum(0), v.sum(0)])
    mean, error = float(apart.mean()), float(apart.std() / np.sqrt(max(n - 1, 1)))
    shuffled = lengths / n - 2 * (float(sums[0] @ sums[1]) - inner) / (n * (n - 1))
    noise = max(_SURE * error, _EQUAL)
    return Pairs(mean, error, shuffled, bool(mean < shuffled - noise or mean < _EQUAL))


def view_readings(
    whole: Spectrum, z: np.ndarray, second: np.ndarray, seen: Pairs
) -> tuple[list[Reading], list[str]]:
    """Return alignment and LiDAR of matching views, and what to know."""
    n = len(z)
    span = "0 to 4, about 2 for unrelated views"
    found = [
        Reading(
            "alignment",
            seen.apart,
            seen.error,
            f"{span}; {seen.shuffled:.4g} for views of other rows",
            "low, unless uniformity is near 0",
            "arXiv 2005.10242",
            n,
        )
    ]
    known = []
    if seen.apart < _EQUAL <= seen.shuffled:
        known.append(
            "the views equal the embeddings up to length: give embeddings of other augmentations of"
            " the samples"
        )
    if not seen.matched:
        return found, [
            "LiDAR was left out: the rows of the views do not match those of the embeddings"
        ]
    if whole.moments is None or z.shape[1] > _LIDAR_MOST:
        known.append(
            f"LiDAR was left out: it needs more rows than columns, and at most {_LIDAR_MOST:,}"
        )
        return found, known
    return [*found, _lidar(whole, z, second)], known


def view_sentence(seen: Pairs, lidar: Reading | None) -> str:
    """Return alignment and LiDAR as a sentence, or that rows do not match."""
    told = f"{seen.apart:.3f} ± {seen.error:.2g} apart (squared, 2 for unrelated"
    if not seen.matched:
        return (
            "The rows of the views do not match those of the embeddings: row i of both are "
            f"{told}), rows i and j {seen.shuffled:.3f}. Give both in the same order of samples; "
            "if they are, the encoder does not tell samples apart beyond its views."
        )
    more = "" if lidar is None else f"; LiDAR {lidar.value:.4g}"
    return f"Views of one sample are {told}){more}."


def _lidar(whole: Spectrum, z: np.ndarray, second: np.ndarray) -> Reading:
    of_first, of_second, n = whole.moments, moments(second), len(z)
    assert of_first is not None
    cross = cross_scatter(z, second, of_first.mean, of_second.mean)
    step, both = of_first.mean - of_second.mean, of_first.scatter + of_second.scatter
    between = (both + cross + cross.T) / (4 * n)
    within = (both - cross - cross.T) / (4 * n) + np.outer(step, step) / 4
    size = np.trace(between + within) / z.shape[1]
    value = 0.0
    if size > 0:
        value = float(lidar(between, within, _LIDAR_RIDGE * size, _solve_lower, np))
    span = f"0, or 1 to {min(n - 1, z.shape[1])}"
    good = "high: so many dimensions tell samples apart beyond what views do"
    return Reading("LiDAR", value, float("nan"), span, good, "arXiv 2312.04000", n)


def _solve_lower(factor: np.ndarray, b: np.ndarray) -> np.ndarray:
    from scipy.linalg import solve_triangular  # imported late: it takes a third of a second

    return solve_triangular(factor, b, lower=True)


def unit(z: np.ndarray) -> np.ndarray:
    """Return rows of length one; a row of zeros stays zero.

    Example:
        >>> unit(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
        [[0.6, 0.8], [0.0, 0.0]]
    """
    norm = np.linalg.norm(z, axis=1, keepdims=True)
    return z / np.where(norm > 0, norm, 1)
