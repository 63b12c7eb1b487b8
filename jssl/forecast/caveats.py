"""The caveats of a forecast: what is uncertain, as sentences."""

import numpy as np

from jssl.forecast.lost_dimensions import WIDEST
from jssl.forecast.own_encoder import OwnEncoder
from jssl.forecast.rules import Rule
from jssl.forecast.steps import Ends
from jssl.forecast.summary import is_fresh
from jssl.forecast.values import Values
from jssl.theory.landscape.dictionary import SIMCLR

_SHOWN = 8
OWN_KERNEL = "empirical, of the given encoder"
"""Setting `kernel` of a forecast for the user's encoder."""

_LARGE = 0.3  # start over the final amplitude from which steps are not separate
_STABLE = 2.0  # learning rate times curvature at which gradient descent stops being stable
_NOTICED = 0.05  # deviation of the outputs' kernels from which it is a caveat


def caveats_of(
    forecast: Values, rule: Rule, explanation: str, ends: Ends, own: OwnEncoder | None
) -> list[str]:
    """Return what is uncertain, the most important first."""
    lines = []
    if forecast.learning_rate >= forecast.stable_rate:
        lines.append(
            f"The learning rate is above the largest stable one, {forecast.stable_rate:.3g}: "
            "training diverges or drifts along flat directions, and no step is predicted."
        )
    lines += _of_flow(forecast)
    if forecast.relative_start > _LARGE and not forecast.settings.get("step"):
        lines.append(
            f"The start is {forecast.relative_start:.2g} of the final amplitude, which is too "
            "large for separate steps. A time at or near 0 means that the dimension is learned "
            "from the start."
        )
    if rule.caveat:
        lines.append(rule.caveat)
    start = _start(forecast, own)
    if explanation or start:
        lines.append(f"{explanation} {start}".strip())
    if forecast.settings["temperature"] != "none":
        lines.append(
            f"The temperature of the loss is {forecast.settings['temperature']:g}. Pass "
            "temperature= for another one."
        )
    off = np.abs(forecast.eigenvalues - forecast.held_out) > 3.9 * forecast.errors
    off = off[: len(forecast.steps)]  # later modes have no output
    if off.any():
        first = int(np.argmax(off))
        more = "With more samples" if is_fresh(forecast) else "With fresh views or more samples"
        lines.append(
            f"From mode {first + 1} on, the in-sample eigenvalues are optimistic: the eigenvalue "
            f"is {forecast.eigenvalues[first]:.3g} on all pairs and {forecast.held_out[first]:.3g} "
            f"± {forecast.errors[first]:.1g} on held-out pairs. {more}, these steps come later."
        )
    if is_fresh(forecast):
        lines.append(
            "Views are drawn anew in every step: the steps are those of the mean gradient over the "
            "views. Its noise changes them by terms of order learning rate over batch size."
        )
    lines += [*_never_learned(forecast, ends), *_encoder(forecast, own), *_limits(forecast)]
    return [*lines, *_augmentation(forecast)]


def _start(forecast: Values, own: OwnEncoder | None) -> str:
    """Return how small the start is, and of which function of the user's network."""
    line = ""
    if forecast.relative_start <= _LARGE or forecast.settings.get("step"):
        line = f"The start is {forecast.relative_start:.1g} of the final amplitude."
    given = forecast.settings["kernel"] == OWN_KERNEL
    if own is None or not given or forecast.scale == 1:
        return line
    share = 1 - forecast.scale
    sign = f"- {share:.6g}" if share > 0 else f"+ {-share:.6g}"
    return (
        f"{line} The forecast is for the function f(params, x) {sign} f(start, x), with start the "
        "given parameters (jssl.models.centred): train this function, or pass scale=1 for the "
        "network as it is."
    ).strip()


