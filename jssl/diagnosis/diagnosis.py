"""What an encoder has learned, read from its embeddings: ranks, collapse, views, labels, steps.

Spectrum, ranks and alignment are exact over all rows, in one pass of chunks; what compares all
pairs of rows (uniformity, neighbours) uses a stated random sample and carries its standard error.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jssl.data.array_files import check_embeddings, stored_as_void, to_numpy
from jssl.data.checks import require_count, require_range
from jssl.diagnosis.checkpoints import Course, follow
from jssl.diagnosis.labels import read_labels
from jssl.diagnosis.spectra import CONSTANT, Reading, Spectrum, spectrum_of, verdict_of
from jssl.diagnosis.summary import remarks, words
from jssl.diagnosis.views import compare, unit, view_readings
from jssl.errors import InputError
from jssl.formulas.ranks import entropy_rank, participation_ratio, power_law
from jssl.formulas.sphere import host_uniformity
from jssl.formulas.verdict import Verdict

SAMPLE = 10_000
"""Rows of the random sample on which pairs of rows are compared."""

TOLERANCE = 1e-6


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

    The two probes are fitted on a random half of the labelled rows and judged on the other: a vote
    of the nearest neighbours, and multinomial logistic regression on standardised columns. Views
    or copies of one sample among the rows stay on one side of the split, where they are found.

    Args:
        embeddings: (n, dim) of NumPy, JAX or PyTorch, floating point or integers; a memory map is
            read in chunks. 2-byte void is read as bfloat16, which NumPy stores so.
        labels: (n,) classes as files hold them, integers or strings, for the two probes; see
            `jssl.diagnosis.labels.read_labels` for what means "no label".
        views: (n, dim) embeddings of second views of the same samples in the same order, for
            alignment and LiDAR.
        over: embeddings of the same samples at checkpoints in the order of training, of one
            dimension; names are step numbers where given and numeric. For the steps of the
            spectrum.
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
    z = check_embeddings("embeddings", to_numpy("embeddings", embeddings, lazy=True))
    second = None if views is None else _views(z, views)
    named = None if labels is None else read_labels(labels, len(z))
    known = stored_as_void({"embeddings": embeddings, "views": views})
    whole = spectrum_of(z)
    verdict = verdict_of(whole, len(z), tolerance)
    found = _ranks(whole, z)
    known += remarks(whole, z)
    pairs = None if second is None else compare(z, second)
    if second is not None and pairs is not None:
        seen, notes = view_readings(whole, z, second, pairs)
        found, known = found + seen, known + notes
    draws = np.random.default_rng(seed)
    chosen = _sample(draws, len(z), exact)
    compared = len(chosen)
    found += _spread(z, chosen)
    if named is not None:
        from jssl.diagnosis.probes import probe  # imports SciPy and scikit-learn

        labelled = np.flatnonzero(named.classes >= 0)
        if len(labelled) < len(z):
            chosen = labelled[_sample(draws, len(labelled), exact)]
        classes = np.unique(named.classes[chosen], return_inverse=True)[1]
        probes = probe(
            _rows(z, chosen),
            classes,
            chosen,
            len(z),
            draws,
            neighbours=neighbours,
            tolerance=tolerance,
        )
        found += probes.readings
        known += [*named.remarks, *probes.remarks]
    course = None if over is None else follow(over, z.shape[1], tolerance, draws)
    readings = {reading.name: reading for reading in found}
    settings = {
        "rows": len(z),
        "dimensions": z.shape[1],
        "dtype": str(z.dtype),
        "rows compared pair by pair": compared,
        "seed": seed,
        "a dimension is lost at a variance of": f"{tolerance:g} x the largest",
        "collapse is complete at a variance of": f"{CONSTANT:g} x the mean square",
    }
    told = words(z, verdict, readings, pairs, tolerance)
    if course is not None:
        told += course.words
        known += course.remarks
    return Diagnosis(
        verdict, readings, whole.eigenvalues, course, tuple(told), tuple(known), settings
    )


def _views(z: np.ndarray, views: Any) -> np.ndarray:
    second = to_numpy("views", views, lazy=True)
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
    values = whole.eigenvalues
    law = power_law(values, 1, len(values), np)
    rank = entropy_rank(np.sqrt(values), False, np)
    high = f"{min(n - 1, dim)} at most; the more, the more dimensions carry variance"
    top = f"0, or 1 to {min(n - 1, dim)}"
    return [
        _exact("effective rank", rank, top, high, "Roy 2007", n),
        _exact(
            "RankMe",
            entropy_rank(np.sqrt(whole.uncentred), False, np),
            f"1 to {min(n, dim)}",
            "high, among encoders of one method",
            "arXiv 2210.02885",
            n,
        ),
        _exact("participation ratio", participation_ratio(values, np), top, "high", "", n),
        _exact("alpha", law.exponent, "any", "near 1", "alpha-ReQ, NeurIPS 2022", n),
        _exact("fit of the power law", law.fit, "up to 1", "near 1, or alpha says little", "", n),
    ]


def _spread(z: np.ndarray, chosen: np.ndarray) -> list[Reading]:
    sample = unit(_rows(z, chosen))
    if np.can_cast(z.dtype, np.float32):  # unit vectors lose nothing that shows, in half the time
        sample = sample.astype(np.float32)
    seen = host_uniformity(sample)
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


def _rows(z: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    return np.asarray(z if len(chosen) == len(z) else z[chosen], np.float64)


def _exact(name: str, value: Any, span: str, good: str, source: str, points: int) -> Reading:
    return Reading(name, float(value), float("nan"), span, good, source, points)
