r"""The forecast of JEPA for linear layers and a linear predictor: modes, starts, steps and ends.

Modes are the eigenvectors of the cross moment S_yx of context (first view) and target (second
view), lambda_j its eigenvalues, rho_j = lambda_j / q_j^T S_x q_j (D-17). With as many outputs as
inputs every layer and the predictor start at w_0 times an orthogonal matrix, and the times are
those of `jssl.theory.distillation.descent_critical_time`. With fewer outputs the first layer has
orthonormal rows, of which mode j has the share R_jj^2, beta distributed with (d - j + 1)/2 and
(m - d)/2; then a mode's first layer a, other layers w and predictor v obey

    da/dt = v w^{L-1} r,   dw/dt = v a w^{L-2} r,   dv/dt = a w^{L-1} r,
    r = a w^{L-1} (lambda - s v)

which conserves a^2 - v^2 and w^2 - v^2 (D-2, D-3; D-25 for L = 1) and ends at v = rho. This is the
early growth, before the other inputs of the same output count; together they balance the first
layer, W_1 W_1^T = w_0^2 I, so that no start makes a mode shrink, however large it is (D-3). A
dimension is half-learned where its eigenvalue of C, lambda (a w^{L-1})^2, is half of the final one.
Exact is this for moments that commute and as many outputs as inputs; all else is integrated by
`jssl.forecast.followed` where the work is within bounds.

References:
    Littwin et al. 2024, arXiv 2407.03475; D-1 to D-25 in docs/equations.md.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy.integrate import quad

from jssl.data.moments import Moments
from jssl.forecast.linear_views import LinearModes, LinearViews, linear_modes
from jssl.theory import distillation

START = 0.1
"""Suggested start of a layer over the largest final one."""
DRAWS = 200
"""Random starts, whose steps give the spread where there are fewer outputs than inputs."""
LATEST = 1e290
"""Step above which a number of steps does not fit in float64 together with its interval."""
ROUNDING = 1e-12
"""Covariance of a mode over the largest, below which it is the rounding of one that is zero."""
SHARES = (0.1, 0.5, 0.9)
"""Shares of the final eigenvalue at which a mode begins to rise, is half-learned, and has risen."""


class Distilled(NamedTuple):
    """The modes of JEPA.

    Attributes:
        modes: of S_yx.
        covariances: (r,) lambda of all modes, descending.
        coefficients: (r,) rho.
        caveats: where formulas mode by mode do not hold.
        off_diagonal: share of S_x off the diagonal in the basis of the first modes.
        skew: antisymmetric share of S_yx.
        moments: of context and target.
        commute: whether the moments commute, up to rounding, so that modes are independent.
    """

    modes: LinearModes
    covariances: np.ndarray
    coefficients: np.ndarray
    caveats: tuple[str, ...]
    off_diagonal: float
    skew: float
    moments: Moments
    commute: bool


class ModeStart(NamedTuple):
    """Where the learned modes start: (..., dim) first layer, and w_0 of all else."""

    first: np.ndarray
    rest: float


def distilled_modes(views: LinearViews, count: int, draws: np.random.Generator) -> Distilled:
    """Return the modes of JEPA; nothing is centred.

    Example:
        >>> draws = np.random.default_rng(0)
        >>> x = draws.normal(size=(2000, 2)) * np.array([2.0, 1.0])
        >>> views = LinearViews(x, x / 2, 2, 0.0)
        >>> print(distilled_modes(views, 2, draws).coefficients.round(6))
        [0.5 0.5]

    Args:
        views: in principal axes.
        count: number of modes that are checked on held-out pairs.
        draws: of the halves.
    """
    first, second = views.first, views.second
    n = len(first)
    moments = Moments(first.T @ first / n, second.T @ first / n)
    all_modes = distillation.regression_modes(moments)
    modes = linear_modes(views, np.multiply, count, draws)
    leading = distillation.regression_modes(moments, min(count, len(all_modes.covariances)))
    kept = tuple(x for x in leading.caveats if not x.startswith("Mode "))
    skew = float(np.linalg.norm(moments.cross - moments.cross.T))
    skew /= 2 * max(float(np.linalg.norm(moments.cross)), 1e-300)
    lam, rho = all_modes.covariances, all_modes.coefficients
    rounding = np.abs(lam) <= ROUNDING * np.abs(lam).max(initial=0)
    lam, rho = (np.where(rounding, 0, x) for x in (lam, rho))
    commute = max(all_modes.off_diagonal, skew) <= ROUNDING
    return Distilled(modes, lam, rho, kept, leading.off_diagonal, skew, moments, commute)


def mode_start(
    start: float, dim: int, inputs: int, draws: np.random.Generator, learned: int
) -> tuple[ModeStart, ModeStart]:
    """Return the typical start, (learned,), and random ones, (draws, learned).

    Example:
        >>> typical, drawn = mode_start(0.1, 2, 2, np.random.default_rng(0), 2)
        >>> typical.first.tolist(), drawn.first.shape
        ([0.1, 0.1], (1, 2))
    """
    if dim == inputs:
        return ModeStart(np.full(learned, start), start), ModeStart(
            np.full((1, learned), start), start
        )
    half = (dim - np.arange(learned)) / 2
    shares = draws.beta(half, (inputs - dim) / 2, (DRAWS, learned))
    shares = np.maximum(shares, 1e-300)
    typical = np.exp(np.log(shares).mean(0) / 2)
    return ModeStart(start * typical, start), ModeStart(start * np.sqrt(shares), start)


def final_amplitudes(coefficients: np.ndarray, depth: int) -> np.ndarray:
    """Return the encoder's amplitude at the end of a mode, rho^L (D-6).

    Example:
        >>> final_amplitudes(np.array([0.5]), 2).tolist()
        [0.25]
    """
    return np.asarray(np.abs(coefficients) ** depth)


def _first_square(start: ModeStart, coefficients: np.ndarray) -> np.ndarray:
    """Return the square of the first layer at the end of one mode alone, rho^2 + a_0^2 - w_0^2."""
    with np.errstate(over="ignore"):
        lost = (start.rest - start.first) * (start.rest + start.first)
    return np.asarray(np.square(coefficients) - lost)


def steps_to(
    share: float,
    start: ModeStart,
    covariances: np.ndarray,
    coefficients: np.ndarray,
    depth: int,
    learning_rate: float,
) -> np.ndarray:
    """Return the steps at which modes reach a share of their final eigenvalue.

    Example:
        >>> first = mode_start(0.1, 1, 1, np.random.default_rng(0), 1)[0]
        >>> steps_to(0.5, first, np.ones(1), np.array([0.5]), 1, 0.1).round(0).tolist()
        [118.0]

    Args:
        share: between 0 and 1.
        start: (..., k) of the modes.
        covariances: (k,) lambda.
        coefficients: (k,) rho.
        depth: L.
        learning_rate: of descent.

    Returns:
        (..., k): 0 for modes that start at this share or above, infinite for those that are not
        learned or whose number of steps exceeds `LATEST`.
    """
    lam, rho = (np.broadcast_to(x, start.first.shape) for x in (covariances, coefficients))
    if np.all(start.first == start.rest):
        safe = np.where((lam > 0) & (rho > 0), rho, 1)
        layer = share ** (1 / (2 * depth))
        times = np.array(
            distillation.descent_critical_time(
                lam, safe, start.rest, learning_rate, depth=depth, share=layer
            ),
            float,
        )
        times = np.where((lam > 0) & (rho > 0), np.nan_to_num(times, posinf=np.inf), np.inf)
        with np.errstate(over="ignore"):
            steps = times / learning_rate
        return np.where(steps <= LATEST, steps, np.inf)
    squares = _first_square(start, rho)
    steps = np.full(start.first.shape, np.inf)
    for index in np.ndindex(steps.shape):
        if lam[index] > 0 and rho[index] > 0:
            own_lam, own_rho, first = (float(x[index]) for x in (lam, rho, start.first))
            rest, square = start.rest, float(squares[index])
            if square <= 0.25 * own_rho**2:  # its own layers would not balance: all start alike
                rest, square = first, own_rho**2
            aim = math.sqrt(share * square) * own_rho ** (depth - 1)
            steps[index] = _unbalanced_steps(
                aim, first, rest, own_lam, own_rho, depth, learning_rate
            )
    return steps


def _unbalanced_steps(
    aim: float, first: float, rest: float, lam: float, rho: float, depth: int, rate: float
) -> float:
    """Return the steps from an unbalanced start until a w^{L-1} is `aim`, by one integral.

    Along the flow a = first + sinh of a coordinate; the integral is over log a, in which the
    integrand is smooth, and a step of descent adds half a step times the log of the speeds' ratio.
    """
    unit = math.log(rest)  # in this unit a, w and v keep their digits where powers do not fit
    begin, log_aim = math.log(first) - unit, math.log(aim) - depth * unit
    if log_aim <= begin:
        return 0.0
    constant = 1 - math.exp(2 * begin)  # w^2 = v^2 = a^2 + constant

    def log_v(x: float) -> float:
        if x > 0:
            return x + math.log1p(constant * math.exp(-2 * x)) / 2
        return math.log(math.exp(2 * x) + constant) / 2

    def log_growth(x: float) -> float:
        """Return log(d log a / dt), without the unit to the power 2L - 1."""
        v = log_v(x)
        return (2 * depth - 1) * v + math.log(lam * (1 - math.exp(v + unit) / rho))

    own = ModeStart(np.array([first]), rest)
    low, high = begin, math.log(_first_square(own, np.array([rho]))[0]) / 2 - unit
    for _ in range(100):
        middle = (low + high) / 2
        below = middle + (depth - 1) * log_v(middle) < log_aim
        low, high = (middle, high) if below else (low, middle)
    # Most of the time passes near the start, which nodes over a wide interval would miss.
    points = [begin + 3, begin + 10] if low > begin + 30 else None
    time = quad(
        lambda x: math.exp(-log_growth(x)), begin, low, epsrel=1e-8, limit=200, points=points
    )[0]
    log_steps = math.log(time) - (2 * depth - 1) * unit - math.log(rate)
    if log_steps > math.log(LATEST):
        return math.inf
    return math.exp(log_steps) + (low - begin + log_growth(low) - log_growth(begin)) / 2


def rate_of_start(scale: float, largest_moment: float, depth: int) -> float:
    """Return the rate at which weights return from a start above the end, s (2L + 1) w_0^{2L}.

    Example:
        >>> round(rate_of_start(2.0, 1.0, 1), 6)
        12.0

    All L layers and the predictor of a mode, each at w_0 far above rho, shrink as
    dw/dt = -s w^{2L+1} (D-2), whose derivative it is.

    Args:
        scale: w_0.
        largest_moment: s, the largest eigenvalue of S_x.
        depth: L.
    """
    logs = math.log(largest_moment) + math.log(2 * depth + 1) + 2 * depth * math.log(scale)
    return math.exp(logs) if logs < 700 else math.inf


def largest_rate(
    covariances: np.ndarray, coefficients: np.ndarray, learned: int, depth: int
) -> float:
    """Return the largest rate of return to the end, over all entries of layers and predictor.

    Entry (i, j) of the residual, for a learned mode i and any mode j, decays at
    s_j (E_j^2 + (rho_i - rho_j) rho_i sum_a rho_i^{2(L-a)} w_j^{2(a-1)}) with E_j = w_j^L, and
    w_j = rho_j for a learned mode and 0 for another.

    Example:
        >>> round(float(largest_rate(np.array([1.0, 0.8]), np.array([0.5, 0.8]), 2, 1)), 2)
        0.98
    """
    lam, rho = covariances, coefficients
    variances = np.divide(lam, rho, out=np.zeros_like(lam), where=rho != 0)
    layers = np.where(np.arange(len(rho)) < learned, np.maximum(rho, 0), 0)
    own = np.maximum(rho[:learned], 0)[:, None]
    powers = sum(own ** (2 * (depth - a)) * layers ** (2 * (a - 1)) for a in range(1, depth + 1))
    return float(np.max(variances * (layers ** (2 * depth) + (own - rho) * own * powers)))


def amplitude_curves(
    steps: np.ndarray,
    start: ModeStart,
    covariances: np.ndarray,
    coefficients: np.ndarray,
    depth: int,
    learning_rate: float,
) -> np.ndarray:
    """Return the share of each mode's final eigenvalue over steps, (points, k).

    Steps to many shares are inverted by interpolation.
    """
    shares = np.concatenate([np.geomspace(1e-6, 0.1, 20), np.linspace(0.12, 0.98, 30), [0.999]])
    curves = np.zeros((len(steps), len(covariances)))
    reached = np.array(
        [steps_to(x, start, covariances, coefficients, depth, learning_rate) for x in shares]
    )
    for j, at in enumerate(reached.T):
        known = np.isfinite(at)
        if known.any():
            rising = np.maximum.accumulate(at[known])
            curves[:, j] = np.interp(steps, rising, shares[known], left=shares[0], right=1.0)
    return curves
