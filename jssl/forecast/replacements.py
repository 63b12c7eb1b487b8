r"""Directions that LeJEPA learns first and later replaces, and outputs that it fills later (I-26).

At a stationary point, a row of W whose pull is n (the share of noise of the mode that it holds, or
T = -strength dR/ds at s = 0 if it is empty) grows along every direction u that is Sigma-orthogonal
to all rows by dW/dt = 2 W (n Sigma - C): the embedding covariance does not change to first order.
The rate of the fastest change is therefore

    4 unit rate max_u u^T (n Sigma - C) u / u^T u,    u^T Sigma W^T = 0,

in the eigenvalues of the embedding covariance, with n the largest pull. It is a lower bound of the
exact one, and exact where modes are uncorrelated. The end holds the dim smallest noise shares.
"""

from typing import NamedTuple

import numpy as np
import scipy.linalg

from jssl.forecast.isotropic import Isotropic
from jssl.forecast.linear_views import LinearViews
from jssl.forecast.summary import count_of
from jssl.theory import isotropy

_NOTICED = 0.02
"""Difference of eigenvalues of C, over the largest, below which nothing is said."""
_SHOWN = 6
"""Most eigenvalues that are listed one by one."""


class LongRun(NamedTuple):
    """What LeJEPA keeps in the long run.

    Attributes:
        shares: (kept,) noise shares, ascending; as many as are kept, at most dim.
        eigenvalues: (kept,) of C at the end.
        rate: in an eigenvalue of the embedding covariance, a step, of the fastest change of what is
            learned first; 0 where it is not known.
        changes: whether the eigenvalues of C differ from those of what is learned first.
    """

    shares: np.ndarray
    eigenvalues: np.ndarray
    rate: float
    changes: bool


def long_run(of: Isotropic, views: LinearViews, steps: np.ndarray, rate: float) -> LongRun:
    """Return the end that does not depend on what is learned first.

    Args:
        of: the modes.
        views: in principal axes.
        steps: (dim,) at which each mode is half-learned; not finite for one that is not.
        rate: learning rate.
    """
    held = np.isfinite(steps)
    best = np.maximum(of.others[: len(steps)], 0)
    levels = isotropy.end_state(best, of.strength, batch=of.batch).eigenvalues
    kept = levels > 0
    ends = np.where(kept, levels * (1 - best), 0.0)
    first = np.where(held, of.levels * (1 - of.shares), 0.0)
    moved = np.abs(np.sort(np.pad(ends, (0, len(first) - len(ends)))) - np.sort(first)).max()
    found = LongRun(best[kept], ends[kept], 0.0, changes=False)
    if not held.any() or moved <= _NOTICED * ends.max(initial=0.0):
        return found
    pull = of.shares[held].max()
    if kept.sum() > held.sum():
        pull = max(pull, pull_of_next(of))
    return found._replace(rate=_fastest(of, views, held, pull) * rate, changes=True)


def pull_of_next(of: Isotropic) -> float:
    """Return T, the noise share below which one more, empty mode grows at the end of learning."""
    s = of.levels.copy()
    empty = s <= 0
    if not empty.any():  # all outputs are taken: compare with the last of them
        s[-1], empty[-1] = 0.0, True
    return float(-of.strength * isotropy.slope(s, batch=of.batch)[np.argmax(empty)])


def _fastest(of: Isotropic, views: LinearViews, held: np.ndarray, pull: float) -> float:
    """Return the rate of the fastest change for a learning rate of 1."""
    first, second = views.first, views.second
    covariance = (first.T @ first + second.T @ second) / (2 * len(first))
    noise = (first - second).T @ (first - second) / (2 * len(first))
    free = scipy.linalg.null_space(of.modes.vectors[: len(held)][held] @ covariance)
    if not free.size:
        return 0.0
    surplus = free.T @ (pull * covariance - noise) @ free
    return max(0.0, 4 * of.unit * float(np.linalg.eigvalsh(surplus)[-1]))


def replacements(of: Isotropic, end: LongRun, steps: np.ndarray) -> list[str]:
    """Return the sentences on what changes after learning, after how long, and what remains."""
    held = np.isfinite(steps)
    if not end.changes or not len(end.shares):
        return []
    count, kept = int(held.sum()), len(end.shares)
    values = np.sort(end.eigenvalues)[::-1]
    listed = ", ".join(f"{value:.3g}" for value in values)
    if kept > _SHOWN:
        listed = f"{values[-1]:.3g} to {values[0]:.3g}"
    change = soon = ""
    if end.rate:
        change = (
            f" The fastest change grows by a factor of e in at most {count_of(1 / end.rate)} "
            "steps; directions of small variance can take many times longer."
        )
    if not end.rate or 1 / end.rate < steps[held].max():
        soon = " That can be sooner than the last dimension is half learned."
    many = "direction" if kept == 1 else f"{kept} directions"
    first = "the one learned first has" if count == 1 else f"the {count} learned first have up to"
    return [
        f"In the long run LeJEPA keeps the {many} with the smallest shares of noise, whatever is "
        f"learned first: here shares up to {end.shares.max():.2g}, where {first} "
        f"{of.shares[held].max():.2g}.{change} The eigenvalues of C end at {listed}. The final "
        "eigenvalues of this forecast are those of modes that are learned one by one, before any "
        f"such change.{soon}"
    ]
