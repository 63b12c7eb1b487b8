r"""In which order modes are learned, and what the order depends on (D-12, D-13, D-14).

With F(rho) = lambda T, the critical time in units of 1/lambda, two modes tie where
lambda_1 / lambda_2 = F(rho_1) / F(rho_2). JEPA reverses the order by lambda, and a masked
autoencoder does not, between the ties of the two. For a small start of the layers JEPA's tie is
1 + (2L-1)/(2L-2) w_0 (1/rho_1 - 1/rho_2): the window closes in proportion to the start.
After figure 2 of Littwin et al. 2024, arXiv 2407.03475; the ties are derived here.
"""

from typing import Any, NamedTuple

import numpy as np

from jssl.errors import InputError
from jssl.host_arithmetic import host_float64, refuse_traced
from jssl.theory.distillation.modes import unlearned_mode
from jssl.theory.distillation.objective import check_setting, require_positive
from jssl.theory.distillation.takeover import takeover_rates
from jssl.theory.distillation.times import critical_time, layer_end
from jssl.types import Array

E_FOLDS = 20.0
"""Growth of a takeover, in factors of e, above which rounding may bring a mode early."""


class Order(NamedTuple):
    """The predicted order of learning.

    Attributes:
        modes: (learned,) indices of the modes that are learned, the first one first.
        times: (k,) critical times; infinite for modes that are not learned, NaN for those whose
            time is not known, because it exceeds the largest number of the dtype, they start at
            their share of the end or above, or lambda or rho is not finite.
        disturbed: (k,) whether a mode learned earlier is taken over before this one's time, so
            that this mode arrives earlier than its critical time.
        caveats: one sentence for each mode that is not learned, has no known time or is disturbed.
    """

    modes: np.ndarray
    times: np.ndarray
    disturbed: np.ndarray
    caveats: tuple[str, ...]


def tie(
    first: Any,
    second: Any,
    start: Any,
    *,
    depth: int = 1,
    objective: str = "jepa",
    share: Any = 0.5,
) -> Array:
    """Return the ratio lambda_1 / lambda_2 at which two modes are learned at one time (D-13).

    Example:
        >>> print([round(float(tie(0.3, 0.8, 0.05, depth=2, objective=name)), 4)
        ...        for name in ("jepa", "mae")])
        [1.1456, 0.9566]

    Above the tie mode 1 is learned first, below it mode 2.

    Args:
        first: (...) rho_1 > 0.
        second: (...) rho_2 > 0.
        start: (...) w_0 > 0 of every layer.
        depth: number of layers L, 1 to 256.
        objective: "jepa" or "mae".
        share: p between 0 and 1.

    Returns:
        (...); NaN where a mode starts at its share or above.

    Raises:
        InputError: for a depth out of range, an unknown objective, or numbers that are not
            positive.
    """
    require_positive(first=first, second=second)
    settings: dict[str, Any] = {"depth": depth, "objective": objective, "share": share}
    return critical_time(1.0, first, start, **settings) / critical_time(
        1.0, second, start, **settings
    )


def order(
    covariances: Any,
    coefficients: Any,
    start: float,
    *,
    depth: int = 1,
    objective: str = "jepa",
    share: float = 0.5,
) -> Order:
    """Return the order in which modes are learned, and where it cannot be relied on.

    Example:
        >>> found = order([1.0, 0.9, -0.2], [0.3, 0.8, -0.1], 0.05, depth=2)
        >>> found.modes.tolist(), found.disturbed.tolist()
        ([1, 0], [False, False, False])
        >>> print(found.caveats[0])
        Mode 3 is not learned: its covariance -0.2 is not positive, so from an aligned start with
        a positive predictor its layers and predictor shrink to zero.

    Args:
        covariances: (k,) lambda, of any sign.
        coefficients: (k,) rho.
        start: w_0 > 0 of every layer and the predictor.
        depth: number of layers L, 1 to 256.
        objective: "jepa" or "mae".
        share: p between 0 and 1.

    Raises:
        InputError: for modes that do not match, a depth out of range, an unknown objective, or a
            start that is not positive.
    """
    lam, rho = host_float64("covariances", covariances), host_float64("coefficients", coefficients)
    if lam.ndim != 1 or lam.shape != rho.shape:
        message = f"covariances and coefficients must both be (k,); got {lam.shape} and {rho.shape}"
        raise InputError(message)
    depth = check_setting(depth, objective)
    refuse_traced("start or share", (start, share))
    times = np.array(critical_time(lam, rho, start, depth=depth, objective=objective, share=share))
    unlearned = np.isposinf(times) & ((lam <= 0) | (rho <= 0))
    times[~unlearned & ~np.isfinite(times)] = np.nan
    times[~np.isfinite(lam) | ~np.isfinite(rho)] = np.nan
    learned = np.flatnonzero(np.isfinite(times))
    sequence = learned[np.argsort(times[learned], kind="stable")]
    disturbed = np.zeros(len(lam), bool)
    caveats = [unlearned_mode(i, lam[i], rho[i]) for i in np.flatnonzero(np.isposinf(times))]
    end = np.asarray(layer_end(np.maximum(rho, 0), depth, objective))
    caveats += _without_time(times, lam, rho, start < share * end)
    rates = np.zeros((len(lam), len(lam)))
    rates[np.ix_(learned, learned)] = takeover_rates(
        lam[learned], rho[learned], depth=depth, objective=objective
    )
    for j in sequence:
        growth = rates[:, j] * np.where(times < times[j], times[j] - times, 0)
        growth = np.where(np.isfinite(growth), growth, 0)
        i = int(np.argmax(growth))
        if growth[i] > E_FOLDS:
            disturbed[j] = True
            caveats.append(
                f"Mode {j + 1} arrives before its critical time: it grows by a factor of "
                f"e^{growth[i]:.0f} in the output of mode {i + 1}, which is learned earlier."
            )
    return Order(sequence, times, disturbed, tuple(caveats))


def _without_time(
    times: np.ndarray, lam: np.ndarray, rho: np.ndarray, early: np.ndarray
) -> list[str]:
    """Return a sentence for each mode whose time is NaN; `early` is whether it starts below."""
    lines = []
    for i in np.flatnonzero(np.isnan(times)):
        if not (np.isfinite(lam[i]) and np.isfinite(rho[i])):
            why = (
                f"has no critical time: its covariance {lam[i]:.3g} or regression coefficient "
                f"{rho[i]:.3g} is not finite."
            )
        elif early[i]:
            why = (
                f"is learned, but later than the largest number of {times.dtype} "
                f"({np.finfo(times.dtype).max:.1e}), so its time is not known."
            )
        else:
            why = "starts at its share of the end or above, so it has no critical time."
        lines.append(f"Mode {i + 1} {why}")
    return lines
