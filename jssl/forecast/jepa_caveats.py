"""What the forecast of JEPA does not cover, as sentences."""

import numpy as np

from jssl.forecast.distilled import Distilled
from jssl.forecast.linear_found import Found
from jssl.forecast.linear_summary import directions_computed
from jssl.forecast.linear_views import LinearViews
from jssl.forecast.summary import count_of

_SMALL = 0.3
"""Start over end, below which times go as a power of the start."""


def jepa_caveats(of: Distilled, views: LinearViews, found: Found, depth: int) -> list[str]:
    """Return what the theory of JEPA does not cover, the most important first.

    Where training diverges, the steps of `found` are NaN and nothing is said of times.
    """
    layers = "one layer" if depth == 1 else f"{depth} layers"
    lines = [
        f"The forecast is for an encoder of {layers} and a predictor, all linear, trained by plain "
        f"gradient descent from orthogonal layers and a predictor of size {found.scale:.2g} "
        "(jssl.models.aligned), the first views being the context. Networks, batch norm, momentum, "
        "Adam, an averaged target and weight decay are not covered."
    ]
    known = found.steps[np.isfinite(found.steps)]
    if len(known) and known.min() > 0 and found.relative <= _SMALL:
        lines.append(
            "Times depend on the start: with a start half as large, the first dimension takes "
            f"about {2 ** (2 * depth - 1)} times as many steps."
        )
    lines += _together(of, found)
    if views.mean_share > 0.5:
        lines.append(
            f"The mean of the views is {views.mean_share:.0%} of their second moment, so the first "
            "mode is mostly this mean. Subtract it to forecast what differs between samples."
        )
    lines += [*_takeovers(of, found, depth), *directions_computed(views)]
    lost = int((of.covariances <= 0).sum())
    if lost:
        zero = int((of.covariances == 0).sum())
        rounding = f" ({zero} of them are zero up to rounding)" if zero else ""
        lines.append(
            f"{lost} of {len(of.covariances)} directions have no positive covariance of both views "
            f"and are not learned{rounding}."
        )
    return lines


def _together(of: Distilled, found: Found) -> list[str]:
    """Return how modes that are not independent were treated."""
    if not np.isfinite(found.steps).any():
        return []
    modes = found.settings["modes"]
    if modes == "independent":
        return []
    if modes == "integrated together":
        if found.settings["settled"]:
            return []
        return [
            f"Training was integrated for {count_of(found.settings['steps integrated'])} steps, "
            "after which some eigenvalues still change: modes may still displace each other "
            "(takeover). Final eigenvalues are means over the last half of these steps."
        ]
    return [
        "Each mode is forecast as if it were learned alone, because integrating all of them "
        "together would take too long. In truth they affect each other: later dimensions can be "
        "learned much sooner, and final eigenvalues differ. Take fewer outputs, or the leading "
        "principal components of the views, for a forecast of all modes together.",
        *of.caveats,
    ]


def _takeovers(of: Distilled, found: Found, depth: int) -> list[str]:
    """Return the sentence on learned modes that modes of larger coefficient displace (D-14)."""
    if found.settings["modes"] == "integrated together":
        return []  # it is part of the steps and the ends
    steps, lam, rho = found.steps, of.covariances, of.coefficients
    displaced = []
    for i in np.flatnonzero(np.isfinite(steps) & (steps > 0)):
        later = [j for j in range(len(lam)) if lam[j] > 0 and rho[j] > 1.05 * rho[i] > 0]
        later = [j for j in later if j >= len(steps) or not steps[j] < steps[i]]
        speeds = [lam[j] * rho[i] ** (2 * depth - 1) * (1 - rho[i] / rho[j]) for j in later]
        if later:
            k = int(np.argmax(speeds))
            displaced.append((speeds[k], int(i), int(later[k])))
    if not displaced:
        return []
    speed, slow, fast = max(displaced)
    wait = 1 / (speed * found.rate)
    steps_of = f"{count_of(wait)} steps" if wait >= 1.5 else "about one step"
    if wait < 0.5:
        steps_of = "less than one step"
    verb = "is" if len(displaced) == 1 else "are"
    held = (of.modes.held_out - 3.9 * of.modes.errors)[: len(steps)]
    learned = np.isfinite(steps[: len(held)])
    noise = " also those within sampling noise," if (held[learned] <= 0).any() else ""
    every = f"Of all dimensions that the outputs learn,{noise}"
    return [
        f"{every} {len(displaced)} {verb} not stable: a mode with a larger "
        "regression coefficient enters the same output and displaces it (takeover). The fastest is "
        f"mode {fast + 1} (coefficient {rho[fast]:.2g}) in the output of mode {slow + 1} "
        f"({rho[slow]:.2g}), by a "
        f"factor of e in {steps_of}. In the long run JEPA keeps the "
        "largest coefficients, whatever is learned first."
    ]
