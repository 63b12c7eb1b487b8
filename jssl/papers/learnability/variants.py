"""Beyond the paper: other activations, and the linear model on the same data."""

import jax.numpy as jnp
import numpy as np

from jssl.papers.claims import at_least, at_most
from jssl.papers.learnability import figures
from jssl.papers.learnability.base import BASE, alignments
from jssl.papers.learnability.laws import nearest, settling_steps
from jssl.papers.learnability.seeds import Design, Numbers
from jssl.papers.learnability.simulate import self_supervised
from jssl.papers.learnability.statistical import same_mean, sizes
from jssl.papers.outcome import Part, Settings
from jssl.theory.learnability import projections, safe_rate, stationary_points
from jssl.types import Rival

SOURCE = "Beyond Yang et al. 2023"
OTHERS = {"sigmoid": "tanh", "tanh": "erf", "erf": "tanh"}
"""Activation -> the one whose minima are the rival prediction."""


def activations(settings: Settings) -> Part:
    """Test where rows with other activations end.

    Sigmoid, tanh and erf have their own minima; relu is homogeneous and has none. Learning rate and
    number of steps follow from the Hessians, as in `laws.minima`.
    """
    keys, tolerance = settings.keys(64, 20), 0.01
    few = settings.keys(32, 20) if settings.scale == "quick" else keys  # every row must converge
    centres = Design(4, 2, data="centres", step="mean")
    claims, ends = [], {}
    theories = {name: stationary_points(BASE.tau, BASE.decay, activation=name) for name in OTHERS}
    for name, theory in theories.items():
        minima = theory.descents == 0
        rate = safe_rate(BASE.tau, BASE.decay, activation=name)
        steps = settling_steps(theory, rate, BASE.decay, tolerance)
        design, numbers = centres._replace(activation=name), Numbers(view_noise=0.0, rate=rate)
        own = keys if name == "tanh" else few
        ends[name] = self_supervised(own, [0, steps], design, numbers)[:, -1].reshape(-1, 2)
        distance = nearest(ends[name], theory.points[minima])
        other = theories[OTHERS[name]]
        wrong = nearest(ends[name], other.points[other.descents == 0])
        claims.append(
            at_most(
                f"learnability/{name}-minima",
                f"Without noise, every weight row of the model with {name} activation ends in "
                "one of its computed minima.",
                SOURCE,
                tolerance,
                distance.max(),
                details=f"The samples are the centres of the four cells, and {name} has "
                f"{minima.sum()} minima. The measured value is the largest distance of "
                f"{len(ends[name])} rows to the nearest minimum after {steps:,} steps.",
                rivals=[Rival(f"the minima with {OTHERS[name]} activation", wrong.max())],
            )
        )
    design, numbers = centres._replace(activation="relu"), Numbers(view_noise=0.0, rate=0.01)
    relu = self_supervised(keys, [0, 30], design, numbers)[:, -1]
    alone, none = ((np.abs(ends[name][:, 1]) < tolerance).mean() for name in ("tanh", "sigmoid"))
    rows = ends["sigmoid"]
    bounded = (np.abs(rows[:, 1]) / np.linalg.norm(rows, axis=1)).min()
    claims += [
        at_least(
            "learnability/label-alone",
            "With tanh activation, some weight rows end at a minimum that contains the label "
            "feature alone.",
            SOURCE,
            1 / len(ends["tanh"]),
            alone,
            details="Since tanh is odd, it has minima without the hidden feature; sigmoid has "
            "none. The measured value is the share of rows that end there, and the bound is one of "
            f"{len(ends['tanh'])} rows.",
            rivals=[Rival("none, as with sigmoid activation", none)],
        ),
        at_least(
            "learnability/relu-hidden-only",
            "With relu activation, the weight rows grow along the hidden feature alone.",
            SOURCE,
            0.99,
            alignments(relu)[1][:, 1].min(),
            details="Since relu is homogeneous, the loss is unbounded below. The measured value is "
            "the smallest share |w . e2| / |w| of the hidden feature over seeds, averaged over the "
            "rows of each.",
            rivals=[Rival("as with sigmoid activation", bounded)],
        ),
    ]
    return Part(claims, figures.activations(ends))


def linear(settings: Settings) -> Part:
    """Test that the rows of the linear model span the top eigenvectors of the second moment."""
    seeds, predicted, _ = sizes(settings)
    design, numbers = Design(step="linear"), Numbers(rate=0.005)
    ends = self_supervised(settings.keys(seeds, 21), [0, 4000], design, numbers)[:, -1]
    rng = settings.generator(22)
    cells = rng.integers(0, 4, (predicted, 100))
    x = BASE.noise * rng.standard_normal((predicted, 100, 10))
    x[..., 0] += 1 - 2 * (cells % 2)
    x[..., 1] += BASE.tau * (cells // 2)
    top = np.linalg.eigh(np.swapaxes(x, 1, 2) @ x)[1][..., -2:]
    expected = np.linalg.norm(top[:, :2], axis=2)
    unit = BASE.noise**2 * 8 / 100
    missed = (1 - expected**2) / unit, (1 - np.asarray(projections(jnp.asarray(ends))) ** 2) / unit
    names = ("label", "hidden")
    setting = (
        "The loss is the linear alignment loss with a quartic penalty. P is the projection of the "
        "feature onto the span of the rows. The values are the means of (1 - P^2) n / (d - 2) / "
        "rho^2 with n = 100 samples in d = 10 dimensions and noise of size rho."
    )
    claims = [
        same_mean(
            f"learnability/linear-{names[j]}",
            f"The linear model aligns with the {names[j]} feature as much as the top two "
            "eigenvectors of the second moment of the data.",
            missed[0][:, j],
            missed[1][:, j],
            source=SOURCE,
            bias=0.02,
            details=setting,
            rivals=[
                Rival(f"as much as with the {names[1 - j]} feature", missed[0][:, 1 - j].mean()),
                *([Rival("no sampling error", 0.0)] if j == 0 else []),
            ],
        )
        for j in range(2)
    ]
    return Part(claims, [])
