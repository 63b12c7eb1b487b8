r"""Has an encoder collapsed? None, dimensional or complete, by named thresholds.

    undefined     a value is not finite
    complete      the variance is at most `point` of the mean square: all rows nearly one point; or
                  that of the rows scaled to length 1 is at most `constant`, and a tenth of that of
                  the rows, and one direction has the share `line` of the variance: they differ in
                  length only
    dimensional   for one pair (d, r) of `dimensional`: at most d effective directions, and an
                  effective rank of at most r sqrt(possible) and at most half of the possible
    none          otherwise

n points span at most possible = min(n - 1, dim) dimensions after centring: fewer points than
dimensions are no collapse, and the effective directions are corrected for their number. A pair
with r = inf does not limit the rank, and applies where three times as many directions are possible.
The numerical rank is given beside the verdict and does not change it: an encoder whose last layer
is wider than the one before has empty directions and is healthy. A constant offset of all rows does
not change it either: biases give one to untrained networks. `constant`, `line` and
`dimensional` are calibrated on trained encoders (`benchmarks/collapse.py`). Dimensional collapse as
in Jing, Vincent, LeCun, Tian 2022, arXiv 2110.09348.
"""

from collections.abc import Sequence
from typing import Any

from jssl.data.checks import require_count, require_range
from jssl.errors import InputError
from jssl.formulas import verdict as formulas
from jssl.formulas.libraries import Array, quietly, working
from jssl.formulas.verdict import KINDS as KINDS
from jssl.formulas.verdict import Thresholds, Verdict


def collapse_verdict(
    eigenvalues: Array,
    mean_square: Any,
    points: int,
    *,
    tolerance: float = formulas.TOLERANCE,
    point: float = formulas.POINT,
    constant: float = formulas.CONSTANT,
    dimensional: Sequence[tuple[float, float]] = formulas.DIMENSIONAL,
    line: float = formulas.LINE,
    directional: Any = None,
) -> Verdict:
    """Return whether embeddings have collapsed, from the eigenvalues of their covariance.

    Example:
        >>> import numpy as np
        >>> seen = collapse_verdict(np.array([1.0, 0.5, *[1e-4] * 8]), 2.0, points=100)
        >>> KINDS[int(seen.kind)], int(seen.rank), seen.possible
        ('dimensional', 10, 10)

    Outlier coordinates and rows decide it; `jssl.diagnose` finds them and leaves them out.

    Args:
        eigenvalues: (..., dim) of the covariance, descending.
        mean_square: (...) mean |z|^2, not centred.
        points: n, static.
        tolerance: a direction counts as numerically empty where its variance is at most this share
            of the largest: by default a thousandth of its standard deviation.
        point: a collapse is complete where the variance is at most this share of the mean square:
            by default points lie within a thousandth of their distance from the origin.
        constant: 1 less the mean cosine at or below which rows have nearly one direction.
        dimensional: one or more pairs (d, r): a collapse is dimensional where there are at most d
            effective directions, 1 or more, and the effective rank is at most r sqrt(possible), 0
            or more and possibly inf.
        line: share of the variance in one direction from which rows of one direction are a complete
            collapse.
        directional: (...) 1 less the mean cosine of two rows, which finds rows of one direction and
            different lengths; None where it is unknown.

    Returns:
        Verdict.

    Raises:
        InputError: for thresholds outside [0, 1), `dimensional` that is no pairs (d, r) with d >= 1
            and r >= 0, fewer than two points, no eigenvalues, or values that are not real numbers.
    """
    given = {} if directional is None else {"directional": directional}
    xp, values, square, *angles = working(eigenvalues=eigenvalues, mean_square=mean_square, **given)
    if not values.ndim or not values.shape[-1]:
        message = f"eigenvalues must be (..., dim) with dim >= 1; got shape {tuple(values.shape)}"
        raise InputError(message)
    shares = {"tolerance": tolerance, "point": point, "constant": constant, "line": line}
    for name, value in shares.items():
        require_range(name, value, 0, 1 - 1e-12)
    pairs = _pairs(dimensional)
    points = require_count("points", points, low=2)
    thresholds = Thresholds(tolerance, point, constant, pairs, line)
    with quietly(xp):
        return formulas.verdict(values, square, points, thresholds, xp, *angles)


def _pairs(dimensional: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Return checked pairs of limits."""
    try:
        pairs = tuple((float(directions), float(rank)) for directions, rank in dimensional)
    except (TypeError, ValueError):
        pairs = ()
    if not pairs or not all(directions >= 1 and rank >= 0 for directions, rank in pairs):
        message = (
            "dimensional must be one or more pairs (effective directions, effective rank / "
            f"sqrt(possible)), at least 1 and 0, such as [(1.2, inf), (2.75, 1.3)]; got "
            f"{dimensional}"
        )
        raise InputError(message)
    return pairs
