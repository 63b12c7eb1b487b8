"""What labels say of embeddings: neighbours and a linear classifier, fitted on half of the rows.

The linear probe is multinomial logistic regression on standardised columns (scikit-learn, C = 1).
Regression on one-hot labels, `jssl.diagnostics.ridge_probe`, cannot find a class that lies between
others (masking: Hastie, Tibshirani and Friedman 2009, section 4.2).
"""

import warnings
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jssl.diagnosis.copies import find_copies
from jssl.diagnosis.spectra import Reading
from jssl.diagnostics import knn_probe

LINEAR = "linear probe (logistic regression) accuracy"
"""Name of the linear probe's reading."""

_ITERATIONS = 1000


class Probes(NamedTuple):
    """Accuracies of the probes.

    Attributes:
        readings: of the nearest-neighbour and the linear probe; empty where they were left out.
        remarks: what to know about them.
        grouped: whether rows were split by groups of near-duplicates.
    """

    readings: list[Reading]
    remarks: list[str]
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
    """Return the accuracies of both probes on a random half; inside `float64()`.

    Args:
        z: (n, dim) rows with a label, float64.
        classes: (n,) integers from 0.
        at: (n,) positions of the rows in the file, for finding copies.
        total: rows of the file.
        draws: of the split.
        neighbours: k.
        tolerance: share of the largest variance of a column below which another one is not
            scaled up.
    """
    if len(z) < 4:
        return Probes([], ["the probes were left out: they need four labelled rows or more"], False)
    scaled = standardised(z, tolerance)
    copies = find_copies(scaled, classes, at, total)
    remarks = [] if copies.remark is None else [copies.remark]
    groups = copies.groups
    if groups.max() < 1:
        remarks.append("the probes were left out: all labelled rows are copies of one")
        return Probes([], remarks, copies.found)
    samples = np.bincount(np.unique(np.stack([groups, classes]), axis=1)[1])
    lonely = int((samples == 1).sum())
    if lonely == len(samples):
        remarks.append("the probes were left out: no class has two samples")
        return Probes([], remarks, copies.found)
    fit, judge = split(groups, draws)
    if lonely:
        what = "1 class has" if lonely == 1 else f"{lonely:,} classes have"
        remarks.append(f"{what} a single sample, which no probe can both learn and judge")
    # Rows of one group are right or wrong together: Kish's effective number of judged rows.
    sizes = np.bincount(groups[judge])
    worth = float(len(judge) ** 2 / np.sum(sizes.astype(float) ** 2))
    k = min(neighbours, len(fit))
    parts = [jnp.asarray(a[half]) for half in (fit, judge) for a in (z, classes)]
    near = knn_probe(*parts, neighbours=k, classes=int(classes.max()) + 1)
    linear, done = logistic_accuracy(scaled[fit], classes[fit], scaled[judge], classes[judge])
    if not done:
        remarks.append(f"the logistic regression did not converge in {_ITERATIONS:,} iterations")
    span = f"0 to 1; the largest class is {np.bincount(classes).max() / len(classes):.3g}"
    span += ", copies of a sample on one side of the split" if copies.found else ""
    of_linear = "scikit-learn's LogisticRegression on standardised columns, C = 1"
    readings = [
        Reading(name, float(value), binomial_error(float(value), worth), span, "high", source, n)
        for name, value, source, n in (
            (f"{k}-nearest-neighbour accuracy", near, "arXiv 1805.01978", len(z)),
            (LINEAR, linear, of_linear, len(z)),
        )
    ]
    return Probes(readings, remarks, copies.found)


def split(groups: np.ndarray, draws: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return about half of the rows and the rest, both sorted, no group on both sides.

    Example:
        >>> fit, judge = split(np.array([0, 0, 1, 1]), np.random.default_rng(0))
        >>> sorted([fit.tolist(), judge.tolist()])
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
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        model = LogisticRegression(C=1.0, max_iter=_ITERATIONS).fit(train, train_classes)
    done = not any(issubclass(each.category, ConvergenceWarning) for each in seen)
    return float(model.score(test, test_classes)), done


def binomial_error(share: float, count: float) -> float:
    """Return the standard error of a share of so many independent rows.

    Example:
        >>> print(f"{binomial_error(1, 5):.2f} {binomial_error(0.5, 10000):.4f}")
        0.19 0.0050

    Two right and two wrong rows are added (Agresti and Coull 1998), so that it is not 0 where all
    few rows are right.
    """
    added = (share * count + 2) / (count + 4)
    return float(np.sqrt(added * (1 - added) / count))