def _never_learned(forecast: Values, ends: Ends) -> list[str]:
    dim, modes = forecast.settings["dim"], len(forecast.eigenvalues)
    lines = []
    placement = forecast.settings["placement"]
    if modes < dim and placement != SIMCLR:
        lines.append(
            f"Modes that grow under {placement}: {modes}. Along all others, the augmentation "
            "exceeds the variance that the views share, and they are never learned."
        )
    elif modes < dim and forecast.settings.get("gradients of the flow"):
        lines.append(
            f"At the start, {modes} modes of the network's tangent kernel on these pairs are above "
            "1e-5 of the largest. Dimensions beyond them are not followed and may be learned later."
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
    if forecast.settings.get("gradients of the flow"):
        absent = absent & np.isfinite(forecast.limit_steps[:modes])
    if not forecast.settings.get("finite gradients", True):
        lines.append(
            f"The gradient of the network is not finite after step "
            f"{forecast.settings['steps followed']:,.0f}: training ends there."
        )
    elif absent.any() and forecast.settings.get("gradients of the flow"):
        lines.append(
            f"The network does not half-learn {int(absent.sum())} of the dimensions, whose modes "
            "would be learned in the limit: on these pairs it can lower the loss without them."
        )
    elif absent.any():
        lines.append(
            f"The initial embedding has no component along {int(absent.sum())} of the modes (up to "
            "rounding), for example because outputs are copies of each other or a layer is "
            "narrower than the output. They are never learned."
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
    lines = [_kernel_change(forecast, own)]
    if own is None:
        lines.append(
            "The forecast is for NTK parametrisation and plain gradient descent. Momentum, Adam, "
            "batch norm in the encoder or another parametrisation change the times. Under Adam, "
            "networks on digits learned nearly the predicted directions in order, but at other "
            "steps; under momentum, jssl.theory.stepwise.momentum_growth gives the growth."
        )
        return lines
    if own.start is None:
        lines.append(
            "The start is that of an encoder that is linear in standard normal parameters. Pass "
            "the embeddings at the start, start=, for the steps of the encoder itself."
        )
    if own.deviation.whole > _NOTICED:
        lines.append(
            "The outputs' tangent kernels differ from one common kernel, in some combination of "
            f"outputs by {own.deviation.whole:.0%} of it. The forecast uses all blocks of the "
            "kernel."
        )
    return lines


def _kernel_change(forecast: Values, own: OwnEncoder | None) -> str:
    if forecast.settings.get("gradients of the flow"):
        return (
            f"The gradient flow of the network was followed by "
            f"{forecast.settings['gradients of the flow']:,} gradients of all pairs, the change of "
            "its tangent kernel included. The intervals hold the error of this integration, and "
            "not the noise of mini-batches, momentum or Adam. Half-learned means half of the end "
            "in the limit; fitting few pairs, the network may end above it."
        )
    if own is not None and own.linear:
        return "The encoder is linear in its parameters: its tangent kernel does not change."
    change = (
        "Its change is part of the intervals, by its measured size in relu networks; it is smaller "
        "in wider encoders."
    )
    if own is not None and own.start is not None:
        change = (
            "Its change is part of the intervals by its size in networks in NTK parametrisation. "
            "From smaller weights, such as the default ones of PyTorch and Equinox, it is larger: "
            "dimensions after the first come sooner than forecast."
        )
    if not len(forecast.networks):
        change = "Its change during training is not known and is not part of the intervals."
    return f"The tangent kernel is assumed to stay as it is at the start. {change}"


def _of_flow(forecast: Values) -> list[str]:
    """Return where gradient descent leaves the gradient flow, or where that was not followed."""
    lines, settings = [], forecast.settings
    curvature, rate = settings.get("largest curvature", 0.0), forecast.learning_rate
    if curvature * rate > _STABLE and rate < forecast.stable_rate:
        lines.append(
            "While the dimensions are learned, the largest curvature of the loss rises to "
            f"{curvature:.3g}, where gradient descent is stable below a learning rate of "
            f"{_STABLE / curvature:.2g} only. At {rate:.3g}, training may oscillate or diverge: "
            f"pass learning_rate={_STABLE / curvature / 2:.1g} for steps that hold."
        )
    dim, followed = len(forecast.steps), settings.get("dimensions followed")
    if followed is not None and followed < dim:
        lines.append(
            f"The gradient flow was followed until {followed} of {dim} dimensions are half-learned "
            f"({settings['gradients of the flow']:,} gradients of all pairs). The others are not "
            "learned until there. The end of their intervals is the step with the tangent kernel "
            "of the start; they come sooner if it grows."
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


def _augmentation(forecast: Values) -> list[str]:
    """Return what the same augmentation does to a linear encoder: another question."""
    lost = forecast.lost
    decay = " and weight decay" if forecast.settings["weight decay"] else ""
    undecided = (
        f"; for {lost.undecided:,} the sampling error does not decide" if lost.undecided else ""
    )
    lines = [
        f"Of the {lost.carried:,} directions of the same views, a linear encoder would keep "
        f"{lost.surviving:,} and lose {lost.lost:,} under the augmentation{decay}{undecided}."
    ]
    next_factor = np.min(lost.factors[: lost.rank], initial=np.inf)
    if 0 < next_factor < np.inf:
        lines.append(
            f"The first of the {lost.rank} remaining dimensions would be lost at "
            f"{next_factor:.2g} times the variance of this augmentation."
        )
    gone = lost.factors[(lost.factors < 1) & (lost.factors > 0)]
    if len(gone):
        at = ", ".join(f"{x:.2g}" for x in gone[:_SHOWN])
        lines.append(f"The lost dimensions would be kept below {at} times this variance.")
    return lines
