"""How far the tangent kernel moves in training, against the width, loss by loss.

In NTK parametrisation and for a smooth activation the time derivative of the kernel of all views
is a sum over neurons of order 1 / width, typical size and mean alike (Dyer, Gur-Ari,
arXiv 1909.11304), for any loss whose gradient stays bounded: the drift (`moved`) at a fixed time
falls as 1 / width. What differs is

    relu                      its kinks add neurons that switch: width^(-1/2) of them, of random
                              sign, hence a term width^(-3/4): an exponent between -1 and -3/4
    standard, rate ~ 1/width  NTK parametrisation with a first layer that is slower by 1 / width:
                              one hidden layer drifts as width^-2
    mup                       moves every feature by order one: exponent 0
    linear dot product        unbounded below: in time it leaves every kernel (`divergence`)

The next order is the drift itself: where it is d at the narrowest width, that one is off by a
factor of order 1 + d, and the exponent by d over the logarithm of the range of widths.
"""

import numpy as np

from jssl.diagnostics import Exponent, paired_exponent
from jssl.figures import draw_legend, new_figure
from jssl.papers.claims import at_most, close
from jssl.papers.outcome import Part, Settings
from jssl.papers.width.moved import RATES, Case, digits_in_float32, drift
from jssl.report.figure import Figure
from jssl.types import Claim

STEPS = 200
SOURCE = "Fleissner et al. 2024, arXiv 2411.11176"
CONTRASTIVE = "Anil et al. 2024, arXiv 2403.08673"


def drifts(settings: Settings) -> Part:
    """Judge how the drift falls with the width, and where it does not."""
    seeds = {"quick": 6, "paper": 8, "large": 32}[settings.scale]
    data = digits_in_float32(settings)
    found: dict[Case, np.ndarray] = {}
    chosen = cases(settings)
    for index, case in enumerate(chosen):
        settings.progress(f"kernel drift, {_name(case)}", index / len(chosen))
        found[case] = drift(case, data, settings, seeds, [0, _steps(case)])[..., -1]
    claims = [_claim(case, values) for case, values in found.items()]
    return Part(claims, [_figure(found)])


def cases(settings: Settings) -> list[Case]:
    """Return the cases of a scale.

    At `paper` losses other than Barlow Twins go beyond two hidden layers with tanh alone.
    """
    if settings.scale == "quick":
        return [
            *(Case(loss) for loss in RATES),
            Case("barlow-twins", "erf"),
            Case("barlow-twins", "relu"),
            Case("barlow-twins", depth=2, widths=(32, 96, 256)),
            Case("barlow-twins", parametrisation="standard", widths=(256, 1024)),
            Case("supervised", parametrisation="mup"),
            Case("barlow-twins", parametrisation="mup"),
        ]
    most = 4096 if settings.scale == "paper" else 16384
    wide = tuple(64 * 4**k for k in range(6) if 64 * 4**k <= most)
    deep = (32, 128, 512) if settings.scale == "paper" else (64, 256, 1024, 4096)
    nets = [
        Case(loss, activation, depth, widths=wide if depth == 1 else deep)
        for loss in RATES
        for activation in ("tanh", "erf", "relu")
        for depth in (1, 2, 3, 4)
        if (loss != "dot-product" or (activation != "relu" and depth == 1))
        and (
            settings.scale == "large"
            or depth <= 2
            or activation == "tanh"
            or loss in ("supervised", "barlow-twins")
        )
    ]
    others = [
        Case(loss, parametrisation=name, widths=wide[1:] if name == "standard" else wide)
        for loss in ("supervised", "barlow-twins")
        for name in ("standard", "mup")
    ]
    return [*nets, *others]


def _steps(case: Case) -> int:
    if case.parametrisation == "mup":
        return 4 * STEPS  # it starts smaller by the root of the width, and learns later
    return STEPS // 4 if case.loss == "dot-product" else STEPS


def _name(case: Case) -> str:
    return f"{case.loss}-{case.activation}-{case.depth}-{case.parametrisation}"


def _claim(case: Case, values: np.ndarray) -> Claim:
    source = CONTRASTIVE if case.loss in ("cosine", "dot-product", "spectral") else SOURCE
    where = (
        f"{case.loss}, {case.depth} hidden {case.activation}, {case.parametrisation} "
        f"parametrisation, widths {case.widths[0]} ... {case.widths[-1]}: exponent of the drift"
    )
    name = f"width/drift-{_name(case)}"
    lost = int((~_usable(values)).sum())
    if lost:
        return at_most(name, f"{where}; runs without one, since they diverged", source, 0, lost)
    fit = paired_exponent(case.widths, values)
    if case.parametrisation == "mup":
        return close(
            name, f"{where}; features move at every width (.1, 3.9 standard errors)",
            "Yang, Hu 2021, arXiv 2011.14522", 0.0, fit.exponent, 0.1 + 3.9 * fit.error,
        )  # fmt: skip
    # order of the next term, which the module's docstring gives
    narrow = float(np.exp(np.log(values[0]).mean()))
    order = max(0.1, narrow / np.log(case.widths[-1] / case.widths[0]))
    slack = order + 3.9 * fit.error
    allowed = f"{order:.2g} of the next order in the drift, 3.9 standard errors"
    if case.parametrisation == "standard":
        return close(
            name, f"{where}, learning rate ~ 1 / width; the first layer freezes "
            f"({allowed})", "derived", -2.0 if case.depth == 1 else -1.0, fit.exponent, slack,
        )  # fmt: skip
    if case.activation == "relu":
        return close(
            name, f"{where}; between -1 and -3/4, which of its two terms leads (.125 about the "
            f"middle, {allowed})", source, -0.875, fit.exponent, 0.125 + slack,
        )  # fmt: skip
    return close(name, f"{where}; {allowed}", source, -1.0, fit.exponent, slack)


def _usable(values: np.ndarray) -> np.ndarray:
    return np.isfinite(values) & (values > 0)


def _figure(found: dict[Case, np.ndarray]) -> Figure:
    found = {case: values for case, values in found.items() if _usable(values).all()}
    figure, axes = new_figure(2, width=4.8, height=3.8)
    plain = [c for c in found if (c.activation, c.depth, c.parametrisation) == ("tanh", 1, "ntk")]
    rest = [c for c in found if c.loss in ("barlow-twins", "supervised") and c not in plain]
    markers = "osD^vP<>hX*p"
    for ax, chosen in zip(axes, (plain, [*plain[1:2], *rest]), strict=True):
        for index, case in enumerate(chosen):
            fit: Exponent = paired_exponent(case.widths, found[case])
            label = case.loss if ax is axes[0] else _name(case)
            ax.loglog(
                case.widths, np.exp(np.log(found[case]).mean(axis=1)),
                markers[index % len(markers)] + "-", color=f"C{index % 10}", markersize=4,
                linewidth=1.2, label=f"{label}: {fit.exponent:.2f} ± {fit.half_width:.2f}",
            )  # fmt: skip
        ax.set(xlabel="width", ylabel="drift of the tangent kernel")
        draw_legend(figure, ax, size=6.5)
    axes[0].set_title("tanh, one hidden layer, NTK parametrisation", fontsize=9)
    axes[1].set_title("activation, depth and parametrisation", fontsize=9)
    text = (
        "Relative change of the tangent kernel over training against width, with exponents and "
        "95 % intervals: minus one for every smooth loss at a fixed time (left); flatter for relu, "
        "minus two for one hidden layer in standard parametrisation, and none in mup (right)."
    )
    return Figure("drift", "How far the tangent kernel moves", text, figure)
