"""The operators of the contrastive kernel: the Gram matrix of two views, and their pairing."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from jssl.arithmetic import working
from jssl.data.checks import require_count
from jssl.errors import InputError, shown
from jssl.host_arithmetic import host_value, not_numbers
from jssl.types import Array

_ASYMMETRY = 1e-3  # no rounding makes a matrix this asymmetric

_dot = partial(jnp.matmul, precision="highest")


def two_view_gram(first: Array, cross: Array, second: Array) -> Array:
    """Return the Gram matrix of both views, [[first, cross], [cross^T, second]].

    Example:
        >>> import jax.numpy as jnp
        >>> two_view_gram(jnp.eye(2), jnp.ones((2, 2)), jnp.eye(2)).shape
        (4, 4)

    Args:
        first: (n, n) k(X, X).
        cross: (n, n) k(X, X'); row i is the first view of sample i.
        second: (n, n) k(X', X').

    Returns:
        (2n, 2n) k(Z, Z) with Z = [X; X'].

    Raises:
        InputError: if the three are not square and of one size.
    """
    first, cross, second = working(first=first, cross=cross, second=second)
    shapes = [part.shape for part in (first, cross, second)]
    if len(set(shapes)) > 1 or len(shapes[0]) != 2 or shapes[0][0] != shapes[0][1]:
        message = f"the three Gram matrices must all be (n, n); got {', '.join(map(str, shapes))}"
        raise InputError(message)
    return jnp.block([[first, cross], [cross.T, second]])


def swap(n: int) -> Array:
    """Return J (2n, 2n), which swaps the two views of every pair.

    Example:
        >>> import jax.numpy as jnp
        >>> swap(2) @ jnp.array([1.0, 2.0, 3.0, 4.0])
        Array([3., 4., 1., 2.], dtype=float32)

    Args:
        n: number of pairs.
    """
    return jnp.roll(jnp.eye(2 * n), n, axis=0)


def swap_views(v: Array) -> Array:
    """Return J v / 2n for v (2n, columns)."""
    return jnp.roll(v, v.shape[0] // 2, axis=0) / v.shape[0]


def as_product(operator: Array | Callable[[Array], Array]) -> Partial:
    """Return the product with a matrix, or a function, as a pytree that jit takes."""
    if isinstance(operator, Partial):
        return operator
    return Partial(operator) if callable(operator) else Partial(_dot, *working(operator=operator))


def pairing_product(pairing: Array | Callable[[Array], Array] | None, size: int) -> Partial:
    """Return v -> A v of a pairing, by default J v / 2n."""
    if pairing is None and size % 2:
        message = f"two views need an even number of rows; got {size}: pass pairing"
        raise InputError(message)
    return as_product(swap_views if pairing is None else pairing)


def size_of(gram: Any, size: int | None, pairing: Any) -> int:
    """Return the number of rows of K, or raise where shapes do not fit."""
    if callable(gram):
        if size is None:
            message = "pass size, the number of rows, where the Gram matrix is a function"
            raise InputError(message)
        rows = require_count("size", size)
    else:
        shape = _shape("the Gram matrix", gram)
        if len(shape) != 2 or shape[0] != shape[1] or not shape[0]:
            message = f"the Gram matrix must be square, of at least one row; got shape {shape}"
            raise InputError(message)
        rows = shape[0]
        if size is not None and size != rows:
            message = f"size is {shown(size)}, and the Gram matrix has {rows} rows; leave size out"
            raise InputError(message)
    if pairing is not None and not callable(pairing):
        shape = _shape("pairing", pairing)
        if shape != (rows, rows):
            message = f"pairing must be ({rows}, {rows}) like the Gram matrix; got {shape}"
            raise InputError(message)
    return rows


def check_symmetric(name: str, matrix: Array) -> Array:
    """Return a square matrix, or raise where it is not symmetric up to rounding; a traced one is.

    Example:
        >>> check_symmetric("pairing", jnp.triu(jnp.ones((2, 2))))
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: pairing is not symmetric: entries differ by 1 of the largest ...
    """
    known = host_value(_asymmetry(matrix))
    if known is not None and known > _ASYMMETRY:
        message = (
            f"{name} is not symmetric: entries differ by {float(known):.1g} of the largest from "
            "those of the transpose"
        )
        raise InputError(message)
    return matrix


def check_product(name: str, found: Any, v: Array) -> None:
    """Raise where a product with v is no array of the shape of v.

    Example:
        >>> check_product("pairing", jnp.ones((2, 3)), jnp.ones((4, 3)))
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: pairing must map (4, 3) to (4, 3); it returns (2, 3)
    """
    shape = getattr(found, "shape", None)
    if shape != v.shape:
        got = shown(found) if shape is None else shape
        message = f"{name} must map {v.shape} to {v.shape}; it returns {got}"
        raise InputError(message)
    if found.dtype != v.dtype:
        message = f"{name} must map {v.dtype} to {v.dtype}; it returns {found.dtype}"
        raise InputError(message)


@jax.jit
def _asymmetry(matrix: Array) -> Array:
    largest = jnp.max(jnp.abs(matrix))
    return jnp.max(jnp.abs(matrix - matrix.T)) / jnp.where(largest > 0, largest, 1)


def _shape(name: str, matrix: Any) -> tuple[int, ...]:
    try:
        return np.shape(matrix)
    except (TypeError, ValueError) as error:
        raise not_numbers(name, shown(matrix)) from error
