"""IsoLoss equalises modes that start at different sizes, not modes of different covariance."""

import jax
import jax.numpy as jnp
import numpy as np

from jssl.data import pairs
from jssl.data.moments import pairs_with_moments
from jssl.losses.prediction import direct_objective, iso_loss
from jssl.models import linear_stack
from jssl.optim import gradient_descent
from jssl.papers.claims import close
from jssl.papers.distillation.runs import crossing, diagonal_moments
from jssl.papers.outcome import Part, Settings
from jssl.simulation import run
from jssl.theory import distillation
from jssl.types import Array, Model, Pairs, Params, Problem, Rival

SOURCE = "Halvagal et al. 2023; D-29 in docs/equations.md"
RHO, RATE = 0.8, 0.01
CASES = ((1.0, 0.01), (1.0, 0.1), (0.125, 0.01))
"""(covariance, predictor at the start)."""


def isotropic(settings: Settings) -> Part:
    """Test half times under IsoLoss."""
    del settings
    data = [pairs_with_moments(diagonal_moments([lam], [RHO])) for lam, _ in CASES]
    together = Pairs(*(jnp.stack(views) for views in list(zip(*data, strict=True))[:2]))
    # The predictor is the square root of S_z = s w^2.
    starts = jnp.array([p / np.sqrt(lam / RHO) for lam, p in CASES])
    record = np.arange(0, 6001, 5)

    def one(views: Pairs, start: Array) -> Array:
        def init(_: Array) -> Params:
            return {"online": ({"weight": start[None, None]},)}

        problem = Problem(
            pairs.fixed(views),
            Model(init, lambda params, x: linear_stack(params["online"], x)),
            iso_loss,
            gradient_descent(RATE),
            direct_objective(linear_stack, 0.5, iso_loss),
        )

        def observe(params: Params, batch: Pairs) -> dict[str, Array]:
            z = linear_stack(params["online"], batch.first)
            return {"predictor": jnp.sqrt(jnp.mean(z**2))}

        return run(problem, record, observe)(jax.random.key(0)).observables["predictor"]

    seen = np.asarray(jax.jit(jax.vmap(one))(together, starts))
    half = [crossing(record * RATE, values, RHO / 2) for values in seen]
    small, large = (np.log(RHO / p - 1) for p in (0.01, 0.1))
    learned = [float(distillation.critical_time(1.0, RHO, p)) for p in (0.01, 0.1)]
    start_ratio = close(
        "distillation/iso-loss-starts",
        "Under IsoLoss, the time of a mode grows with the logarithm of its start.",
        SOURCE,
        small / large,
        half[0] / half[1],
        0.03,
        details="The measured value is the ratio of the half times from 0.01 and from 0.1. The "
        "tolerance is of first order in the step.",
        rivals=(
            Rival("DirectPred and a learned predictor", learned[0] / learned[1]),
            Rival("no effect of the start", 1.0),
        ),
    )
    covariance_ratio = close(
        "distillation/iso-loss-covariances",
        "Under IsoLoss, the time of a mode is inversely proportional to its covariance.",
        SOURCE,
        8.0,
        half[2] / half[0],
        0.1,
        details="The measured value is the ratio of the half times at covariances 1/8 and 1. The "
        "tolerance is of first order in the step.",
        rivals=(Rival("all modes are learned at one rate", 1.0),),
    )
    return Part([start_ratio, covariance_ratio], [])
