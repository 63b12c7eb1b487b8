"""Sentences on the forecasts of JEPA and LeJEPA: the answer, and what the theory does not cover."""

import numpy as np

from jssl.forecast.distilled import LATEST, START, Distilled, ModeStart, collapses
from jssl.forecast.isotropic import Isotropic
from jssl.forecast.linear_views import LinearViews
from jssl.forecast.lost_dimensions import WIDEST
from jssl.forecast.rules import Rule
from jssl.forecast.summary import count_of, summary_of
from jssl.forecast.values import Values
from jssl.theory import isotropy
from jssl.wording import percent

_NOTICED = 0.01


def linear_summary(forecast: Values) -> list[str]:
    """Return the results as sentences. The first answers which dimension to take, and how long."""
    if not np.isfinite(forecast.steps).any() and not forecast.diverges:
        why = "the noise of the views exceeds the pull of the regulariser; take a larger trade-off"
        if forecast.settings["loss"] == "jepa":
            why = ", and ".join(lost_to_start(forecast)) or "no mode has a positive covariance"
        return [f"No dimension will be learned: {why}."]
    layers = forecast.settings.get("layers", 1)
    what = "a linear encoder" if layers == 1 else f"an encoder of {layers} linear layers"
    if forecast.settings["loss"] == "jepa":
        what += " and predictor"
    stands_for = f"{forecast.settings['loss']} with {what}"
    lines = summary_of(forecast, Rule("", 0.0, 0.0, stands_for=stands_for))
    if forecast.diverges:
        return lines
    lost = lost_to_start(forecast) if forecast.settings["loss"] == "jepa" else []
    return [*lines, *(f"{why[0].upper()}{why[1:]}." for why in lost), _end(forecast)]


def lost_to_start(forecast: Values) -> list[str]:
    """Return how many modes of JEPA are lost to a start that is too large (D-25) or too small."""
    first, scale = forecast.columns["first layer at the start"], forecast.scale
    k = len(first)
    lam, rho = (forecast.columns[x][:k] for x in ("covariance", "regression coefficient"))
    positive = (lam > 0) & (rho > 0)
    shrinks = positive & collapses(ModeStart(first, scale), rho)
    late = positive & ~shrinks & ~np.isfinite(forecast.steps[:k])
    lines = []
    if shrinks.any():
        count, share = int(shrinks.sum()), (first / scale)[shrinks] ** 2
        most = float(np.min(rho[shrinks] / np.sqrt(1 - share)))
        unit = 10 ** (np.floor(np.log10(most)) - 1)
        lines.append(
            f"the predictor starts too large, at {scale:.3g}, so that {count} "
            f"{'mode shrinks' if count == 1 else 'modes shrink'} to zero; take a start (scale) "
            f"below {np.floor(most / unit) * unit:.2g}"
        )
    if late.any():
        count = int(late.sum())
        lines.append(
            f"the layers start so small, at {scale:.3g}, that {count} "
            f"{'mode takes' if count == 1 else 'modes take'} more than {LATEST:.0e} steps; take a "
            f"start (scale) such as {START * float(rho[positive].max()):.2g}"
        )
    return lines


def unsure_starts(drawn: ModeStart, lam: np.ndarray, rho: np.ndarray) -> list[str]:
    """Return the sentence on modes that shrink to zero from some of the random starts."""
    share = np.where((lam > 0) & (rho > 0), collapses(drawn, rho).mean(0), 0)
    some = np.flatnonzero((share > 0) & (share < 1))
    if not len(some):
        return []
    each = ", ".join(f"mode {j + 1} in {percent(share[j])}" for j in some[:8])
    return [
        "The first layer keeps a random share of each mode, and where it is too small for a "
        f"predictor of this size, the mode shrinks to zero: of the random starts {each}. A "
        "smaller start (scale) avoids it."
    ]


