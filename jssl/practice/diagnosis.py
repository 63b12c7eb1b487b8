"""What an encoder has learned, read from its embeddings: ranks, collapse, views, labels, steps.

Spectrum, ranks and alignment are exact over all rows, in one pass of chunks; what compares all
pairs of rows (uniformity, neighbours) uses a stated random sample and carries its standard error.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jssl.data.checks import require_count, require_range
from jssl.diagnostics import (
    Verdict,
    alpha_req,
    cross_scatter,
    entropy_rank,
    knn_probe,
    lidar_from_covariances,
    moments,
    participation_ratio,
    ridge_probe,
    uniformity,
)
from jssl.diagnostics.streaming import rows
from jssl.errors import InputError
from jssl.practice.arrays import check_embeddings, check_labels, to_numpy
from jssl.practice.checkpoints import Course, follow
from jssl.practice.spectra import CONSTANT, Reading, Spectrum, spectrum_of, verdict_of
from jssl.practice.telling import remarks, words
from jssl.precision import float64

SAMPLE = 10_000
"""Rows of the random sample on which pairs of rows are compared."""

TOLERANCE = 1e-6
_LIDAR_RIDGE = 1e-4
_LIDAR_MOST = 4096


class Diagnosis(NamedTuple):
    """What was found, in numbers and in words.

    Attributes:
        verdict: which collapse: `KINDS[int(verdict.kind)]`.
        readings: name -> Reading, in the order in which they are told.
        eigenvalues: (min(n, dim),) of the covariance, descending, float64.
        course: the same over checkpoints; None where none were given.
        words: the reading, the answer first.
        remarks: what to know about it.
        settings: rows, dimensions, sample, seed, thresholds.
    """

    verdict: Verdict
    readings: Mapping[str, Reading]
    eigenvalues: np.ndarray
    course: Course | None
    words: tuple[str, ...]
    remarks: tuple[str, ...]
    settings: Mapping[str, Any]


def diagnose(
    embeddings: Any,
    labels: Any = None,
    views: Any = None,
    over: Sequence[Any] | Mapping[str, Any] | None = None,
    *,
    seed: int = 0,
    exact: bool = False,
    neighbours: int = 20,
    tolerance: float = TOLERANCE,
) -> Diagnosis:
    """Read embeddings: which dimensions are there, whether they collapsed, what they tell apart.

    Example:
        >>> from jssl.diagnostics import KINDS
        >>> rng = np.random.default_rng(0)
        >>> z = rng.normal(size=(200, 4)) * np.array([1.0, 1.0, 1.0, 0.0])
        >>> seen = diagnose(z)
        >>> KINDS[int(seen.verdict.kind)], int(seen.verdict.rank)
        ('dimensional', 3)

    Args:
        embeddings: (n, dim) of NumPy, JAX or PyTorch; a memory map is read in chunks.
        labels: (n,) classes, integers or strings, for the two probes.
        views: (n, dim) embeddings of second views of the same samples, for alignment and LiDAR.
        over: embeddings at checkpoints in the order of training, of one dimension; names are
            step numbers where given and numeric. For the steps of the spectrum.
        seed: of the random sample and of the split of the probes, 0 or more.
        exact: compare all pairs of rows, in blocks, instead of a sample's.
        neighbours: k of the nearest-neighbour probe.
        tolerance: share of the largest variance at which a dimension counts as lost.

    Returns:
        Diagnosis.

    Raises:
        InputError: for arrays of another rank or dtype, rows that are not finite (how many, where),
            labels or views that do not fit, and a checkpoint that does any of these.
    """
    seed = require_count("seed", seed, low=0, high=2**32 - 1)
    require_count("neighbours", neighbours)
    require_range("tolerance", tolerance, 0, 0.5)
    z = check_embeddings("embeddings", to_numpy("embeddings", embeddings))
    second = None if views is None else _views(z, to_numpy("views", views))
    classes = None if labels is None else check_labels(to_numpy("labels", labels), len(z))
    with float64():
        whole = spectrum_of(z)
        verdict = verdict_of(whole, len(z), tolerance)
        found = _ranks(whole, z)
        known = remarks(whole, z)
        if second is not None:
            found += _pairs(whole, z, second, known)
        draws = np.random.default_rng(seed)
        chosen = _sample(draws, len(z), exact)
        found += _spread(z, chosen)
        if classes is not None:
            found += _probes(draws, z, classes, chosen, neighbours, known)
        course = None if over is None else follow(over, z.shape[1], tolerance)
    readings = {reading.name: reading for reading in found}
    settings = {
        "rows": len(z),
        "dimensions": z.shape[1],
        "dtype": str(z.dtype),
        "rows compared pair by pair": len(chosen),
        "seed": seed,
        "a dimension is lost at a variance of": f"{tolerance:g} x the largest",
        "collapse is complete at a variance of": f"{CONSTANT:g} x the mean square",
    }
    told = words(z, verdict, readings, tolerance)
    if course is not None:
        told += course.words
        known += course.remarks
    return Diagnosis(
        verdict, readings, whole.eigenvalues, course, tuple(told), tuple(known), settings
    )


def _views(z: np.ndarray, second: np.ndarray) -> np.ndarray:
    if second.shape != z.shape:
        message = f"views must be {z.shape} like the embeddings, row by row; got {second.shape}"
        raise InputError(message)
    return check_embeddings("views", second)


def _sample(draws: np.random.Generator, count: int, exact: bool) -> np.ndarray:
    if exact or count <= SAMPLE:
        return np.arange(count)
    return np.sort(draws.choice(count, SAMPLE, replace=False))


def _ranks(whole: Spectrum, z: np.ndarray) -> list[Reading]:
    n, dim = z.shape
    values = jnp.asarray(whole.eigenvalues)
    law = alpha_req(values)
    high = f"{min(n - 1, dim)} at most; the more, the more dimensions carry variance"
    top = f"0, or 1 to {min(n - 1, dim)}"
    return [
        _exact("effective rank", entropy_rank(jnp.sqrt(values)), top, high, "Roy 2007", n),
        _exact(
            "RankMe",
            entropy_rank(jnp.sqrt(jnp.asarray(whole.uncentred))),
            f"1 to {min(n, dim)}",
            "high, among encoders of one method",
            "arXiv 2210.02885",
            n,
        ),
        _exact("participation ratio", participation_ratio(values), top, "high", "", n),
        _exact("alpha", law.exponent, "any", "near 1", "alpha-ReQ, NeurIPS 2022", n),
        _exact("fit of the power law", law.fit, "up to 1", "near 1, or alpha says little", "", n),
    ]


def _pairs(whole: Spectrum, z: np.ndarray, second: np.ndarray, known: list[str]) -> list[Reading]:
    total, squares, n = 0.0, 0.0, len(z)
    for start, part in rows(z):
        other = np.asarray(second[start : start + len(part)], np.float64)
        each = _apart(part, other)
        total, squares = total + each.sum(), squares + (each**2).sum()
    mean = total / n
    error = np.sqrt(max(squares / n - mean**2, 0) / max(n - 1, 1))
    found = [
        Reading(
            "alignment",
            float(mean),
            float(error),
            "0 to 4, about 2 for unrelated views",
            "low, unless uniformity is near 0",
            "arXiv 2005.10242",
            n,
        )
    ]
    if whole.moments is None or z.shape[1] > _LIDAR_MOST:
        known.append(
            f"LiDAR was left out: it needs more rows than columns, and at most {_LIDAR_MOST:,}"
        )
        return found
    of_first, of_second = whole.moments, moments(second)
    cross = cross_scatter(z, second, of_first.mean, of_second.mean)
    step, both = of_first.mean - of_second.mean, of_first.scatter + of_second.scatter
    between = (both + cross + cross.T) / (4 * n)
    within = (both - cross - cross.T) / (4 * n) + np.outer(step, step) / 4
    size = np.trace(between + within) / z.shape[1]
    if size > 0:
        value = lidar_from_covariances(jnp.asarray(between), jnp.asarray(within), ridge=1e-4 * size)
    else:
        value = jnp.zeros(())
    span = f"0, or 1 to {min(n - 1, z.shape[1])}"
    good = "high: so many dimensions tell samples apart beyond what views do"
    return [*found, _exact("LiDAR", value, span, good, "arXiv 2312.04000", n)]


def _apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    def unit(z: np.ndarray) -> np.ndarray:
        norm = np.linalg.norm(z, axis=1, keepdims=True)
        return z / np.where(norm > 0, norm, 1)

    return np.square(unit(a) - unit(b)).sum(1)


def _spread(z: np.ndarray, chosen: np.ndarray) -> list[Reading]:
    seen = uniformity(_rows(z, chosen))
    return [
        Reading(
            "uniformity",
            float(seen.value),
            float(seen.error),
            "about -4 to 0",
            "low; 0 is complete collapse",
            "arXiv 2005.10242",
            len(chosen),
        )
    ]


def _probes(
    draws: np.random.Generator,
    z: np.ndarray,
    classes: np.ndarray,
    chosen: np.ndarray,
    neighbours: int,
    known: list[str],
) -> list[Reading]:
    if len(chosen) < 4:
        known.append("the probes were left out: they need four rows or more")
        return []
    order = draws.permutation(chosen)
    fit, judge = np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :])
    parts = _rows(z, fit), jnp.asarray(classes[fit]), _rows(z, judge), jnp.asarray(classes[judge])
    count = int(classes.max()) + 1
    k = min(neighbours, len(fit))
    values = (
        (f"{k}-nearest-neighbour accuracy", knn_probe(*parts, neighbours=k, classes=count)),
        ("linear probe accuracy", ridge_probe(*parts, classes=count)),
    )
    chance = np.bincount(classes).max() / len(classes)
    return [
        Reading(
            name,
            float(value),
            float(np.sqrt(max(float(value) * (1 - float(value)), 0) / len(judge))),
            f"0 to 1; the largest class is {chance:.3g}",
            "high",
            "arXiv 1805.01978" if "neighbour" in name else "ridge regression",
            len(chosen),
        )
        for name, value in values
    ]


def _rows(z: np.ndarray, chosen: np.ndarray) -> Any:
    wanted = np.float64 if z.dtype == np.float64 else np.float32
    whole = len(chosen) == len(z)
    return jnp.asarray(np.asarray(z if whole else z[chosen], wanted))


def _exact(name: str, value: Any, span: str, good: str, source: str, points: int) -> Reading:
    return Reading(name, float(value), float("nan"), span, good, source, points)
