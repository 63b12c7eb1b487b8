"""Rank correlations of label-free metrics with the accuracy of a linear probe, over encoders."""

from typing import Any

import numpy as np
from scipy.stats import kendalltau, spearmanr

from jssl.diagnosis.views import unit
from jssl.formulas.lidar import lidar
from jssl.formulas.ranks import entropy_rank, participation_ratio, power_law
from jssl.formulas.sphere import host_uniformity

SAMPLES = 800
DRAWS = 1000

METRICS = {
    "RankMe": 1,
    "effective rank": 1,
    "participation ratio": 1,
    "alpha-ReQ, -|alpha - 1|": 1,
    "uniformity": -1,
    "alignment + uniformity": -1,
    "LiDAR, 2 views, ridge 1e-4 of the variance": 1,
    "LiDAR, 10 views, ridge 1e-4 of the variance": 1,
    "LiDAR, 10 views, ridge 1e-4": 1,
    "LiDAR, 10 views of 100 samples, ridge 1e-4 of the variance": 1,
    "LiDAR, 10 views, ridge 0.1 of the variance": 1,
    "LiDAR less its noise, 10 views, ridge 1e-4 of the variance": 1,
    "same-sample retrieval": 1,
}
"""Name -> sign with which a metric should rise with the accuracy."""


def metrics_of(z: np.ndarray, views: np.ndarray) -> dict[str, float]:
    """Return the label-free metrics of embeddings (n, dim) and of views (samples, views, dim)."""
    views = np.asarray(views, np.float64)
    values = np.linalg.svd(z - z.mean(0), compute_uv=False)
    alpha = float(power_law(values**2, 1, len(values), np).exponent)
    uniformity = float(host_uniformity(unit(z[:SAMPLES])).value)
    apart = float(np.square(unit(views[:, 0]) - unit(views[:, 1])).sum(1).mean())
    named = list(METRICS)
    found = [
        float(entropy_rank(np.linalg.svd(z, compute_uv=False), False, np)),
        float(entropy_rank(values, False, np)),
        float(participation_ratio(values**2, np)),
        -abs(alpha - 1),
        uniformity,
        apart + uniformity,
        of_views(views[:, :2], 1e-4, relative=True),
        of_views(views, 1e-4, relative=True),
        of_views(views, 1e-4, relative=False),
        of_views(views[:100], 1e-4, relative=True),
        of_views(views, 0.1, relative=True),
        of_views(views, 1e-4, relative=True, unbiased=True),
        retrieval(views),
    ]
    return dict(zip(named, found, strict=True))


def of_views(views: np.ndarray, ridge: float, *, relative: bool, unbiased: bool = False) -> float:
    """Return LiDAR; `unbiased` subtracts what views leave in the means of samples."""
    samples, count, dim = views.shape
    means = views.mean(1)
    noise = (views - means[:, None]).reshape(-1, dim)
    apart = means - means.mean(0)
    between, within = apart.T @ apart / samples, noise.T @ noise / len(noise)
    size = np.trace(between + within) / dim
    if unbiased:
        values, vectors = np.linalg.eigh(between - within / (count - 1))
        between = (vectors * np.maximum(values, 0)) @ vectors.T
    if size <= 0:
        return 1.0
    left = np.trace(between + within) / dim
    scaled = (ridge * size if relative else ridge) / left if left > 0 else ridge
    return float(lidar(between, within, np.asarray(scaled), np))


def retrieval(views: np.ndarray) -> float:
    """Return how often the nearest second view of a first view is of the same sample (cosine)."""
    similar = unit(views[:, 0]) @ unit(views[:, 1]).T
    return float(np.mean(similar.argmax(1) == np.arange(len(views))))


def correlations(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return for each metric both rank correlations with the linear probe, and 95 % intervals.

    Encoders are ranked among those of their own architecture, which have the same data and the same
    dimensions, and the correlations are averaged over architectures. Ranked together, a metric that
    differs between architectures as their accuracies do would seem to rank the encoders. The
    bootstrap draws architectures with replacement, 1,000 times.
    """
    names = sorted({row["architecture"] for row in rows})
    draws = np.random.default_rng(0).integers(0, len(names), (DRAWS, len(names)))
    found = []
    for metric, sign in METRICS.items():
        each = np.array([_of_one([r for r in rows if r["architecture"] == n], metric, sign)
                         for n in names])  # fmt: skip
        spearman, kendall = each.mean(0)
        low, high = np.quantile(each[draws, 0].mean(1), [0.025, 0.975])
        found.append(
            {
                "metric": metric,
                "spearman": float(spearman),
                "low": float(low),
                "high": float(high),
                "kendall": float(kendall),
                "least": float(each[:, 0].min()),
            }
        )
    return found


def _of_one(rows: list[dict[str, Any]], metric: str, sign: int) -> tuple[float, float]:
    """Return both rank correlations of the encoders of one architecture; NaN ranks last."""
    values = sign * np.array([row[metric] for row in rows], float)
    values = np.where(np.isnan(values), np.nanmin(values) - 1, values)
    accuracy = [row["accuracy"]["linear"] for row in rows]
    return spearmanr(values, accuracy).statistic, kendalltau(values, accuracy).statistic