def _end(forecast: Values) -> str:
    """Return where training ends."""
    learned = np.isfinite(forecast.steps)
    if forecast.settings["loss"] == "lejepa":
        ends = forecast.columns["embedding eigenvalue at the end"][learned]
        noisy = int((forecast.columns["noise share"][learned] > 0.5).sum())
        many = "these dimensions are" if len(ends) > 1 else "this dimension is"
        which = "eigenvalues" if len(ends) > 1 else "eigenvalue"
        line = (
            f"When {many} learned, the {which} of the embedding covariance "
            f"{'are' if len(ends) > 1 else 'is'} {_range(ends)}; all 1 would be isotropic."
        )
        if noisy:
            line += (
                f" Along {noisy} of them the views differ more than they agree: at this strength "
                "LeJEPA learns the directions of large variance first, even if the augmentation "
                "is what varies there."
            )
        return line
    rho = forecast.columns["regression coefficient"]
    first = (learned & (forecast.steps > 0))[: len(rho)]
    known = rho[: len(learned)][first if first.any() else learned[: len(rho)]]
    if len(known) == 1:
        return (
            "When it is learned, the predictor has its regression coefficient as an eigenvalue, "
            f"{_range(known)}."
        )
    return (
        "When they are learned, the predictor has their regression coefficients as eigenvalues, "
        f"{_range(known)}."
    )


def _range(values: np.ndarray) -> str:
    """Return the least and the largest number, or one where they read alike.

    Example:
        >>> print(_range(np.array([0.91, 0.5])), _range(np.array([0.91])))
        0.5 to 0.91 0.91
    """
    low, high = f"{values.min():.3g}", f"{values.max():.3g}"
    return low if low == high else f"{low} to {high}"


