r"""Exact moments of embeddings that need not fit in memory, a chunk of rows at a time.

    scatter = sum_i (z_i - mean)(z_i - mean)^T

All rows are shifted by the mean of the first chunk, x_i = z_i - origin, and summed in float64:

    scatter = sum_i x_i x_i^T - n x x^T,   x = (1/n) sum_i x_i = mean - origin

A large mean causes no loss of accuracy: the first of m chunks alone contributes n |x|^2 / m to the
trace of the scatter, so that the difference loses a factor of at most m.

A value that is not finite makes its row and column of the scatter NaN.

The products are in float64 for every dtype. In float32, a sum of k products has an error of up to
k 2^-24 of the sum of their sizes (Higham 2002, section 3.1). Eigenvalues then appear where the
exact ones are 0, and an effective rank counts their square roots.

NumPy on the host: `np.load(path, mmap_mode="r")` is read once, a chunk at a time.
"""

from typing import Any, NamedTuple

import numpy as np

from jssl.data.checks import require_count
from jssl.data.chunks import CHUNK_BYTES, STRIP_BYTES, rows, stored_rows
from jssl.data.half import widen
from jssl.errors import InputError
from jssl.host_arithmetic import host_float64, without_mask

PRODUCT_BYTES = 2**22, 2**26
"""Least and largest size of the rows of one matrix product: at least four times as many as columns,
where the largest size allows."""


class Moments(NamedTuple):
    """First and second moments of rows.

    Attributes:
        points: number of rows.
        mean: (dim,) float64.
        scatter: (dim, dim) float64, the covariance times their number.
    """

    points: int
    mean: np.ndarray
    scatter: np.ndarray

    @property
    def covariance(self) -> np.ndarray:
        """(dim, dim) covariance, divided by their number."""
        return self.scatter / self.points

    @property
    def second_moment(self) -> np.ndarray:
        """(dim, dim) mean of z z^T."""
        return self.covariance + np.outer(self.mean, self.mean)


class Scan(NamedTuple):
    """What one pass over rows gives.

    Attributes:
        moments: of the rows.
        origin: (dim,) near their mean: that of the first chunk.
        sizes: (n,) squared distances |z_i - origin|^2, float64; not finite where the row is not.
    """

    moments: Moments
    origin: np.ndarray
    sizes: np.ndarray


def moments(z: Any, *, chunk: int | None = None) -> Moments:
    """Return number, mean and scatter of rows, in one pass.

    Example:
        >>> seen = moments(np.array([[1.0], [3.0]]))
        >>> seen.mean.tolist(), seen.scatter.tolist()
        ([2.0], [[2.0]])

    Args:
        z: (n, dim) array or memory map of real numbers.
        chunk: rows at a time; None for as many as `jssl.data.chunks.CHUNK_BYTES` hold.

    Raises:
        InputError: for another rank, no rows, or values that are not real numbers.
    """
    return scan(z, chunk=chunk).moments


def scan(z: Any, *, chunk: int | None = None) -> Scan:
    """Return the moments of rows and their squared distances from a point, in one pass.

    Example:
        >>> seen = scan(np.array([[1.0], [3.0]]))
        >>> seen.origin.tolist(), seen.sizes.tolist()
        ([2.0], [1.0, 1.0])

    Args:
        z: (n, dim) array or memory map of real numbers.
        chunk: rows at a time, as in `moments`.

    Raises:
        InputError: as `moments`.
    """
    z = _checked(z)
    chunk = None if chunk is None else require_count("chunk", chunk)
    n, dim = z.shape
    first = host_float64("embeddings", z[0])
    origin, total, scatter, sizes = first, np.zeros(dim), np.zeros((dim, dim)), np.empty(n)
    memory = np.empty((min(n, chunk or n, _product_rows(dim)), dim))
    with np.errstate(invalid="ignore", over="ignore"):  # the result is then NaN or inf
        for start, stored in stored_rows(z, chunk):
            part = np.asarray(without_mask("embeddings", stored))
            if not start:  # exactly the first row, where all rows are equal
                origin = first + (host_float64("embeddings", part) - first).mean(0)
            for low in range(0, len(part), len(memory)):
                few = part[low : low + len(memory)]
                x = memory[: len(few)]
                total += _shift(few, origin, x, sizes[start + low : start + low + len(few)])
                scatter += x.T @ x
        step = total / n
        scatter -= np.outer(total, step)
        return Scan(Moments(n, origin + step, scatter), origin, sizes)


