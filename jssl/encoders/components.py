r"""Principal components of rows, and how far the leading ones of two embeddings span one subspace.

With orthonormal scores U_A, U_B (n, k) of the leading k components of the centred rows,

    overlap(k) = |U_A^T U_B|_F^2 / k,    cosines of the angles: singular values of U_A^T U_B

Two independent subspaces of the n - 1 dimensions that centred rows span overlap by k / (n - 1) on
average, with the variance 2 (N - k)^2 / (N^2 (N - 1) (N + 2)), N = n - 1 (moments of the projector
on a uniformly distributed subspace, James 1954).
"""

from typing import NamedTuple

import numpy as np

from jssl.host_arithmetic import ROUNDING


class Components(NamedTuple):
    """Principal components of n rows, in descending order of their variance.

    Attributes:
        values: (r,) eigenvalues of the covariance, positive.
        scores: (n, r) orthonormal columns: the centred rows in units of sqrt(n values).
    """

    values: np.ndarray
    scores: np.ndarray


class Overlap(NamedTuple):
    """How far the leading components of two embeddings span one subspace.

    Attributes:
        curve: (most,) overlap of the leading 1, 2, ... components.
        leading: number of components for the values below.
        value: overlap of these.
        chance: overlap of independent subspaces of this dimension.
        chance_error: its standard deviation.
        angles: (leading,) principal angles in degrees, ascending.
    """

    curve: np.ndarray
    leading: int
    value: float
    chance: float
    chance_error: float
    angles: np.ndarray


def components(z: np.ndarray, centre: bool = True) -> Components:
    """Return the principal components of rows; those of rounding error are left out.

    Example:
        >>> z = np.array([[3.0, 0.0], [-3.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
        >>> components(z).values.tolist()
        [4.5, 0.5]

    Args:
        z: (n, dim) float64.
        centre: whether the mean is subtracted; without, the values are those of the second moment.
    """
    moved = z - z.mean(0) if centre else z
    n, dim = z.shape
    if n >= dim:
        values, vectors = np.linalg.eigh(moved.T @ moved / n)
        values, vectors = values[::-1], vectors[:, ::-1]
    else:
        values, vectors = np.linalg.eigh(moved @ moved.T / n)
        values, vectors = values[::-1], vectors[:, ::-1]
    size = max(values[0], 0) + np.finfo(float).eps * float(np.mean(np.square(z).sum(1)))
    kept = values > ROUNDING * max(n, dim) ** 0.5 * np.finfo(float).eps * size
    values, vectors = values[kept], vectors[:, kept]
    scores = moved @ (vectors / np.sqrt(n * values)) if n >= dim else vectors
    return Components(values, scores)


def overlap(a: Components, b: Components, leading: int, most: int) -> Overlap:
    """Return the overlap of the leading components of two embeddings of the same rows.

    Example:
        >>> z = np.random.default_rng(0).normal(size=(50, 3))
        >>> both = components(z), components(z @ np.diag([1.0, 2.0, 3.0]))
        >>> print(round(overlap(*both, 3, 3).value, 6))
        1.0

    Args:
        a: of the one.
        b: of the other.
        leading: number of components to compare.
        most: length of the curve, at most the number of components of either.
    """
    products = a.scores[:, :most].T @ b.scores[:, :most]
    squares = np.cumsum(np.cumsum(products**2, 0), 1)
    curve = np.diagonal(squares) / np.arange(1, most + 1)
    cosines = np.linalg.svd(products[:leading, :leading], compute_uv=False)
    space = len(a.scores) - 1
    variance = 2 * (space - leading) ** 2 / (space**2 * (space - 1) * (space + 2))
    return Overlap(
        curve,
        leading,
        float(curve[leading - 1]),
        leading / space,
        float(np.sqrt(variance)),
        np.degrees(np.arccos(np.clip(cosines, 0, 1))),
    )
