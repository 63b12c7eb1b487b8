"""The numbers that describe the sums of a monitor, and whether they show a collapse."""

from typing import NamedTuple

import numpy as np

from jssl.formulas.moments import Moments
from jssl.formulas.ranks import entropy_rank, participation_ratio, power_law
from jssl.formulas.sphere import host_uniformity
from jssl.formulas.verdict import KINDS
from jssl.monitor.judged import Judged, judged
from jssl.monitor.sums import Sums, usable

LEAST = 8
"""Rows that a verdict needs.

Of an encoder whose rows share 98 % of their mean square, two rows are a complete collapse in 30 to
45 of 100 draws, and eight rows in at most 2.
"""


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

    Fewer than two rows have no variance: their ranks are NaN. Fewer than `LEAST` have ranks, but
    their verdict is undefined.

    Args:
        sums: float64.
        sample: (rows, dim) of the last batch, for the uniformity and the directions.
    """
    rows = float(sums.weight**2 / sums.squares) if sums.weight > 0 else 0.0
    if round(rows) < 2 or not np.isfinite(sums.within).all():
        return Seen(_without_ranks(sums, rows), "undefined", "fewer than two usable rows")
    sample = sample.astype(np.float64)
    sample = sample[usable(sample, np)]
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
    return Seen(metrics | _alignment(sums), KINDS[worst.kind], worst.sentence)


def _worst(sums: Sums, rows: float, sample: np.ndarray) -> Judged:
    """Return the worse verdict of all rows together, and of those within their batches."""

    def moments(scatter: np.ndarray, count: int) -> Moments:
        return Moments(count, sums.mean, scatter * (count / float(sums.weight)))

    together = judged(moments(sums.within + sums.between, round(rows)), sample)
    if round(rows) < LEAST:
        few = f"fewer than {LEAST} rows say too little"
        return together._replace(kind=KINDS.index("undefined"), sentence=few)
    free = round(rows * float(sums.freedom / sums.weight)) + 1
    if free < LEAST:
        return together
    inside = judged(moments(sums.within, free), sample)
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


def _alignment(sums: Sums) -> dict[str, float]:
    """Return the alignment and the number of rows without a usable view, where views were given."""
    single = float(sums.single)
    if not (single or sums.pairs > 0):
        return {}
    mean = float(sums.apart / sums.pairs) if sums.pairs > 0 else float("nan")
    return {"alignment": mean, "views_not_finite": single}


def _without_ranks(sums: Sums, rows: float) -> dict[str, float]:
    names = ("effective_rank", "rankme", "participation_ratio", "alpha", "leading_share", "rank")
    unknown = dict.fromkeys((*names, "spread", "drift", "uniformity"), float("nan"))
    counts = {"rows": rows, "rows_not_finite": float(sums.refused)}
    undefined = {"collapse": float(KINDS.index("undefined"))}
    return counts | unknown | undefined | _alignment(sums)
