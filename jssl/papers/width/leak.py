"""The leak between outputs: later dimensions start from it, not from the small start.

In a network of width n, the blocks of the tangent kernel between two outputs are of order
n^(-1/2). While dimension 1 is learned in one output, it moves all others by as much. Networks are
trained on linearised Barlow Twins and compared with the flow in mode space that has these blocks
(F-5) and with the limit of infinite width, which has none.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jssl.diagnostics import paired_exponent
from jssl.figures import new_figure
from jssl.papers.claims import at_least, at_most, close
from jssl.papers.outcome import Part, Settings
from jssl.papers.rivals import powers
from jssl.papers.width import leak_runs
from jssl.papers.width.leak_runs import DEPTH, DIM
from jssl.report.figure import Figure
from jssl.theory.finite_width import batch_slowdown, leak
from jssl.types import Array, Claim, Model, Rival, start_key

SOURCE = "derived from Simon et al. 2023, arXiv 2303.15438, section 5, at finite width"
SMALL = 1e-6
WIDTHS = (32, 64, 128, 256)
FEWEST = 8
"""Networks of the largest width that are trained and forecast, at least."""


def leak_between_outputs(settings: Settings) -> Part:
    """Test the size of the leak, its sign, and the times that follow from it."""
    seeds = {"quick": 16, "paper": 64, "large": 256}[settings.scale]
    case = leak_runs.setting_of(settings, seeds)
    followed = case._replace(keys=case.keys[: max(FEWEST, seeds // 4)])
    small = {}
    for index, size in enumerate(WIDTHS):
        settings.progress(f"leak, width {size}", index / (len(WIDTHS) + 2))
        # The slope over the width alone needs every seed at the last width, which costs the most.
        every = settings.scale == "large" or size != WIDTHS[-1]
        small[size] = leak_runs.train(case if every else followed, size, SMALL)
    settings.progress("leak, larger start", len(WIDTHS) / (len(WIDTHS) + 2))
    large = leak_runs.train(case, 128, 100 * SMALL)
    both = np.array([leak_runs.forecasts(case, 256, key, SMALL) for key in followed.keys])
    forecast, without = np.moveaxis(both, 1, 0)
    limit = leak_runs.limit(followed, 256, SMALL)
    trained = small[256].half[: len(followed.keys)]
    return Part(
        [
            *_forecast_claims(trained, forecast, limit, without),
            _size_claim(case, settings),
            *_start_claims(case, large.half, small[128].half),
            # Fewer seeds cannot tell the slope from none: the leaks of networks differ too much.
            *([_saturation_claim(case, small)] if settings.scale == "large" else []),
            _sign_claim(case, small[256]),
            _fresh_views_claim(settings),
        ],
        [_figure(small, large, trained, forecast, limit)],
    )


def _forecast_claims(
    trained: np.ndarray, forecast: np.ndarray, limit: np.ndarray, without: np.ndarray
) -> list[Claim]:
    errors = [np.abs(x[:, 1:] / trained[:, 1:] - 1) for x in (forecast, limit, without)]
    details = (
        f"Half times of dimensions 2 to {DIM} of networks with {DEPTH} hidden tanh layers of 256, "
        f"trained from a start of {SMALL:g} of the network's own. The measured value is the "
        "median of the relative error over dimensions and seeds. "
    )
    return [
        at_most(
            "width/leak-forecast",
            "A forecast with the kernel blocks between outputs predicts when dimensions after the "
            "first are learned in finite networks.",
            SOURCE,
            0.0,
            float(np.median(errors[0])),
            0.15,
            details + "What the forecast leaves out is the change of the kernel, of order 10 %.",
            rivals=[Rival("the limit of infinite width", float(np.median(errors[1])))],
        ),
        at_least(
            "width/limit-is-late",
            "The limit of infinite width predicts dimensions after the first too late, by more "
            "than twice the error of the finite forecast.",
            SOURCE,
            0.3,
            float(np.median(errors[1])),
            details=details + "The bound is twice the tolerance of the forecast with the blocks.",
            rivals=[Rival("as good as the finite forecast", float(np.median(errors[0])))],
        ),
        at_least(
            "width/leak-needs-the-blocks",
            "Without the kernel blocks between outputs, the finite forecast is wrong by at least "
            "twice as much.",
            SOURCE,
            2.0,
            float(np.median(errors[2]) / np.median(errors[0])),
            details=details.replace("relative error", "relative error without the blocks")
            + "It is divided by that with the blocks. Each output keeps the kernel of its own.",
            rivals=[Rival("the blocks do not matter", 1.0)],
        ),
    ]


def _size_claim(case: leak_runs.Setting, settings: Settings) -> Claim:
    """The second eigenvalue of C that the leak alone gives, at four widths."""
    seeds = {"quick": 64, "paper": 128, "large": 128}[settings.scale]
    keys, views = settings.keys(seeds, 83), leak_runs.views_of(case)
    a = jnp.asarray(case.weights[:, 0] / case.values[0])
    weights, sizes = jnp.asarray(case.weights), []
    for size in WIDTHS:
        model = leak_runs.network(size)

        def second(key: Array, model: Model = model) -> Array:
            moved = leak(model.apply, model.init(key), views, a, jnp.eye(DIM)[0])
            b = jnp.matmul(weights.T, moved, precision="highest")
            return jnp.matmul(b.T, b, precision="highest")

        every = np.asarray(jax.jit(jax.vmap(second))(keys))
        sizes.append(np.linalg.eigvalsh(every)[:, -2])
    fit = paired_exponent(WIDTHS, np.array(sizes))
    return close(
        "width/leak-size",
        "The second eigenvalue of the cross-correlation that the leak of dimension 1 gives is "
        "inversely proportional to the width.",
        SOURCE,
        -1.0,
        fit.exponent,
        3.9 * fit.error,
        f"Exponent over widths {', '.join(map(str, WIDTHS))}, the mean over {seeds} seeds with "
        "nested starts. The tolerance is 3.9 standard errors.",
        powers(0, -0.5),
        fit.error,
    )


def _start_claims(case: leak_runs.Setting, large: np.ndarray, small: np.ndarray) -> list[Claim]:
    first, second = (float(np.median((small - large)[:, k])) for k in (0, 1))
    later = 2 * np.log(100) / (8 * case.values[1] * case.rate)
    details = (
        "Networks of width 128 with the same weights and starts of 1e-4 and 1e-6 of the network's "
        "own; medians over seeds. "
    )
    return [
        at_most(
            "width/smaller-start-delays-nothing",
            "In finite networks, a start 100 times smaller delays dimension 2 by the delay of "
            "dimension 1 only.",
            SOURCE,
            first,
            second,
            0.05 * float(np.median(large[:, 1])),
            f"{details}The measured value is the delay of dimension 2 in steps, the bound that of "
            "dimension 1, and the slack 5 % of the step of dimension 2. The limit of infinite "
            f"width predicts a delay of {later:.0f} steps.",
            [Rival("the delay in the limit of infinite width", later)],
        ),
        at_least(
            "width/limit-delays",
            "The limit of infinite width predicts a delay of dimension 2 that finite networks do "
            "not have.",
            SOURCE,
            2 * second,
            later,
            details=details
            + "The measured value is the delay in the limit, 2 log(100) / (8 gamma_2 "
            "rate) steps, the bound twice the delay of trained networks.",
            rivals=[Rival("the delay of trained networks", second)],
        ),
    ]


def _saturation_claim(case: leak_runs.Setting, small: dict[int, leak_runs.Runs]) -> Claim:
    gaps = np.array([small[size].half[:, 1] - small[size].half[:, 0] for size in WIDTHS])
    slopes = np.polyfit(np.log(WIDTHS), gaps, 1)[0]
    error = float(slopes.std(ddof=1) / np.sqrt(len(slopes)))
    predicted = 1 / (8 * float(case.values[1]) * case.rate)
    return close(
        "width/steps-separate-as-log-width",
        "From a start of 1e-6, the steps between dimensions 1 and 2 grow as log(width) / (8 "
        "gamma_2), at the predicted slope.",
        SOURCE,
        predicted,
        float(slopes.mean()),
        0.1 * predicted + 3.9 * error,
        f"Slope of the steps over log(width), widths {', '.join(map(str, WIDTHS))}, the mean over "
        "seeds with nested starts. The tolerance is a tenth of the slope, for the change of the "
        "kernel, plus 3.9 standard errors over seeds. The leaks of networks of one width differ, "
        "so that few seeds leave the claim undecided.",
        [
            Rival("the steps do not depend on the width, as in the limit", 0.0),
            Rival("the square root of the leak counts twice", 2 * predicted),
        ],
        error,
    )


def _sign_claim(case: leak_runs.Setting, runs: leak_runs.Runs) -> Claim:
    model, views = leak_runs.network(256), leak_runs.views_of(case)
    found = []
    for key, b in zip(case.keys[:FEWEST], runs.coordinates, strict=False):
        values = np.linalg.eigvalsh(np.swapaxes(b, 1, 2) @ b)[:, -1]
        at = b[int(np.argmax(values > 0.9))]
        u = np.linalg.svd(at)[2][0]
        others = np.eye(DIM) - np.outer(u, u)
        a = case.weights[:, 0] / case.values[0] * float(at[0] @ u)
        moved = leak(model.apply, model.init(start_key(key)), views, jnp.asarray(a), jnp.asarray(u))
        predicted = (case.weights.T @ np.asarray(moved) @ others)[1:].ravel()
        found.append(np.corrcoef(predicted, (at @ others)[1:].ravel())[0, 1])
    return at_least(
        "width/leak-sign",
        "Right after dimension 1 is learned, the other outputs are what the kernel blocks between "
        "outputs predict, sign included.",
        SOURCE,
        0.8,
        float(np.mean(found)),
        details="Correlation over modes 2 and later and over output directions, for each network "
        f"of width 256, mean over {FEWEST} seeds. Modes grow a little while dimension 1 rises, by "
        "different factors below 2, which the bound allows for. A leak of random sign has "
        "correlation 0.",
        rivals=[Rival("a leak of random sign", 0.0)],
        standard_error=float(np.std(found, ddof=1) / np.sqrt(len(found))),
    )


def _fresh_views_claim(settings: Settings) -> Claim:
    """A linear encoder, whose outputs share no parameter, on a fresh batch in each step."""
    gamma, rate, n, seeds = np.array([1.0, 0.3]), 0.02, 16, 16
    delays = []
    for seed in range(seeds):
        halves = []
        for start in (1e-4, 1e-8):
            draws = settings.generator(84, seed)
            w, step = np.array([[1e-2, 0.0], [0.0, start]]), 0
            while w[1] @ (gamma * w[1]) < 0.25 and step < 20_000:
                x = draws.normal(size=(n, 2)) * np.sqrt(gamma)
                a, b = (x + 0.3 * draws.normal(size=x.shape) * np.sqrt(gamma) for _ in range(2))
                moment = (a.T @ b + b.T @ a) / (2 * n)
                w = w - rate * 4 * (w @ moment @ w.T - np.eye(2)) @ w @ moment
                step += 1
            halves.append(step)
        delays.append(halves[1] - halves[0])
    ratio = 1 + 0.3**2  # variance of a view over the covariance of two
    share = float(batch_slowdown(jnp.array(ratio), jnp.array([ratio]), n))
    step = 4 * rate * gamma[1]
    growth = step * (1 - share) - step**2 / 2 * (1 + (ratio**2 + 1) / n)
    predicted, alone = (np.log(1e4) / x for x in (growth, np.log1p(step)))
    error = float(np.std(delays, ddof=1) / np.sqrt(seeds))
    return close(
        "width/fresh-views-give-no-floor",
        "Where outputs share no parameters, fresh views give no floor: a start 10,000 times "
        "smaller delays dimension 2 in full.",
        SOURCE,
        predicted,
        float(np.mean(delays)),
        share**2 * predicted + 3.9 * error,
        "Linear encoder, a fresh batch of 16 pairs in each step; delay of dimension 2 in steps "
        f"between starts 1e-4 and 1e-8, mean over {seeds} seeds. The losses are even in each "
        "output, so noise enters an output that is zero through shared parameters only. The noise "
        "of the batch acts twice through the learned dimension and slows the growth by "
        f"{share:.1%}. The tolerance is 3.9 standard errors and the square of this share. Without "
        f"the slower growth, the delay would be {alone:.0f} steps.",
        [
            Rival("a floor that does not depend on the start", 0.0),
            Rival("half the delay, that of an eigenvalue and not of its root", predicted / 2),
        ],
        error,
    )


def _figure(
    small: dict[int, leak_runs.Runs],
    large: leak_runs.Runs,
    trained: np.ndarray,
    forecast: np.ndarray,
    limit: np.ndarray,
) -> Figure:
    figure, (left, right) = new_figure(2)
    for k in range(1, DIM):
        for values, colour, name in ((forecast, "#0b4f8a", "forecast"), (limit, "0.6", "limit")):
            label = name if k == 1 else None
            left.plot(trained[:, k], values[:, k], "o", color=colour, markersize=4, label=label)
    low, high = float(trained[:, 1:].min()), float(np.nanmax(limit))
    left.plot([low, high], [low, high], color="black", linewidth=0.8)
    left.set(xscale="log", yscale="log", xlabel="trained: half-learned at step", ylabel="predicted")
    left.legend(frameon=False, fontsize=8)
    gaps = [small[size].half[:, 1] - small[size].half[:, 0] for size in WIDTHS]
    means, spreads = ([summary(x) for x in gaps] for summary in (np.mean, np.std))
    right.errorbar(WIDTHS, means, yerr=spreads, fmt="o-", label="start 1e-6")
    gap = large.half[:, 1] - large.half[:, 0]
    right.errorbar([128], [gap.mean()], yerr=[gap.std()], fmt="s", label="start 1e-4")
    right.set(xscale="log", xlabel="width", ylabel="steps between dimensions 1 and 2")
    right.legend(frameon=False, fontsize=8, loc="lower right")
    text = (
        f"Left: half times of dimensions 2 to {DIM} of trained networks of width 256 against the "
        "forecast with the kernel blocks between outputs and against the limit of infinite width. "
        "Right: steps between dimensions 1 and 2 of trained networks, which grow with the "
        "logarithm of the width and hardly depend on the start."
    )
    return Figure("leak", "Later dimensions start from the leak between outputs", text, figure)
