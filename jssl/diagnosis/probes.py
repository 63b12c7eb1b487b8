"""Accuracies of a nearest-neighbour and a linear classifier, fitted on half of the rows.

The linear probe is multinomial logistic regression on standardised columns (scikit-learn, C = 1).
Regression on one-hot labels, `jssl.diagnostics.ridge_probe`, cannot find a class that lies between
others (masking: Hastie, Tibshirani and Friedman 2009, section 4.2).
"""

from typing import NamedTuple

import numpy as np

from jssl.diagnosis.classifiers import (
    ITERATIONS,
    logistic_accuracy,
    nearest_found,
    split,
    standardised,
)
from jssl.diagnosis.spectra import Metric

LINEAR = "linear probe (logistic regression) accuracy"
"""Name of the metric of the linear probe."""


class Probes(NamedTuple):
    """Accuracies of the probes.

    Attributes:
        metrics: of the nearest-neighbour and the linear probe; empty where they were left out.
        caveats: limits of the accuracies.
        grouped: whether rows were split by groups of near-duplicates.
    """

    metrics: list[Metric]
    caveats: list[str]
    grouped: bool


def probe(
    z: np.ndarray,
    classes: np.ndarray,
    at: np.ndarray,
    total: int,
    draws: np.random.Generator,
    *,
    neighbours: int,
    tolerance: float,
    samples: np.ndarray | None = None,
) -> Probes:
    """Return the accuracies of both probes on a random half of the rows.

    Args:
        z: (n, dim) rows with a label, float64.
        classes: (n,) integers from 0.
        at: (n,) positions of the rows in the file, for finding copies.
        total: rows of the file.
        draws: generator for the split.
        neighbours: k.
        tolerance: share of the largest variance of a column below which another one is not
            scaled up.
        samples: (n,) number of the sample of each row; rows of one sample stay together.
    """
    from jssl.diagnosis.copies import find_copies, join  # imports SciPy

    if len(z) < 4:
        return Probes(
            [], ["The probes were left out: they need four labelled rows or more."], False
        )
    scaled = standardised(z, tolerance)
    copies = find_copies(scaled, classes, at, total, ordered=samples is None)
    groups, together = copies.groups, copies.any_copies
    caveats = [] if copies.caveat is None else [copies.caveat]
    if samples is not None:
        groups = join(np.unique(samples, return_inverse=True)[1], groups)
        together = together or len(np.unique(samples)) < len(samples)
    counts = np.bincount(np.unique(np.stack([groups, classes]), axis=1)[1])
    single = int((counts == 1).sum())
    if groups.max() < 1:
        caveats.append("The probes were left out: all labelled rows are copies of one sample.")
        return Probes([], caveats, together)
    if single == len(counts):
        caveats.append("The probes were left out: no class has two samples.")
        return Probes([], caveats, together)
    if single:
        what = "1 class has" if single == 1 else f"{single:,} classes have"
        caveats.append(
            f"{what} a single sample, which cannot be used for both fitting and testing."
        )
    fit, test = split(groups, draws)
    k = min(neighbours, len(fit))
    nearest = nearest_found(z[fit], classes[fit], z[test], classes[test], k).mean()
    linear, done = logistic_accuracy(scaled[fit], classes[fit], scaled[test], classes[test])
    if not done:
        caveats.append(f"The logistic regression did not converge in {ITERATIONS:,} iterations.")
    largest = float(np.bincount(classes).max() / len(classes))
    accuracies = float(nearest), float(linear)
    metrics = _metrics(k, accuracies, groups[test], largest, together, len(z))
    return Probes(metrics, caveats, together)


def _metrics(
    k: int,
    accuracies: tuple[float, float],
    tested: np.ndarray,
    largest: float,
    any_copies: bool,
    rows: int,
) -> list[Metric]:
    """Return both accuracies as metrics; `tested` (rows,) is the group of each tested row."""
    count = independent(tested)
    possible = f"0 to 1; the largest class has a share of {largest:.3g}"
    possible += "; all copies of a sample are on one side of the split" if any_copies else ""
    described = (
        (
            f"{k}-nearest-neighbour accuracy",
            f"share of the tested rows whose class has the most votes among the {k} most "
            "similar fitted rows (cosine)",
            "arXiv 1805.01978",
        ),
        (
            LINEAR,
            "share of the tested rows whose class a linear classifier finds, on standardised "
            "columns with C = 1",
            "scikit-learn's LogisticRegression",
        ),
    )
    return [
        Metric(
            name=name,
            value=value,
            error=binomial_error(value, count),
            rows=rows,
            range=possible,
            good="high",
            meaning=meaning,
            source=source,
        )
        for (name, meaning, source), value in zip(described, accuracies, strict=True)
    ]


def independent(groups: np.ndarray) -> float:
    """Return Kish's effective number of rows, those of one group being right or wrong together.

    Example:
        >>> independent(np.array([0, 0, 1, 1, 2, 2]))
        3.0
    """
    sizes = np.bincount(groups).astype(float)
    return float(len(groups) ** 2 / np.sum(sizes**2))


def binomial_error(share: float, count: float) -> float:
    """Return the standard error of a share of `count` independent rows.

    Example:
        >>> print(f"{binomial_error(1, 5):.2f} {binomial_error(0.5, 10000):.4f}")
        0.19 0.0050

    Two right and two wrong rows are added (Agresti and Coull 1998), so that it is not 0 where all
    few rows are right.
    """
    added = (share * count + 2) / (count + 4)
    return float(np.sqrt(added * (1 - added) / count))
