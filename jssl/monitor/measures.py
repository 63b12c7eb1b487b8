"""The numbers that describe the sums of a monitor, and whether they show a collapse."""

from typing import Any, NamedTuple

import numpy as np

from jssl.formulas.moments import Moments
from jssl.formulas.ranks import entropy_rank, participation_ratio, power_law
from jssl.formulas.sphere import host_uniformity
from jssl.formulas.verdict import KINDS
from jssl.monitor.judged import Judged, judged
from jssl.monitor.sums import Sums


class Seen(NamedTuple):
    """What a monitor has seen.

    Attributes:
        metrics: name -> number.
        kind: of collapse, one of `jssl.diagnostics.KINDS`.
        sentence: why, with its numbers.
    """

    metrics: dict[str, float]
    kind: str
    sentence: str


def measure(sums: Sums, sample: np.ndarray) -> Seen:
    """Return the metrics of sums on the host.

    Example:
        >>> from jssl.monitor.sums import of_batch
        >>> z = np.random.default_rng(0).normal(size=(500, 3))
        >>> seen = measure(of_batch(z, None, np), z[:9])
        >>> seen.kind, round(seen.metrics["effective_rank"])
        ('none', 3)

    The ranks are those of all rows together, as `jssl.diagnose` computes them. The collapse is the
    worse one of all rows together and of the rows within a batch about the batch's mean: the
    embeddings of a collapsed encoder that still moves differ between batches only.

    Args:
        sums: float64.
        sample: (rows, dim) of the last batch, for the uniformity.
    """
    nothing = not (sums.weight > 0 and np.isfinite(sums.within).all())
    if nothing:
        return Seen(_without_rows(sums), "undefined", "no row has finite values only")
    sample = sample[np.isfinite(sample).all(1)]
    rows = float(sums.weight**2 / sums.squares)
    scatter = sums.within + sums.between
    second = scatter / sums.weight + np.outer(sums.mean, sums.mean)
    square = float(np.trace(second))
    values = _eigenvalues(scatter / sums.weight, rows, square)
    uncentred = _eigenvalues(second, rows, square)
    total, law = values.sum(), power_law(values, 1, len(values), np)
    worst = _worst(sums, rows, sample)
    metrics = {
        "rows": rows,
        "rows_not_finite": float(sums.refused),
        "effective_rank": float(entropy_rank(np.sqrt(values), False, np)),
        "rankme": float(entropy_rank(np.sqrt(uncentred), False, np)),
        "participation_ratio": float(participation_ratio(values, np)),
        "alpha": float(law.exponent),
        "leading_share": float(values[0] / total) if total > 0 else 1.0,
        "rank": worst.rank,
        "spread": worst.spread,
        "drift": float(np.trace(sums.between) / np.trace(scatter)) if total > 0 else 0.0,
        "uniformity": _uniformity(sample),
        "collapse": float(worst.kind),
    }
    if sums.pairs > 0:
        metrics["alignment"] = float(sums.apart / sums.pairs)
    return Seen(metrics, KINDS[worst.kind], worst.sentence)


def _worst(sums: Sums, rows: float, sample: np.ndarray) -> Judged:
    """Return the worse verdict of all rows together, and of those within their batches."""

    def moments(scatter: np.ndarray, count: float) -> Moments:
        points = max(round(count), 2)
        return Moments(points, sums.mean, scatter * (points / float(sums.weight)))

    together = judged(moments(sums.within + sums.between, rows), sample)
    if not sums.freedom > 0:
        return together
    inside = judged(moments(sums.within, rows * float(sums.freedom / sums.weight) + 1), sample)
    return inside if inside.kind > together.kind else together


def _eigenvalues(matrix: np.ndarray, rows: float, square: float) -> np.ndarray:
    """Return eigenvalues, descending; those below the rounding error of the sums are 0."""
    values = np.linalg.eigvalsh(matrix)[::-1]
    size, epsilon = max(rows, len(matrix)), np.finfo(float).eps
    floor = size * epsilon * max(values[0], 0) + epsilon**2 * size * square
    return np.where(values > floor, values, 0)


def _uniformity(sample: np.ndarray) -> float:
    if len(sample) < 2:
        return float("nan")
    size = np.abs(sample).max(1, keepdims=True)
    scaled = sample / np.where(size > 0, size, 1)
    length = np.linalg.norm(scaled, axis=1, keepdims=True)
    return float(host_uniformity(scaled / np.where(length > 0, length, 1)).value)


def _without_rows(sums: Sums) -> dict[str, Any]:
    names = ("effective_rank", "rankme", "participation_ratio", "alpha", "leading_share", "rank")
    unknown = dict.fromkeys((*names, "spread", "drift", "uniformity"), float("nan"))
    counts = {"rows": 0.0, "rows_not_finite": float(sums.refused)}
    return counts | unknown | {"collapse": float(KINDS.index("undefined"))}
