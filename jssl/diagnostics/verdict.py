r"""Has an encoder collapsed? None, dimensional or complete, by named thresholds.

    undefined     a value is not finite
    complete      the variance is at most `constant` of the mean square: all rows nearly one point;
                  or the same holds of the rows scaled to length 1 and one direction has the share
                  `line` of the variance: all rows nearly one direction, only their lengths differ
    dimensional   the effective rank is at most `low` sqrt(possible), and at most half of the
                  possible, with at most `many` effective directions; or at most `few` of them
    none          otherwise

n points span at most possible = min(n - 1, dim) dimensions after centring: fewer points than
dimensions are no collapse, and the effective directions are corrected for their number. `few`
applies where three times as many are possible. The numerical rank is given beside the verdict and
does not change it: an encoder whose last layer is wider than the one before has empty directions
and is healthy. `constant`, `line`, `low`, `many` and `few` are calibrated on trained encoders
(`benchmarks/collapse.py`). Dimensional collapse as in Jing, Vincent, LeCun, Tian 2022, arXiv
2110.09348.
"""

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
    constant: float = formulas.CONSTANT,
    few: float = formulas.FEW,
    low: float = formulas.LOW,
    many: float = formulas.MANY,
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
        constant: a collapse is complete where the variance is at most this share of the mean
            square: by default points lie within a tenth of their distance from the origin.
        few: effective directions at or below which a collapse is dimensional, 1 or more.
        low: effective rank at or below which a collapse is dimensional, in units of
            sqrt(possible), 0 or more.
        many: effective directions above which a low effective rank is no collapse, 1 or more.
        line: share of the variance in one direction from which rows of one direction are a complete
            collapse.
        directional: (...) 1 less the mean cosine of two rows, which finds rows of one direction and
            different lengths; None where it is unknown.

    Returns:
        Verdict.

    Raises:
        InputError: for thresholds outside [0, 1), `few` or `many` below 1 or `low` below 0, fewer
            than two points, no eigenvalues, or values that are not real numbers.
    """
    given = {} if directional is None else {"directional": directional}
    xp, values, square, *angles = working(eigenvalues=eigenvalues, mean_square=mean_square, **given)
    if not values.ndim or not values.shape[-1]:
        message = f"eigenvalues must be (..., dim) with dim >= 1; got shape {tuple(values.shape)}"
        raise InputError(message)
    shares = {"tolerance": tolerance, "constant": constant, "line": line}
    for name, value in shares.items():
        require_range(name, value, 0, 1 - 1e-12)
    require_range("few", few, 1)
    require_range("low", low, 0)
    require_range("many", many, 1)
    points = require_count("points", points, low=2)
    thresholds = Thresholds(tolerance, constant, few, low, many, line)
    with quietly(xp):
        return formulas.verdict(values, square, points, thresholds, xp, *angles)
