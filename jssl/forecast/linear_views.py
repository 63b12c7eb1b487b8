"""Views as a linear encoder sees them: their principal axes, moments, and modes on held-out pairs.

A linear encoder under JEPA depends on its views through their second moments alone, and so does
one under LeJEPA if the views are Gaussian. Modes are eigenvectors of a moment; their eigenvalues
are also evaluated on pairs that did not choose them.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jssl.forecast.lost_dimensions import WIDEST

NEGLIGIBLE = 1e-6
"""Moment of a direction over the largest, below which it is left out."""
_ROUNDING = 1e-13

Products = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(n, k) components of both views along k directions -> (n, k) terms whose mean is the value."""


class LinearViews(NamedTuple):
    """Both views in their principal axes.

    Attributes:
        first: (n, r).
        second: (n, r).
        inputs: number of input dimensions.
        mean_share: share of the squared mean in the second moment of the views as given.
        left_out: number of directions whose moment is not zero but below 1e-6 of the largest.
    """

    first: np.ndarray
    second: np.ndarray
    inputs: int
    mean_share: float
    left_out: int = 0


class LinearModes(NamedTuple):
    """Modes of a moment, in descending order of its eigenvalues.

    Attributes:
        values: (count,) eigenvalues on all pairs.
        vectors: (count, r) unit vectors as rows.
        held_out: (count,) the value of the modes of one half of the pairs on the other half.
        errors: (count,) standard errors of `held_out`, given the modes of each half.
    """

    values: np.ndarray
    vectors: np.ndarray
    held_out: np.ndarray
    errors: np.ndarray


def principal_views(
    first: np.ndarray, second: np.ndarray, draws: np.random.Generator, *, centred: bool
) -> LinearViews:
    """Return both views in the principal axes of all views.

    Example:
        >>> draws = np.random.default_rng(0)
        >>> x = draws.normal(size=(50, 2)) @ np.ones((2, 3)) + 1
        >>> principal_views(x, x, draws, centred=True).first.shape  # of rank 1
        (50, 1)

    Directions with less than 1e-6 of the largest moment are left out. Views of more than 512
    dimensions are first projected to 512 random directions of large moment.

    Args:
        first: (n, ...).
        second: (n, ...).
        draws: for views of more than 512 dimensions.
        centred: whether the mean of all views is subtracted.
    """
    pooled = np.concatenate([x.reshape(len(x), -1) for x in (first, second)])
    n, inputs = len(first), pooled.shape[1]
    mean = pooled.mean(0)
    share = float(mean @ mean / max((pooled**2).mean(0).sum(), 1e-300))
    if centred:
        pooled = pooled - mean
    if inputs > WIDEST:
        sketch = pooled.T @ (pooled @ draws.normal(size=(inputs, WIDEST)))
        pooled = pooled @ np.linalg.qr(sketch)[0]
    moments, axes = np.linalg.eigh(pooled.T @ pooled / len(pooled))
    large = moments > NEGLIGIBLE * moments[-1]
    left_out = int((~large & (moments > _ROUNDING * moments[-1])).sum())
    kept = pooled @ axes[:, large][:, ::-1]
    return LinearViews(kept[:n], kept[n:], inputs, share, left_out)


def linear_modes(
    views: LinearViews, products: Products, count: int, draws: np.random.Generator
) -> LinearModes:
    """Return the leading modes of the mean of products of the views, and their held-out values.

    Example:
        >>> draws = np.random.default_rng(0)
        >>> x = draws.normal(size=(4000, 2)) * np.array([2.0, 1.0])
        >>> found = linear_modes(LinearViews(x, x, 2, 0.0), np.multiply, 2, draws)
        >>> print(found.values.round(1), found.held_out.round(0))
        [4.1 1. ] [4. 1.]

    Args:
        views: in principal axes.
        products: a quadratic form in both components, such as their product.
        count: number of modes.
        draws: of the halves.
    """
    values, vectors = _leading(views.first, views.second, products, count)
    order = draws.permutation(len(views.first))
    halves = order[: len(order) // 2], order[len(order) // 2 :]
    means, squares = np.zeros((2, count)), np.zeros((2, count))
    for index, (fit, test) in enumerate((halves, halves[::-1])):
        chosen = _leading(views.first[fit], views.second[fit], products, count)[1]
        terms = products(*(x[test] @ chosen.T for x in (views.first, views.second)))
        means[index], squares[index] = terms.mean(0), terms.var(0) / max(len(test) - 1, 1)
    return LinearModes(values, vectors, means.mean(0), np.sqrt(squares.sum(0)) / 2)


def _leading(
    first: np.ndarray, second: np.ndarray, products: Products, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest eigenvalues and eigenvectors (rows) of the symmetric form of products."""
    values, vectors = np.linalg.eigh(form_of(first, second, products))
    return values[::-1][:count], vectors[:, ::-1][:, :count].T


def form_of(first: np.ndarray, second: np.ndarray, products: Products) -> np.ndarray:
    """Return the symmetric matrix M (r, r) with v^T M v the mean of products along v.

    Example:
        >>> x = np.array([[1.0, 2.0], [3.0, 0.0]])
        >>> print(form_of(x, x, np.multiply))  # the second moment
        [[5. 1.]
         [1. 2.]]

    The quadratic form is p aa + 2 q ab + r bb; its coefficients are read from three products.
    """
    one, zero = np.ones((1, 1)), np.zeros((1, 1))
    p, r = (float(products(*pair)[0, 0]) for pair in ((one, zero), (zero, one)))
    cross = (float(products(one, one)[0, 0]) - p - r) / 2
    n = len(first)
    ab = first.T @ second / n
    return p * first.T @ first / n + r * second.T @ second / n + cross * (ab + ab.T)
