"""The classifiers of the probes, in NumPy and scikit-learn: nearest neighbours, a linear one."""

import warnings

import numpy as np

from jssl.diagnosis.views import unit

ITERATIONS = 1000
"""The most iterations of the logistic regression."""

_BLOCK = 512


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
    found, done = logistic_found(train, train_classes, test, test_classes)
    return float(found.mean()), done


def logistic_found(
    train: np.ndarray, train_classes: np.ndarray, test: np.ndarray, test_classes: np.ndarray
) -> tuple[np.ndarray, bool]:
    """Return for each tested row whether its class was found, and whether the fit converged."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    if len(np.unique(train_classes)) == 1:
        return np.asarray(test_classes == train_classes[0]), True
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = LogisticRegression(C=1.0, max_iter=ITERATIONS).fit(train, train_classes)
    done = not any(issubclass(each.category, ConvergenceWarning) for each in caught)
    return np.asarray(model.predict(test) == test_classes), done


def nearest_found(
    train: np.ndarray,
    train_classes: np.ndarray,
    test: np.ndarray,
    test_classes: np.ndarray,
    neighbours: int,
) -> np.ndarray:
    """Return for each tested row whether its class has most votes, as `knn_probe`, in NumPy.

    Example:
        >>> z = np.array([[0.0, 1.0], [0.1, 1.2], [1.0, 0.1], [1.1, 0.0]])
        >>> labels = np.array([0, 0, 1, 1])
        >>> nearest_found(z, labels, 9 * z, labels, 2).tolist()
        [True, True, True, True]
    """
    count, classes = min(neighbours, len(train)), int(train_classes.max()) + 1
    directions, found = unit(train), []
    for start in range(0, len(test), _BLOCK):
        similar = unit(test[start : start + _BLOCK]) @ directions.T
        nearest = np.argpartition(-similar, count - 1, axis=1)[:, :count]
        votes = np.zeros((len(similar), classes), int)
        np.add.at(votes, (np.arange(len(similar))[:, None], train_classes[nearest]), 1)
        found.append(votes.argmax(1) == test_classes[start : start + _BLOCK])
    return np.concatenate(found)
