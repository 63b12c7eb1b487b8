"""The linear dot-product loss: the drift of the tangent kernel grows without bound.

The loss is unbounded below. Outputs grow as exp(l t), where l is the largest growth rate under the
infinite-width kernel, and the drift of the tangent kernel grows as their square over the width. At
every width it therefore reaches any level, at the time t = log(width) / (2 l) + constant. Under
Barlow Twins, which has a minimum, the kernel stops changing.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from jssl.figures import new_figure
from jssl.kernels import infinite as infinite_kernels
from jssl.models import mlp
from jssl.papers.claims import at_most, close
from jssl.papers.outcome import Part, Settings
from jssl.papers.width.drift import CONTRASTIVE, SOURCE
from jssl.papers.width.runs import (
    COUNT,
    DIM,
    INPUTS,
    RATES,
    Case,
    digits_in_float32,
    drift,
)
from jssl.report.figure import Figure
from jssl.types import Claim, Pairs, Rival

LEVEL = 0.5
"""The drift whose time is measured."""
FOLDS = 7
"""Growth of the outputs over a run, as a power of e. At width w the drift is about exp(2 l t) / w,
which reaches the level at l t = log(w) / 2 = 3.5 for the widest networks; a start with a fifth of
the usual component in the fastest mode needs 1.6 more."""
POINTS = 16
BOUNDED_STEPS = np.arange(0, 769, 48)


def divergence(settings: Settings) -> Part:
    """Test the time at which the drift reaches a level, under the linear dot-product loss."""
    seeds = {"quick": 18, "paper": 32, "large": 64}[settings.scale]
    data = digits_in_float32(settings)
    case = Case("dot-product", widths=(64, 256, 1024))
    bounded_case = Case("barlow-twins", widths=(256, 1024))
    rate = growth_rate(data)
    steps = math.ceil(FOLDS / (RATES["dot-product"] * rate * POINTS)) * np.arange(POINTS + 1)
    values = drift(case, data, settings, seeds, steps)
    bounded = drift(bounded_case, data, settings, seeds, BOUNDED_STEPS)
    fifth = RATES["barlow-twins"] * (BOUNDED_STEPS[-1] - BOUNDED_STEPS[-4])
    folds = min(rate * fifth, 100.0)  # as a power of e, of outputs that grow at the rate l
    claims = [
        at_most(
            "width/barlow-twins-drift-ends",
            "Under Barlow Twins, the tangent kernel stops changing once the loss has reached its "
            "minimum.",
            SOURCE,
            0.01,
            _growth(bounded),
            details="The drift is the relative change of the tangent kernel since the start of "
            "training. The measured value is the relative growth of the drift over the last fifth "
            "of training, the largest over widths 256 and 1024 and over seeds.",
            rivals=[
                Rival("growth without bound, as under the dot-product loss", np.expm1(2 * folds)),
                Rival("growth in proportion to time", BOUNDED_STEPS[-1] / BOUNDED_STEPS[-4] - 1),
            ],
        ),
    ]
    times = _first_above(RATES["dot-product"] * steps, values, LEVEL)
    claims.append(_divergence_claim(case, times, rate))
    figure = _figure((case, steps, values), (bounded_case, BOUNDED_STEPS, bounded))
    return Part(claims, [figure])


def _growth(values: np.ndarray) -> float:
    """Return the largest relative growth over the last fifth of training, of finite values."""
    growth = values[..., -1] / values[..., -4] - 1
    finite = np.isfinite(growth)
    return float(growth[finite].max()) if finite.any() else np.inf


def _divergence_claim(case: Case, times: np.ndarray, rate: float) -> Claim:
    fit = np.polyfit(np.log(case.widths), times, 1)[0]
    error = fit.std(ddof=1) / np.sqrt(len(fit))
    return close(
        "width/dot-product-drift-diverges",
        f"Under the linear dot-product loss, the time at which the kernel drift reaches {LEVEL:g} "
        "grows with log(width) at the predicted slope.",
        CONTRASTIVE,
        1 / (2 * rate),
        float(fit.mean()),
        0.1 / (2 * rate) + 3.9 * error,
        details="The drift is the relative change of the tangent kernel since the start of "
        "training. The predicted slope is 1 / (2 l), where l is the largest growth rate of outputs "
        f"under the infinite-width kernel. The drift reaches {LEVEL:g} at every width. The "
        "tolerance is a tenth of the slope plus 3.9 standard errors over seeds.",
        rivals=[
            Rival("the level is never reached in a wide network, as at a fixed time", np.inf),
            Rival("the time does not depend on the width", 0.0),
            Rival("outputs and not their squares: 1 / l", 1 / rate),
        ],
        standard_error=float(error),
    )


def _figure(
    unbounded: tuple[Case, np.ndarray, np.ndarray], bounded: tuple[Case, np.ndarray, np.ndarray]
) -> Figure:
    figure, (ax,) = new_figure(1)
    widths = unbounded[0].widths
    for (case, steps, values), style, loss in (
        (unbounded, "-", "dot product"),
        (bounded, "--", "Barlow Twins"),
    ):
        t = RATES[case.loss] * steps[1:]
        for row, size in enumerate(case.widths):
            median = np.median(values[row, :, 1:], axis=0)
            kept = np.isfinite(median)
            color = f"C{widths.index(size)}"
            ax.loglog(t[kept], median[kept], style, color=color, label=f"{loss}, width {size}")
    ax.set(xlabel="effective time t = learning rate × step", ylabel="drift of the tangent kernel")
    ax.set_ylim(1e-5, 1e2)
    ax.legend(frameon=False, fontsize=8)
    text = (
        "Drift of the tangent kernel over training, the median over seeds. Under the linear "
        "dot-product loss it exceeds 1 at every width, later for wider networks, until units "
        "saturate or numbers overflow. Under Barlow Twins it becomes constant."
    )
    title = "The kernel drift diverges under the linear dot-product loss"
    return Figure("divergence", title, text, figure)


def growth_rate(data: Pairs) -> float:
    """Return the growth rate of the outputs of the infinitely wide network under the linear loss.

    With f_a and f_b one output at the n first and second views, the loss is f_a^T B f_b with
    B = ((1 1^T - I) / (n - 1) - I) / n, the mean of the other samples less the positive. So
    df/dt = -K H f with H = [[0, B], [B^T, 0]], whose largest rate is l. In steps of learning rate r
    the growth rate is log(1 + r l) / r. The loss of the training runs is not used.
    """
    net = mlp(INPUTS, DIM, width=1, activation="tanh", depth=1)
    kernel = np.asarray(infinite_kernels.gram(net, jax.tree.map(jnp.float64, data)), np.float64)
    others, none = (1 - np.eye(COUNT)) / (COUNT - 1), np.zeros((COUNT, COUNT))
    pairing = (others - np.eye(COUNT)) / COUNT
    hessian = np.block([[none, pairing], [pairing.T, none]])
    rate, largest = RATES["dot-product"], float(np.linalg.eigvals(-kernel @ hessian).real.max())
    return float(np.log1p(rate * largest) / rate)


def _first_above(t: np.ndarray, values: np.ndarray, level: float) -> np.ndarray:
    """Return the times (widths, seeds) at which values first reach a level.

    Times are interpolated linearly in log(values); nan where the level is not reached.
    """
    logs = np.log(np.where(np.isfinite(values), np.maximum(values, 1e-12), np.inf))
    first = np.argmax(logs >= np.log(level), axis=-1)
    rows, columns = np.indices(first.shape)
    low, high = logs[rows, columns, first - 1], logs[rows, columns, first]
    share = np.where(np.isfinite(high), (np.log(level) - low) / (high - low), 1.0)
    reached = (logs >= np.log(level)).any(axis=-1)
    return np.where(reached, t[first - 1] + share * (t[first] - t[first - 1]), np.nan)
