"""A forecast in words, with what is uncertain about it."""

import numpy as np

from jssl.practice.forecast import Forecast
from jssl.practice.loss_of_dimensions import WIDEST
from jssl.practice.rules import Rule

_SHOWN = 8


def count_of(value: float, error: float = 0.0) -> str:
    """Return a number of steps as a reader wants it.

    Example:
        >>> print(count_of(1234.5, 80.0), count_of(float("inf")), count_of(12.34))
        1,230 ± 80 never 12
    """
    if not np.isfinite(value):
        return "never"

    def rounded(x: float) -> str:
        digits = max(0, int(np.floor(np.log10(max(abs(x), 1)))) - 2)
        return f"{round(x / 10**digits) * 10**digits:,.0f}"

    if not np.isfinite(error):
        return f"{rounded(value)} ± unknown"
    if error <= 0:
        return rounded(value)
    size = 10 ** max(0, int(np.floor(np.log10(max(error, 1)))) - 1)
    return f"{rounded(value)} ± {round(error / size) * size:,.0f}"


def words(seen: Forecast) -> list[str]:
    """Return the reading as sentences, the answer first."""
    dim = seen.settings["dim"]
    reached = int(np.isfinite(seen.steps).sum())
    last = np.nanmax(np.where(np.isfinite(seen.steps), seen.steps, np.nan))
    number = f"{reached} of {dim}" if reached < dim else f"All {dim}"
    gaps, errors = np.diff(seen.steps[:reached]), seen.step_errors[:reached]
    apart = bool((gaps > np.hypot(errors[1:], errors[:-1])).all())
    order = "one after the other" if apart else "in an order that their errors leave open"
    told = [
        f"{number} dimensions will be learned, {order}, the last after about "
        f"{count_of(float(last))} steps at learning rate {seen.learning_rate:.3g}."
    ]
    shown = [
        count_of(float(step), float(error))
        for step, error in list(zip(seen.steps, seen.step_errors, strict=True))[:_SHOWN]
    ]
    more = f", ... ({dim} in all)" if dim > _SHOWN else ""
    told.append(f"Steps at which each dimension is half learned: {'; '.join(shown)}{more}.")
    modes = len(seen.eigenvalues)
    if seen.all_worth:
        told.append(
            f"All {modes} modes looked at are above sampling noise on held-out pairs: a dimension "
            f"of {modes} or more is worth paying for, if the steps are."
        )
    elif seen.worth == 0:
        told.append(
            "No mode is told apart from sampling noise on held-out pairs (3.9 standard errors): "
            "there are too few pairs to say what dimension is worth paying for."
        )
    else:
        told.append(
            f"A dimension of {seen.worth} is worth paying for: the first {seen.worth} of the "
            f"{modes} modes looked at are told apart from sampling noise on held-out pairs (3.9 "
            "standard errors), the next is not."
        )
    lost = seen.lost
    told.append(
        f"The views carry {lost.carried:,} directions (a linear encoder's view): {lost.surviving:,}"
        f" survive the augmentation, {lost.lost:,} are lost to it, {lost.undecided:,} are within "
        "sampling error."
    )
    if np.isfinite(lost.factor) and lost.factor > 0:
        told.append(
            f"The first of the {lost.rank} dimensions kept would be lost at {lost.factor:.2g} "
            "times this augmentation's variance."
        )
    return told


def remarks(seen: Forecast, rule: Rule, explanation: str, limit: bool) -> list[str]:
    """Return what is uncertain, the weightiest first."""
    told = []
    if seen.learning_rate >= seen.stable_rate:
        told.append(
            f"The learning rate is above the largest stable one, {seen.stable_rate:.3g}: training "
            "slides along the flat directions and the steps are not predicted."
        )
    if seen.relative_start > 0.3:
        told.append(
            f"The start is {seen.relative_start:.2g} of the end: too large for separate steps; "
            "times at or near 0 mean that a dimension is there from the start."
        )
    if rule.remark:
        told.append(rule.remark)
    sentence = explanation[0].upper() + explanation[1:]
    told.append(f"{sentence} (start at {seen.relative_start:.1g} of the end).")
    off = np.abs(seen.eigenvalues - seen.held_out) > 3.9 * seen.errors
    if off.any():
        first = int(np.argmax(off))
        told.append(
            f"From mode {first + 1} on the pairs flatter themselves: the eigenvalue is "
            f"{seen.eigenvalues[first]:.2g} on all pairs and {seen.held_out[first]:.2g} ± "
            f"{seen.errors[first]:.1g} on held-out ones; with fresh views, or more samples, these "
            "steps come later."
        )
    if len(seen.eigenvalues) < seen.settings["dim"]:
        told.append(
            f"Only {len(seen.eigenvalues)} modes of the pairs are positive (above 1e-5 of the "
            "largest): further dimensions learn nothing or take a hundred thousand times longer."
        )
    if limit and seen.settings["kernel"] != "linear":
        told.append(
            "This is the encoder at infinite width, in NTK parametrisation and under plain gradient"
            " descent: finite nets differ by about width^-1/2, and momentum, Adam, batch norm in "
            "the encoder or another parametrisation have other times (the order is more robust)."
        )
    elif limit:
        told.append("A linear encoder z = W x under plain gradient descent.")
    else:
        told.append(
            "The tangent kernel at the start is taken to stay: features that are learned later "
            "change it, the less the wider the encoder."
        )
    if seen.lost.reduced:
        span = min(WIDEST, 2 * seen.settings["pairs"])
        told.append(
            f"The augmentation's losses were read in the span of {span} views, not in all "
            f"{seen.lost.reduced:,} input dimensions."
        )
    if seen.lost.trust != "exact":
        told.append(
            f"Ranks and thresholds of the augmentation are {seen.lost.trust}; on mixtures they "
            "were 9 % and 15 % off."
        )
    return told
