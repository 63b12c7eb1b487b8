"""`jssl.diagnose`: ranks, collapse, views, labels and learned steps, from embeddings.

Spectrum, ranks and alignment are exact over all rows, in one pass of chunks. Metrics that compare
all pairs of rows (uniformity, neighbours) use a random sample and have a standard error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jssl.data.array_files import check_embeddings, stored_as_void, to_numpy
from jssl.data.checks import require_count, require_range
from jssl.diagnosis.checkpoints import CheckpointHistory, follow
from jssl.diagnosis.labels import Labels, read_labels
from jssl.diagnosis.spectra import CONSTANT, Metric, Spectrum, spectrum_of, verdict_of
from jssl.diagnosis.summary import row_caveats, summary_of
from jssl.diagnosis.views import compare, unit, view_metrics
from jssl.errors import InputError
from jssl.formulas.normality import host_distance
from jssl.formulas.ranks import entropy_rank, participation_ratio, power_law
from jssl.formulas.sphere import host_uniformity
from jssl.formulas.verdict import Verdict

if TYPE_CHECKING:  # at run time it would import JAX
    from jssl.diagnosis.probes import Probes

SAMPLE = 10_000
"""Rows of the random sample on which pairs of rows are compared."""

PAIRWISE = 4_000
"""Rows of that sample on which the Gaussian distance is computed."""

TOLERANCE = 1e-6


class Diagnosis(NamedTuple):
    """The metrics of embeddings, and a summary of them. `print` shows the summary.

    Attributes:
        verdict: kind of collapse: `KINDS[int(verdict.kind)]`.
        metrics: name -> Metric.
        eigenvalues: (min(n, dim),) of the covariance, descending, float64.
        history: spectra and ranks over checkpoints; None without checkpoints.
        summary: the results as sentences, the verdict first.
        caveats: limits of the results: what was left out, and why.
        settings: rows, dimensions, sample, seed, thresholds.
    """

    verdict: Verdict
    metrics: Mapping[str, Metric]
    eigenvalues: np.ndarray
    history: CheckpointHistory | None
    summary: tuple[str, ...]
    caveats: tuple[str, ...]
    settings: Mapping[str, Any]

    def __str__(self) -> str:
        """Return the summary, one sentence per line."""
        return "\n".join(self.summary)


def diagnose(
    embeddings: Any,
    labels: Any = None,
    views: Any = None,
    checkpoints: Sequence[Any] | Mapping[str, Any] | None = None,
    *,
    seed: int = 0,
    exact: bool = False,
    neighbours: int = 20,
    tolerance: float = TOLERANCE,
) -> Diagnosis:
    """Return ranks, collapse and other metrics of embeddings, with a summary in sentences.

    Example:
        >>> from jssl.diagnostics import KINDS
        >>> rng = np.random.default_rng(0)
        >>> z = rng.normal(size=(200, 4)) * np.array([1.0, 1.0, 1.0, 0.0])
        >>> diagnosis = diagnose(z)
        >>> KINDS[int(diagnosis.verdict.kind)], int(diagnosis.verdict.rank)
        ('dimensional', 3)
        >>> print(diagnosis.summary[0])
        Dimensional collapse: 3 of 4 dimensions have more than 1e-06 of the largest variance.

    The two probes are fitted on a random half of the labelled rows and tested on the other half: a
    vote of the nearest neighbours, and multinomial logistic regression on standardised columns. If
    views or copies of one sample are found among the rows, they stay on one side of the split.

    Args:
        embeddings: (n, dim) of NumPy, JAX or PyTorch, floating point or integers; a memory map is
            read in chunks. 2-byte void is read as bfloat16, which NumPy stores so.
        labels: (n,) classes, integers or strings, for the two probes; see
            `jssl.diagnosis.labels.read_labels` for the values that mean "no label".
        views: (n, dim) embeddings of second views of the same samples in the same order, for
            alignment and LiDAR.
        checkpoints: embeddings of the same samples at checkpoints, in the order of training and of
            equal dimension, for the steps of the spectrum. Where names are given and numeric, they
            are the step numbers.
        seed: of the random sample and of the split of the probes, 0 or more.
        exact: whether all pairs of rows are compared, in blocks, instead of those of a sample.
        neighbours: k of the nearest-neighbour probe.
        tolerance: share of the largest variance at or below which a dimension counts as lost.

    Returns:
        Diagnosis.

    Raises:
        InputError: for arrays of another rank or dtype, rows that are not finite (how many, where),
            labels or views that do not fit, and a checkpoint with any of these faults.
    """
    seed = require_count("seed", seed, low=0, high=2**32 - 1)
    require_count("neighbours", neighbours)
    require_range("tolerance", tolerance, 0, 0.5)
    z = check_embeddings("embeddings", to_numpy("embeddings", embeddings, lazy=True))
    second = None if views is None else _views(z, views)
    classes = None if labels is None else read_labels(labels, len(z))
    caveats = stored_as_void({"embeddings": embeddings, "views": views})
    spectrum = spectrum_of(z)
    verdict = verdict_of(spectrum, len(z), tolerance)
    metrics = _ranks(spectrum, z)
    caveats += row_caveats(spectrum, z)
    distances = None if second is None else compare(z, second)
    if second is not None and distances is not None:
        of_views, notes = view_metrics(spectrum, z, second, distances)
        metrics, caveats = metrics + of_views, caveats + notes
    draws = np.random.default_rng(seed)
    chosen = _sample(draws, len(z), exact)
    metrics += [_uniformity(z, chosen), _gaussian_distance(z, chosen)]
    if classes is not None:
        probes = _probes(z, classes, chosen, draws, exact, neighbours, tolerance)
        metrics += probes.metrics
        caveats += [*classes.caveats, *probes.caveats]
    history = None if checkpoints is None else follow(checkpoints, z.shape[1], tolerance, draws)
    named = {metric.name: metric for metric in metrics}
    summary = summary_of(z, verdict, named, distances, tolerance)
    if history is not None:
        summary += history.summary
        caveats += history.caveats
    return Diagnosis(
        verdict,
        named,
        spectrum.eigenvalues,
        history,
        tuple(summary),
        tuple(caveats),
        _settings(z, len(chosen), seed, tolerance),
    )


def _settings(z: np.ndarray, compared: int, seed: int, tolerance: float) -> dict[str, Any]:
    return {
        "rows": len(z),
        "dimensions": z.shape[1],
        "dtype": str(z.dtype),
        "rows compared pair by pair": compared,
        "seed": seed,
        "lost dimension": f"variance at most {tolerance:g} of the largest",
        "complete collapse": f"variance at most {CONSTANT:g} of the mean square",
    }


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


def _probes(
    z: np.ndarray,
    labels: Labels,
    chosen: np.ndarray,
    draws: np.random.Generator,
    exact: bool,
    neighbours: int,
    tolerance: float,
) -> Probes:
    """Return the accuracies of the probes on `chosen` rows, or on a sample of labelled rows."""
    from jssl.diagnosis.probes import probe  # imports JAX, SciPy and scikit-learn
    from jssl.precision import float64

    labelled = np.flatnonzero(labels.classes >= 0)
    if len(labelled) < len(z):
        chosen = labelled[_sample(draws, len(labelled), exact)]
    classes = np.unique(labels.classes[chosen], return_inverse=True)[1]
    options: dict[str, Any] = {"neighbours": neighbours, "tolerance": tolerance}
    with float64():
        return probe(_rows(z, chosen), classes, chosen, len(z), draws, **options)


def _ranks(spectrum: Spectrum, z: np.ndarray) -> list[Metric]:
    n, dim = z.shape
    values = spectrum.eigenvalues
    law = power_law(values, 1, len(values), np)
    most = min(n - 1, dim)
    described = (
        (
            "effective rank",
            entropy_rank(np.sqrt(values), False, np),
            f"0, or 1 to {most}",
            "high: many dimensions have variance",
            "exponential of the entropy of the singular values, centred and scaled to sum 1",
            "Roy and Vetterli 2007",
        ),
        (
            "RankMe",
            entropy_rank(np.sqrt(spectrum.uncentred), False, np),
            f"1 to {min(n, dim)}",
            "high, among encoders of one method",
            "exponential of the entropy of the singular values, not centred, scaled to sum 1",
            "arXiv 2210.02885",
        ),
        (
            "participation ratio",
            participation_ratio(values, np),
            f"0, or 1 to {most}",
            "high",
            "squared sum of the covariance's eigenvalues over the sum of their squares",
            "",
        ),
        (
            "alpha",
            law.exponent,
            "any number",
            "near 1",
            "exponent of the power law fitted to the covariance's eigenvalues",
            "alpha-ReQ, NeurIPS 2022",
        ),
        (
            "fit of the power law",
            law.fit,
            "at most 1",
            "near 1; alpha means little otherwise",
            "R² of the power law",
            "",
        ),
    )
    return [
        Metric(name, float(value), float("nan"), n, possible, good, meaning, source)
        for name, value, possible, good, meaning, source in described
    ]


def _uniformity(z: np.ndarray, chosen: np.ndarray) -> Metric:
    sample = unit(_rows(z, chosen))
    if np.can_cast(z.dtype, np.float32):  # the rounding of unit vectors is negligible here
        sample = sample.astype(np.float32)
    measured = host_uniformity(sample)
    return Metric(
        name="uniformity",
        value=float(measured.value),
        error=float(measured.error),
        rows=len(chosen),
        range="about -4 to 0",
        good="low; 0 is complete collapse",
        meaning="logarithm of the mean over pairs of rows of exp(-2 squared distance), at length 1",
        source="arXiv 2005.10242",
    )


def _gaussian_distance(z: np.ndarray, chosen: np.ndarray) -> Metric:
    if len(chosen) > PAIRWISE:
        chosen = chosen[np.linspace(0, len(chosen) - 1, PAIRWISE).astype(int)]
    measured = host_distance(_rows(z, chosen))
    return Metric(
        name="Gaussian distance",
        value=float(measured.value),
        error=float(measured.error),
        rows=len(chosen),
        range="about 0 to 1",
        good="0 for LeJEPA, whose target is an isotropic Gaussian; 1 is complete collapse",
        meaning="unbiased BHEP statistic of centred rows, scaled to mean variance 1, over its "
        "value for a constant embedding",
        source="Henze and Wagner 1997; arXiv 2511.08544",
    )


def _rows(z: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    return np.asarray(z if len(chosen) == len(z) else z[chosen], np.float64)
