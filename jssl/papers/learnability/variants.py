"""Beyond the paper: other activations, and the linear model on the same data."""

import jax.numpy as jnp
import numpy as np

from jssl.papers.claims import at_least, at_most
from jssl.papers.learnability import figures
from jssl.papers.learnability.judge import same_mean, sizes
from jssl.papers.learnability.known import BASE, read
from jssl.papers.learnability.laws import settling_steps
from jssl.papers.learnability.seeds import Design, Numbers
from jssl.papers.learnability.simulate import self_supervised
from jssl.papers.outcome import Part, Settings
from jssl.theory.learnability import projections, safe_rate, stationary_points

SOURCE = "beyond Yang et al. 2023"


def activations(settings: Settings) -> Part:
    """Judge tanh and erf against their own minima, and relu against its homogeneity.

    Learning rate and steps as in `laws.minima`, from the Hessians.
    """
    keys, tolerance = settings.keys(64, 20), 0.01
    few = settings.keys(32, 20) if settings.scale == "quick" else keys  # every row is to converge
    centres = Design(4, 2, data="centres", step="mean")
    claims, ends = [], {}
    for name in ("sigmoid", "tanh", "erf"):
        found = stationary_points(BASE.tau, BASE.decay, activation=name)
        wells = found.descents == 0
        rate = safe_rate(BASE.tau, BASE.decay, activation=name)
        steps = settling_steps(found, rate, BASE.decay, tolerance)
        design, numbers = centres._replace(activation=name), Numbers(view_noise=0.0, rate=rate)
        own = keys if name == "tanh" else few
        ends[name] = self_supervised(own, [0, steps], design, numbers)[:, -1].reshape(-1, 2)
        apart = np.linalg.norm(ends[name][:, None] - found.points[wells], axis=-1).min(1)
        claims.append(
            at_most(
                f"learnability/{name}-minima",
                f"{name} rows on the cell centres end in one of its {wells.sum()} minima",
                SOURCE,
                tolerance,
                apart.max(),
            )
        )
    design, numbers = centres._replace(activation="relu"), Numbers(view_noise=0.0, rate=0.01)
    relu = self_supervised(keys, [0, 30], design, numbers)[:, -1]
    claims += [
        at_least(
            "learnability/label-alone",
            "tanh is odd: unlike sigmoid it has minima with v = 0, and some rows end there",
            SOURCE,
            1 / len(ends["tanh"]),
            (np.abs(ends["tanh"][:, 1]) < tolerance).mean(),
        ),
        at_least(
            "learnability/relu-hidden-only",
            "relu is homogeneous: its rows grow without bound along the hidden feature alone",
            SOURCE,
            0.99,
            read(relu)[1][:, 1].min(),
        ),
    ]
    return Part(claims, figures.activations(ends))


def linear(settings: Settings) -> Part:
    """Judge the linear model: its rows span the top two eigenvectors of the second moment."""
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
    claims = [
        same_mean(
            f"learnability/linear-{names[j]}",
            f"the linear model with a quartic penalty misses as little of the {names[j]} feature "
            "as the top two eigenvectors do: 1 - P^2, times n / (d - 2) / rho^2",
            missed[0][:, j],
            missed[1][:, j],
            source=SOURCE,
            bias=0.02,
        )
        for j in range(2)
    ]
    return Part(claims, [])
