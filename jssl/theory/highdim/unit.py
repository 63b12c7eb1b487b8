r"""The mean drift of overlap and norm under one-pass SGD, in closed form but for one quadrature.

    G(q, R) = E phi(u_1) phi(u_2) = E_s [1 - 8 T(h, a)],   h = s q / sqrt(1 + nu),  nu = sigma^2 R
    dq/dt = eta (G_q + 2 q G_R - lambda q)
    dR/dt = 2 eta (q G_q + 2 R G_R - lambda R) + eta^2 sigma^2 V

T is Owen's function, a = sqrt((1 - rho)/(1 + rho)), rho = r nu/(1 + nu) (I-29, I-30). V is the mean
square of the gradient's noise; without this term of order eta^2 the unit would learn the signal
alone. Near q = 0 the overlap grows at a rate in which only the second moment of the signal enters
(I-32).

References:
    Derived here, for a model like that of Meng, Wang, arXiv 2406.06909.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import brentq
from scipy.special import erf

from jssl.data.checks import require_count
from jssl.errors import InputError
from jssl.number_checks import real_array, require_flag
from jssl.precision import constant
from jssl.theory.highdim.gradients import mean_square
from jssl.theory.highdim.settings import OnePass, check, check_law, check_state

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(256)
_FAR = 40.0  # of h, from which exp(-h^2 / 2) is 0, and of t, from which 1 / cosh t is


def mean_product(overlap: Any, square: Any, setting: OnePass) -> Any:
    """Return G(q, R), the mean of the product of the outputs on two positive views (I-29).

    Example:
        >>> from jssl.theory.highdim import rademacher
        >>> setting = OnePass(rademacher(2.0), correlation=-0.4)
        >>> print(round(float(mean_product(np.array([0.6]), 1.3, setting)), 10))
        0.0781010001

    Args:
        overlap: (F,) q along each feature; an array of NumPy or of JAX.
        square: R >= sum of q^2.
        setting: of the problem.
    """
    if not isinstance(setting, OnePass):  # its numbers may be traced
        check(setting)
    overlap, square = real_array("overlap", overlap), real_array("square", square)
    xp = jnp if isinstance(overlap, jax.Array) or isinstance(square, jax.Array) else np
    if xp is np:
        setting = check(setting)
        check_state(overlap, square, setting)
    elif not any(isinstance(part, jax.core.Tracer) for part in setting.law):
        setting = setting._replace(law=check_law(setting.law))
    tables: tuple[np.ndarray, ...] = (*setting.law, _NODES, _WEIGHTS)
    if xp is jnp:
        tables = tuple(constant(t) if isinstance(t, np.ndarray) else t for t in tables)
    points, shares, nodes, weights = tables
    nu = setting.noise**2 * square
    equal, opposite = (1 + nu * (1 + x) for x in (setting.correlation, -setting.correlation))
    equal, opposite = (xp.sqrt(x / (1 + nu)) for x in (equal, opposite))  # of 1 +- rho
    # 1 - 8 T(h, a) = (1 - 8 T(0, a)) + 8 (T(0, a) - T(h, a)): nothing cancels for a small weight
    none = 2 / math.pi * xp.arctan2(setting.correlation * (nu / (1 + nu)), equal * opposite)
    # over t, tan(angle) = sinh t: near a right angle the integrand is a layer, but none in t
    end = xp.minimum(xp.arcsinh(opposite / xp.maximum(equal, xp.exp(-_FAR))), _FAR)
    h = xp.clip((points @ xp.atleast_1d(overlap)) / xp.sqrt(1 + nu), -_FAR, _FAR)
    wide = xp.cosh(end / 2 * (nodes + 1))
    moved = -xp.expm1(-(h[:, None] ** 2) * (wide**2 / 2)) @ (weights / wide)
    return none + shares @ (2 / math.pi * end * moved)


def slopes(overlap: np.ndarray, square: float, setting: OnePass) -> tuple[np.ndarray, float]:
    """Return dG/dq (F,) and dG/dR, without checks."""
    points, shares = setting.law
    variance, r = setting.noise**2, setting.correlation
    nu = variance * square
    equal, opposite = 1 + nu * (1 + r), 1 + nu * (1 - r)  # (1 + nu) (1 +- rho)
    inputs = points @ overlap
    h = inputs / math.sqrt(1 + nu)
    by_h = 4 * np.exp(-(h**2) / 2) / math.sqrt(2 * math.pi)
    by_h *= erf(math.sqrt(opposite / equal / 2) * h)
    by_rho = 2 / math.pi * np.exp(-(h**2) * ((1 + nu) / equal)) * (1 + nu)
    by_rho /= math.sqrt(equal) * math.sqrt(opposite)
    by_overlap = (shares * by_h) @ points / math.sqrt(1 + nu)
    by_square = shares @ (-by_h * h / 2 + by_rho * (r / (1 + nu))) * (variance / (1 + nu))
    return by_overlap, float(by_square)


def gradient_noise(overlap: Any, square: float, setting: OnePass) -> float:
    """Return V, the mean square of the coefficients of the noise in a gradient (I-30).

    Example:
        >>> from jssl.theory.highdim import rademacher
        >>> setting = OnePass(rademacher(2.0), correlation=-0.4)
        >>> round(gradient_noise([0.6], 1.3, setting), 6)
        0.544834

    Args:
        overlap: (F,) q.
        square: R.
        setting: of the problem.
    """
    setting = check(setting)
    return mean_square(*check_state(overlap, square, setting), setting)


def drift(overlap: Any, square: float, setting: OnePass, *, noise: bool = True) -> np.ndarray:
    """Return (dq/dt, dR/dt), (F + 1,) (I-30).

    Example:
        >>> from jssl.theory.highdim import rademacher
        >>> print(drift([0.0], 0.0, OnePass(rademacher())).round(6))
        [0. 0.]

    Args:
        overlap: (F,) q.
        square: R.
        setting: of the problem.
        noise: whether the term of order eta^2 is kept; without it this is gradient flow.
    """
    setting = check(setting)
    noise = require_flag("noise", noise)
    return velocity(*check_state(overlap, square, setting), setting, noise=noise)


def velocity(q: np.ndarray, square: float, setting: OnePass, *, noise: bool = True) -> np.ndarray:
    """Return `drift` without checks: a trial step of a solver may leave what they allow."""
    square = max(float(square), 0.0)
    by_overlap, by_square = slopes(q, square, setting)
    eta, decay = setting.learning_rate, setting.decay
    moved = eta * (by_overlap + 2 * q * by_square - decay * q)
    grown = 2 * eta * (q @ by_overlap + 2 * square * by_square - decay * square)
    if noise:
        grown += eta**2 * setting.noise**2 * mean_square(q, square, setting)
    return np.append(moved, grown)


def start_square(setting: OnePass) -> float:
    """Return R_0, the stationary squared norm before the signal is learned, or 0 (I-31).

    Example:
        >>> from jssl.theory.highdim import rademacher
        >>> round(start_square(OnePass(rademacher(), learning_rate=0.5, decay=0.2)), 6)
        0.47648

    Args:
        setting: of the problem.

    Returns:
        The root of dR/dt = 0 at q = 0; 0 where there is none: then the norm vanishes until the
        signal lifts it.

    Raises:
        InputError: for numbers out of range, or without decay.
    """
    setting = check(setting)
    if setting.decay == 0:
        message = "without decay the norm grows without bound; pass decay > 0"
        raise InputError(message)
    none = np.zeros(setting.law.points.shape[1])

    def growth(square: float) -> float:
        return float(velocity(none, square, setting)[-1]) / square

    unit = setting.noise**-2
    low, high = 1e-12 * unit, unit
    if growth(low) <= 0:
        return 0.0
    while growth(high) > 0:
        high *= 2
    return float(brentq(growth, low, high, xtol=1e-14 * unit, rtol=1e-14))


def escape_rate(setting: OnePass, *, feature: int = 0) -> float:
    """Return a of dq/dt = a q at q = 0 and R = R_0: only the second moment enters (I-32).

    Example:
        >>> from jssl.theory.highdim import rademacher
        >>> round(escape_rate(OnePass(rademacher(2.0), learning_rate=0.5, decay=0.2)), 6)
        0.762348

    Args:
        setting: of the problem.
        feature: index of the signal.

    Returns:
        The rate; negative if the signal is not learned from a small overlap.
    """
    setting = check(setting)
    features = setting.law.points.shape[1]
    feature = require_count("feature", feature, low=0, high=features - 1)
    per_moment, at_none = _escape(setting)
    return float(setting.law.moment(2)[feature]) * per_moment + at_none


def _escape(setting: OnePass) -> tuple[float, float]:
    """Return how much the escape rate grows with the second moment, and the rate without it."""
    square = start_square(setting)
    variance, r, eta = setting.noise**2, setting.correlation, setting.learning_rate
    nu = variance * square
    root = math.sqrt((1 + nu * (1 + r)) * (1 + nu * (1 - r)))
    both = 2 / math.pi / root
    if square == 0:
        return 2 * eta * both, eta * (4 / math.pi * r * variance - setting.decay)
    curved = -2 / math.pi * r * nu / ((1 + nu) * root)
    noise = mean_square(np.zeros(setting.law.points.shape[1]), square, setting)
    return 2 * eta * (both + curved), -(eta**2) * variance * noise / (2 * square)


def learnable_signal(setting: OnePass) -> float:
    """Return the second moment m2 above which a signal is learned from a small overlap (I-32).

    Example:
        >>> from jssl.theory.highdim import rademacher
        >>> round(learnable_signal(OnePass(rademacher(), learning_rate=0.5, decay=0.2)), 6)
        0.231925

    Args:
        setting: of the problem; its law does not enter, but for its number of features.
    """
    per_moment, at_none = _escape(check(setting))
    return -at_none / per_moment
