r"""A stated problem of one-pass SGD: the law of the signal, the noise, and the objective.

    loss = -phi(u_1) phi(u_2) + kappa phi(u_1) phi(u_-) + (lambda/2) |w|^2,   phi(u) = erf(u/sqrt 2)

for a pair of positive views and a negative that is drawn independently; each step uses a fresh
triple and the learning rate eta / d.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from jssl.errors import InputError, shown
from jssl.host_arithmetic import host_float64
from jssl.number_checks import require_number

LARGEST = 1e15
"""Largest size of a number of a setting; the least positive one is 1 / LARGEST."""
ROUNDING = 1e-3
"""Relative excess of the squared overlap over the squared norm that rounding may leave."""
_NEAR = 1e-9  # relative difference of points, and absolute one of shares, that rounding may leave


class Law(NamedTuple):
    """A law of F signals on finitely many points, symmetric about 0.

    Every point and its negative have the same probability.

    Attributes:
        points: (points, F).
        shares: (points,) probabilities.
    """

    points: np.ndarray
    shares: np.ndarray

    def moment(self, power: int) -> np.ndarray:
        """Return E s_f^power for every feature f, (F,)."""
        return np.asarray(self.shares) @ np.asarray(self.points) ** power


class OnePass(NamedTuple):
    """One-pass SGD of a unit.

    Attributes:
        law: of the signals along F orthonormal directions.
        noise: sigma > 0, standard deviation of every coordinate of the noise.
        correlation: r in [-1, 1], of the noises of two positive views.
        negatives: kappa >= 0, weight of the negative.
        learning_rate: eta > 0.
        decay: lambda >= 0.

    Every number that is not 0 has a size from 1e-15 to 1e15.
    """

    law: Law
    noise: float = 1.0
    correlation: float = 0.0
    negatives: float = 1.0
    learning_rate: float = 1.0
    decay: float = 0.1


def rademacher(second_moment: float = 1.0) -> Law:
    """Return the signal of two points, +-sqrt(m2).

    Example:
        >>> print(rademacher(4.0).points.ravel(), rademacher(4.0).moment(4))
        [-2.  2.] [16.]
    """
    return three_points(second_moment, 1.0)


def three_points(second_moment: float = 1.0, share: float = 0.5) -> Law:
    """Return the signal 0 or +-sqrt(m2 / P), which is not 0 with probability P.

    Example:
        >>> law = three_points(1.0, 0.5)
        >>> print(law.moment(2), law.moment(4))
        [1.] [2.]

    Args:
        second_moment: m2 > 0.
        share: P in (0, 1]; the fourth moment is m2^2 / P.

    Raises:
        InputError: for numbers out of range.
    """
    second_moment = require_number("second_moment", second_moment, above=0)
    share = require_number("share", share, above=0, high=1)
    far = math.sqrt(second_moment / share)
    if share == 1:
        return check_law(Law(np.array([[-far], [far]]), np.array([0.5, 0.5])))
    points = np.array([[-far], [0.0], [far]])
    return check_law(Law(points, np.array([share / 2, 1 - share, share / 2])))


def independent(first: Law, second: Law) -> Law:
    """Return the law of both signals, drawn independently.

    Example:
        >>> independent(rademacher(), three_points()).points.shape
        (6, 2)
    """
    first, second = check_law(first), check_law(second)
    points = [np.r_[a, b] for a in first.points for b in second.points]
    return Law(np.array(points), np.outer(first.shares, second.shares).ravel())


def view_noise(setting: OnePass, extra: float, correlation: float) -> OnePass:
    """Return the setting with noise added to each view (I-36).

    Example:
        >>> noisy = view_noise(OnePass(rademacher(), correlation=1.0), 0.3, -1.0)
        >>> print(round(noisy.noise**2, 3), round(noisy.correlation, 4))
        1.3 0.5385

    Args:
        setting: its noise is that of the data, which views share by its own correlation.
        extra: variance tau^2 >= 0 of the added noise.
        correlation: c in [-1, 1] of the added noises of two views; -1 is opposite noise.
    """
    setting = check(setting)
    extra = require_number("extra", extra, low=0, high=LARGEST)
    correlation = require_number("correlation", correlation, low=-1, high=1)
    variance = setting.noise**2 + extra
    shared = setting.correlation * setting.noise**2 + correlation * extra
    return setting._replace(noise=math.sqrt(variance), correlation=shared / variance)


def check(setting: OnePass) -> OnePass:
    """Return the setting with its law as arrays; raise `InputError` for numbers out of range."""
    if not isinstance(setting, OnePass):
        message = f"setting must be a jssl.theory.highdim.OnePass; got {shown(setting)}"
        raise InputError(message)
    law = check_law(setting.law)
    least = 1 / LARGEST
    require_number("noise", setting.noise, above=0)
    require_number("noise", setting.noise, low=least, high=LARGEST)
    require_number("learning_rate", setting.learning_rate, above=0)
    require_number("learning_rate", setting.learning_rate, low=least, high=LARGEST)
    for name in ("negatives", "decay"):
        number = require_number(name, getattr(setting, name), low=0, high=LARGEST)
        if 0 < number < least:
            message = f"{name} must be 0 or at least {least:g}; got {number:g}"
            raise InputError(message)
    require_number("correlation", setting.correlation, low=-1, high=1)
    return setting._replace(law=law)


def check_law(law: Law) -> Law:
    """Return the law as arrays; raise `InputError` unless it is a symmetric law on points."""
    if not isinstance(law, Law):
        message = f"a signal must be a jssl.theory.highdim.Law; got {shown(law)}"
        raise InputError(message)
    points = host_float64("the points of a law", law.points)
    shares = host_float64("the shares of a law", law.shares)
    if points.ndim != 2 or shares.shape != points.shape[:1] or not points.shape[1]:
        message = "a law has points (points, features) and shares (points,)"
        raise InputError(message)
    sizes = np.abs(points)
    if not ((sizes <= LARGEST) & ((sizes == 0) | (sizes >= 1 / LARGEST))).all():
        message = f"the points of a law must be 0 or of size {1 / LARGEST:g} to {LARGEST:g}"
        raise InputError(message)
    if not ((shares >= 0).all() and abs(shares.sum() - 1) <= 1e-9):
        message = "the shares of a law must be >= 0 with sum 1"
        raise InputError(message)
    _refuse_asymmetry(points, shares)
    return Law(points, shares)


def _refuse_asymmetry(points: np.ndarray, shares: np.ndarray) -> None:
    """Raise unless every point and its negative have the same probability, but for rounding."""
    tree = cKDTree(points)
    radius = _NEAR * np.linalg.norm(points, axis=1)
    at, opposite = (
        np.array([shares[near].sum() for near in tree.query_ball_point(x, radius)])
        for x in (points, -points)
    )
    wrong = np.flatnonzero(np.abs(at - opposite) > _NEAR)
    if len(wrong):
        i = wrong[0]
        message = (
            "a law must be symmetric about 0, each point as likely as its negative; "
            f"{shown(points[i].tolist())} has probability {at[i]:.3g}, its negative "
            f"{opposite[i]:.3g}"
        )
        raise InputError(message)


def check_state(overlap: Any, square: Any, setting: OnePass) -> tuple[np.ndarray, float]:
    """Return overlap (F,) and squared norm as numbers, checked."""
    q = np.atleast_1d(host_float64("overlap", overlap))
    features = setting.law.points.shape[1]
    if q.shape != (features,) or not (np.abs(q) <= LARGEST).all():
        message = (
            f"overlap must be {features} finite numbers, one for each signal, of size at most "
            f"{LARGEST:g}"
        )
        raise InputError(message)
    square = require_number("square", square, low=0, high=LARGEST)
    if q @ q > square * (1 + ROUNDING) + 1e-9:
        message = (
            "square, |w|^2, must be at least the sum of the squared overlaps, "
            f"{q @ q:.3g}; got {square:.3g}"
        )
        raise InputError(message)
    return q, square
