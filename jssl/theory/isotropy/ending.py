r"""Where training ends: which modes are kept, which are lost, and how isotropic it is.

    -dR/ds_j = n_j / strength        for every mode that is kept, n_j = c_j / q_j

so only noise shares decide, not variances (I-24). A mode is lost if its share is at least
strength x (-dR/ds_j) at s_j = 0 and the end state of the others (I-25). Where the data have more
dimensions than the embedding, the modes with the smallest shares are kept, whichever were learned
first (I-26).

Without noise S = I is the only minimum, of SIGReg and of BHEP: with v = a^T S a for a direction a,
sum_j (s_j - 1) dR/ds_j is the mean of (v - 1) T'(v) over directions and frequencies, and T, the
statistic of one slice, falls below v = 1 and rises above it. So the sum is positive unless S = I,
and at a stationary point with empty modes one of these grows (I-23).

References:
    Derived here, for the losses of arXiv 2511.08544. That the end state is unique for unequal
    shares is proved for SIGReg as long as no eigenvalue exceeds `convex_below`.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import brentq, minimize, root

from jssl.data.checks import require_count
from jssl.errors import InputError
from jssl.host_arithmetic import ROUNDING, host_float64
from jssl.number_checks import require_number
from jssl.theory.isotropy.arguments import spectrum, usual_width
from jssl.theory.isotropy.directions import mean_inverse_root
from jssl.theory.isotropy.regularisers import repulsion_share, slope

_FAR = 1e4  # an eigenvalue of a mode without noise that has no end


class EndState(NamedTuple):
    """The end of training.

    Attributes:
        eigenvalues: (m,) s_j of each mode of the data, 0 where it is lost, infinite where it grows
            for ever.
        kept: (m,) whether it is kept.
    """

    eigenvalues: np.ndarray
    kept: np.ndarray


def end_state(
    noise_shares: Any,
    strength: float,
    *,
    dim: int | None = None,
    regulariser: str = "sigreg",
    width: float | None = None,
    batch: float | None = None,
) -> EndState:
    """Return the eigenvalues at the end of training.

    Example:
        >>> ended = end_state([0.02, 0.05, 0.08, 0.11], 60.0, regulariser="bhep", width=1.0)
        >>> print(ended.eigenvalues.round(4))
        [1.0293 0.9903 0.954  0.9202]
        >>> print(end_state([0, 0.9, 0.9, 0.9], 0.5, regulariser="bhep", width=2.0).eigenvalues)
        [inf  0.  0.  0.]

    Under `bhep`, modes without noise grow for ever where no other mode is kept and `plateau` is
    infinite (I-20, I-21). Where there is a finite end as well, it is the one that is returned.

    Args:
        noise_shares: (m,) n_j = c_j / q_j in [0, 2]; above 1 the covariance of the views is
            negative.
        strength: lambda > 0.
        dim: K, the dimension of the embedding; None is m. With K < m the K smallest shares compete.
        regulariser: `sigreg` or `bhep`.
        width: b > 0; None is 1 for `sigreg`, 2/K for `bhep`.
        batch: N >= 2; None is the population.

    Raises:
        InputError: for shares outside [0, 2], a strength that is not positive, or K outside 1 to m.
    """
    shares = checked_shares(noise_shares, strength)
    dim = len(shares) if dim is None else require_count("dim", dim, high=len(shares))
    b = usual_width(regulariser, dim, width)
    chosen = np.argsort(shares, kind="stable")[:dim]
    s = _minimiser(shares[chosen], strength, regulariser, b, batch)
    eigenvalues = np.zeros(len(shares))
    eigenvalues[chosen] = s
    return EndState(eigenvalues, eigenvalues > 0)


def lost_modes(
    noise_shares: Any,
    strength: float,
    *,
    dim: int | None = None,
    regulariser: str = "sigreg",
    width: float | None = None,
    batch: float | None = None,
) -> np.ndarray:
    """Return the indices of the modes that are lost, as `end_state`.

    Example:
        >>> print(lost_modes([0.05, 0.1, 0.3], 1.0, regulariser="bhep", width=1.0))
        [2]

    The arguments are those of `end_state`.
    """
    ended = end_state(
        noise_shares, strength, dim=dim, regulariser=regulariser, width=width, batch=batch
    )
    return np.flatnonzero(~ended.kept)


def strength_that_keeps(
    noise_shares: Any,
    mode: int,
    *,
    regulariser: str = "sigreg",
    width: float | None = None,
    batch: float | None = None,
) -> float:
    """Return the strength above which a mode is kept, by the end state of the others (I-25).

    Example:
        >>> kept = strength_that_keeps([0.05, 0.1, 0.3], 2, regulariser="bhep", width=1.0)
        >>> round(kept, 5)
        1.12128

    Where others without noise grow for ever at a low strength (`end_state`), nothing pulls on the
    mode there, and the strength is at least that at which the others have a finite end.

    Args:
        noise_shares: (K,) n_j in [0, 2], that of the mode > 0.
        mode: its index.
        regulariser: `sigreg` or `bhep`.
        width: b > 0; None is 1 for `sigreg`, 2/K for `bhep`.
        batch: N >= 2; None is the population.

    Returns:
        Infinite where no strength keeps a mode: on batches so small that 1 - 1/N is at most
        (1 + b)^(-3/2) for `sigreg` or (1 + b)^(-K/2 - 1) for `bhep`, the attraction to the origin
        exceeds the repulsion of every mode, at every state (I-17, I-18).
    """
    shares = checked_shares(noise_shares, 1.0)
    b = usual_width(regulariser, len(shares), width)
    mode = require_count("mode", mode, low=0, high=len(shares) - 1)
    if not shares[mode] > 0:
        message = f"mode {mode} has no positive noise share, so every strength keeps it"
        raise InputError(message)

    def growth(log_strength: float) -> float:
        strength = float(np.exp(log_strength))
        others = np.delete(shares, mode)
        s = np.insert(_minimiser(others, strength, regulariser, b, batch, empty=1), mode, 0.0)
        if np.isinf(s).any():  # nothing pulls on the mode
            return -float(shares[mode])
        pull = slope(s, regulariser=regulariser, width=b, batch=batch)[mode]
        return float(-strength * pull - shares[mode])

    start = slope(np.zeros(len(shares)), regulariser=regulariser, width=b, batch=batch)[mode]
    if start >= 0:
        return math.inf
    low = float(np.log(shares[mode] / -start))
    high = low + 1
    while growth(high) < 0:
        high += 1
    if growth(low) >= 0:
        return float(np.exp(low))
    return float(np.exp(brentq(growth, low, high, xtol=1e-12)))


def convex_below(width: float = 1.0) -> float:
    """Return the largest eigenvalue up to which SIGReg is convex in S (I-23).

    Example:
        >>> round(convex_below(), 4)
        2.4086

    There two end states would both be minima of one convex function, so there is one. T''(v) is
    positive iff 1 + 2 b v < 2^(2/5) (1 + b + b v).

    Args:
        width: b > 0.
    """
    b = usual_width("sigreg", 1, width)
    factor = 2**0.4
    return float((factor * (1 + b) - 1) / (b * (2 - factor)))


def swap_rate(variances: Any, noises: Any, held: int, other: int) -> float:
    """Return 4 q_k (n_j - n_k), at which a held mode j is replaced by another k (I-26).

    Example:
        >>> round(swap_rate([2.0, 0.55], [1.0, 0.05], held=0, other=1), 10)
        0.9

    The growth rate of s_k from a small value, at every stationary point that holds j instead of k;
    it is the same for every isotropic regulariser and strength. Barlow Twins has rate 0.

    Args:
        variances: (m,) q_j > 0.
        noises: (m,) c_j, from 0 to 2 q_j.
        held: j.
        other: k.

    Raises:
        InputError: for arrays of unequal lengths, noises above twice the variances, or modes
            that do not exist.
    """
    q, _ = spectrum(host_float64("variances", variances), "variances")
    c, _ = spectrum(host_float64("noises", noises), "noises")
    if not (q > 0).all():
        message = "variances must be positive: a mode without variance is not learned"
        raise InputError(message)
    if len(q) != len(c):
        message = f"need one noise for each of the {len(q)} modes; got {len(c)}"
        raise InputError(message)
    if not (c <= 2 * q).all():
        message = "noises must be at most twice the variances"
        raise InputError(message)
    held = require_count("held", held, low=0, high=len(q) - 1)
    other = require_count("other", other, low=0, high=len(q) - 1)
    return float(4 * q[other] * (c[held] / q[held] - c[other] / q[other]))


def checked_shares(noise_shares: Any, strength: float) -> np.ndarray:
    """Return the shares as an array."""
    shares, _ = spectrum(host_float64("noise_shares", noise_shares), "noise_shares")
    if not ((shares >= 0).all() and (shares <= 2 + ROUNDING * np.finfo(float).eps).all()):
        message = "noise shares must be from 0 to 2: half the variance of the difference of both "
        message += "views over the variance of a view"
        raise InputError(message)
    require_number("strength", strength, above=0)
    return shares


def _minimiser(
    shares: np.ndarray,
    strength: float,
    regulariser: str,
    b: float,
    batch: float | None,
    empty: int = 0,
) -> np.ndarray:
    """Minimise n . s / strength + R(s, 0, ..., 0) over s >= 0, then solve for the kept modes."""
    share, count = repulsion_share(batch), len(shares)
    endless = (shares == 0) & _endless(shares, regulariser, b, share, empty)

    def gradient(s: np.ndarray) -> np.ndarray:
        full = np.append(np.maximum(s, 0), np.zeros(empty))
        pull = slope(full, regulariser=regulariser, width=b, batch=batch)[:count]
        return np.asarray(shares / strength + pull)

    def objective(s: np.ndarray) -> float:
        full = np.append(s, np.zeros(empty))
        if regulariser == "sigreg":
            first, second = (mean_inverse_root(x) for x in (1 + 2 * b * full, 1 + b + b * full))
        else:
            logs = np.log1p(2 * b * full), np.log1p(b + b * full)  # a product may overflow
            first, second = (np.exp(-x.sum() / 2) for x in logs)
        return float(shares @ s / strength + share * first - 2 * second)

    if not count:
        return np.zeros(0)
    found = minimize(
        objective,
        np.ones(count),
        jac=gradient,
        bounds=[(0, _FAR if free else None) for free in endless],
        method="L-BFGS-B",
        options={"ftol": 1e-15, "gtol": 1e-10, "maxiter": 5000},
    ).x
    if (found[endless] >= _FAR).any():
        return np.where(endless, np.inf, 0.0)
    kept = found > 1e-6
    for _ in range(2 * count + 1):
        s = np.zeros(count)
        if kept.any():
            s[kept] = _solve(gradient, found, kept)
        enter = ~kept & (gradient(s) < -1e-12)
        leave = kept & (s <= 0)
        if not (enter.any() or leave.any()):
            break
        kept = (kept | enter) & ~leave
        found = np.where(enter, 0.01, np.maximum(s, 0.01))
    # the slope of an endless growth vanishes at infinity, which the minimiser may take for an end
    return np.where(endless, np.inf, 0.0) if (s[endless] >= _FAR).any() else s


def _endless(shares: np.ndarray, regulariser: str, b: float, share: float, empty: int) -> bool:
    """Return whether k modes without noise can grow for ever while the others are empty (I-20).

    Once they are large, -dR/ds_j is in proportion to E 2^(-k/2 - 1) - (1 + b)^(-(K - k)/2), E the
    repulsion of a batch.
    """
    free = int((shares == 0).sum())
    others = len(shares) + empty - free
    if regulariser != "bhep" or not free or not others:
        return False
    return others / 2 * math.log1p(b) + math.log(share) > (free / 2 + 1) * math.log(2)


def _solve(gradient: Any, found: np.ndarray, kept: np.ndarray) -> np.ndarray:
    def inside(part: np.ndarray) -> np.ndarray:
        s = np.zeros(len(kept))
        s[kept] = part
        scale = np.maximum(np.abs(gradient(np.zeros(len(kept)))[kept]), 1e-300)
        return np.asarray(gradient(s)[kept] / scale)

    return np.asarray(root(inside, found[kept], tol=1e-13).x)
