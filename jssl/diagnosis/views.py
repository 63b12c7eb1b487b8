"""Metrics of second views of the same samples: alignment, LiDAR, and whether the rows match."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jssl.data.chunks import rows
from jssl.diagnosis.spectra import Metric, Spectrum
from jssl.formulas.lidar import RIDGE, lidar

ENOUGH = 5
"""Views of a sample below which LiDAR has a caveat."""

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


def compare_all(z: np.ndarray, others: Sequence[np.ndarray]) -> ViewDistances | None:
    """Return the mean distances over all further views; None without views.

    Views match where those of every further view do. The error is that of the least exact one.

    Args:
        z: (n, dim).
        others: (n, dim) each.
    """
    every = [compare(z, other) for other in others]
    if not every:
        return None
    return ViewDistances(
        float(np.mean([each.paired for each in every])),
        max(each.error for each in every),
        float(np.mean([each.unpaired for each in every])),
        all(each.matched for each in every),
    )


def view_metrics(
    spectrum: Spectrum, z: np.ndarray, others: Sequence[np.ndarray], distances: ViewDistances
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
    count = 1 + len(others)
    if count < ENOUGH:
        caveats.append(
            f"LiDAR was computed from {count} views of each sample. With few views, a dimension of "
            f"noise counts nearly as much as one that separates samples: pass {ENOUGH - 1} or more "
            "further views, and do not rank encoders by LiDAR alone."
        )
    return [alignment, _lidar(z, others)], caveats


def view_sentence(distances: ViewDistances, lidar_metric: Metric | None) -> str:
    """Return alignment and LiDAR as a sentence, or that the rows do not match."""
    mean = f"{distances.paired:z.3f} ± {distances.error:.2g}"
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


def _lidar(z: np.ndarray, others: Sequence[np.ndarray]) -> Metric:
    n, dim = z.shape
    within, between, middle = np.zeros((dim, dim)), np.zeros((dim, dim)), np.zeros(dim)
    origin = np.asarray(z[0], np.float64)
    for start, part in rows(z):
        end = start + len(part)
        more = [np.asarray(other[start:end], np.float64) for other in others]
        clouds = np.stack([part, *more], axis=1) - origin
        means = clouds.mean(1)
        noise = (clouds - means[:, None]).reshape(-1, dim)
        within += noise.T @ noise / (1 + len(others)) / n
        between += means.T @ means / n
        middle += means.sum(0) / n
    between -= np.outer(middle, middle)
    return Metric(
        name="LiDAR",
        value=float(lidar(between, within, RIDGE, np)),
        error=float("nan"),
        rows=n,
        range=f"0, or 1 to {min(n - 1, dim)}",
        good="high: many dimensions distinguish samples better than views",
        meaning="effective rank of the covariance between samples, in units of the covariance "
        f"between views of a sample and a ridge of {RIDGE:g} of the mean variance; "
        f"{1 + len(others)} views",
        source="arXiv 2312.04000",
    )


def unit(z: np.ndarray) -> np.ndarray:
    """Return rows scaled to length 1; a row of zeros is unchanged.

    Example:
        >>> unit(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
        [[0.6, 0.8], [0.0, 0.0]]
    """
    norm = np.linalg.norm(z, axis=1, keepdims=True)
    return z / np.where(norm > 0, norm, 1)
