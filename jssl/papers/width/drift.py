"""Drift of the tangent kernel in training against the width, for each loss.

In NTK parametrisation and for a smooth activation, the time derivative of the kernel of all views
is a sum over neurons of order 1 / width, in its typical size and in its mean (Dyer, Gur-Ari,
arXiv 1909.11304). This holds for any loss with bounded gradient, so that the drift at a fixed time
decreases as 1 / width. The exceptions are

    relu                      neurons switch at the kink: a number of order width^(1/2), with random
                              signs, adds a term width^(-3/4); the exponent is between -1 and -3/4
    standard, rate ~ 1/width  equals NTK parametrisation with a first layer whose learning rate is
                              smaller by 1 / width: one hidden layer drifts as width^(-2)
    mup                       every feature changes by order one: exponent 0
    linear dot product        unbounded below: the drift diverges at long times (`divergence`)

The next order is relative to the drift itself: if the drift is d at the narrowest width, that value
is off by a factor of order 1 + d, and the exponent by d over the logarithm of the range of widths.
"""

import numpy as np

from jssl.diagnostics import Exponent, paired_exponent
from jssl.figures import draw_legend, new_figure
from jssl.papers.claims import at_most, close
from jssl.papers.outcome import Part, Settings
from jssl.papers.rivals import powers
from jssl.papers.width.runs import RATES, Case, digits_in_float32, drift
from jssl.report.figure import Figure
from jssl.types import Claim, Rival

STEPS = 200
WIDER = (64, 256, 1024)
"""Widths of deep networks whose kernels change much, at scale paper."""
SOURCE = "Fleissner et al. 2024, arXiv 2411.11176"
CONTRASTIVE = "Anil et al. 2024, arXiv 2403.08673"


def drifts(settings: Settings) -> Part:
    """Test how the drift decreases with the width, and where it does not."""
    data = digits_in_float32(settings)
    results: dict[Case, np.ndarray] = {}
    chosen = cases(settings)
    for index, case in enumerate(chosen):
        settings.progress(f"drift of the tangent kernel, {_name(case)}", index / len(chosen))
        every = drift(case, data, settings, _seeds(case, settings), [0, _steps(case)])
        results[case] = every[..., -1]
    claims = [_claim(case, values) for case, values in results.items()]
    return Part(claims, [_figure(results)])


def cases(settings: Settings) -> list[Case]:
    """Return the cases of a scale.

    At `paper`, only tanh is combined with more than two hidden layers for every loss; erf and relu
    are so for Barlow Twins and supervised training. At `quick`, there are two widths, because one
    between them adds nothing to the error of an exponent, and the dot product is left out: its
    kernel changes so much that few seeds cannot tell 1 / width from its square root.
    """
    if settings.scale == "quick":
        return [
            *(Case(loss) for loss in RATES if loss != "dot-product"),
            Case("barlow-twins", "erf"),
            Case("barlow-twins", "relu"),
            Case("barlow-twins", depth=2, widths=(32, 256)),
            Case("barlow-twins", parametrisation="standard", widths=(256, 1024)),
            Case("supervised", parametrisation="mup"),
            Case("barlow-twins", parametrisation="mup"),
        ]
    most = 4096 if settings.scale == "paper" else 16384
    wide = tuple(64 * 4**k for k in range(6) if 64 * 4**k <= most)
    nets = [
        Case(loss, phi, depth, widths=wide if depth == 1 else _deep(loss, phi, depth, settings))
        for loss in RATES
        for phi in ("tanh", "erf", "relu")
        for depth in (1, 2, 3, 4)
        if (loss != "dot-product" or (phi != "relu" and depth == 1))
        and (
            settings.scale == "large"
            or depth <= 2
            or phi == "tanh"
            or loss in ("supervised", "barlow-twins")
        )
    ]
    others = [
        Case(loss, parametrisation=name, widths=wide[1:] if name == "standard" else wide)
        for loss in ("supervised", "barlow-twins")
        for name in ("standard", "mup")
    ]
    return [*nets, *others]


