"""Probes of embeddings: ridge regression in closed form, and nearest neighbours.

    minimise ||Z A + b - Y||_F^2 + ridge (tr(Z^T Z) / dim) ||A||_F^2      Z, Y centred, Y one-hot

The ridge is in units of the mean eigenvalue of Z^T Z, so the answer does not depend on the scale of
the embeddings. The nearest-neighbour probe lets the k most similar training points vote, by cosine
(Wu et al. 2018, arXiv 1805.01978, unweighted).

Negative labels raise an error. Under jit they cannot be checked; rows with negative labels are then
not used. Both compute in float32 at least, for any dtype of the embeddings, and
return NaN where a value of the embeddings is not finite.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from jssl.data.checks import require_count, require_range
from jssl.errors import InputError
from jssl.formulas.algebra import counting, identity, matmul, over_rows, solve, unit
from jssl.formulas.libraries import (
    Array,
    compiled,
    is_jax,
    is_torch,
    library_of,
    pair_of_rows,
    scalar,
)
from jssl.host_arithmetic import host_value


def ridge_probe(
    train: Array,
    train_labels: Array,
    test: Array,
    test_labels: Array,
    *,
    ridge: float = 1e-3,
    classes: int | None = None,
) -> Array:
    """Return the accuracy of a linear classifier fitted to embeddings by ridge regression.

    Example:
        >>> import numpy as np
        >>> z = np.array([[0.0, 1.0], [0.0, 1.2], [1.0, 0.1], [1.1, 0.0]])
        >>> labels = np.array([0, 0, 1, 1])
        >>> print(ridge_probe(z, labels, z, labels))
        1.0

    Directions whose variance is far below the ridge have no effect: a collapsed embedding counts as
    collapsed, though its other directions are not exactly zero. Regression on one-hot labels cannot
    find a class that lies between others on a line (masking: Hastie, Tibshirani and Friedman 2009,
    section 4.2), where a logistic classifier can.

    Args:
        train: (n, dim) embeddings to fit on.
        train_labels: (n,) integers from 0.
        test: (m, dim) embeddings to judge by.
        test_labels: (m,) integers from 0.
        ridge: in units of the mean eigenvalue of Z^T Z, 0 or more.
        classes: number of classes; read from `train_labels` if None, which then cannot be traced.

    Returns:
        Share of test samples whose class is found, in [0, 1]; 1 / classes is chance. NaN where a
        value is not finite, or where the fit is not determined: at ridge 0 with a singular Z^T Z.

    Raises:
        InputError: for shapes that do not fit, a negative ridge, labels that are not integers from
            0 to classes - 1, or traced labels of no known number of classes.
    """
    require_range("ridge", ridge, 0)
    xp, train, train_labels, test, test_labels, classes = _check(
        train, train_labels, test, test_labels, classes
    )
    penalty = scalar(ridge, train, xp)
    return _accuracy(train, train_labels, test, test_labels, penalty, classes=classes, xp=xp)


def knn_probe(
    train: Array,
    train_labels: Array,
    test: Array,
    test_labels: Array,
    *,
    neighbours: int = 20,
    classes: int | None = None,
    block: int = 512,
) -> Array:
    """Return the accuracy of a vote among the most similar training embeddings.

    Example:
        >>> import numpy as np
        >>> z = np.array([[0.0, 1.0], [0.1, 1.2], [1.0, 0.1], [1.1, 0.0]])
        >>> labels = np.array([0, 0, 1, 1])
        >>> print(knn_probe(z, labels, 9 * z, labels, neighbours=2))
        1.0

    Similarity is the cosine; a tie goes to the class of the lowest number. Nothing is fitted, so it
    detects classes that form clusters whether or not they are linearly separable.

    Args:
        train: (n, dim) embeddings that vote.
        train_labels: (n,) integers from 0.
        test: (m, dim) embeddings to judge.
        test_labels: (m,) integers from 0.
        neighbours: k, 1 <= k <= n, static.
        classes: number of classes; read from `train_labels` if None, which then cannot be traced.
        block: test rows at a time; the program needs (block, n) numbers.

    Returns:
        Share of test samples whose class wins, in [0, 1]; 1 / classes is chance. NaN where a value
        is not finite.

    Raises:
        InputError: for shapes that do not fit, k out of range, labels that are not integers from 0
            to classes - 1, or traced labels of no known number of classes.

    References:
        Wu, Xiong, Yu, Lin 2018, arXiv 1805.01978, section 3.4.
    """
    xp, train, train_labels, test, test_labels, classes = _check(
        train, train_labels, test, test_labels, classes
    )
    neighbours = require_count("neighbours", neighbours, high=len(train))
    block = min(require_count("block", block), len(test))
    options = {"neighbours": neighbours, "classes": classes, "block": block, "xp": xp}
    return _votes(train, train_labels, test, test_labels, **options)


def _check(
    train: Any, train_labels: Any, test: Any, test_labels: Any, classes: int | None
) -> tuple[Any, Any, Any, Any, Any, int]:
    labels_in = library_of(train_labels, test_labels)
    if is_jax(labels_in) and not is_torch(library_of(train, test)):  # they may be traced
        train, test = labels_in.asarray(train), labels_in.asarray(test)
    xp, train, test = pair_of_rows(train=train, test=test)
    labels = _labels("train_labels", train_labels, train, xp)
    expected = _labels("test_labels", test_labels, train, xp)
    shapes = [tuple(a.shape) for a in (train, labels, test, expected)]
    paired = shapes[1] == shapes[0][:1] and shapes[3] == shapes[2][:1]
    if train.ndim != 2 or not paired or shapes[2][1:] != shapes[0][1:]:
        message = f"embeddings must be (n, dim) and labels (n,), for both sets; got {shapes}"
        raise InputError(message)
    known = _known(train_labels)
    if classes is None:
        if known is None:
            message = "labels are traced; pass the number of classes, classes=..."
            raise InputError(message)
        classes = int(known.max()) + 1
    classes = require_count("classes", classes)
    if known is not None and known.max() >= classes:
        message = f"train_labels must be below the {classes} classes; got {known.max()}"
        raise InputError(message)
    return xp, train, labels, test, expected, classes


def _known(value: Any) -> np.ndarray | None:
    """Return labels on the host, None where they are traced."""
    return host_value(value.detach().cpu() if hasattr(value, "detach") else value)


def _labels(name: str, value: Any, like: Any, xp: Any) -> Any:
    known = _known(value)
    kind = np.asarray(known).dtype if known is not None else value.dtype
    if np.dtype(kind).kind not in "iub":
        message = f"{name} must be integers from 0; got {kind}"
        raise InputError(message)
    if known is not None and np.min(known, initial=0) < 0:
        message = f"{name} must be integers from 0; got {np.min(known)}: leave such rows out"
        raise InputError(message)
    if is_torch(xp):
        return xp.asarray(np.asarray(known, np.int64), device=like.device)
    return xp.asarray(value if is_jax(xp) else known).astype(int)


def _one_hot(labels: Any, classes: int, like: Any, xp: Any) -> Any:
    numbers = counting(0, classes - 1, like, xp)
    return xp.where(labels[:, None] == numbers, xp.ones_like(numbers), 0)


def _share(found: Any, judged: Any, like: Any, xp: Any) -> Any:
    """Return the share of the judged samples that are found."""
    right = xp.sum(xp.where(judged & found, scalar(1, like, xp), 0))
    return right / xp.sum(xp.where(judged, scalar(1, like, xp), 0))


def _share_of_votes(
    train: Any,
    labels: Any,
    test: Any,
    expected: Any,
    *,
    neighbours: int,
    classes: int,
    block: int,
    xp: Any,
) -> Any:
    directions, labelled = unit(train, xp), labels >= 0
    classes_of = _one_hot(labels, classes, train, xp)

    def correct(point: Any, label: Any) -> Any:
        similar = matmul(point, directions.mT, xp)
        similar = xp.where(labelled, similar, -xp.inf)
        votes = _counts(similar, classes_of, neighbours, xp)
        return xp.argmax(votes, axis=-1) == label

    found = over_rows(correct, (unit(test, xp), expected), block, xp)
    finite = xp.all(xp.isfinite(train)) & xp.all(xp.isfinite(test))
    return xp.where(finite, _share(found, expected >= 0, train, xp), xp.nan)


def _counts(similar: Any, classes_of: Any, neighbours: int, xp: Any) -> Any:
    """Return how many of the nearest have each class; among equals, the first rows are nearest."""
    if is_jax(xp):
        import jax

        nearest = jax.lax.top_k(similar, neighbours)[1]
        return xp.sum(classes_of[nearest], axis=-2)
    if is_torch(xp):
        least = xp.min(similar.topk(neighbours, dim=-1).values, axis=-1, keepdims=True)
    else:
        least = np.partition(similar, -neighbours, axis=-1)[..., -neighbours, None]
    chosen = similar >= least
    if bool(xp.any(xp.count_nonzero(chosen, axis=-1) > neighbours)):
        above, equal = similar > least, similar == least
        room = neighbours - xp.count_nonzero(above, axis=-1)[..., None]
        chosen = above | (equal & (xp.cumulative_sum(xp.where(equal, 1, 0), axis=-1) <= room))
    return matmul(xp.where(chosen, scalar(1, similar, xp), 0), classes_of, xp)


def _accuracy_of(
    train: Any, labels: Any, test: Any, expected: Any, ridge: Any, *, classes: int, xp: Any
) -> Any:
    target = _one_hot(labels, classes, train, xp)
    labelled = (labels >= 0)[:, None]
    count = xp.sum(xp.where(labelled, scalar(1, train, xp), 0))
    count = xp.where(count == 0, 1, count)
    share = xp.sum(target, axis=0) / count
    test = test - train[:1]
    shifted = train - train[:1]
    middle = xp.sum(xp.where(labelled, shifted / count, 0), axis=0)
    z = xp.where(labelled, shifted - middle, 0)
    largest = xp.max(xp.abs(z))
    unit_size = xp.where(largest == 0, 1, largest)  # the answer does not depend on the scale
    z, test = z / unit_size, (test - middle) / unit_size
    gram = matmul(z.mT, z / count, xp)
    size = xp.linalg.trace(gram) / len(gram)
    penalty = ridge * xp.where(size == 0, 1, size) * identity(len(gram), gram, xp)
    weight = solve(gram + penalty, matmul(z.mT, (target - share) / count, xp), xp)
    scores = matmul(test, weight, xp) + share
    found = xp.argmax(scores, axis=1) == expected
    share_found = _share(found, expected >= 0, train, xp)
    return xp.where(xp.all(xp.isfinite(scores)), share_found, xp.nan)


_votes = compiled(_share_of_votes, static=("neighbours", "classes", "block"))
_accuracy = compiled(_accuracy_of, static=("classes",))
