r"""Directions that LeJEPA learns first and later replaces by ones with less noise (I-26).

At a stationary point, the row of W that holds the mode of noise share n grows along every direction
u with Sigma-orthogonality to all rows by dW/dt = 2 W (n Sigma - C): the embedding covariance does
not change to first order. The rate of the fastest replacement is therefore

    4 unit rate max_u u^T (n Sigma - C) u / u^T u,    u^T Sigma W^T = 0,

in the eigenvalues of the embedding covariance, with n the largest share that is held. It is a lower
bound of the exact one, and exact where modes are uncorrelated.
"""

import numpy as np
import scipy.linalg

from jssl.forecast.isotropic import Isotropic
from jssl.forecast.linear_views import LinearViews
from jssl.forecast.summary import count_of
from jssl.theory import isotropy

_NOTICED = 0.01
"""Difference of noise shares below which nothing is said."""


def replacement_rate(of: Isotropic, views: LinearViews, held: np.ndarray, rate: float) -> float:
    """Return the rate a step of the fastest replacement, 0 where no direction has less noise.

    Args:
        of: the modes.
        views: in principal axes.
        held: (dim,) which modes the outputs hold.
        rate: learning rate.
    """
    if len(of.others) <= held.sum():
        return 0.0
    first, second = views.first, views.second
    covariance = (first.T @ first + second.T @ second) / (2 * len(first))
    noise = (first - second).T @ (first - second) / (2 * len(first))
    free = scipy.linalg.null_space(of.modes.vectors[: len(held)][held] @ covariance)
    surplus = free.T @ (of.shares[held].max() * covariance - noise) @ free
    return max(0.0, 4 * of.unit * rate * float(np.linalg.eigvalsh(surplus)[-1]))


def replacements(of: Isotropic, views: LinearViews, steps: np.ndarray, rate: float) -> list[str]:
    """Return the sentences on modes that are replaced, after how long, and what follows."""
    held = np.isfinite(steps)
    count = int(held.sum())
    if not count or len(of.others) <= count:
        return []
    shares, best = of.shares[held], np.maximum(of.others[:count], 0)
    growth = replacement_rate(of, views, held, rate)
    if shares.max() <= best.max() + _NOTICED or not growth:
        return []
    ends = isotropy.end_state(best, of.strength, batch=of.batch).eigenvalues * (1 - best)
    values = ", ".join(f"{value:.2g}" for value in ends)
    wait, last = 1 / growth, float(steps[held].max())
    soon = (
        " That is sooner than the last dimension is half learned, so that the values before it are "
        "not seen."
        if wait < last
        else ""
    )
    return [
        "In the long run LeJEPA keeps the directions with the smallest shares of noise, whatever "
        f"is learned first: here shares up to {best.max():.2g}, where those learned first have up "
        f"to {shares.max():.2g}. The fastest replacement grows by a factor of e in about "
        f"{count_of(wait)} steps, and the eigenvalues of C end at {values}. The final "
        f"eigenvalues of this forecast are those before any replacement.{soon}"
    ]