def _deep(loss: str, activation: str, depth: int, settings: Settings) -> tuple[int, ...]:
    """Return the widths of several hidden layers.

    At width 32, the kernels of three or four tanh layers change by 0.5 to 1 under the losses with
    products of four outputs, and the next order of the drift is not small.
    """
    if settings.scale == "large":
        return (64, 256, 1024, 4096)
    large = depth > 2 and activation == "tanh" and loss in ("barlow-twins", "spectral", "vicreg")
    if large and loss == "vicreg" and depth == 4:
        return WIDER[1:]  # its drift is still 0.7 at width 64
    return WIDER if large else (32, 128, 512)


def _seeds(case: Case, settings: Settings) -> int:
    """Return the number of seeds: fewer where the exponents of single seeds vary less."""
    if settings.scale == "paper":  # standard errors of .02 at most, by 8 seeds of another root seed
        if case.loss == "dot-product":
            return 256
        if case.depth > 1:
            if case.widths[-1] == WIDER[-1]:
                return 64
            if case.loss in ("supervised", "barlow-twins", "spectral"):
                return 160
            return 128 if case.activation == "relu" and case.loss in ("simsiam", "byol") else 72
        return 96 if case.parametrisation == "standard" else 64
    if settings.scale == "large" or case.depth > 1 or case.activation == "relu":
        return 32
    return {"ntk": 20, "mup": 12}.get(case.parametrisation, 32)


def _steps(case: Case) -> int:
    if case.parametrisation == "mup":
        return 4 * STEPS  # outputs start smaller by the root of the width, and are learned later
    return STEPS // 4 if case.loss == "dot-product" else STEPS


def _name(case: Case) -> str:
    return f"{case.loss}-{case.activation}-{case.depth}-{case.parametrisation}"


LOSSES = {
    "supervised": "supervised training",
    "barlow-twins": "Barlow Twins",
    "vicreg": "VICReg",
    "cosine": "cosine SimCLR",
    "spectral": "the spectral contrastive loss",
    "simsiam": "SimSiam",
    "byol": "BYOL",
    "dot-product": "the linear dot-product loss",
}
"""Loss of a case -> its name in text."""