def rate_caveats(forecast: Values) -> list[str]:
    """Return what the learning rate, the start and the sample do to the steps."""
    lines = []
    if forecast.learning_rate >= forecast.stable_rate:
        lines.append(
            f"The learning rate is above the largest stable one, {forecast.stable_rate:.3g}: "
            "training diverges or does not settle, and no step is predicted."
        )
    moving = forecast.diverges or bool(np.isfinite(forecast.steps).any())
    if moving and forecast.relative_start > 0.3:
        lines.append(
            f"The start is {forecast.relative_start:.2g} of the final amplitude, which is too "
            "large for separate steps. A time at or near 0 means that the dimension is learned "
            "from the start."
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
    return lines


def lejepa_caveats(
    of: Isotropic,
    views: LinearViews,
    steps: np.ndarray,
    rate: float,
    stable: float,
    blur: np.ndarray,
) -> list[str]:
    """Return what the theory of LeJEPA does not cover, the most important first.

    Where training diverges, `steps` are NaN and nothing is said of times.
    """
    finite = np.isfinite(steps)
    share = (blur[finite] / np.maximum(steps[finite], 1)).max(initial=0.0)
    lines = [
        "The forecast is for a linear encoder z = W x under plain gradient descent with many "
        "slices. Other encoders, momentum and Adam are not covered.",
        "The theory is exact for Gaussian embeddings and the whole line of frequencies. "
        + (
            f"On these pairs and with the 17 knots of the loss, growth differs from it by up to "
            f"{percent(share)} of the steps, which is part of the intervals."
            if finite.any()
            else "The 17 knots of the loss differ from it."
        ),
        f"The weight of the regulariser over the agreement of views is {of.strength:.3g} for "
        f"batches of {of.batch:,} samples. It grows in proportion to the batch.",
    ]
    if views.mean_share > _NOTICED:
        lines.insert(
            0,
            f"The mean of the views is {views.mean_share:.0%} of their second moment. The forecast "
            "is for views from which it is subtracted: subtract it before training, since lejepa "
            "pulls the mean of the embeddings to 0.",
        )
    if finite.any() and rate > stable / 2:
        lines.append(
            f"The learning rate is above half of the largest stable one, {stable:.3g}, which is "
            "that of the end of training. Before all dimensions are learned, the first ones may "
            "swing about their values, and the steps of the others are then less certain."
        )
    lines += [*_swaps(of, steps, rate), *_reduced(views)]
    gone = int((of.levels <= 0).sum())
    if gone:
        lines.append(
            f"{gone} of the first {len(of.levels)} modes have too large a share of noise for this "
            "strength and are not kept. A larger trade-off or batch keeps them."
        )
    return lines


def pull_of_next(of: Isotropic) -> float:
    """Return dR/ds of one more, empty mode at the end state: of the first mode that is lost."""
    s = of.levels.copy()
    empty = s <= 0
    if not empty.any():  # all outputs are taken: compare with the last of them
        s[-1], empty[-1] = 0.0, True
    return float(isotropy.slope(s, batch=of.batch)[np.argmax(empty)])


def _swaps(of: Isotropic, steps: np.ndarray, rate: float) -> list[str]:
    """Return the sentence on modes that later give way to ones with less noise (I-26)."""
    held = of.shares[np.isfinite(steps)]
    if not len(held) or len(of.others) <= len(held):
        return []
    best = of.others[: len(held)]
    if held.max() <= best.max() + 0.01:
        return []
    return [
        "In the long run LeJEPA keeps the directions with the smallest shares of noise, whatever "
        f"is learned first: here shares up to {best.max():.2g}, where those learned first have up "
        f"to {held.max():.2g}. A direction of variance q that replaces one with a share larger by "
        f"d grows at the rate {4 * of.unit * rate:.2g} q d a step."
    ]


def jepa_caveats(
    of: Distilled,
    views: LinearViews,
    steps: np.ndarray,
    depth: int,
    start: float,
    rate: float,
) -> list[str]:
    """Return what the theory of JEPA does not cover, the most important first.

    Where training diverges, `steps` are NaN and nothing is said of times.
    """
    layers = "one layer" if depth == 1 else f"{depth} layers"
    lines = [
        f"The forecast is for an encoder of {layers} and a predictor, all linear, trained by plain "
        f"gradient descent from orthogonal layers and a predictor of size {start:.2g} "
        "(jssl.models.aligned), the first views being the context. Networks, batch norm, momentum, "
        "Adam, an averaged target and weight decay are not covered.",
        *of.caveats,
    ]
    if np.isfinite(steps).any():
        lines.insert(
            1,
            "Times depend on the start: with a start half as large, the first dimension takes "
            f"about {2 ** (2 * depth - 1)} times as many steps.",
        )
    if views.mean_share > 0.5:
        lines.append(
            f"The mean of the views is {views.mean_share:.0%} of their second moment, so the first "
            "mode is mostly this mean. Subtract it to forecast what differs between samples."
        )
    lines += [*_takeovers(of, steps, depth, rate), *_reduced(views)]
    lost = int((of.covariances <= 0).sum())
    if lost:
        lines.append(
            f"{lost} of {len(of.covariances)} directions have no positive covariance of both views "
            "and are not learned."
        )
    return lines


def _takeovers(of: Distilled, steps: np.ndarray, depth: int, rate: float) -> list[str]:
    """Return the sentence on learned modes that modes of larger coefficient displace (D-14)."""
    lam, rho = of.covariances, of.coefficients
    found = []
    for i in np.flatnonzero(np.isfinite(steps) & (steps > 0)):
        later = [j for j in range(len(lam)) if lam[j] > 0 and rho[j] > 1.05 * rho[i] > 0]
        later = [j for j in later if j >= len(steps) or not steps[j] < steps[i]]
        speeds = [lam[j] * rho[i] ** (2 * depth - 1) * (1 - rho[i] / rho[j]) for j in later]
        if later:
            k = int(np.argmax(speeds))
            found.append((speeds[k], int(i), int(later[k])))
    if not found:
        return []
    speed, slow, fast = max(found)
    wait = 1 / (speed * rate)
    steps_of = f"{count_of(wait)} steps" if wait >= 1.5 else "about one step"
    if wait < 0.5:
        steps_of = "less than one step"
    verb = "is" if len(found) == 1 else "are"
    return [
        "Of all dimensions that the outputs learn, also those within sampling noise, "
        f"{len(found)} {verb} not stable: a mode with a larger "
        "regression coefficient enters the same output and displaces it (takeover). The fastest is "
        f"mode {fast + 1} (coefficient {rho[fast]:.2g}) in the output of mode {slow + 1} "
        f"({rho[slow]:.2g}), by a "
        f"factor of e in {steps_of}. In the long run JEPA keeps the "
        "largest coefficients, whatever is learned first."
    ]


def _reduced(views: LinearViews) -> list[str]:
    if views.inputs <= WIDEST:
        return []
    return [
        f"Modes were computed in the {views.first.shape[1]} directions of largest moment, not in "
        f"all {views.inputs:,} input dimensions."
    ]
