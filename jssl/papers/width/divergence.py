"""The linear dot-product loss leaves every kernel, in a time that the kernel itself predicts.

It is unbounded below: outputs grow as exp(l t), l the largest growth rate under the infinite-width
kernel, and the drift of the tangent kernel as their square over the width. So at every width it
passes any level, at t = log(width) / (2 l) + constant. Under Barlow Twins it comes to rest.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jssl import losses
from jssl._compat import neural_tangents
from jssl.figures import new_figure
from jssl.kernels import infinite as infinite_kernels
from jssl.models import mlp
from jssl.papers.claims import at_most, close
from jssl.papers.outcome import Part, Settings
from jssl.papers.width.drift import CONTRASTIVE, SOURCE
from jssl.papers.width.moved import (
    COUNT,
    DIM,
    INPUTS,
    RATES,
    Case,
    digits_in_float32,
    drift,
)
from jssl.report.figure import Figure
from jssl.types import Pairs


def divergence(settings: Settings) -> Part:
    """Judge that the linear dot-product loss leaves every kernel, when the theory says so."""
    seeds = {"quick": 6, "paper": 16, "large": 32}[settings.scale]
    data = digits_in_float32(settings)
    case = Case("dot-product")
    steps, level = np.arange(0, 193, 12), 0.5
    values = drift(case, data, settings, seeds, steps)
    bounded = drift(Case("barlow-twins", widths=(256, 1024)), data, settings, seeds, 4 * steps)
    times = _first_above(RATES["dot-product"] * steps, values, level)
    fit = np.polyfit(np.log(case.widths), times, 1)[0]
    error = fit.std(ddof=1) / np.sqrt(len(fit))
    claims = [
        at_most(
            "width/barlow-twins-drift-ends",
            "Barlow Twins reaches its minimum and the kernel comes to rest: its drift "
            "over the last fifth of training, relative, largest over widths and seeds, below .01",
            SOURCE,
            0.01,
            float((bounded[..., -1] / bounded[..., -4] - 1).max()),
        ),
    ]
    if neural_tangents.status()[0]:
        rate = growth_rate(data)
        claims.append(
            close(
                "width/dot-product-drift-diverges",
                f"linear dot-product loss: effective time at which the drift passes {level:g}, "
                "slope in log(width): 1 / (2 l), l the largest growth rate of the infinite-width "
                "kernel; it passes at every width; a tenth and 3.9 standard errors",
                CONTRASTIVE,
                1 / (2 * rate),
                float(fit.mean()),
                0.1 / (2 * rate) + 3.9 * error,
            )
        )
    figure, (ax,) = new_figure(1)
    t = RATES["dot-product"] * steps[1:]
    for row, size in enumerate(case.widths):
        middle = np.median(values[row, :, 1:], axis=0)
        kept = np.isfinite(middle)
        ax.loglog(t[kept], middle[kept], color=f"C{row}", label=f"dot product, width {size}")
    t = RATES["barlow-twins"] * 4 * steps[1:]
    for row, size in enumerate((256, 1024)):
        color = f"C{case.widths.index(size)}"
        middle = np.median(bounded[row, :, 1:], axis=0)
        ax.loglog(t, middle, "--", color=color, label=f"Barlow Twins, width {size}")
    ax.set(xlabel="effective time t = learning rate × step", ylabel="drift of the kernel")
    ax.set_ylim(1e-5, 1e2)
    ax.legend(frameon=False, fontsize=8)
    text = (
        "Drift of the tangent kernel over training: under the linear dot-product loss it grows "
        "past the kernel itself at every width, later the wider, until units saturate or numbers "
        "overflow; under Barlow Twins it comes to rest."
    )
    shown = Figure("divergence", "The linear dot-product loss leaves every kernel", text, figure)
    return Part(claims, [shown])


def growth_rate(data: Pairs) -> float:
    """Return the rate at which outputs of the infinitely wide net grow under the linear loss.

    L = F : M F gives dF/dt = -2 K M F; per step of learning rate r it is log(1 + r l) / r.
    """
    net = mlp(INPUTS, DIM, width=1, activation="tanh", depth=1)
    kernel = np.asarray(infinite_kernels.gram(net, jax.tree.map(jnp.float64, data)), np.float64)
    loss, n = losses.get("linear_contrastive"), COUNT
    hessian = np.asarray(
        jax.hessian(lambda f: loss(f[:n, None], f[n:, None]))(jnp.zeros(2 * n, jnp.float64))
    )
    rate, most = RATES["dot-product"], float(np.linalg.eigvals(-kernel @ hessian).real.max())
    return float(np.log1p(rate * most) / rate)


def _first_above(t: np.ndarray, values: np.ndarray, level: float) -> np.ndarray:
    """Return the time (widths, seeds) of the first passage, linear in the logarithm."""
    logs = np.log(np.where(np.isfinite(values), np.maximum(values, 1e-12), np.inf))
    at = np.argmax(logs >= np.log(level), axis=-1)
    rows, columns = np.indices(at.shape)
    low, high = logs[rows, columns, at - 1], logs[rows, columns, at]
    share = np.where(np.isfinite(high), (np.log(level) - low) / (high - low), 1.0)
    passed = (logs >= np.log(level)).any(axis=-1)
    return np.where(passed, t[at - 1] + share * (t[at] - t[at - 1]), np.nan)
