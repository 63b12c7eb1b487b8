"""The summary of a forecast and its caveats, as sentences."""

import numpy as np

from jssl.forecast.lost_dimensions import WIDEST
from jssl.forecast.own_encoder import OwnEncoder
from jssl.forecast.rules import Rule
from jssl.forecast.steps import Ends
from jssl.forecast.values import Values
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


def summary_of(forecast: Values, rule: Rule) -> list[str]:
    """Return the results as sentences. The first answers which dimension to take, and how long."""
    dim = len(forecast.steps)
    lines = [_answer(forecast, rule)]
    learned = int(np.isfinite(forecast.steps).sum())
    if learned:
        shown = [
            f"{count_of(float(step))} ({count_of(float(low))} to {count_of(float(high))})"
            if np.isfinite(step)
            else "never"
            for step, low, high in zip(
                forecast.steps[:_SHOWN], forecast.low, forecast.high, strict=False
            )
        ]
        more = f"; ... ({dim} in all)" if dim > _SHOWN else ""
        lines.append(
            f"Steps at which each dimension is half-learned, with 90 % intervals on these pairs: "
            f"{'; '.join(shown)}{more}."
        )
        lines += _order(forecast)
    return [*lines, *_limit(forecast), *_simulated(forecast)]


def recommended(forecast: Values) -> int:
    """Return the number of leading dimensions that are learned and distinguishable from noise."""
    learned = np.isfinite(forecast.steps)
    return min(forecast.distinguishable, int(learned.sum()))


def _answer(forecast: Values, rule: Rule) -> str:
    """Return the answer: the dimension to take, and the step by which it is half-learned."""
    dim, take = len(forecast.steps), recommended(forecast)
    steps = np.sort(forecast.steps[np.isfinite(forecast.steps)])
    learned = len(steps)
    under = f" under {rule.stands_for}" if rule.stands_for else ""
    pairs = f"{forecast.settings['pairs']:,} pairs"
    if not learned:
        why = "the weight decay is too large or the start is zero"
        return f"No dimension will be learned{under}: {why}."
    rate = f"at learning rate {forecast.learning_rate:.3g}"
    last = f"half-learned by step {count_of(float(steps[-1]))} {rate}"
    if not take:
        decay = ", or less weight decay" if forecast.settings["weight decay"] else ""
        return (
            f"These {pairs} do not show which dimension to take: no mode is distinguishable from "
            f"sampling noise. Take more pairs{decay}. Training on these pairs alone would learn "
            f"{learned} of {dim} dimensions{under}, {last}."
        )
    if take == dim:
        return (
            f"Take a dimension of {dim} or more{under}: all {dim} dimensions are learned and are "
            f"distinguishable from sampling noise, {last}."
        )
    at = np.sort(forecast.steps)[take - 1]
    answer = (
        f"Take a dimension of {take}{under}: {take} of {dim} dimensions are learned and are "
        f"distinguishable from sampling noise, half-learned by step {count_of(float(at))} {rate}."
    )
    if learned > take:
        more = learned - take
        rest = (
            "The next output would learn" if more == 1 else f"The next {more} outputs would learn"
        )
        until = "" if more == 1 else "the last "
        answer = (
            f"{answer} {rest} what cannot be distinguished from noise of these {pairs}, {until}by "
            f"step {count_of(float(steps[-1]))}."
        )
    return f"{answer} The other outputs learn nothing." if learned < dim else answer


def _order(forecast: Values) -> list[str]:
    finite = np.isfinite(forecast.steps)
    order = np.argsort(forecast.steps[finite])
    low, high = forecast.low[finite][order], forecast.high[finite][order]
    if (low[1:] > high[:-1]).all():
        return []
    return ["The intervals of some dimensions overlap, so their order is not resolved."]


def _limit(forecast: Values) -> list[str]:
    """Return the steps in the limit of infinite width, where the forecast is for a finite one."""
    if not len(forecast.networks):
        return []
    shown = "; ".join(count_of(float(x)) for x in forecast.limit_steps[:_SHOWN])
    nets = len(forecast.networks)
    what = (
        f"{nets} random networks of width {forecast.settings['width']:,}"
        if forecast.settings.get("width")
        else "the given encoder with all blocks of its tangent kernel"
    )
    return [
        f"The steps are those of {what}. In the limit, where outputs do not affect each other, "
        f"they would be {shown}."
    ]


def _simulated(forecast: Values) -> list[str]:
    if not len(forecast.simulated):
        return []
    runs = ["; ".join(count_of(float(x)) for x in run[:_SHOWN]) for run in forecast.simulated]
    inside = (forecast.simulated >= forecast.low) & (forecast.simulated <= forecast.high)
    known = np.isfinite(forecast.simulated) & np.isfinite(forecast.steps)
    share = inside[known].mean() if known.any() else 0.0
    return [
        f"Trained ({len(runs)} runs): {' | '.join(runs)}. Of these steps, {share:.0%} lie in the "
        "intervals."
    ]


def _augmentation(forecast: Values) -> list[str]:
    """Return what the same augmentation does to a linear encoder: another question."""
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
    forecast: Values, rule: Rule, explanation: str, ends: Ends, own: OwnEncoder | None
) -> list[str]:
    """Return what is uncertain, the most important first."""
    lines = []
    if forecast.learning_rate >= forecast.stable_rate:
        lines.append(
            f"The learning rate is above the largest stable one, {forecast.stable_rate:.3g}: "
            "training diverges or drifts along flat directions, and the steps are not predicted."
        )
    if forecast.relative_start > 0.3 and not forecast.settings.get("step"):
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
    lines += [*_never_learned(forecast, ends), *_encoder(forecast, own), *_limits(forecast)]
    return [*lines, *_augmentation(forecast)]


def _never_learned(forecast: Values, ends: Ends) -> list[str]:
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


def _encoder(forecast: Values, own: OwnEncoder | None) -> list[str]:
    if own is None and forecast.settings["kernel"] == "linear":
        return ["The forecast is for a linear encoder z = W x under plain gradient descent."]
    if own is None and not len(forecast.networks):
        return [
            "The forecast is for the limit of infinite width, in NTK parametrisation and under "
            "plain gradient descent. In networks of finite width outputs affect each other, and "
            "dimensions after the first are learned sooner: with three hidden relu layers of 256, "
            "two to three times sooner. Pass width= (--width) for the forecast at a finite width."
        ]
    lines = [
        "The tangent kernel is assumed to stay as it is at the start. Its change is part of the "
        "intervals, by its measured size in relu networks; it is smaller in wider encoders."
    ]
    if own is None:
        lines.append(
            "The forecast is for NTK parametrisation and plain gradient descent. Momentum, Adam, "
            "batch norm in the encoder or another parametrisation change the times."
        )
    elif own.deviation.whole > _NOTICED:
        lines.append(
            "The outputs' tangent kernels differ from one common kernel, in some combination of "
            f"outputs by {own.deviation.whole:.0%} of it. The forecast uses all blocks of the "
            "kernel."
        )
    return lines


def _limits(forecast: Values) -> list[str]:
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
