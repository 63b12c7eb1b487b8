r"""Near the target S = I: the Hessian, the slowest and fastest rates, and the weight of LeJEPA.

    d^2 R / ds_i ds_j = h (delta_ij + 1/2)

for BHEP and SIGReg alike; only h differs (I-12). The slow rates belong to the shape of S, the fast
one to its trace (I-27).

References:
    Derived here; the objective is that of Balestriero, LeCun, arXiv 2511.08544.
"""

import math
from typing import NamedTuple

from jssl.data.checks import require_count
from jssl.number_checks import require_flag, require_number
from jssl.theory.isotropy.arguments import usual_width


class Curvature(NamedTuple):
    """How R behaves at the target and at collapse.

    Attributes:
        shape: h; the Hessian on eigenvalues is h (I + J/2), J all ones.
        mean: second derivative of R along a mean of the embeddings.
        start: -dR/ds_j at S = 0, which sets the rate of leaving collapse.
        conditioning: start / shape, how much slower the end is than the start.
        slow: rate at which K - 1 shape modes of S approach I at strength x variance = 1.
        fast: rate of the trace.
    """

    shape: float
    mean: float
    start: float
    conditioning: float
    slow: float
    fast: float


def curvature(dim: int, *, regulariser: str = "sigreg", width: float | None = None) -> Curvature:
    """Return the curvature of R at S = I and its slope at S = 0.

    Example:
        >>> near = curvature(16)
        >>> wide = curvature(16, regulariser="bhep", width=1.0)
        >>> print(round(near.conditioning), f"{wide.conditioning:.1e}")
        60 5.9e+04

    A BHEP of width 1 is useless for K >= 8: it is all but flat at the target. The default, 2/K,
    maximises h.

    Args:
        dim: K >= 1.
        regulariser: `sigreg` or `bhep`.
        width: b > 0; None is 1 for `sigreg`, 2/K for `bhep`.
    """
    b = usual_width(regulariser, dim, width)
    if regulariser == "bhep":
        shape = b**2 * (1 + 2 * b) ** (-dim / 2 - 2)
        mean = 2 * b * (1 + 2 * b) ** (-dim / 2 - 1)
        start = b * -math.expm1((-dim / 2 - 1) * math.log1p(b))
    else:
        shape = 3 * b**2 * (1 + 2 * b) ** -2.5 / (dim * (dim + 2))
        mean = 2 * b * (1 + 2 * b) ** -1.5 / dim
        start = b / dim * -math.expm1(-1.5 * math.log1p(b))
    fast = 4 * shape * (1 + dim / 2)
    ratio = start / shape if shape else math.inf  # beyond float64
    return Curvature(shape, mean, start, ratio, 4 * shape, fast)


def effective_weight(
    trade_off: float, samples: int, dim: int, *, views: int = 2, mean_over_dim: bool = True
) -> float:
    r"""Return lambda of alignment + lambda R for LeJEPA's trade-off l between the two (I-15).

    Example:
        >>> round(effective_weight(0.02, samples=256, dim=16, views=4))
        279

    $$\lambda = \frac{l N \sqrt{2\pi}}{(1 - l)(1 - 1/V)/K}$$

    The weight of one trade-off grows with the batch and with the dimension.

    Args:
        trade_off: l in [0, 1).
        samples: N >= 2.
        dim: K >= 1.
        views: V >= 2; `jssl.losses.lejepa` has 2.
        mean_over_dim: whether the invariance term is a mean over coordinates, as in the authors'
            code, or a sum.

    Raises:
        InputError: for numbers out of range.
    """
    trade_off = require_number("trade_off", trade_off, low=0, below=1)
    require_number("samples", samples, low=2)
    samples = require_count("samples", samples, low=2, high=2**53)
    dim = require_count("dim", dim, high=2**53)
    views = require_count("views", views, low=2, high=2**53)
    mean_over_dim = require_flag("mean_over_dim", mean_over_dim)
    invariance = (1 - trade_off) * (1 - 1 / views) / (dim if mean_over_dim else 1)
    return trade_off * samples * math.sqrt(2 * math.pi) / invariance
