"""What a linear readout finds in embeddings: the ridge probe, in closed form.

    minimise ||Z A + b - Y||_F^2 + ridge (tr(Z^T Z) / dim) ||A||_F^2      Z, Y centred, Y one-hot

The ridge is in units of the mean eigenvalue of Z^T Z, so the answer does not depend on the scale of
the embeddings.
"""

import functools

import jax
import jax.numpy as jnp

from jssl.data.checks import host_value, require_range
from jssl.errors import InputError
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

    Directions whose variance is far below the ridge are not read: a collapsed embedding counts as
    collapsed, though its other directions are not exactly zero.

    Args:
        train: (n, dim) embeddings to fit on.
        train_labels: (n,) integers from 0.
        test: (m, dim) embeddings to judge by.
        test_labels: (m,) integers from 0.
        ridge: in units of the mean eigenvalue of Z^T Z, 0 or more.
        classes: number of classes; read from `train_labels` if None, which then cannot be traced.

    Returns:
        Share of test samples whose class is found, in [0, 1]; 1 / classes is chance.

    Raises:
        InputError: for shapes that do not fit, a negative ridge, or traced labels of no known
            number of classes.
    """
    require_range("ridge", ridge, 0)
    shapes = [jnp.shape(a) for a in (train, train_labels, test, test_labels)]
    rows = shapes[1] == shapes[0][:1] and shapes[3] == shapes[2][:1]
    if len(shapes[0]) != 2 or not rows or shapes[2][1:] != shapes[0][1:]:
        message = f"embeddings must be (n, dim) and labels (n,), for both sets; got {shapes}"
        raise InputError(message)
    if classes is None:
        known = host_value(train_labels)
        if known is None:
            message = "labels are traced: say how many classes there are, classes=..."
            raise InputError(message)
        classes = int(known.max()) + 1
    return _accuracy(train, train_labels, test, test_labels, ridge, classes)


@functools.partial(jax.jit, static_argnames="classes")
def _accuracy(
    train: Array, labels: Array, test: Array, expected: Array, ridge: Array, classes: int
) -> Array:
    target = jax.nn.one_hot(labels, classes, dtype=train.dtype)
    mean, share = train.mean(0), target.mean(0)
    z = train - mean
    gram = z.T @ z
    size = jnp.trace(gram) / len(gram)
    penalty = ridge * jnp.where(size > 0, size, 1) * jnp.eye(len(gram), dtype=gram.dtype)
    weight = jnp.linalg.solve(gram + penalty, z.T @ (target - share))
    scores = (test - mean) @ weight + share
    return (jnp.argmax(scores, axis=1) == expected).astype(train.dtype).mean()
