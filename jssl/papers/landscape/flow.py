"""Gradient descent on sampled pairs follows the flow: modes one by one in the order of B."""

import jax
import jax.numpy as jnp
import numpy as np

from jssl import losses
from jssl.data import pairs
from jssl.diagnostics import half_times
from jssl.figures import plot
from jssl.models import linear
from jssl.optim import gradient_descent
from jssl.papers.claims import at_most, close
from jssl.papers.landscape.common import SOURCE
from jssl.papers.outcome import Part, Settings
from jssl.report.figure import Figure
from jssl.simulation import run
from jssl.theory import landscape
from jssl.types import Array, Pairs, Problem

DATA = np.array([1.0, 0.6, 0.3])
NOISE = np.array([4.0, 0.5, 0.1])
"""B = A0 orders the modes 1, 2, 3; in V coordinates B / Sigma would order them 3, 2, 1."""


def one_by_one(settings: Settings) -> Part:
    """Descend on the spectral loss of pairs with exact moments; compare with L-10."""
    rate = {"quick": 1e-3, "paper": 3e-4, "large": 1e-4}[settings.scale]
    # Orthogonal columns: the moments of the sample are those of the population.
    columns = np.linalg.qr(settings.generator(12).normal(size=(64, 9)))[0] * 8
    clean = columns[:, :3] * np.sqrt(DATA)
    first, second = (clean + columns[:, k : k + 3] * np.sqrt(NOISE) for k in (3, 6))
    data = Pairs(jnp.asarray(first), jnp.asarray(second))
    start = jnp.asarray(1e-4 * np.eye(3))
    model = linear(3, 3, scale=1.0, dtype=jnp.float64)._replace(init=lambda _: {"weight": start})
    loss = losses.get("spectral_contrastive", negatives="all")
    problem = Problem(pairs.fixed(data), model, loss, gradient_descent(rate))

    def observe(params: dict[str, Array], batch: Pairs) -> dict[str, Array]:
        za, zb = (model.apply(params, view) for view in batch[:2])
        weight = params["weight"]
        return {
            "eigenvalues": jnp.linalg.eigvalsh(weight * DATA @ weight.T)[::-1],
            "loss": loss(za, zb),
            "squares": jnp.diagonal(weight) ** 2,
        }

    last = int(12 / rate)
    unused = jax.random.key(settings.seed)  # the batch and the start are given
    simulation = jax.jit(run(problem, np.arange(0, last, last // 600), observe))(unused)
    seen = landscape.from_loss("spectral_contrastive", DATA, NOISE, dim=3)
    path = seen.trajectory(start, simulation.t)
    squares = np.diagonal(path.observables["weight"], axis1=1, axis2=2) ** 2
    final = np.diagonal(seen.minima.gram)
    times = half_times(simulation.t, simulation.observables["squares"], final)
    predicted = half_times(path.t, squares, final)
    order = np.argsort(np.asarray(times)).tolist()
    off = float(np.abs(np.asarray(times) / np.asarray(predicted) - 1).max())
    claims = [
        at_most(
            "landscape/flow",
            "spectral loss from a small start, modes whose augmentation opposes their order: "
            "largest relative error of a half time; a finite step delays mode i by lr x "
            "2 (B_i - decay), at most 4 lr, doubled",
            f"{SOURCE}; L-10",
            8 * rate,
            off,
        ),
        close(
            "landscape/flow-order",
            "modes are learned in the order of B, not of B / Sigma: 1 if so",
            f"{SOURCE}; L-10",
            1,
            float(order == [0, 1, 2]),
            0,
        ),
    ]
    shown = simulation._replace(
        observables={k: simulation.observables[k] for k in ("eigenvalues", "loss")}
    )
    picture = plot(path, shown, title="Spectral contrastive loss, strong noise on the first mode")
    text = (
        "Eigenvalues of the embedding and loss of a linear encoder under the spectral contrastive "
        "loss (solid) on the closed form (dashed): modes are learned one by one, the strongest "
        "signal first, though augmentation is strongest there."
    )
    return Part(claims, [Figure("landscape-flow", "Modes in the order of B", text, picture)])
