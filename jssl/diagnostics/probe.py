"""Probes of embeddings: ridge regression in closed form, and nearest neighbours.

    minimise ||Z A + b - Y||_F^2 + ridge (tr(Z^T Z) / dim) ||A||_F^2      Z, Y centred, Y one-hot

The ridge is in units of the mean eigenvalue of Z^T Z, so the answer does not depend on the scale of
the embeddings. The nearest-neighbour probe lets the k most similar training points vote, by cosine
(Wu et al. 2018, arXiv 1805.01978, unweighted).

Negative labels raise an error. Under jit they cannot be checked; rows with negative labels are then
not used. Both compute in float32 at least, for any dtype of the embeddings, and
return NaN where a value of the embeddings is not finite.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jssl.arithmetic import rows, working
from jssl.data.checks import host_value, require_count, require_range
from jssl.errors import InputError
from jssl.losses.common import unit
from jssl.types import Array


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
        >>> z = jnp.array([[0.0, 1.0], [0.0, 1.2], [1.0, 0.1], [1.1, 0.0]])
        >>> labels = jnp.array([0, 0, 1, 1])
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
    train, train_labels, test, test_labels, classes = _check(
        train, train_labels, test, test_labels, classes
    )
    penalty = jnp.asarray(ridge, train.dtype)
    return _accuracy(train, train_labels, test, test_labels, penalty, classes)


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
        >>> z = jnp.array([[0.0, 1.0], [0.1, 1.2], [1.0, 0.1], [1.1, 0.0]])
        >>> labels = jnp.array([0, 0, 1, 1])
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
    train, train_labels, test, test_labels, classes = _check(
        train, train_labels, test, test_labels, classes
    )
    neighbours = require_count("neighbours", neighbours, high=len(train))
    block = min(require_count("block", block), len(test))
    return _votes(train, train_labels, test, test_labels, neighbours, classes, block)


def _check(
    train: Any, train_labels: Any, test: Any, test_labels: Any, classes: int | None
) -> tuple[Array, Array, Array, Array, int]:
    train, test = working(train=rows("train", train), test=rows("test", test))
    labels = _labels("train_labels", train_labels)
    expected = _labels("test_labels", test_labels)
    shapes = [a.shape for a in (train, labels, test, expected)]
    paired = shapes[1] == shapes[0][:1] and shapes[3] == shapes[2][:1]
    if train.ndim != 2 or not paired or shapes[2][1:] != shapes[0][1:]:
        message = f"embeddings must be (n, dim) and labels (n,), for both sets; got {shapes}"
        raise InputError(message)
    known = host_value(train_labels)
    if classes is None:
        if known is None:
            message = "labels are traced; pass the number of classes, classes=..."
            raise InputError(message)
        classes = int(known.max()) + 1
    classes = require_count("classes", classes)
    if known is not None and known.max() >= classes:
        message = f"train_labels must be below the {classes} classes; got {known.max()}"
        raise InputError(message)
    return train, labels, test, expected, classes


def _labels(name: str, value: Any) -> Array:
    known = host_value(value)
    kind = np.asarray(known).dtype if known is not None else value.dtype
    if np.dtype(kind).kind not in "iub":
        message = f"{name} must be integers from 0; got {kind}"
        raise InputError(message)
    if known is not None and np.min(known, initial=0) < 0:
        message = f"{name} must be integers from 0; got {np.min(known)}: leave such rows out"
        raise InputError(message)
    return jnp.asarray(value).astype(int)


@functools.partial(jax.jit, static_argnames=("neighbours", "classes", "block"))
def _votes(
    train: Array,
    labels: Array,
    test: Array,
    expected: Array,
    neighbours: int,
    classes: int,
    block: int,
) -> Array:
    directions, labelled = unit(train), labels >= 0

    def correct(row: tuple[Array, Array]) -> Array:
        similar = jnp.matmul(directions, row[0], precision="highest")
        nearest = jax.lax.top_k(jnp.where(labelled, similar, -jnp.inf), neighbours)[1]
        votes = jnp.zeros(classes, int).at[jnp.maximum(labels[nearest], 0)].add(labelled[nearest])
        return jnp.argmax(votes) == row[1]

    found = jax.lax.map(correct, (unit(test), expected), batch_size=block)
    finite = jnp.isfinite(train).all() & jnp.isfinite(test).all()
    share = found.astype(train.dtype).mean(where=expected >= 0)
    return jnp.where(finite, share, jnp.nan)


@functools.partial(jax.jit, static_argnames="classes")
def _accuracy(
    train: Array, labels: Array, test: Array, expected: Array, ridge: Array, classes: int
) -> Array:
    dot = functools.partial(jnp.matmul, precision="highest")
    target = jax.nn.one_hot(labels, classes, dtype=train.dtype)
    labelled = (labels >= 0)[:, None]
    count = jnp.maximum(labelled.sum(), 1)
    share = target.sum(0, where=labelled) / count
    test = test - train[:1]
    shifted = train - train[:1]
    middle = (shifted / count).sum(0, where=labelled)
    z = jnp.where(labelled, shifted - middle, 0)
    largest = jnp.max(jnp.abs(z))
    unit_size = jnp.where(largest == 0, 1, largest)  # the answer does not depend on the scale
    z, test = z / unit_size, (test - middle) / unit_size
    gram = dot(z.T, z / count)
    size = jnp.trace(gram) / len(gram)
    penalty = ridge * jnp.where(size == 0, 1, size) * jnp.eye(len(gram), dtype=gram.dtype)
    weight = jnp.linalg.solve(gram + penalty, dot(z.T, (target - share) / count))
    scores = dot(test, weight) + share
    found = (jnp.argmax(scores, axis=1) == expected).astype(train.dtype)
    return jnp.where(jnp.isfinite(scores).all(), found.mean(where=expected >= 0), jnp.nan)
