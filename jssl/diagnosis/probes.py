"""Accuracies of a nearest-neighbour and a linear classifier, fitted on half of the rows.

The linear probe is multinomial logistic regression on standardised columns (scikit-learn, C = 1).
Regression on one-hot labels, `jssl.diagnostics.ridge_probe`, cannot find a class that lies between
others (masking: Hastie, Tibshirani and Friedman 2009, section 4.2).
"""

import warnings
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jssl.diagnosis.copies import find_copies
from jssl.diagnosis.spectra import Metric
from jssl.diagnostics import knn_probe

LINEAR = "linear probe (logistic regression) accuracy"
"""Name of the metric of the linear probe."""

_ITERATIONS = 1000


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
) -> Probes:
    """Return the accuracies of both probes on a random half of the rows; inside `float64()`.

    Args:
        z: (n, dim) rows with a label, float64.
        classes: (n,) integers from 0.
        at: (n,) positions of the rows in the file, for finding copies.
        total: rows of the file.
        draws: generator for the split.
        neighbours: k.
        tolerance: share of the largest variance of a column below which another one is not
            scaled up.
    """
    if len(z) < 4:
        return Probes(
            [], ["The probes were left out: they need four labelled rows or more."], False
        )
    scaled = standardised(z, tolerance)
    copies = find_copies(scaled, classes, at, total)
    groups = copies.groups
    caveats = [] if copies.caveat is None else [copies.caveat]
    samples = np.bincount(np.unique(np.stack([groups, classes]), axis=1)[1])
    single = int((samples == 1).sum())
    if groups.max() < 1:
        caveats.append("The probes were left out: all labelled rows are copies of one sample.")
        return Probes([], caveats, copies.any_copies)
    if single == len(samples):
        caveats.append("The probes were left out: no class has two samples.")
        return Probes([], caveats, copies.any_copies)
    if single:
        what = "1 class has" if single == 1 else f"{single:,} classes have"
        caveats.append(
            f"{what} a single sample, which cannot be used for both fitting and testing."
        )
    fit, test = split(groups, draws)
    k = min(neighbours, len(fit))
    halves = [jnp.asarray(a[half]) for half in (fit, test) for a in (z, classes)]
    nearest = knn_probe(*halves, neighbours=k, classes=int(classes.max()) + 1)
    linear, done = logistic_accuracy(scaled[fit], classes[fit], scaled[test], classes[test])
    if not done:
        caveats.append(f"The logistic regression did not converge in {_ITERATIONS:,} iterations.")
    largest = float(np.bincount(classes).max() / len(classes))
    accuracies = float(nearest), float(linear)
    metrics = _metrics(k, accuracies, groups[test], largest, copies.any_copies, len(z))
    return Probes(metrics, caveats, copies.any_copies)


def _metrics(
    k: int,
    accuracies: tuple[float, float],
    tested: np.ndarray,
    largest: float,
    any_copies: bool,
    rows: int,
) -> list[Metric]:
    """Return both accuracies as metrics; `tested` (rows,) is the group of each tested row."""
    # Rows of one group are right or wrong together: Kish's effective number of tested rows.
    sizes = np.bincount(tested).astype(float)
    independent = float(len(tested) ** 2 / np.sum(sizes**2))
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
            error=binomial_error(value, independent),
            rows=rows,
            range=possible,
            good="high",
            meaning=meaning,
            source=source,
        )
        for (name, meaning, source), value in zip(described, accuracies, strict=True)
    ]


def split(groups: np.ndarray, draws: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return about half of the rows and the rest, both sorted, no group on both sides.

    Example:
        >>> fit, test = split(np.array([0, 0, 1, 1]), np.random.default_rng(0))
        >>> sorted([fit.tolist(), test.tolist()])
        [[0, 1], [2, 3]]
    """
    order = draws.permutation(int(groups.max()) + 1)
    before = np.cumsum(np.bincount(groups)[order])
    count = int(np.argmin(np.abs(before[:-1] - len(groups) / 2))) + 1
    first = np.isin(groups, order[:count])
    return np.flatnonzero(first), np.flatnonzero(~first)


def standardised(z: np.ndarray, tolerance: float) -> np.ndarray:
    """Return columns of mean 0 and variance 1; those of almost no variance stay small.

    Example:
        >>> standardised(np.array([[0.0, 5.0], [2.0, 5.0]]), 1e-6).tolist()
        [[-1.0, 0.0], [1.0, 0.0]]
    """
    centred = z - z.mean(0)
    variances = np.square(centred).mean(0)
    rounding = 8 * np.finfo(float).eps * np.abs(z).max()
    floor = max(tolerance * variances.max(), rounding**2)
    scale = np.sqrt(np.maximum(variances, floor))
    return centred / np.where(scale > 0, scale, 1)


def logistic_accuracy(
    train: np.ndarray, train_classes: np.ndarray, test: np.ndarray, test_classes: np.ndarray
) -> tuple[float, bool]:
    """Return the accuracy of multinomial logistic regression, and whether it converged."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    if len(np.unique(train_classes)) == 1:
        return float(np.mean(test_classes == train_classes[0])), True
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = LogisticRegression(C=1.0, max_iter=_ITERATIONS).fit(train, train_classes)
    done = not any(issubclass(each.category, ConvergenceWarning) for each in caught)
    return float(model.score(test, test_classes)), done


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
