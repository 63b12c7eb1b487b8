r"""Has an encoder collapsed? None, dimensional or complete, by two named thresholds.

    undefined     a value is not finite

    complete      trace(covariance) <= constant x trace(second moment): all points nearly one
    dimensional   eigenvalue_j <= tolerance x eigenvalue_1 for some of the dimensions there can be
    none          otherwise

n points span at most min(n - 1, dim) dimensions after centring: fewer points than dimensions are
no collapse. Dimensional collapse as in Jing, Vincent, LeCun, Tian 2022, arXiv 2110.09348.
"""

from typing import Any

import jax.numpy as jnp

from jssl.arithmetic import working
from jssl.data.checks import require_count, require_range
from jssl.errors import InputError
from jssl.formulas import verdict as formulas
from jssl.formulas.verdict import KINDS as KINDS
from jssl.formulas.verdict import Verdict
from jssl.types import Array


def collapse_verdict(
    eigenvalues: Array,
    mean_square: Any,
    points: int,
    *,
    tolerance: float = 1e-6,
    constant: float = 1e-4,
) -> Verdict:
    """Return whether embeddings have collapsed, from the eigenvalues of their covariance.

    Example:
        >>> seen = collapse_verdict(jnp.array([1.0, 0.5, 0.0]), 2.0, points=100)
        >>> KINDS[int(seen.kind)], int(seen.rank), seen.possible
        ('dimensional', 2, 3)

    Args:
        eigenvalues: (..., dim) of the covariance, descending.
        mean_square: (...) mean |z|^2, not centred.
        points: n, static.
        tolerance: a dimension counts as lost where its variance is at most this share of the
            largest: by default a thousandth of its standard deviation.
        constant: a collapse is complete where the variance is at most this share of the mean
            square: by default points lie within a hundredth of their distance from the origin.

    Returns:
        Verdict.

    Raises:
        InputError: for thresholds outside [0, 1), fewer than two points, no eigenvalues, or values
            that are not real numbers.
    """
    (values,) = working(eigenvalues=eigenvalues)
    (square,) = working(mean_square=mean_square)
    if not values.ndim or not values.shape[-1]:
        message = f"eigenvalues must be (..., dim) with dim >= 1; got shape {values.shape}"
        raise InputError(message)
    for name, value in (("tolerance", tolerance), ("constant", constant)):
        require_range(name, value, 0, 1 - 1e-12)
    points = require_count("points", points, low=2)
    return formulas.verdict(values, square, points, tolerance, constant, jnp)
