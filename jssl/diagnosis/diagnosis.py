"""`jssl.diagnose`: ranks, collapse, views, labels and learned steps, from embeddings.

Spectrum, ranks and alignment are exact over all rows, in one pass of chunks. Metrics that compare
all pairs of rows (uniformity, neighbours) use a random sample and have a standard error.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jssl.data.array_files import (
    LARGEST,
    check_embeddings,
    check_shape,
    check_values,
    stored_as_void,
    to_numpy,
)
from jssl.data.checks import require_count, require_range
from jssl.diagnosis.checkpoints import CheckpointHistory, Given, follow
from jssl.diagnosis.classes import ClassSpectrum, class_sentences, class_spectra
from jssl.diagnosis.given_split import Split, split_metrics
from jssl.diagnosis.judgement import judge
from jssl.diagnosis.labels import Labels, read_labels
from jssl.diagnosis.result import Diagnosis
from jssl.diagnosis.row_metrics import (
    chosen_rows,
    gaussian_metric,
    rank_metrics,
    sigreg_metric,
    uniformity_metric,
    verdict_metrics,
    within_metric,
)
from jssl.diagnosis.runs import compare_runs, split_runs
from jssl.diagnosis.spectra import spectrum_of
from jssl.diagnosis.summary import row_caveats, summary_of
from jssl.diagnosis.values import TOLERANCE
from jssl.diagnosis.views import compare_all, view_metrics
from jssl.errors import InputError
from jssl.formulas.lidar import RIDGE
from jssl.formulas.moments import Scan, scan
from jssl.formulas.verdict import ANGLES, Thresholds
from jssl.report.metrics import Metrics

if TYPE_CHECKING:  # at run time it would import JAX
    from jssl.diagnosis.probes import Probes

SAMPLE = 10_000
"""Rows of the random sample on which pairs of rows are compared."""


def diagnose(
    embeddings: Any,
    labels: Any = None,
    views: Any = None,
    checkpoints: Sequence[Any] | Mapping[str, Any] | None = None,
    *,
    checkpoint_views: Sequence[Any] | Mapping[str, Any] | None = None,
    seed: int = 0,
    exact: bool = False,
    neighbours: int = 20,
    tolerance: float = TOLERANCE,
    split: Split | None = None,
    samples: Any = None,
) -> Diagnosis:
    """Return ranks, collapse and other metrics of embeddings, with a summary in sentences.

    Example:
        >>> from jssl.diagnostics import KINDS
        >>> rng = np.random.default_rng(0)
        >>> z = rng.normal(size=(200, 8)) * np.array([2.0, 0.8, *[0.02] * 6])
        >>> diagnosis = diagnose(z)
        >>> KINDS[int(diagnosis.verdict.kind)], int(diagnosis.verdict.rank)
        ('dimensional', 8)
        >>> print(diagnosis.summary[0])
        Dimensional collapse: the effective rank is 2... of 8 possible (at most 4 ...) ...

    The two probes are fitted on a random half of the labelled rows and tested on the other half: a
    vote of the nearest neighbours, and multinomial logistic regression on standardised columns. If
    views or copies of one sample are found among the rows, they stay on one side of the split.

    Args:
        embeddings: (n, dim) of NumPy, JAX or PyTorch, floating point or integers; a memory map is
            read in chunks. 2-byte void is read as bfloat16, which NumPy stores so.
        labels: (n,) classes, integers or strings, for the two probes; see
            `jssl.diagnosis.labels.read_labels` for the values that mean "no label".
        views: (n, dim) embeddings of second views of the same samples in the same order, for
            alignment and LiDAR; or (n, further views, dim), or a list of several such arrays.
        checkpoints: embeddings of the same samples at checkpoints, in the order of training and of
            equal dimension, for a table of metrics and the steps of the spectrum. Where names are
            given and numeric, they are the step numbers. Several runs are compared where the
            values are themselves such mappings, by the name of the run.
        checkpoint_views: second views of the samples at each checkpoint, as the checkpoints, for
            their alignment.
        seed: of the random sample and of the split of the probes, 0 or more.
        exact: whether all pairs of rows are compared, in blocks, instead of those of a sample.
        neighbours: k of the nearest-neighbour probe.
        tolerance: share of the largest variance at or below which a dimension counts as lost.
        split: a train and a test set of the same encoder, on which both probes are measured too.
        samples: (n,) numbers of the samples, where several rows are views, tokens or copies of
            one. Probes are not fitted on one row of a sample and tested on another.

    Returns:
        Diagnosis.

    Raises:
        InputError: for arrays of another rank or dtype, rows that are not finite (how many, where),
            labels or views that do not fit, and where no checkpoint can be used.
    """
    seed = require_count("seed", seed, low=0, high=2**32 - 1)
    require_count("neighbours", neighbours)
    require_range("tolerance", tolerance, 0, 0.5)
    z, scanned = _scanned(embeddings)
    others = [] if views is None else _views(z, views)
    classes = None if labels is None else read_labels(labels, len(z))
    numbers = _numbers(samples, len(z), labels)
    caveats = stored_as_void({"embeddings": embeddings, "views": views})
    spectrum = spectrum_of(z, scanned)
    thresholds = Thresholds(tolerance=tolerance)
    draws = np.random.default_rng(seed)
    chosen = _sample(draws, len(z), exact)
    judged = judge(z, spectrum, chosen, thresholds)
    metrics = rank_metrics(spectrum, z) + verdict_metrics(judged)
    caveats += row_caveats(z, scanned)
    distances = compare_all(z, others)
    if distances is not None:
        of_views, notes = view_metrics(spectrum, z, others, distances)
        metrics, caveats = metrics + of_views, caveats + notes
    sample = z if len(chosen) == len(z) else z[chosen]
    metrics += [uniformity_metric(sample), gaussian_metric(sample), sigreg_metric(sample)]
    of_classes: tuple[ClassSpectrum, ...] = ()
    if classes is not None:
        of_classes = _classes(z, classes, chosen)
        metrics.append(within_metric(z, classes, chosen))
        options: dict[str, Any] = {"neighbours": neighbours, "tolerance": tolerance}
        probes = _probes(z, classes, chosen, draws, exact, numbers, options)
        metrics += probes.metrics
        caveats += [*classes.caveats, *probes.caveats]
    if split is not None:
        options = {"neighbours": neighbours, "tolerance": tolerance}
        of_split, notes = split_metrics(split, z.shape[1], draws, exact=exact, **options)
        metrics, caveats = metrics + of_split, caveats + notes
    given = Given(
        z.shape[1],
        checkpoint_views,
        None if classes is None else classes.classes,
        neighbours,
        thresholds,
    )
    histories = _histories(checkpoints, given, draws)
    history = next(iter(histories.values()), None)
    named = Metrics({metric.name: metric for metric in metrics})
    summary = summary_of(z, judged, named, distances, thresholds)
    summary += class_sentences(of_classes)
    for name, each in histories.items():
        summary += [f"{name}: {line}" for line in each.summary] if name else each.summary
        caveats += [f"{name}: {line}" for line in each.caveats] if name else each.caveats
    summary += compare_runs(histories)
    return Diagnosis(
        judged.verdict,
        named,
        spectrum.eigenvalues,
        history,
        tuple(summary),
        tuple(caveats),
        _settings(z, len(chosen), seed, thresholds),
        of_classes,
        histories,
    )


def _scanned(embeddings: Any) -> tuple[np.ndarray, Scan | None]:
    """Return checked embeddings and, for as many rows as columns, what one pass over them gives.

    The pass bounds all values, so that they are read once more only where one is out of range.
    """
    z = check_shape("embeddings", to_numpy("embeddings", embeddings, lazy=True))
    if len(z) < z.shape[1]:
        return check_embeddings("embeddings", z), None
    scanned = scan(z)
    of_rows = scanned.moments
    with np.errstate(invalid="ignore", over="ignore"):  # not in range then
        square = float(np.trace(of_rows.covariance) + of_rows.mean @ of_rows.mean)
        most = float(np.sqrt(scanned.sizes.max()) + np.linalg.norm(scanned.origin))
    if not (np.sqrt(square / z.shape[1]) >= 1 / LARGEST and most <= LARGEST):
        check_values("embeddings", z)
    return z, scanned


def _histories(
    checkpoints: Any, given: Given, draws: np.random.Generator
) -> dict[str, CheckpointHistory]:
    """Return the history of each run; a single run has an empty name."""
    if checkpoints is None:
        return {}
    return {
        name: follow(run, given._replace(views=views), draws)
        for name, (run, views) in split_runs(checkpoints, given.views).items()
    }


def _settings(z: np.ndarray, compared: int, seed: int, thresholds: Thresholds) -> dict[str, Any]:
    return {
        "rows": len(z),
        "dimensions": z.shape[1],
        "dtype": str(z.dtype),
        "rows compared pair by pair": compared,
        "seed": seed,
        "empty direction": f"variance at most {thresholds.tolerance:g} of the largest",
        "dimensional collapse": "; or ".join(
            f"at most {directions:g} effective directions"
            + (f" and an effective rank of at most {rank:g} sqrt(possible)" * math.isfinite(rank))
            for directions, rank in thresholds.dimensional
        ),
        "ridge of LiDAR": f"{RIDGE:g} of the mean variance",
        "complete collapse": f"variance at most {thresholds.point:g} of the mean square; or "
        f"1 less the mean cosine at most {thresholds.constant:g}, and {ANGLES:g} of the variance "
        f"over the mean square, with {thresholds.line:g} of the variance in one direction",
        "near one point": f"variance at most {thresholds.constant:g} of the mean square",
    }


def _views(z: np.ndarray, views: Any) -> list[np.ndarray]:
    """Return the further views of each sample, (n, dim) each."""
    if isinstance(views, list | tuple) and views and np.ndim(views[0]) == 2:
        every = list(views)
    else:
        array = to_numpy("views", views, lazy=True)
        several = array.ndim == 3 and array.shape[::2] == z.shape
        every = [array[:, i] for i in range(array.shape[1])] if several else [array]
    found = []
    for each in every:
        second = to_numpy("views", each, lazy=True)
        if second.shape != z.shape:
            message = (
                f"views must be {z.shape} like the embeddings, row by row, or one such array for "
                f"each further view; got {second.shape}"
            )
            raise InputError(message)
        found.append(check_embeddings("views", second))
    return found


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
    samples: np.ndarray | None,
    options: dict[str, Any],
) -> Probes:
    """Return the accuracies of the probes on `chosen` rows, or on a sample of labelled rows."""
    from jssl.diagnosis.probes import probe  # imports SciPy and scikit-learn

    labelled = np.flatnonzero(labels.classes >= 0)
    if len(labelled) < len(z):
        chosen = labelled[_sample(draws, len(labelled), exact)]
    classes = np.unique(labels.classes[chosen], return_inverse=True)[1]
    if samples is not None:
        options = options | {"samples": samples[chosen]}
    return probe(chosen_rows(z, chosen), classes, chosen, len(z), draws, **options)


def _numbers(samples: Any, rows: int, labels: Any) -> np.ndarray | None:
    """Return checked numbers of samples."""
    if samples is None:
        return None
    if labels is None:
        message = "samples need labels: they say which rows the probes keep together"
        raise InputError(message)
    numbers = np.asarray(to_numpy("samples", samples))
    if numbers.shape != (rows,) or numbers.dtype.kind not in "iu":
        message = (
            f"samples must be ({rows},) integers, the number of each row's sample; got "
            f"{numbers.dtype} of shape {numbers.shape}"
        )
        raise InputError(message)
    return numbers


def _classes(z: np.ndarray, labels: Labels, chosen: np.ndarray) -> tuple[ClassSpectrum, ...]:
    return class_spectra(chosen_rows(z, chosen), labels.classes[chosen], labels.names)
