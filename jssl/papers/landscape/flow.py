"""Gradient descent learns the modes one by one, in the order of the eigenvalues of B."""

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
from jssl.papers.landscape.common import source
from jssl.papers.outcome import Part, Settings
from jssl.report.figure import Figure
from jssl.simulation import run
from jssl.theory import landscape
from jssl.types import Array, Claim, Pairs, Problem, Rival

DATA = np.array([1.0, 0.6, 0.3])
NOISE = np.array([4.0, 0.5, 0.1])
"""B = A0 orders the modes 1, 2, 3, and B / Sigma orders them 3, 2, 1."""


def one_by_one(settings: Settings) -> Part:
    """Test gradient descent on the spectral contrastive loss against the closed form L-10.

    The moments of the sampled pairs are exactly those of the population.
    """
    rate = {"quick": 1e-3, "paper": 3e-4, "large": 1e-4}[settings.scale]
    # With orthogonal columns, the moments of the sample are those of the population.
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
    unused = jax.random.key(settings.seed)  # the batch and the start are fixed
    simulation = jax.jit(run(problem, np.arange(0, last, last // 600), observe))(unused)
    theory = landscape.from_loss("spectral_contrastive", DATA, NOISE, dim=3)
    path = theory.trajectory(start, simulation.t)
    squares = np.diagonal(path.observables["weight"], axis1=1, axis2=2) ** 2
    final = np.diagonal(theory.minima.gram)
    times = half_times(simulation.t, simulation.observables["squares"], final)
    predicted = half_times(path.t, squares, final)
    claims = _claims(np.asarray(times), np.asarray(predicted), rate)
    shown = simulation._replace(
        observables={k: simulation.observables[k] for k in ("eigenvalues", "loss")}
    )
    picture = plot(path, shown, title="Spectral contrastive loss, strong noise on the first mode")
    text = (
        "Eigenvalues of the embedding covariance and loss of a linear encoder under the spectral "
        "contrastive loss (solid), with the closed form (dashed). The modes are learned one by "
        "one, the strongest signal first, although augmentation is strongest there."
    )
    title = "Modes are learned in the order of B"
    return Part(claims, [Figure("landscape-flow", title, text, picture)])


def _claims(times: np.ndarray, predicted: np.ndarray, rate: float) -> list[Claim]:
    order = np.argsort(times).tolist()
    by_ratio = np.log(1e8) / (4 * DATA / (DATA + NOISE))  # half times if the rate were 4 B / Sigma
    return [
        at_most(
            "landscape/flow",
            "Under the spectral contrastive loss, each squared weight reaches half its final value "
            "at the time of the closed form.",
            source("L-10"),
            8 * rate,
            float(np.abs(times / predicted - 1).max()),
            details="The linear encoder starts from small weights. The measured value is the "
            f"largest relative difference of the half times at learning rate {rate:g}. A finite "
            "step delays mode i by 2 lr (B_i - decay), at most 4 lr for learning rate lr; the "
            "bound is twice that.",
            rivals=[
                Rival(
                    "half the rate, that of a loss of one order of the views",
                    float(np.abs(times / (2 * predicted) - 1).max()),
                ),
                Rival("the rates of B divided by Sigma", float(np.abs(times / by_ratio - 1).max())),
            ],
        ),
        close(
            "landscape/flow-order",
            "Gradient descent learns the modes in the order of the signal matrix B, not of B "
            "divided by the embedded covariance Sigma.",
            source("L-10"),
            1,
            float(order == [0, 1, 2]),
            0,
            details="The augmentation is chosen so that B and B / Sigma order the modes oppositely "
            "under the spectral contrastive loss. The measured value is 1 if the half times are in "
            "the order of B.",
            rivals=[Rival("the order of B / Sigma", float(np.argsort(by_ratio)[0] == 0))],
        ),
    ]
