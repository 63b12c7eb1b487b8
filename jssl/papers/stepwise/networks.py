"""Figures 1 C, D, 2 and 3: nonlinear networks on images learn one dimension a step.

From small outputs, Barlow Twins, VICReg and unnormalised InfoNCE do; cosine SimCLR has no scale,
so small outputs give it no steps, and embeddings that start parallel do; standard starts blur.
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
from jssl.papers.observed import of_both_views, of_directions, second_over_first
from jssl.papers.outcome import Part, Settings
from jssl.report.figure import Figure
from jssl.simulation import log_spaced_steps, run
from jssl.types import Array, Claim, Model, Pairs, Params, Problem

DIM = 4
SMALL = 1e-5


class Case(NamedTuple):
    """One training run.

    Attributes:
        loss: name in `jssl.losses`.
        hyperparameters: of the loss.
        learning_rate: below the stability limit, found by halving from instability.
        steps: until all dimensions are learned.
        watch: which matrix's eigenvalues are logged.
        level: eigenvalue of a learned mode where theory knows it, None for the last value.
    """

    loss: str
    hyperparameters: dict[str, Any]
    learning_rate: float
    steps: int
    watch: Callable[[Array, Array], Array]
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
        of_both_views,
        0.5,
    ),
    "infonce": Case("info_nce", {"score": "dot"}, 0.02, 4000, of_both_views, 1.0),
    "simclr": Case("nt_xent", {"temperature": 0.5}, 0.05, 3000, of_directions, None),
}
"""Levels: 1 is where Barlow Twins holds an eigenvalue of C; half the target variance counts as
learned for VICReg, whose hinge holds single outputs and not eigenvalues; the temperature is where
the quartic of InfoNCE balances its quadratic (S-24)."""


def networks(settings: Settings) -> Part:
    """Judge stepwise learning in an MLP and a conv net, from small and from standard starts."""
    data = _centred_digits(settings)
    key = jax.random.fold_in(jax.random.key(settings.seed), 11)
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
    barlow = CASES["barlow-twins"]
    runs = {
        "MLP, Barlow Twins": (barlow, small),
        "MLP, VICReg": (CASES["vicreg"], small),
        "MLP, InfoNCE": (CASES["infonce"], small),
        "conv net, Barlow Twins": (barlow._replace(learning_rate=0.1), convolutional),
        "MLP, SimCLR from parallel embeddings": (CASES["simclr"], _parallel(small)),
        "MLP, SimCLR from small outputs": (
            CASES["simclr"]._replace(learning_rate=0.05 * SMALL**2, steps=300),
            small,
        ),
        "MLP, Barlow Twins, standard start": (barlow, standard),
    }
    figure, axes = new_figure(4, 2, width=3.4, height=2.8)
    found: dict[str, Steps] = {}
    spectra: dict[str, np.ndarray] = {}
    for index, (name, (case, model)) in enumerate(runs.items()):
        settings.progress(name, index / len(runs))
        steps, values = train(case, model, data, key)
        found[name] = detect_steps(steps, values, case.level)
        spectra[name] = values
        draw_modes(axes[index], np.maximum(steps, 1), np.maximum(values, 1e-14))
        axes[index].set(xscale="log", yscale="log", ylim=(1e-12, None), title=name, xlabel="step")
        axes[index].title.set_size(9)
    axes[0].set_ylabel("eigenvalues")
    axes[4].set_ylabel("eigenvalues")
    axes[-1].set_visible(False)
    return Part(
        _claims(found, spectra),
        [
            Figure(
                "networks",
                "Networks learn one dimension a step from small outputs",
                "Eigenvalues of the embeddings of networks trained on digits, log-log. From small "
                "outputs they rise one by one under Barlow Twins, VICReg and InfoNCE; for cosine "
                "SimCLR only from parallel embeddings; from a standard start all come at once.",
                figure,
            )
        ],
    )


def train(case: Case, model: Model, data: Pairs, key: Array) -> tuple[np.ndarray, np.ndarray]:
    """Return record steps and the watched eigenvalues, floored at zero."""
    loss = losses.get(case.loss, **case.hyperparameters)
    problem = Problem(pairs.fixed(data), model, loss, gradient_descent(case.learning_rate))

    def observe(params: Params, batch: Pairs) -> dict[str, Array]:
        za, zb = (model.apply(params, view) for view in batch[:2])
        return {"eigenvalues": spectrum(case.watch(za, zb))}

    trajectory = jax.jit(run(problem, log_spaced_steps(case.steps, 300, 5), observe))(key)
    return np.asarray(trajectory.step), np.asarray(trajectory.observables["eigenvalues"])


def _claims(found: dict[str, Steps], spectra: dict[str, np.ndarray]) -> list[Claim]:
    source = "Simon et al. 2023, fig. 1 C, D and 2"
    claims = []
    for name in (
        "MLP, Barlow Twins",
        "MLP, VICReg",
        "MLP, InfoNCE",
        "conv net, Barlow Twins",
    ):
        short = name.lower().replace(", ", "-").replace(" ", "-")
        claims.append(
            at_least(
                f"stepwise/steps-{short}",
                f"{name}, outputs of {SMALL:g} at the start: number of distinct steps in which "
                f"{DIM} dimensions are learned",
                source,
                DIM,
                int(found[name].distinct),
            )
        )
    claims += [
        at_least(
            "stepwise/simclr-steps-from-parallel-embeddings",
            "cosine SimCLR from embeddings that start parallel: distinct steps (the sphere of "
            f"{DIM} outputs has {DIM - 1} directions to leave a point in)",
            "Simon et al. 2023, fig. 2; cosine losses have no scale",
            DIM - 1,
            int(found["MLP, SimCLR from parallel embeddings"].distinct),
        ),
        at_most(
            "stepwise/simclr-no-steps-from-small-outputs",
            "cosine SimCLR from small outputs alone: distinct steps (all dimensions are there at "
            "once)",
            "cosine losses have no scale",
            1,
            int(found["MLP, SimCLR from small outputs"].distinct),
        ),
        at_most(
            "stepwise/small-start-separates",
            "Barlow Twins from small outputs: second over first eigenvalue of C when the first is "
            "half learned, below one in a hundred",
            "Simon et al. 2023, fig. 2; S-14",
            0.01,
            second_over_first(spectra["MLP, Barlow Twins"]),
        ),
        at_least(
            "stepwise/standard-start-blurs",
            "Barlow Twins from a standard start: the same ratio when the first eigenvalue is half "
            "learned or at the start if it is by then, above one in a hundred",
            "Simon et al. 2023, fig. 3",
            0.01,
            second_over_first(spectra["MLP, Barlow Twins, standard start"]),
        ),
    ]
    return claims


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
    """Return the model plus a constant unit output: all embeddings start along one direction."""
    offset = jnp.zeros(DIM).at[0].set(1.0)
    return model._replace(apply=lambda params, x: model.apply(params, x) + offset)


def _centred_digits(settings: Settings) -> Pairs:
    """Return pairs of digits under one-pixel shifts, with the mean image taken off."""
    count = {"quick": 64, "paper": 256, "large": 1024}[settings.scale]
    chosen, shift = jax.random.split(jax.random.fold_in(jax.random.key(settings.seed), 12))
    x = images.subset(chosen, images.digits(), count).x.astype(np.float64)
    return pairs.centre(pairs.make_pairs(shift, jnp.asarray(x), views.shift(1)))
