"""Sentences on the forecasts of JEPA and LeJEPA: the answer, and what the theory does not cover."""

import numpy as np

from jssl.forecast.distilled import LATEST, START
from jssl.forecast.isotropic import Isotropic
from jssl.forecast.linear_views import NEGLIGIBLE, LinearViews
from jssl.forecast.lost_dimensions import WIDEST
from jssl.forecast.replacements import LongRun, replacements
from jssl.forecast.rules import Rule
from jssl.forecast.summary import count_of, summary_of
from jssl.forecast.values import Values
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
    if forecast.settings["loss"] == "lejepa":
        lines[0] = _answer_beside_noise(forecast, lines[0], stands_for)
    lost = lost_to_start(forecast) if forecast.settings["loss"] == "jepa" else []
    return [*lines, *(f"{why[0].upper()}{why[1:]}." for why in lost), _end(forecast)]


def _answer_beside_noise(forecast: Values, answer: str, stands_for: str) -> str:
    """Return the answer, or another one where the views agree along no learned direction."""
    learned = np.isfinite(forecast.steps)
    if (forecast.columns["noise share"][learned] <= 0.5).any():
        return answer
    last = count_of(float(forecast.steps[learned].max()))
    kept = forecast.settings.get("kept in the long run", 0)
    long_run = " In a much longer run other directions replace these; a caveat says which."
    return (
        f"These {forecast.settings['pairs']:,} pairs do not show which dimension to take: along "
        "every direction that is learned at first the views differ more than they agree. Training "
        f"on these pairs would learn {learned.sum()} of {len(learned)} dimensions under "
        f"{stands_for}, half-learned by step {last} at learning rate {forecast.learning_rate:.3g}."
        f"{long_run if kept else ''}"
    )


def lost_to_start(forecast: Values) -> list[str]:
    """Return how many modes of JEPA start so small that their steps do not fit in float64."""
    first, scale = forecast.columns.get("first layer at the start"), forecast.scale
    if first is None:  # training was integrated
        return []
    k = len(first)
    lam, rho = (forecast.columns[x][:k] for x in ("covariance", "regression coefficient"))
    positive = (lam > 0) & (rho > 0)
    count = int((positive & ~np.isfinite(forecast.steps[:k])).sum())
    if not count:
        return []
    return [
        f"the layers start so small, at {scale:.3g}, that {count} "
        f"{'mode takes' if count == 1 else 'modes take'} more than {LATEST:.0e} steps; take a "
        f"start (scale) such as {START * float(rho[positive].max()):.2g}"
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
    count = int(learned.sum())
    whose = "it is learned" if count == 1 else "they are learned"
    eigenvalues = "eigenvalue" if count == 1 else "eigenvalues"
    path = forecast.columns.get("eigenvalue of the predictor at the end")
    if path is not None:
        which = f"{eigenvalues} {_range(path[:count])}"
        if not forecast.settings["settled"]:
            at = count_of(forecast.settings["steps integrated"])
            return f"After {at} steps the predictor has the {which}."
        source = "those" if count > 1 else "one"
        return (
            f"When {whose}, the predictor has the {which}, {source} of the regression of the "
            "second views on the first (real parts)."
        )
    rho = forecast.columns["regression coefficient"]
    known = rho[: len(learned)][learned[: len(rho)]]
    about = "" if forecast.settings["modes"] == "independent" else "about "
    its = "its regression coefficient as an" if count == 1 else "their regression coefficients as"
    return f"When {whose}, the predictor has {about}{its} {eigenvalues}, {_range(known)}."


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
    off = off[: len(forecast.steps)]  # later modes have no output
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
    end: LongRun,
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
    lines += [*replacements(of, end, steps), *directions_computed(views)]
    gone = int((of.levels <= 0).sum())
    if gone:
        lines.append(
            f"{gone} of the first {len(of.levels)} modes have too large a share of noise for this "
            "strength and are not kept. A larger trade-off or batch keeps them."
        )
    return lines


def directions_computed(views: LinearViews) -> list[str]:
    """Return which directions of the views the forecast leaves out."""
    kept, lines = views.first.shape[1], []
    if views.inputs > WIDEST:
        lines.append(
            f"Modes were computed in the {kept} directions of largest moment, not in all "
            f"{views.inputs:,} input dimensions."
        )
    if views.left_out:
        are = "direction is" if views.left_out == 1 else "directions are"
        why = (
            " Subtract the mean of the views, or scale the inputs to similar variance, to forecast "
            "them."
        )
        lines.append(
            f"{views.left_out} {are} not computed: their moment is below {NEGLIGIBLE:g} of the "
            f"largest, so they are learned much later.{why}"
        )
    return lines
