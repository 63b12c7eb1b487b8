"""The summary of a forecast and its caveats, as sentences."""

import numpy as np

from jssl.forecast.lost_dimensions import WIDEST
from jssl.forecast.own_encoder import OwnEncoder
from jssl.forecast.result import Forecast
from jssl.forecast.rules import Rule
from jssl.forecast.steps import Ends
from jssl.theory.landscape.dictionary import SIMCLR

_SHOWN = 8
_NOTICED = 0.05  # deviation of the outputs' kernels from which it is a caveat


def count_of(value: float, error: float = 0.0) -> str:
    """Return a number of steps, rounded to three digits, with its error.

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


def summary_of(forecast: Forecast, rule: Rule) -> list[str]:
    """Return the results as sentences, the number of learned dimensions first."""
    dim = forecast.settings["dim"]
    learned = int(np.isfinite(forecast.steps).sum())
    number = f"{learned} of {dim}" if learned < dim else f"All {dim}"
    under = f" under {rule.stands_for}" if rule.stands_for else ""
    lines = [f"{number} dimensions will be learned{under}{_order(forecast, learned)}"]
    shown = [
        count_of(float(step), float(error))
        for step, error in list(zip(forecast.steps, forecast.step_errors, strict=True))[:_SHOWN]
    ]
    more = f", ... ({dim} in all)" if dim > _SHOWN else ""
    if learned:
        lines.append(f"Steps at which each dimension is half-learned: {'; '.join(shown)}{more}.")
    return [*lines, _noise(forecast), *_augmentation(forecast)]


def _order(forecast: Forecast, learned: int) -> str:
    if not learned:
        return ", because the weight decay is too large or the start is zero."
    finite = np.isfinite(forecast.steps)
    steps, errors = forecast.steps[finite], forecast.step_errors[finite]
    order = np.argsort(steps)
    apart = bool((np.diff(steps[order]) > np.hypot(errors[order][1:], errors[order][:-1])).all())
    how = "one after the other" if apart else "in an order that the error bars do not resolve"
    last, rate = count_of(float(steps.max())), forecast.learning_rate
    return (
        f", {how}. The last is half-learned after about {last} steps at learning rate {rate:.3g}."
    )


def _noise(forecast: Forecast) -> str:
    modes, count = len(forecast.eigenvalues), forecast.distinguishable
    decay = " and weight decay" if forecast.settings["weight decay"] else ""
    what = f"distinguishable from sampling noise{decay} on held-out pairs (3.9 standard errors)"
    if forecast.all_distinguishable:
        return f"All {modes} computed modes are {what}: the views share {modes} or more dimensions."
    if count == 0:
        return (
            f"No mode is {what}. How many dimensions the views share cannot be determined from so "
            f"few pairs{' and with this weight decay' if decay else ''}."
        )
    first = "first mode is" if count == 1 else f"first {count} modes are"
    return (
        f"The {first} {what}, of {modes} computed modes. The next mode is not, so further "
        "dimensions may learn noise of this sample."
    )


def _augmentation(forecast: Forecast) -> list[str]:
    lost = forecast.lost
    decay = " and weight decay" if forecast.settings["weight decay"] else ""
    lines = [
        f"For a linear encoder, {lost.surviving:,} of the {lost.carried:,} directions of the views "
        f"survive augmentation{decay}. {lost.lost:,} are lost, and {lost.undecided:,} are "
        "undecided within the sampling error."
    ]
    if np.isfinite(lost.factor) and lost.factor > 0:
        lines.append(
            f"The first of the {lost.rank} remaining dimensions would be lost at "
            f"{lost.factor:.2g} times the variance of this augmentation."
        )
    gone = lost.factors[(lost.factors < 1) & (lost.factors > 0)]
    if len(gone):
        at = ", ".join(f"{x:.2g}" for x in gone[:_SHOWN])
        lines.append(f"The lost dimensions would be kept below {at} times this variance.")
    return lines


def caveats_of(
    forecast: Forecast, rule: Rule, explanation: str, ends: Ends, own: OwnEncoder | None
) -> list[str]:
    """Return what is uncertain, the most important first."""
    lines = []
    if forecast.learning_rate >= forecast.stable_rate:
        lines.append(
            f"The learning rate is above the largest stable one, {forecast.stable_rate:.3g}: "
            "training diverges or drifts along flat directions, and the steps are not predicted."
        )
    if forecast.relative_start > 0.3:
        lines.append(
            f"The start is {forecast.relative_start:.2g} of the final amplitude, which is too "
            "large for separate steps. A time at or near 0 means that the dimension is learned "
            "from the start."
        )
    if rule.caveat:
        lines.append(rule.caveat)
    lines.append(
        f"{explanation} The start is {forecast.relative_start:.1g} of the final amplitude."
    )
    off = np.abs(forecast.eigenvalues - forecast.held_out) > 3.9 * forecast.errors
    if off.any():
        first = int(np.argmax(off))
        lines.append(
            f"From mode {first + 1} on, the in-sample eigenvalues are optimistic: the eigenvalue "
            f"is {forecast.eigenvalues[first]:.2g} on all pairs and {forecast.held_out[first]:.2g} "
            f"± {forecast.errors[first]:.1g} on held-out pairs. With fresh views or more samples, "
            "these steps come later."
        )
    return [*lines, *_never_learned(forecast, ends), *_encoder(forecast, own), *_limits(forecast)]


def _never_learned(forecast: Forecast, ends: Ends) -> list[str]:
    dim, modes = forecast.settings["dim"], len(forecast.eigenvalues)
    lines = []
    placement = forecast.settings["placement"]
    if modes < dim and placement != SIMCLR:
        lines.append(
            f"Modes that grow under {placement}: {modes}. Along all others, the augmentation "
            "exceeds the variance that the views share, and they are never learned."
        )
    elif modes < dim:
        lines.append(
            f"Only {modes} modes of the pairs are positive (above 1e-5 of the largest). The other "
            "outputs learn nothing from the pairs and count as never learned."
        )
    held = int((~ends.learned[: min(dim, modes)]).sum())
    if held:
        decay = forecast.settings["weight decay"]
        lines.append(
            f"Weight decay {decay:g} is too large for {held} of the first {min(dim, modes)} modes: "
            f"an eigenvalue must exceed {ends.threshold:.2g} to be learned."
        )
    absent = ends.learned[: len(forecast.steps)] & ~np.isfinite(forecast.steps[:modes])
    if absent.any():
        lines.append(
            f"The initial embedding has no component along {int(absent.sum())} of the modes (up to "
            "rounding), for example because outputs are copies of each other. They are never "
            "learned."
        )
    if ends.replaced:
        r, j = ends.replaced[0]
        lines.append(
            f"Dimension {r + 1} is learned but later replaced by mode {j + 1}, which the "
            "minimum of the loss contains instead, because the views agree on it more closely."
        )
    return lines


def _encoder(forecast: Forecast, own: OwnEncoder | None) -> list[str]:
    if own is None and forecast.settings["kernel"] == "linear":
        return ["The forecast is for a linear encoder z = W x under plain gradient descent."]
    if own is None:
        return [
            "The forecast is for the encoder at infinite width, in NTK parametrisation and under "
            "plain gradient descent. Networks of finite width differ by about width^-1/2. "
            "Momentum, Adam, batch norm in the encoder or another parametrisation change the "
            "times; the order is more robust."
        ]
    lines = [
        "The tangent kernel is assumed to be constant during training. Learned features change it, "
        "less so for wider encoders."
    ]
    if own.deviation.whole > _NOTICED:
        lines.append(
            "The outputs' tangent kernels differ from one common kernel, in some combination of "
            f"outputs by {own.deviation.whole:.0%} of it. The fastest modes may grow that much "
            "faster."
        )
    return lines


def _limits(forecast: Forecast) -> list[str]:
    lines = []
    if forecast.lost.reduced:
        span = min(WIDEST, 2 * forecast.settings["pairs"])
        lines.append(
            f"The directions lost to the augmentation were computed in the span of {span} views, "
            f"not in all {forecast.lost.reduced:,} input dimensions."
        )
    if forecast.lost.trust != "exact":
        lines.append(
            f"Ranks and thresholds of the augmentation are {forecast.lost.trust}. On mixtures, "
            "their errors were 9 % and 15 %."
        )
    return lines
