"""Metrics of second views of the same samples: alignment, LiDAR, and whether the rows match."""

from typing import NamedTuple

import numpy as np

from jssl.data.chunks import rows
from jssl.diagnosis.spectra import Metric, Spectrum
from jssl.formulas.lidar import lidar
from jssl.formulas.moments import cross_scatter, moments

_LIDAR_RIDGE = 1e-4
_LIDAR_MOST = 4096
_SURE = 4.0
_EQUAL = 1e-12


class ViewDistances(NamedTuple):
    """Mean squared distances between rows of length 1, of views of the same and of other samples.

    Attributes:
        paired: mean over pairs (i, i).
        error: its standard error.
        unpaired: mean over i != j.
        matched: whether pairs are closer than the other combinations beyond sampling noise.
    """

    paired: float
    error: float
    unpaired: float
    matched: bool


def compare(z: np.ndarray, second: np.ndarray) -> ViewDistances:
    """Return the mean distances between views of one sample, and between those of two samples.

    Example:
        >>> distances = compare(np.eye(9), np.eye(9)[::-1])
        >>> print(round(distances.paired, 2), round(distances.unpaired, 2), distances.matched)
        1.78 1.78 False

    Rows count as matched where the mean over pairs is four standard errors below that over all
    other combinations, 2 - 2 (sum_i u_i . sum_j v_j - sum_i u_i . v_i) / (n (n - 1)) for rows of
    length 1, or is 0.
    """
    n, dim = z.shape
    paired, lengths, inner = np.zeros(n), 0.0, 0.0
    sums = np.zeros((2, dim))
    for start, part in rows(z):
        end = start + len(part)
        u, v = unit(part), unit(np.asarray(second[start:end], np.float64))
        paired[start:end] = np.square(u - v).sum(1)
        lengths += float(np.sum(u**2) + np.sum(v**2))
        inner += float(np.sum(u * v))
        sums += np.stack([u.sum(0), v.sum(0)])
    mean, error = float(paired.mean()), float(paired.std() / np.sqrt(max(n - 1, 1)))
    unpaired = lengths / n - 2 * (float(sums[0] @ sums[1]) - inner) / (n * (n - 1))
    noise = max(_SURE * error, _EQUAL)
    matched = bool(mean < unpaired - noise or mean < _EQUAL)
    return ViewDistances(mean, error, unpaired, matched)


def view_metrics(
    spectrum: Spectrum, z: np.ndarray, second: np.ndarray, distances: ViewDistances
) -> tuple[list[Metric], list[str]]:
    """Return alignment, and LiDAR where the rows match, with their caveats."""
    alignment = Metric(
        name="alignment",
        value=distances.paired,
        error=distances.error,
        rows=len(z),
        range="0 to 4; about 2 for unrelated views; "
        f"{distances.unpaired:.4g} for views of other rows",
        good="low, unless uniformity is near 0",
        meaning="mean squared distance between the views of a sample, scaled to length 1",
        source="arXiv 2005.10242",
    )
    if not distances.matched:
        return [alignment], [
            "LiDAR was left out: the rows of the views do not match those of the embeddings."
        ]
    caveats = []
    if distances.paired < _EQUAL <= distances.unpaired:
        caveats.append(
            "The views equal the embeddings up to their length. Pass embeddings of other "
            "augmentations of the samples as views."
        )
    if spectrum.moments is None or z.shape[1] > _LIDAR_MOST:
        caveats.append(
            "LiDAR was left out: it needs at least as many rows as columns, and at most "
            f"{_LIDAR_MOST:,} columns."
        )
        return [alignment], caveats
    return [alignment, _lidar(spectrum, z, second)], caveats


def view_sentence(distances: ViewDistances, lidar_metric: Metric | None) -> str:
    """Return alignment and LiDAR as a sentence, or that the rows do not match."""
    mean = f"{distances.paired:.3f} ± {distances.error:.2g}"
    if not distances.matched:
        return (
            "The rows of the views do not match those of the embeddings: the mean squared "
            f"distance (2 for unrelated views) is {mean} between rows i of both, and "
            f"{distances.unpaired:.3f} between rows i and j. Pass both in the same order of "
            "samples. If the order is the same, the encoder does not distinguish samples better "
            "than it distinguishes views."
        )
    more = "" if lidar_metric is None else f" LiDAR is {lidar_metric.value:.4g}."
    return (
        "The mean squared distance between views of one sample is "
        f"{mean} (2 for unrelated views).{more}"
    )


def _lidar(spectrum: Spectrum, z: np.ndarray, second: np.ndarray) -> Metric:
    of_first, of_second, n = spectrum.moments, moments(second), len(z)
    assert of_first is not None
    cross = cross_scatter(z, second, of_first.mean, of_second.mean)
    step, both = of_first.mean - of_second.mean, of_first.scatter + of_second.scatter
    between = (both + cross + cross.T) / (4 * n)
    within = (both - cross - cross.T) / (4 * n) + np.outer(step, step) / 4
    size = np.trace(between + within) / z.shape[1]
    value = 0.0
    if size > 0:
        value = float(lidar(between, within, _LIDAR_RIDGE * size, _solve_lower, np))
    return Metric(
        name="LiDAR",
        value=value,
        error=float("nan"),
        rows=n,
        range=f"0, or 1 to {min(n - 1, z.shape[1])}",
        good="high: many dimensions distinguish samples better than views",
        meaning="effective rank of the covariance between samples, in units of the covariance "
        "between views of a sample",
        source="arXiv 2312.04000",
    )


def _solve_lower(factor: np.ndarray, b: np.ndarray) -> np.ndarray:
    from scipy.linalg import (
        solve_triangular,
    )  # imported here because the import takes a third of a second

    return solve_triangular(factor, b, lower=True)


def unit(z: np.ndarray) -> np.ndarray:
    """Return rows scaled to length 1; a row of zeros is unchanged.

    Example:
        >>> unit(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
        [[0.6, 0.8], [0.0, 0.0]]
    """
    norm = np.linalg.norm(z, axis=1, keepdims=True)
    return z / np.where(norm > 0, norm, 1)
