r"""A stated problem of one-pass SGD: the law of the signal, the noise, and the objective.

    loss = -phi(u_1) phi(u_2) + kappa phi(u_1) phi(u_-) + (lambda/2) |w|^2,   phi(u) = erf(u/sqrt 2)

for a pair of positive views and a negative that is drawn independently; each step uses a fresh
triple and the learning rate eta / d.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from jssl.errors import InputError


class Law(NamedTuple):
    """A law of F signals on finitely many points, symmetric about 0.

    Attributes:
        points: (points, F).
        shares: (points,) probabilities.
    """

    points: np.ndarray
    shares: np.ndarray

    def moment(self, power: int) -> np.ndarray:
        """Return E s_f^power for every feature f, (F,)."""
        return np.asarray(self.shares @ self.points**power)


class OnePass(NamedTuple):
    """One-pass SGD of a unit.

    Attributes:
        law: of the signals along F orthonormal directions.
        noise: sigma > 0, standard deviation of every coordinate of the noise.
        correlation: r in [-1, 1], of the noises of two positive views.
        negatives: kappa >= 0, weight of the negative.
        learning_rate: eta > 0.
        decay: lambda >= 0.
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
    if not 0 < second_moment < math.inf or not 0 < share <= 1:
        message = f"need a second moment > 0 and a share in (0, 1]; got {second_moment} and {share}"
        raise InputError(message)
    far = math.sqrt(second_moment / share)
    if share == 1:
        return Law(np.array([[-far], [far]]), np.array([0.5, 0.5]))
    return Law(np.array([[-far], [0.0], [far]]), np.array([share / 2, 1 - share, share / 2]))


def independent(first: Law, second: Law) -> Law:
    """Return the law of both signals, drawn independently.

    Example:
        >>> independent(rademacher(), three_points()).points.shape
        (6, 2)
    """
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
    if extra < 0 or not -1 <= correlation <= 1:
        message = "need a variance >= 0 and a correlation from -1 to 1"
        raise InputError(message)
    variance = setting.noise**2 + extra
    shared = setting.correlation * setting.noise**2 + correlation * extra
    return setting._replace(noise=math.sqrt(variance), correlation=shared / variance)


def check(setting: OnePass) -> OnePass:
    """Return the setting, or raise `InputError` for numbers out of range."""
    law = setting.law
    points, shares = np.asarray(law.points, float), np.asarray(law.shares, float)
    if points.ndim != 2 or shares.shape != points.shape[:1] or not points.shape[1]:
        message = "a law has points (points, features) and shares (points,)"
        raise InputError(message)
    if (shares < 0).any() or abs(shares.sum() - 1) > 1e-9:
        message = "the shares of a law must be >= 0 with sum 1"
        raise InputError(message)
    numbers: dict[str, Any] = setting._asdict()
    for name, low in (("noise", 0), ("learning_rate", 0), ("negatives", None), ("decay", None)):
        number = numbers[name]
        if not math.isfinite(number) or number < 0 or (low is not None and number == 0):
            message = f"{name} must be {'>= 0' if low is None else 'positive'}; got {number}"
            raise InputError(message)
    if not -1 <= setting.correlation <= 1:
        message = f"correlation must be from -1 to 1; got {setting.correlation}"
        raise InputError(message)
    return setting