def _shift(few: np.ndarray, origin: np.ndarray, x: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Write rows less an origin into x, and their squared lengths into sizes; return their sum."""
    total, step = np.zeros(len(origin)), max(1, STRIP_BYTES // (8 * len(origin)))
    for low in range(0, len(few), step):
        strip = x[low : low + step]
        widen(few[low : low + step], strip)
        strip -= origin
        np.vecdot(strip, strip, out=sizes[low : low + step])
        total += np.ones(len(strip)) @ strip
    return total


def _product_rows(dim: int) -> int:
    """Return the number of rows of one matrix product."""
    least, most = (size // (8 * dim) for size in PRODUCT_BYTES)
    return max(1, least, min(4 * dim, most))


def cross_scatter(
    a: Any, b: Any, mean_a: np.ndarray, mean_b: np.ndarray, *, chunk: int | None = None
) -> np.ndarray:
    """Return sum_i (a_i - mean_a)(b_i - mean_b)^T of two arrays whose means are known.

    Example:
        >>> a = np.array([[1.0], [3.0]])
        >>> cross_scatter(a, -a, a.mean(0), -a.mean(0)).tolist()
        [[-2.0]]

    Args:
        a: (n, dim) array or memory map.
        b: (n, other) likewise.
        mean_a: (dim,).
        mean_b: (other,).
        chunk: rows at a time.

    Raises:
        InputError: for different numbers of rows, means that do not fit, or values that are not
            real numbers.
    """
    a, b = _checked(a), _checked(b)
    if len(a) != len(b):
        message = f"both need a row for the same points; got {len(a)} and {len(b)}"
        raise InputError(message)
    mean_a, mean_b = host_float64("mean_a", mean_a), host_float64("mean_b", mean_b)
    if mean_a.shape != np.shape(a)[1:] or mean_b.shape != np.shape(b)[1:]:
        message = f"the means must be {np.shape(a)[1:]} and {np.shape(b)[1:]}, one per column; "
        message += f"got {mean_a.shape} and {mean_b.shape}"
        raise InputError(message)
    if chunk is None:
        chunk = max(1, CHUNK_BYTES // (8 * max(a.shape[1], b.shape[1])))
    chunk = require_count("chunk", chunk)
    total = np.zeros((a.shape[1], b.shape[1]))
    with np.errstate(invalid="ignore", over="ignore"):
        for (_, left), (_, right) in zip(rows(a, chunk), rows(b, chunk), strict=True):
            total += (left - mean_a).T @ (right - mean_b)
    return total


def gram_spectrum(z: Any, mean: np.ndarray, *, chunk: int = 4096) -> np.ndarray:
    """Return the eigenvalues of the covariance of fewer rows than columns, from the (n, n) Gram.

    Example:
        >>> z = np.array([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]])
        >>> gram_spectrum(z, z.mean(0)).round(3).tolist()
        [1.25, 0.0]

    Args:
        z: (n, dim) array or memory map.
        mean: (dim,) to subtract; zeros for the second moment.
        chunk: columns at a time.

    Returns:
        (n,) descending, float64, divided by n; all others are 0.
    """
    gram = np.zeros((len(z), len(z)))
    for start in range(0, z.shape[1], chunk):
        part = host_float64("embeddings", z[:, start : start + chunk])
        part = part - mean[start : start + chunk]
        gram += part @ part.T
    return np.linalg.eigvalsh(gram / len(z))[::-1]


def _checked(z: Any) -> Any:
    z = z if hasattr(z, "shape") else host_float64("embeddings", z)
    if np.ndim(z) != 2 or not len(z) or not z.shape[1]:
        message = f"embeddings must be (n, dim), neither empty; got shape {np.shape(z)}"
        raise InputError(message)
    return z
