"""Gram matrices of a model's infinite-width kernels.

With Z = [X; X'] the 2n stacked views of n pairs, the theory of arXiv 2303.15438 (section 4.4) asks
for the NTK gram K~ = NTK(Z, Z), (2n, 2n). The kernels themselves belong to the models
(`jssl.models.limits`); this file evaluates them on data, in blocks where memory asks for it.
"""

import jax
import jax.numpy as jnp

from jssl.errors import InputError, unknown_name
from jssl.types import Array, Model, Pairs

KINDS = ("nngp", "ntk")


def kernel(
    model: Model,
    x1: Array,
    x2: Array | None = None,
    *,
    kind: str = "ntk",
    rows: int | None = None,
) -> Array:
    """Return the model's infinite-width kernel between two sets of inputs.

    Example:
        >>> import jax.numpy as jnp
        >>> from jssl.models import linear
        >>> kernel(linear(2, 1), jnp.eye(2), jnp.ones((1, 2))).tolist()
        [[1.0], [1.0]]

    Args:
        model: a model with a kernel.
        x1: (n1, ...) inputs.
        x2: (n2, ...) inputs; None for x1.
        kind: "ntk", or "nngp" for the covariance of the initial function over starts.
        rows: rows of the result computed at a time; None for all at once. Memory is that of a
            (rows, n2) kernel.

    Returns:
        (n1, n2) kernel in the dtype of the inputs.

    Raises:
        InputError: the model has no kernel, the kind is unknown, or neural-tangents is missing.
    """
    if kind not in KINDS:
        error = unknown_name("kind of kernel", kind, KINDS)
        raise error
    function = model.kernel
    if function is None:
        message = (
            f"the model has no infinite-width kernel ({model.no_kernel or 'none was given'}); "
            "use its empirical one, jssl.kernels.empirical"
        )
        raise InputError(message)
    index = KINDS.index(kind)
    columns = x1 if x2 is None else x2
    if rows is None:
        return function(x1, columns)[index]
    return jax.lax.map(
        lambda row: function(row[None], columns)[index][0], x1, batch_size=min(rows, len(x1))
    )


def gram(model: Model, pairs: Pairs, *, kind: str = "ntk", rows: int | None = None) -> Array:
    """Return K~, the kernel of all views with all views, first views first.

    Example:
        >>> import jax.numpy as jnp
        >>> from jssl.models import linear
        >>> from jssl.types import Pairs
        >>> gram(linear(1, 1), Pairs(jnp.array([[1.0]]), jnp.array([[2.0]]))).tolist()
        [[1.0, 2.0], [2.0, 4.0]]

    Args:
        model: a model with a kernel.
        pairs: n positive pairs; explicit negatives play no part.
        kind: "ntk" or "nngp".
        rows: rows computed at a time, None for all.

    Returns:
        (2n, 2n) symmetric positive semidefinite matrix.

    Raises:
        InputError: as in `kernel`.

    References:
        Simon et al., arXiv 2303.15438, section 4.4.
    """
    views = jnp.concatenate([pairs.first, pairs.second])
    matrix = kernel(model, views, kind=kind, rows=rows)
    return (matrix + matrix.T) / 2