def _claim(case: Case, values: np.ndarray) -> Claim:
    source = CONTRASTIVE if case.loss in ("cosine", "dot-product", "spectral") else SOURCE
    name = f"width/drift-{_name(case)}"
    loss = LOSSES[case.loss]
    layers = "layer" if case.depth == 1 else "layers"
    net = f"an MLP with {case.depth} hidden {case.activation} {layers}"
    diverged = int((~_usable(values)).sum())
    if diverged:
        return at_most(
            name, f"Under {loss}, no training run of {net} diverges.", source, 0, diverged,
            details="The measured value is the number of runs that diverged. Without them the "
            "drift of the tangent kernel has no exponent in the width.",
            rivals=[Rival("all runs diverge", values.size)],
        )  # fmt: skip
    fit = paired_exponent(case.widths, values)
    setting = (
        "The drift is the relative change of the tangent kernel in training, "
        "||Theta_t - Theta_0|| / ||Theta_0||. The measured value is its exponent in the width, "
        f"fitted to widths {case.widths[0]} to {case.widths[-1]} in {case.parametrisation} "
        f"parametrisation with {values.shape[1]} seeds."
    )
    if case.parametrisation == "mup":
        return close(
            name, f"Under {loss} in mup parametrisation, the tangent-kernel drift of {net} does "
            "not decrease with the width.",
            "Yang, Hu 2021, arXiv 2011.14522", 0.0, fit.exponent, 0.1 + 3.9 * fit.error,
            details=f"{setting} Features change by order one at every width. The tolerance is 0.1 "
            "plus 3.9 standard errors.",
            rivals=powers(-0.5, -1), standard_error=fit.error,
        )  # fmt: skip
    # order of the next term, which the module's docstring gives
    narrow = float(np.exp(np.log(values[0]).mean()))
    order = max(0.1, narrow / np.log(case.widths[-1] / case.widths[0]))
    slack = order + 3.9 * fit.error
    allowed = f"{order:.2g} for the next order in the drift plus 3.9 standard errors"
    if case.parametrisation == "standard":
        expected = -2.0 if case.depth == 1 else -1.0
        return close(
            name, f"Under {loss} in standard parametrisation, the tangent-kernel drift of {net} "
            f"decreases as width^({expected:g}).",
            "Derived here; not in the papers", expected, fit.exponent, slack,
            details=f"{setting} The learning rate is proportional to 1 / width, so that the first "
            f"layer hardly changes in a wide network. The tolerance is {allowed}.",
            rivals=powers(0, -1 if case.depth == 1 else -2), standard_error=fit.error,
        )  # fmt: skip
    if case.activation == "relu":
        return close(
            name, f"Under {loss}, the tangent-kernel drift of {net} decreases as width^p with "
            "p between -1 and -3/4.",
            source, -0.875, fit.exponent, 0.125 + slack,
            details=f"{setting} The exponent depends on which of two terms dominates: smooth "
            "changes, width^(-1), or neurons that switch, width^(-3/4). The predicted value is the "
            f"middle. The tolerance is 0.125 for the interval, plus {allowed}.",
            rivals=powers(0, -2), standard_error=fit.error,
        )  # fmt: skip
    return close(
        name, f"Under {loss}, the tangent-kernel drift of {net} decreases as 1 / width.",
        source, -1.0, fit.exponent, slack, details=f"{setting} The tolerance is {allowed}.",
        rivals=powers(0, -0.5), standard_error=fit.error,
    )  # fmt: skip


def _usable(values: np.ndarray) -> np.ndarray:
    return np.isfinite(values) & (values > 0)


def _figure(results: dict[Case, np.ndarray]) -> Figure:
    results = {case: values for case, values in results.items() if _usable(values).all()}
    figure, axes = new_figure(2, width=4.8, height=3.8)
    plain = [c for c in results if (c.activation, c.depth, c.parametrisation) == ("tanh", 1, "ntk")]
    rest = [c for c in results if c.loss in ("barlow-twins", "supervised") and c not in plain]
    markers = "osD^vP<>hX*p"
    for ax, chosen in zip(axes, (plain, [*plain[1:2], *rest]), strict=True):
        for index, case in enumerate(chosen):
            fit: Exponent = paired_exponent(case.widths, results[case])
            label = LOSSES[case.loss]
            if ax is axes[1]:
                label += f", {case.activation}, {case.depth} hidden, {case.parametrisation}"
            ax.loglog(
                case.widths, np.exp(np.log(results[case]).mean(axis=1)),
                markers[index % len(markers)] + "-", color=f"C{index % 10}", markersize=4,
                linewidth=1.2, label=f"{label}: {fit.exponent:.2f} ± {fit.half_width:.2f}",
            )  # fmt: skip
        ax.set(xlabel="width", ylabel="drift of the tangent kernel")
        low, high = ax.get_ylim()
        ax.set_ylim(bottom=low * (low / high) ** 0.4)  # room for the legend
        draw_legend(figure, ax, size=6.5)
    axes[0].set_title("One hidden tanh layer, NTK parametrisation", fontsize=9)
    axes[1].set_title("Other activations, depths and parametrisations", fontsize=9)
    text = (
        "Relative change of the tangent kernel in training against the width. The legends give the "
        "fitted exponents and their 95 % intervals. Left: the exponent is -1 for every loss. "
        "Right: the drift decreases more slowly for relu, as width^(-2) for one hidden layer in "
        "standard parametrisation, and not at all in mup."
    )
    return Figure("drift", "Drift of the tangent kernel against the width", text, figure)
