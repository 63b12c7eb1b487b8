"""A forecast in words, with what is uncertain about it."""

import numpy as np

from jssl.forecast.forecast import Forecast
from jssl.forecast.lost_dimensions import WIDEST
from jssl.forecast.own_encoder import OwnEncoder
from jssl.forecast.rules import Rule
from jssl.forecast.steps import Ends
from jssl.theory.landscape.dictionary import SIMCLR

_SHOWN = 8
_NOTICED = 0.05


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


def words(seen: Forecast, rule: Rule) -> list[str]:
    """Return the reading as sentences, the answer first."""
    dim = seen.settings["dim"]
    reached = int(np.isfinite(seen.steps).sum())
    number = f"{reached} of {dim}" if reached < dim else f"All {dim}"
    under = f" under {rule.stands_for}" if rule.stands_for else ""
    told = [f"{number} dimensions will be learned{under}{_when(seen, reached)}."]
    shown = [
        count_of(float(step), float(error))
        for step, error in list(zip(seen.steps, seen.step_errors, strict=True))[:_SHOWN]
    ]
    more = f", ... ({dim} in all)" if dim > _SHOWN else ""
    if reached:
        told.append(f"Steps at which each dimension is half learned: {'; '.join(shown)}{more}.")
    return [*told, _of_noise(seen), *_of_losses(seen)]


def _when(seen: Forecast, reached: int) -> str:
    if not reached:
        return ": weight decay or a start of zero holds all of them back"
    finite = np.isfinite(seen.steps)
    steps, errors = seen.steps[finite], seen.step_errors[finite]
    order = np.argsort(steps)
    apart = bool((np.diff(steps[order]) > np.hypot(errors[order][1:], errors[order][:-1])).all())
    how = "one after the other" if apart else "in an order that the error bars do not resolve"
    last = count_of(float(steps.max()))
    return f", {how}, the last after about {last} steps at learning rate {seen.learning_rate:.3g}"


def _of_noise(seen: Forecast) -> str:
    modes = len(seen.eigenvalues)
    noise = "sampling noise on held-out pairs (3.9 standard errors)"
    what = "sampling noise" if not seen.settings["weight decay"] else "noise and weight decay"
    if seen.all_worth:
        return (
            f"All {modes} modes looked at are above {what} on held-out pairs: {modes} dimensions "
            "or more carry something that the views share."
        )
    if seen.worth == 0:
        return (
            f"No mode is distinguishable from {noise}: there are too few pairs, or too much weight "
            "decay, to say how many dimensions carry something that the views share."
        )
    return (
        f"{seen.worth} of the {modes} modes looked at, the first in a row, are above {what} on "
        "held-out pairs by 3.9 standard errors; the next is not, so further dimensions may learn "
        "noise of this sample."
    )


def _of_losses(seen: Forecast) -> list[str]:
    lost = seen.lost
    by = "augmentation and weight decay" if seen.settings["weight decay"] else "augmentation"
    told = [
        f"The views carry {lost.carried:,} directions (a linear encoder's view): {lost.surviving:,}"
        f" survive {by}, {lost.lost:,} are lost, {lost.undecided:,} are within sampling error."
    ]
    if np.isfinite(lost.factor) and lost.factor > 0:
        told.append(
            f"The first of the {lost.rank} dimensions kept would be lost at {lost.factor:.2g} "
            "times this augmentation's variance."
        )
    gone = lost.factors[(lost.factors < 1) & (lost.factors > 0)]
    if len(gone):
        at = ", ".join(f"{x:.2g}" for x in gone[:_SHOWN])
        told.append(f"Dimensions lost to it already would be kept below {at} times its variance.")
    return told


def remarks(
    seen: Forecast, rule: Rule, explanation: str, ends: Ends, own: OwnEncoder | None
) -> list[str]:
    """Return what is uncertain, the weightiest first."""
    told = []
    if seen.learning_rate >= seen.stable_rate:
        told.append(
            f"The learning rate is above the largest stable one, {seen.stable_rate:.3g}: training "
            "slides along the flat directions or diverges, and the steps are not predicted."
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
            f"From mode {first + 1} on the in-sample eigenvalues are optimistic: the eigenvalue is "
            f"{seen.eigenvalues[first]:.2g} on all pairs and {seen.held_out[first]:.2g} ± "
            f"{seen.errors[first]:.1g} on held-out ones; with fresh views, or more samples, these "
            "steps come later."
        )
    return [*told, *_never(seen, ends), *_encoder(seen, own), *_landscape(seen)]


def _never(seen: Forecast, ends: Ends) -> list[str]:
    dim, modes = seen.settings["dim"], len(seen.eigenvalues)
    told = []
    placement = seen.settings["placement"]
    if modes < dim and placement != SIMCLR:
        told.append(
            f"Modes that grow under {placement}: {modes}. Along all others the augmentation "
            "outweighs what the views share, and they are never learned."
        )
    elif modes < dim:
        told.append(
            f"Only {modes} modes of the pairs are positive (above 1e-5 of the largest); the other "
            "outputs learn nothing of them, and count as never learned."
        )
    held = int((~ends.learned[: min(dim, modes)]).sum())
    if held:
        decay = seen.settings["weight decay"]
        told.append(
            f"Weight decay {decay:g} is too large for {held} of the first {min(dim, modes)} modes, "
            f"which are never learned: an eigenvalue must exceed {ends.threshold:.2g}."
        )
    started = ends.learned[: len(seen.steps)] & ~np.isfinite(seen.steps[:modes])
    if started.any():
        told.append(
            f"The start of this encoder holds nothing of {int(started.sum())} of the modes beyond "
            "rounding, as where outputs are copies of each other: they are never learned."
        )
    if ends.given_up:
        r, j = ends.given_up[0]
        told.append(
            f"Dimension {r + 1} will be given up again, long after it is learned: the minimum of "
            f"the loss has mode {j + 1} in its place, which the views share more exactly."
        )
    return told


def _encoder(seen: Forecast, own: OwnEncoder | None) -> list[str]:
    if own is None and seen.settings["kernel"] == "linear":
        return ["A linear encoder z = W x under plain gradient descent."]
    if own is None:
        return [
            "This is the encoder at infinite width, in NTK parametrisation and under plain gradient"
            " descent: finite nets differ by about width^-1/2, and momentum, Adam, batch norm in "
            "the encoder or another parametrisation have other times (the order is more robust)."
        ]
    told = [
        "The tangent kernel at the start is taken to stay: features that are learned later "
        "change it, the less the wider the encoder."
    ]
    if own.deviation.whole > _NOTICED:
        told.append(
            "The outputs' tangent kernels differ from one common kernel, in some combination by "
            f"{own.deviation.whole:.0%} of it: the fastest modes may grow that much faster."
        )
    return told


def _landscape(seen: Forecast) -> list[str]:
    told = []
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
