r"""The forecast of LeJEPA for a linear encoder: modes, starts, steps and ends.

    L = unit (tr(W C W^T) + strength R(W Sigma W^T)),    t = unit x learning rate x step

with Sigma the covariance of a view, C half that of the difference of the views, and the strength of
`jssl.theory.isotropy.effective_weight`. Early on dW/dt = 2 W (strength g0 Sigma - C), so the modes
are the eigenvectors of Sigma - C / (strength g0), g0 = `curvature(dim).start` (I-18). The dim
modes of largest rate follow `jssl.theory.isotropy.half_times` from s_j(0) = scale^2 q_j chi^2 / m,
m the inputs, with dim - j + 1 degrees of freedom. It is exact for Gaussian embeddings.

References:
    Balestriero, LeCun, "LeJEPA", arXiv 2511.08544; I-15 to I-26 in docs/equations.md.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import digamma

from jssl.forecast.linear_views import LinearModes, LinearViews, linear_modes
from jssl.integration import integrate
from jssl.losses import sigreg
from jssl.number_checks import require_number
from jssl.theory import isotropy
from jssl.theory.isotropy.samples import UNIT
from jssl.types import Array

START = 1e-3
"""Suggested initial over final amplitude of the first mode."""
DRAWS = 8
"""Random starts, whose steps give the spread."""
SHARES = np.array([0.1, 0.5, 0.9])
"""Shares of the final eigenvalue at which a mode begins to rise, is half-learned, and has risen."""
_SAMPLE, _SLICES = 500, 64
_POINTS = 2000
_DOUBLINGS = 40
_RANGE = 1e-50, 1e50  # of scale, learning rate and trade-off; their products are then in float64


class Isotropic(NamedTuple):
    """The modes of LeJEPA and its constants.

    Attributes:
        modes: of Sigma - C / (strength g0).
        variances: (dim,) q_j of the modes that are learned first.
        shares: (dim,) c_j / q_j, at most 2; above 1 the covariance of the views is negative.
        strength: lambda.
        unit: factor of the loss.
        batch: N.
        levels: (dim,) s_j at the end, before any mode is replaced; 0 where it is lost.
        others: (r,) smallest noise shares of all directions, ascending.
    """

    modes: LinearModes
    variances: np.ndarray
    shares: np.ndarray
    strength: float
    unit: float
    batch: int
    levels: np.ndarray
    others: np.ndarray


class Rises(NamedTuple):
    """Steps of the typical start and of random starts.

    Attributes:
        half: (1 + draws, dim) steps to half of the final eigenvalue; infinite for never.
        rises: (1 + draws, dim) steps from a tenth of it to nine tenths.
        starts: (dim,) typical s_j(0).
    """

    half: np.ndarray
    rises: np.ndarray
    starts: np.ndarray


def isotropic_modes(
    views: LinearViews,
    dim: int,
    trade_off: float,
    batch: int,
    count: int,
    draws: np.random.Generator,
) -> Isotropic:
    """Return the modes of LeJEPA on centred views.

    Example:
        >>> draws = np.random.default_rng(0)
        >>> x = draws.normal(size=(2, 500, 3)) * np.array([1.0, 0.7, 0.5])
        >>> views = LinearViews(*(x + 0.1 * draws.normal(size=x.shape)), 3, 0.0)
        >>> found = isotropic_modes(views, 2, 0.05, 500, 3, draws)
        >>> found.variances.shape, bool(found.strength > 100)
        ((2,), True)

    Args:
        views: centred, in principal axes, with at least `dim` of them.
        dim: K.
        trade_off: of the loss.
        batch: N.
        count: number of modes, at least `dim`.
        draws: of the halves.

    Raises:
        InputError: for a trade-off below 1e-50.
    """
    if trade_off != 0:
        require_number("trade_off", trade_off, low=_RANGE[0])
    strength = isotropy.effective_weight(trade_off, batch, dim)
    unit = (1 - trade_off) / (2 * dim)
    weight = strength * isotropy.curvature(dim).start

    def products(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.asarray((a**2 + b**2) / 2 - (a - b) ** 2 / (2 * weight))

    modes = linear_modes(views, products, count, draws)
    a, b = (x @ modes.vectors[:dim].T for x in (views.first, views.second))
    variances = (a**2 + b**2).mean(0) / 2
    shares = ((a - b) ** 2).mean(0) / (2 * variances)  # 2 for opposite views
    levels = isotropy.end_state(shares, strength, batch=batch).eigenvalues
    return Isotropic(modes, variances, shares, strength, unit, batch, levels, _all_shares(views))


def _all_shares(views: LinearViews) -> np.ndarray:
    """Return the generalised eigenvalues of (C, Sigma), ascending, at most 2."""
    pooled = np.concatenate([views.first, views.second])
    root = np.sqrt((pooled**2).mean(0))  # the axes are principal
    apart = (views.first - views.second) / root
    shares = np.linalg.eigvalsh(apart.T @ apart / (2 * len(apart)))
    return np.minimum(shares, 2.0)  # opposite views are above by the rounding of eigenvalues


def suggested_scale(found: Isotropic, inputs: int) -> float:
    """Return the scale at which the first mode starts at a thousandth of its final amplitude."""
    dim = len(found.variances)
    typical = found.variances[0] * 2 * np.exp(digamma(dim / 2)) / inputs
    return float(START * np.sqrt(max(found.levels[0], 0.5) / typical))


def isotropic_rises(
    found: Isotropic,
    scale: float,
    inputs: int,
    learning_rate: float | None,
    draws: np.random.Generator,
) -> Rises:
    """Return the steps of random starts; the first row is that of the typical start.

    Without a learning rate, the times t of the flow from the typical start alone.

    Raises:
        InputError: for a scale outside 1e-50 to 1e50, or a learning rate below 1e-50.
    """
    scale = require_number("scale", scale, low=_RANGE[0], high=_RANGE[1])
    if learning_rate is not None:
        require_number("learning_rate", learning_rate, low=_RANGE[0])
    dim = len(found.variances)
    degrees = dim - np.arange(dim)
    unit = scale**2 * found.variances / inputs
    typical = 2 * np.exp(digamma(degrees / 2)) * unit
    starts = typical[None]
    if learning_rate is not None:
        starts = np.vstack([typical, unit * draws.chisquare(degrees, (DRAWS, dim))])
    lost = found.levels <= 0
    rate = 0.0 if learning_rate is None else learning_rate * found.unit
    steps = np.array([_crossings(found, start, rate) for start in starts]) / (rate or 1.0)
    steps[:, :, lost] = np.inf
    with np.errstate(invalid="ignore"):
        return Rises(steps[:, 1], steps[:, 2] - steps[:, 0], typical)


def _crossings(found: Isotropic, start: np.ndarray, rate: float) -> np.ndarray:
    """Return when each s_j first reaches the shares `SHARES` of its end, (shares, dim).

    A step of descent multiplies s_j by (1 + rate g_j / 2)^2, g_j = d log s_j / dt, so log s_j is
    integrated with the velocity 2 log(1 + rate g_j / 2) / rate, exact for a constant g_j.
    """
    largest = found.variances.max()  # in its unit times do not depend on the scale of the views
    q, strength, rate = found.variances / largest, found.strength, rate * largest
    c = found.shares * q
    aims = np.log(np.multiply.outer(SHARES, np.where(found.levels > 0, found.levels, 1)))

    def velocity(_: float, y: np.ndarray) -> np.ndarray:
        s = np.exp(np.clip(y, -230.0, 230.0))  # a trial step of the solver may leave this
        growth = -4 * (c + strength * q * isotropy.slope(s, batch=found.batch))
        if not rate:
            return np.asarray(growth)
        return np.asarray(2 * np.log1p(np.maximum(rate * growth / 2, -0.99)) / rate)

    y = np.log(start)
    times = np.where(y >= aims, 0.0, np.inf)
    begin, horizon = 0.0, 10 / max(np.abs(velocity(0.0, y)).max(), 1e-300)
    for _ in range(_DOUBLINGS):
        solved = integrate(
            velocity, (begin, horizon), y, method="LSODA", dense_output=True, rtol=1e-7, atol=1e-8
        )
        grid = np.linspace(begin, horizon, _POINTS)
        path = solved.sol(grid)
        for k, j in np.argwhere(~np.isfinite(times)):
            at = int(np.argmax(path[j] >= aims[k, j]))
            if path[j, at] >= aims[k, j]:
                share = (aims[k, j] - path[j, at - 1]) / (path[j, at] - path[j, at - 1])
                times[k, j] = grid[at - 1] + share * (grid[at] - grid[at - 1])
        y, begin, horizon = path[:, -1], horizon, 2 * horizon
        # Modes that still grow are waited for; those at their end, or below and shrinking, are not.
        against = isotropy.parts(np.exp(np.clip(y, -230.0, 230.0))).attraction
        still = velocity(0.0, y) <= 1e-9 * (c + strength * q * against)
        if (np.isfinite(times).all(0) | still | (found.levels <= 0)).all():
            break
    return times / largest


def rate_errors(
    found: Isotropic, views: LinearViews, rises: Rises, learning_rate: float
) -> np.ndarray:
    """Return how far the growth of each mode on these pairs is from the theory, (dim,), relative.

    The theory is that of Gaussian embeddings, infinitely many slices and the whole line of
    frequencies. The growth is compared where the mode reaches a tenth of its end, on up to 500
    pairs and with the loss itself.
    """
    steps = rises.half[0] - rises.rises[0] / 2
    known = np.flatnonzero(np.isfinite(steps))
    errors = np.zeros(len(steps))
    if not len(known):
        return errors
    q, c = found.variances, found.shares * found.variances
    at = np.maximum(np.nan_to_num(steps[known]), 1e-3) * found.unit * learning_rate
    order = np.argsort(at)
    times, back = np.unique(at[order], return_inverse=True)
    path = isotropy.trajectory(times, rises.starts, q, c, found.strength, batch=found.batch)
    some = slice(0, _SAMPLE)
    a, b = (x[some] @ found.modes.vectors[: len(q)].T for x in (views.first, views.second))
    growth = _sample_growth(jnp.asarray(a), jnp.asarray(b))
    for k, j in enumerate(known[order]):
        s = np.maximum(path[back[k]], 1e-8)
        theory = -4 * q[j] * isotropy.slope(s, batch=len(a))[j]
        seen = float(growth(jnp.asarray(np.sqrt(s / q)), int(j)))
        noise = 4 * c[j] / found.strength
        errors[j] = min(abs(seen - theory) / max(abs(theory - noise), 1e-12 * q[j]), 10.0)
    return errors


def _sample_growth(a: Array, b: Array) -> Any:
    """Return a function of scales (dim,) and j: d log s_j / dt by the loss itself, without noise.

    It is -2 dR/dw_j / w_j with R = sigreg / (n sqrt(2 pi)).
    """

    def value(w: Array) -> Array:
        return sigreg(a * w, b * w, slices=_SLICES) / (len(a) * UNIT)

    slope = jax.jit(jax.grad(value))
    return lambda w, j: -2 * slope(w)[j] / w[j]


def isotropic_curves(
    steps: np.ndarray,
    starts: np.ndarray,
    variances: np.ndarray,
    shares: np.ndarray,
    strength: float,
    unit_rate: float,
    batch: int,
) -> np.ndarray:
    """Return the eigenvalues s_j (points, dim) of the embedding covariance over steps.

    Args:
        steps: (points,) increasing.
        starts: (dim,) s_j(0).
        variances: (dim,) q_j.
        shares: (dim,) noise shares.
        strength: lambda.
        unit_rate: factor of the loss times the learning rate.
        batch: N.
    """
    times = steps * unit_rate
    return isotropy.trajectory(times, starts, variances, shares * variances, strength, batch=batch)


def largest_curvature(found: Isotropic, spread: float) -> float:
    """Return the largest curvature of the loss at the end of training.

    The Hessian in the scales w_j of the modes, unit (2 (c_j + strength q_j R_j) delta_jk +
    4 strength sqrt(q_j s_j q_k s_k) R_jk), and 2 unit times the variance of the noise, for
    directions that are not learned. Descent settles at rates below 2 over it. The curvature is
    larger on the way, but there only for a few steps, and the slope of SIGReg is bounded: a step
    that is too long overshoots and comes back.

    Args:
        found: of the loss.
        spread: largest eigenvalue of C.
    """
    q, s, given = found.variances, found.levels, {"batch": found.batch}
    slope = isotropy.slope(s, **given)
    step = 1e-5 * np.maximum(s, 1e-3)
    moved = np.array([isotropy.slope(s + h, **given) for h in np.diag(step)])
    hessian = (moved - slope) / step[:, None]
    root = np.sqrt(q * s)
    matrix = 4 * found.strength * root[:, None] * (hessian + hessian.T) / 2 * root
    matrix += np.diag(2 * q * (found.shares + found.strength * slope))
    return found.unit * max(2 * spread, float(np.linalg.eigvalsh(matrix)[-1]))
