r"""Exact moments of embeddings that need not fit in memory, a chunk of rows at a time.

    scatter = sum_i (z_i - mean)(z_i - mean)^T

Chunks are shifted by the first row and summed in float64, and merged as Chan, Golub and LeVeque
(1983) do, so that a large mean causes no loss of accuracy:

    scatter = scatter_1 + scatter_2 + (n_1 n_2 / n) (mean_2 - mean_1)(mean_2 - mean_1)^T

A value that is not finite makes its row and column of the scatter NaN.

NumPy on the host: `np.load(path, mmap_mode="r")` is read once, a chunk at a time.
"""

from typing import Any, NamedTuple

import numpy as np

from jssl.data.checks import require_count
from jssl.data.chunks import CHUNK_BYTES, rows
from jssl.errors import InputError
from jssl.host_arithmetic import host_float64


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
    z = _checked(z)
    chunk = None if chunk is None else require_count("chunk", chunk)
    origin = host_float64("embeddings", z[0])
    count, mean, scatter = 0, np.zeros(len(origin)), np.zeros((len(origin),) * 2)
    with np.errstate(invalid="ignore", over="ignore"):  # the result is then NaN or inf
        for _, part in rows(z, chunk):
            part = part - origin
            middle = part.mean(0)
            part -= middle
            step, total = middle - mean, count + len(part)
            scatter += part.T @ part
            scatter += np.outer(step * (count * len(part) / total), step)
            mean = mean + step * (len(part) / total)
            count = total
        return Moments(count, origin + mean, scatter)


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
