"""Figures 1 C, 1 D, 2 and 3: nonlinear networks on images learn one dimension in each step.

Under Barlow Twins, VICReg and unnormalised InfoNCE, networks with small initial outputs show
separate steps. The loss of cosine SimCLR does not depend on the scale of the outputs: there, small
outputs show no steps, and embeddings that are parallel at the start do. From a standard start the
steps overlap.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl import losses
from jssl.data import images, pairs, views
from jssl.diagnostics import Steps, cross_correlation, detect_steps, spectrum
from jssl.figures import draw_modes, new_figure
from jssl.models import conv, mlp
from jssl.optim import gradient_descent
from jssl.papers.claims import at_least, at_most
from jssl.papers.observed import (
    covariance_of_directions,
    covariance_of_views,
    next_to_half_learned,
    second_to_first_ratio,
)
from jssl.papers.outcome import Part, Settings
from jssl.report.figure import Figure
from jssl.simulation import log_spaced_steps, run
from jssl.single_use import compile_for_many_steps
from jssl.types import Array, Claim, Model, Pairs, Params, Problem, Rival

DIM = 4
SMALL = 1e-5


class Case(NamedTuple):
    """One training run.

    Attributes:
        loss: name in `jssl.losses`.
        hyperparameters: of the loss.
        learning_rate: below the stability limit, found by halving from instability.
        steps: enough to learn all dimensions.
        matrix: `matrix(za, zb)`, whose eigenvalues are recorded.
        level: eigenvalue of a learned mode if theory gives it, None for the last value.
    """

    loss: str
    hyperparameters: dict[str, Any]
    learning_rate: float
    steps: int
    matrix: Callable[[Array, Array], Array]
    level: float | None


def _cross(za: Array, zb: Array) -> Array:
    return cross_correlation(za, zb)


CASES = {
    "barlow-twins": Case("barlow_twins_linearized", {}, 0.01, 5000, _cross, 1.0),
    "vicreg": Case(
        "vicreg",
        {"invariance": 1.0, "variance": 1.0, "covariance": 1.0},
        0.02,
        2500,
        covariance_of_views,
        0.5,
    ),
    "infonce": Case("info_nce", {"score": "dot"}, 0.02, 4000, covariance_of_views, 1.0),
    "simclr": Case("nt_xent", {"temperature": 0.5}, 0.05, 3000, covariance_of_directions, None),
}
"""Levels: Barlow Twins ends with eigenvalues of C equal to 1. For VICReg, whose hinge constrains
single outputs and not eigenvalues, half the target variance counts as learned. For InfoNCE the
level is the temperature, where the quartic term balances the quadratic one (S-24)."""

SMALL_START = {
    "MLP, Barlow Twins": ("an MLP", "Barlow Twins"),
    "MLP, VICReg": ("an MLP", "VICReg"),
    "MLP, InfoNCE": ("an MLP", "InfoNCE"),
    "conv net, Barlow Twins": ("a convolutional network", "Barlow Twins"),
}
"""Run from small outputs, with a loss that depends on scale -> network and loss in text."""


def networks(settings: Settings) -> Part:
    """Test stepwise learning in an MLP and a conv net, from small and from standard starts."""
    data = _centred_digits(settings)
    key = jax.random.fold_in(jax.random.key(settings.seed), 11)
    runs = _runs()
    figure, axes = new_figure(4, 2, width=3.4, height=2.8)
    detected: dict[str, Steps] = {}
    spectra: dict[str, np.ndarray] = {}
    for index, (name, (case, model)) in enumerate(runs.items()):
        settings.progress(name, index / len(runs))
        steps, values = train(case, model, data, key)
        detected[name] = detect_steps(steps, values, case.level)
        spectra[name] = values
        draw_modes(axes[index], np.maximum(steps, 1), np.maximum(values, 1e-14))
        axes[index].set(xscale="log", yscale="log", ylim=(1e-12, None), title=name, xlabel="step")
        axes[index].title.set_size(9)
    axes[0].set_ylabel("eigenvalues")
    axes[4].set_ylabel("eigenvalues")
    axes[-1].set_visible(False)
    text = (
        "Eigenvalues of the embeddings of networks trained on digits, on logarithmic axes. From "
        "small outputs they rise one after the other under Barlow Twins, VICReg and InfoNCE. "
        "Under cosine SimCLR they do so only from parallel embeddings. From a standard "
        "initialisation they rise together."
    )
    title = "Networks learn one dimension in each step from small outputs"
    claims = _step_claims(runs, spectra) + _start_claims(detected, spectra)
    counts = ", ".join(f"{name} {int(steps.distinct)}" for name, steps in detected.items())
    summary = f"Distinct steps of {DIM} dimensions: {counts}."
    return Part(claims, [Figure("networks", title, text, figure)], (summary,))


def _runs() -> dict[str, tuple[Case, Model]]:
    small, standard = _mlp(SMALL), _mlp(1.0)
    convolutional = conv(
        (8, 8, 1),
        DIM,
        channels=8,
        layers=2,
        activation="tanh",
        readout="flatten",
        parametrisation="standard",
        output_scale=SMALL,
        dtype=jnp.float64,
    )
    barlow, simclr = CASES["barlow-twins"], CASES["simclr"]
    slow = simclr._replace(learning_rate=0.05 * SMALL**2, steps=300)
    return {
        "MLP, Barlow Twins": (barlow, small),
        "MLP, VICReg": (CASES["vicreg"], small),
        "MLP, InfoNCE": (CASES["infonce"], small),
        "conv net, Barlow Twins": (barlow._replace(learning_rate=0.1), convolutional),
        "MLP, SimCLR from parallel embeddings": (simclr, _parallel(small)),
        "MLP, SimCLR from small outputs": (slow, small),
        "MLP, Barlow Twins, standard initialisation": (barlow, standard),
    }


def train(case: Case, model: Model, data: Pairs, key: Array) -> tuple[np.ndarray, np.ndarray]:
    """Return the recorded steps and the eigenvalues at them."""
    loss = losses.get(case.loss, **case.hyperparameters)
    problem = Problem(pairs.fixed(data), model, loss, gradient_descent(case.learning_rate))

    def observe(params: Params, batch: Pairs) -> dict[str, Array]:
        za, zb = (model.apply(params, view) for view in batch[:2])
        return {"eigenvalues": spectrum(case.matrix(za, zb))}

    trajectory = compile_for_many_steps(
        run(problem, log_spaced_steps(case.steps, 300, 5), observe), products=True
    )(key)
    return np.asarray(trajectory.step), np.asarray(trajectory.observables["eigenvalues"])


def _step_claims(
    runs: dict[str, tuple[Case, Model]], spectra: dict[str, np.ndarray]
) -> list[Claim]:
    claims = []
    together = next_to_half_learned(spectra["MLP, Barlow Twins, standard initialisation"], 1.0)
    for name, (network, loss) in SMALL_START.items():
        short = name.lower().replace(", ", "-").replace(" ", "-")
        level = runs[name][0].level
        assert level is not None
        claims.append(
            at_most(
                f"stepwise/steps-{short}",
                f"From small outputs, when {network} under {loss} has half learned a dimension, "
                "the next is on average below 1 % of it.",
                "Simon et al. 2023, figures 1 C, 1 D and 2; S-14 in docs/equations.md",
                0.01,
                next_to_half_learned(spectra[name], level),
                details=f"The outputs have scale {SMALL:g} at the start and {DIM} dimensions. The "
                "measured value is the ratio of the next eigenvalue to the one that is half "
                f"learned, as the geometric mean over the {DIM - 1} steps: by S-14 the logarithm "
                "of each ratio is that of the start times the relative gap of two eigenvalues.",
                rivals=[Rival("as from a standard initialisation", together)],
            )
        )
    return claims


def _start_claims(detected: dict[str, Steps], spectra: dict[str, np.ndarray]) -> list[Claim]:
    small = second_to_first_ratio(spectra["MLP, Barlow Twins"])
    standard = second_to_first_ratio(spectra["MLP, Barlow Twins, standard initialisation"])
    no_steps = int(detected["MLP, SimCLR from small outputs"].distinct)
    return [
        at_least(
            "stepwise/simclr-steps-from-parallel-embeddings",
            f"From initially parallel embeddings, an MLP trained with cosine SimCLR learns in at "
            f"least {DIM - 1} distinct steps.",
            "Simon et al. 2023, figure 2, with an initialisation adapted to cosine losses",
            DIM - 1,
            int(detected["MLP, SimCLR from parallel embeddings"].distinct),
            details="A cosine loss does not depend on the scale of the embeddings, so parallel "
            f"embeddings take the place of small outputs. The sphere in {DIM} dimensions has "
            f"{DIM - 1} directions in which embeddings can leave a point.",
            rivals=[Rival("no steps, as from small outputs", no_steps)],
        ),
        at_most(
            "stepwise/simclr-no-steps-from-small-outputs",
            "From small initial outputs, an MLP trained with cosine SimCLR shows no separate "
            "learning steps.",
            "Derived here from the scale invariance of cosine losses; not in Simon et al. 2023",
            1,
            no_steps,
            details="The measured value is the number of distinct steps. It is at most 1, since "
            "all dimensions are present from the start.",
            rivals=[Rival("small outputs give steps, as under Barlow Twins", DIM)],
        ),
        at_most(
            "stepwise/small-start-separates",
            "Under Barlow Twins from small initial outputs, the second eigenvalue of C is below 1 "
            "% of the first when the first is half learned.",
            "Simon et al. 2023, figure 2; S-14 in docs/equations.md",
            0.01,
            small,
            details="The network is an MLP. The measured value is the ratio of the two "
            "eigenvalues.",
            rivals=[Rival("as from a standard initialisation", standard)],
        ),
        at_least(
            "stepwise/standard-start-blurs",
            "Under Barlow Twins from a standard initialisation, the second eigenvalue of C is "
            "above 1 % of the first when the first is half learned.",
            "Simon et al. 2023, figure 3",
            0.01,
            standard,
            details="The network is an MLP. The measured value is the ratio of the two "
            "eigenvalues, taken at the start if the first is more than half learned there.",
            rivals=[Rival("as from small outputs", small)],
        ),
    ]


def _mlp(output_scale: float) -> Model:
    return mlp(
        64,
        DIM,
        width=64,
        depth=2,
        activation="tanh",
        parametrisation="standard",
        output_scale=output_scale,
        dtype=jnp.float64,
    )


def _parallel(model: Model) -> Model:
    """Return the model plus a constant unit vector, so that embeddings start nearly parallel."""
    offset = jnp.zeros(DIM).at[0].set(1.0)
    return model._replace(apply=lambda params, x: model.apply(params, x) + offset)


def _centred_digits(settings: Settings) -> Pairs:
    """Return centred pairs of digits, each view shifted by up to one pixel."""
    count = {"quick": 64, "paper": 256, "large": 1024}[settings.scale]
    chosen, shift = jax.random.split(jax.random.fold_in(jax.random.key(settings.seed), 12))
    x = images.subset(chosen, images.digits(), count).x.astype(np.float64)
    return pairs.centre(pairs.make_pairs(shift, jnp.asarray(x), views.shift(1)))
