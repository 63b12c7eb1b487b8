"""Accuracies of the probes on a given split: fitted on one set of rows, tested on another."""

from typing import Any, NamedTuple

import numpy as np

from jssl.data.array_files import check_embeddings, to_numpy
from jssl.diagnosis.labels import read_labels
from jssl.diagnosis.spectra import Metric
from jssl.errors import InputError

ROWS = 10_000
"""Rows of each set that are used; more are sampled at random."""

COMPARED = 4_000, 1_000
"""Train and test rows that are compared for copies; more are sampled at random."""


class Split(NamedTuple):
    """Two sets of embeddings of one encoder, with their labels.

    Attributes:
        train: (n, dim) embeddings to fit on.
        train_labels: (n,) classes; see `jssl.diagnosis.labels.read_labels`.
        test: (m, dim) embeddings to judge by.
        test_labels: (m,) classes.
        test_samples: (m,) number of the sample of each row, where samples have several rows.
    """

    train: Any
    train_labels: Any
    test: Any
    test_labels: Any
    test_samples: Any = None


def split_metrics(
    given: Split,
    dim: int,
    draws: np.random.Generator,
    *,
    exact: bool,
    neighbours: int,
    tolerance: float,
) -> tuple[list[Metric], list[str]]:
    """Return the accuracies of both probes on a given split, and caveats.

    Example:
        >>> z = np.random.default_rng(0).normal(size=(60, 3))
        >>> names = np.where(z[:, 0] > 0, "right", "left")
        >>> split = Split(z[:40], names[:40], z[40:], names[40:])
        >>> draws = np.random.default_rng(0)
        >>> options = {"exact": False, "neighbours": 5, "tolerance": 1e-6}
        >>> metrics, caveats = split_metrics(split, 3, draws, **options)
        >>> [metric.value > 0.8 for metric in metrics], metrics[0].rows
        ([True, True], 20)

    Args:
        given: the split.
        dim: dimensions of the embeddings that are diagnosed.
        draws: generator for samples of large sets.
        exact: whether all rows are used.
        neighbours: k.
        tolerance: share of the largest variance below which a column is not scaled up.

    Raises:
        InputError: for arrays that cannot be used, other dimensions, or no common class.
    """
    from jssl.diagnosis.probes import independent, logistic_accuracy
    from jssl.diagnostics import knn_probe

    sets: list[np.ndarray] = []
    names: list[np.ndarray] = []
    caveats: list[str] = []
    for what, z, labels in (("train", *given[:2]), ("test", *given[2:4])):
        rows = check_embeddings(what, to_numpy(what, z, lazy=True))
        if rows.shape[1] != dim:
            message = f"{what} has {rows.shape[1]:,} dimensions, the embeddings {dim:,}"
            raise InputError(message)
        if labels is None:
            message = f"{what} has no labels; pass --{what}-labels"
            raise InputError(message)
        read = read_labels(labels, len(rows))
        caveats += [f"{line} ({what})" for line in read.caveats]
        chosen = np.flatnonzero(read.classes >= 0)
        if not exact and len(chosen) > ROWS:
            chosen = np.sort(draws.choice(chosen, ROWS, replace=False))
        sets.append(np.asarray(rows[chosen], np.float64))
        names.append(np.asarray(read.names)[read.classes[chosen]])
        tested = chosen
    known, classes = np.unique(names[0], return_inverse=True)
    unseen = ~np.isin(names[1], known)
    if unseen.all():
        message = "train and test have no class in common"
        raise InputError(message)
    if unseen.any():
        caveats.append(
            f"{int(unseen.sum()):,} test rows have a class that no train row has. They count as "
            "wrong."
        )
    expected = np.where(unseen, len(known), np.searchsorted(known, names[1]) % (len(known) + 1))
    k = min(neighbours, len(sets[0]))
    nearest = float(
        knn_probe(sets[0], classes, sets[1], expected, neighbours=k, classes=len(known) + 1)
    )
    train, test = _standardised(sets[0], sets[1], tolerance)
    linear, done = logistic_accuracy(train, classes, test, expected)
    if not done:
        caveats.append("The logistic regression on the given split did not converge.")
    shared = _shared(train, classes, test, expected)
    caveats += [] if shared is None else [shared]
    largest = float(np.bincount(expected).max() / len(expected))
    count = (
        len(expected)
        if given.test_samples is None
        else independent(np.unique(given.test_samples[tested], return_inverse=True)[1])
    )
    return _metrics(k, (nearest, linear), len(expected), count, largest), caveats


def _shared(
    train: np.ndarray, classes: np.ndarray, test: np.ndarray, expected: np.ndarray
) -> str | None:
    """Return a caveat about test rows that are copies or views of train rows; None without them.

    At most `COMPARED` rows of each set are compared, so that some copies are not found.
    """
    from jssl.diagnosis.copies import find_copies

    draws = np.random.default_rng(0)
    fit, held = (
        np.sort(draws.choice(len(x), min(len(x), most), replace=False))
        for x, most in zip((train, test), COMPARED, strict=True)
    )
    rows = np.concatenate([train[fit], test[held]])
    both = np.unique(np.concatenate([classes[fit], expected[held]]), return_inverse=True)[1]
    groups = find_copies(rows, both, np.arange(len(rows)), len(rows)).groups
    found = int(np.isin(groups[len(fit) :], groups[: len(fit)]).sum())
    if not found:
        return None
    return (
        f"{found:,} of {len(held):,} test rows that were compared with {len(fit):,} train rows are "
        "near-duplicates of train rows, views or copies of one sample. The accuracies on the given "
        "split are too high; keep all copies of a sample in one set."
    )


def _metrics(
    k: int, values: tuple[float, float], rows: int, count: float, largest: float
) -> list[Metric]:
    from jssl.diagnosis.probes import binomial_error

    described = (
        (
            f"{k}-nearest-neighbour accuracy, train to test",
            f"share of the test rows whose class has the most votes among the {k} most similar "
            "train rows (cosine)",
            "arXiv 1805.01978",
        ),
        (
            "linear probe accuracy, train to test",
            "share of the test rows whose class logistic regression on the train rows finds, on "
            "standardised columns with C = 1",
            "scikit-learn's LogisticRegression",
        ),
    )
    return [
        Metric(
            name=name,
            value=value,
            error=binomial_error(value, count),
            rows=rows,
            range=f"0 to 1; the largest class has a share of {largest:.3g}",
            good="high",
            meaning=meaning,
            source=source,
        )
        for (name, meaning, source), value in zip(described, values, strict=True)
    ]


def _standardised(
    train: np.ndarray, test: np.ndarray, tolerance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return both with the mean and variances of the train rows removed."""
    middle = train.mean(0)
    variances = np.square(train - middle).mean(0)
    rounding = 8 * np.finfo(float).eps * np.abs(train).max()
    scale = np.sqrt(np.maximum(variances, max(tolerance * variances.max(), rounding**2)))
    scale = np.where(scale > 0, scale, 1)
    return (train - middle) / scale, (test - middle) / scale
