"""The summary of a forecast, as sentences."""

import numpy as np

from jssl.forecast.rules import Rule
from jssl.forecast.values import Values

_SHOWN = 8
_LONG = 1e15
"""Number of steps from which it is written as a power of ten."""


def count_of(value: float, error: float = 0.0) -> str:
    """Return a number of steps, rounded to three digits, with its error.

    Example:
        >>> print(count_of(1234.5, 80.0), count_of(float("inf")), count_of(12.34))
        1,230 ± 80 never 12
        >>> count_of(float("nan"))
        'not predicted'
        >>> count_of(1.234e40)
        '1.23e+40'
    """
    if not np.isfinite(value):
        return "not predicted" if np.isnan(value) else "never"

    if abs(value) >= _LONG:
        return f"{value:.3g}" if not 0 < error < np.inf else f"{value:.3g} ± {error:.2g}"

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
    if forecast.diverges:
        return [diverges(forecast, rule), *_simulated(forecast)]
    dim = len(forecast.steps)
    lines = [_answer(forecast, rule)]
    learned = int(np.isfinite(forecast.steps).sum())
    if learned:
        rows = zip(forecast.steps[:_SHOWN], forecast.low, forecast.high, strict=False)
        shown = [_shown(step, forecast, (low, high)) for step, low, high in rows]
        more = f"; ... ({dim} in all)" if dim > _SHOWN else ""
        lines.append(
            f"Steps at which each dimension is half-learned, with 90 % intervals on these "
            f"{_data(forecast)}: "
            f"{'; '.join(shown)}{more}."
        )
        lines += _order(forecast)
    return [*lines, *_limit(forecast), *_simulated(forecast)]


def _shown(step: float, forecast: Values, between: tuple[float, float] | None = None) -> str:
    """Return a step with its interval; one that a checkpoint has behind it is only before it."""
    start = forecast.settings.get("step", 0)
    if start and step <= start:
        return f"before {start:,}"
    if between is None or not np.isfinite(step):
        return count_of(float(step))
    return (
        f"{count_of(float(step))} ({count_of(float(between[0]))} to {count_of(float(between[1]))})"
    )


def diverges(forecast: Values, rule: Rule) -> str:
    """Return the answer where the learning rate is too large: no step is predicted."""
    under = f" of {rule.stands_for}" if rule.stands_for else ""
    drifts = "" if forecast.columns else " or drifts along flat directions"
    if forecast.settings.get("loss") == "lejepa":  # whose slopes are bounded
        drifts = " or does not settle"
    return (
        f"At learning rate {forecast.learning_rate:.3g}, training{under} diverges{drifts}, so no "
        f"step is predicted: the largest stable rate is {forecast.stable_rate:.3g}. Take a smaller "
        f"one, such as {forecast.stable_rate / 10:.2g}, the default."
    )


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
    data = _data(forecast)
    pairs = f"{forecast.settings['pairs']:,} {data}"
    if not learned:
        why = "the weight decay is too large or the start is zero"
        if forecast.settings.get("gradients of the flow"):
            until = _followed_until(forecast, "What its outputs learn")
            return f"No dimension of the network is half-learned{under}. {until}"
        return f"No dimension will be learned{under}: {why}."
    rate = f"at learning rate {forecast.learning_rate:.3g}"
    last = f"half-learned by step {count_of(float(steps[-1]))} {rate}"
    if steps[-1] <= forecast.settings.get("step", 0):
        last = f"half-learned before step {count_of(float(steps[-1]))}, that of the checkpoint"
    if not take:
        decay = ", or less weight decay" if forecast.settings["weight decay"] else ""
        return (
            f"These {pairs} do not show which dimension to take: no mode is distinguishable from "
            f"sampling noise. Take more {data}{decay}. Training on these {data} alone would learn "
            f"{learned} of {dim} dimensions{under}, {last}."
        )
    if take == dim:
        larger = "" if forecast.settings.get("largest dim") == dim else " or more"
        every = (
            f"all {dim} dimensions are learned and are"
            if dim > 1
            else "the one dimension is learned and is"
        )
        return (
            f"Take a dimension of {dim}{larger}{under}: {every} distinguishable from "
            f"sampling noise, {last}."
        )
    at = np.sort(forecast.steps)[take - 1]
    if forecast.columns:  # their modes need not be learned in the order of the eigenvalues
        at = np.max(forecast.steps[:take], where=np.isfinite(forecast.steps[:take]), initial=0)
    verb = "is" if take == 1 else "are"
    answer = (
        f"Take a dimension of {take}{under}: {take} of {dim} dimensions {verb} learned and {verb} "
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
    if learned == dim:
        return answer
    if forecast.settings.get("directions left out"):
        return (
            f"{answer} What the other outputs learn is not computed: it has a much smaller moment, "
            "and is learned much later."
        )
    later = forecast.settings.get("kept in the long run", 0)
    if later > learned:
        return (
            f"{answer} The other outputs learn nothing at first; in the long run {later} "
            "dimensions are kept."
        )
    if forecast.settings.get("gradients of the flow"):
        return f"{answer} {_followed_until(forecast, 'What the other outputs learn')}"
    return f"{answer} The other outputs learn nothing."


def _followed_until(forecast: Values, what: str) -> str:
    """Return until when the flow of the user's own network was followed, and why not longer."""
    until = f"{forecast.settings['steps followed']:,.0f}"
    if not forecast.settings["finite gradients"]:
        return f"Training ends near step {until}, where the gradient is not finite."
    return f"{what} after step {until} is not computed."


def _data(forecast: Values) -> str:
    return "samples" if is_fresh(forecast) else "pairs"


def is_fresh(forecast: Values) -> bool:
    """Return whether the views are drawn anew in every step."""
    return forecast.settings.get("views", "").startswith("fresh")


def _order(forecast: Values) -> list[str]:
    finite = np.isfinite(forecast.steps) & (forecast.steps > forecast.settings.get("step", 0))
    order = np.argsort(forecast.steps[finite])
    low, high = forecast.low[finite][order], forecast.high[finite][order]
    if (low[1:] > high[:-1]).all():
        return []
    return ["The intervals of some dimensions overlap, so their order is not resolved."]


def _limit(forecast: Values) -> list[str]:
    """Return the steps in the limit of infinite width, where the forecast is for a finite one."""
    if not len(forecast.networks):
        return []
    shown = "; ".join(_shown(x, forecast) for x in forecast.limit_steps[:_SHOWN])
    nets = len(forecast.networks)
    if forecast.settings.get("gradients of the flow"):
        fixed = "; ".join(_shown(x, forecast) for x in forecast.networks[0, :_SHOWN])
        return [
            "The steps are those of the given network under its own gradient flow. If its tangent "
            f"kernel stayed as it is at the start, they would be {fixed}; in the limit, where "
            f"outputs do not affect each other, {shown}."
        ]
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
    count = "1 run" if len(runs) == 1 else f"{len(runs)} runs"
    known = np.isfinite(forecast.simulated) & np.isfinite(forecast.steps)
    share = inside[known].mean() if known.any() else 0.0
    if forecast.diverges:
        return [f"Trained ({count}): {' | '.join(runs)}."]
    return [
        f"Trained ({count}): {' | '.join(runs)}. Of these steps, {share:.0%} lie in the intervals."
    ]
