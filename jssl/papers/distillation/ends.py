"""Where training ends: sizes, moments that do not commute, and the optimal predictor."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jssl.data import pairs
from jssl.data.moments import Moments, pairs_with_moments
from jssl.losses.prediction import jepa
from jssl.models import linear
from jssl.optim import gradient_descent
from jssl.papers.claims import at_most
from jssl.papers.distillation.runs import WeightHistory, case, diagonal_moments, train
from jssl.papers.outcome import Part, Settings
from jssl.simulation import run
from jssl.theory import distillation
from jssl.types import Array, Claim, Params, Problem, Rival
from jssl.types import Pairs as PairsType

SOURCE = "Derived here, {} in docs/equations.md; after {}"
JEPA = "Littwin et al. 2024"
COEFFICIENTS = np.array([0.9, 0.6, 0.4])
LAYERS, RATES = 3, {"jepa": 0.5, "mae": 0.1}
"""Learning rates; a masked autoencoder has larger curvature and is learned earlier."""
LEFT, SLOW = 1e-3, 0.01


def end_states(settings: Settings) -> Part:
    """Test sizes of aligned modes, Gram matrices of general moments, and the optimal predictor."""
    sizes = _sizes_claim(settings)
    settings.progress("moments that do not commute", 0.4)
    general = _general_moments(settings)
    ends = [_trained(settings, general, depth) for depth in (1, 2)]
    grams = [_gram_claim(general, end, depth) for depth, end in enumerate(ends, 1)]
    settings.progress("optimal predictor", 0.8)
    last = [_last_predictor_claim(general, ends[0]), _optimal_claim(settings, general)]
    return Part([sizes, *grams, *last], [])


def _sizes_claim(settings: Settings) -> Claim:
    (key,) = settings.keys(1, 10)
    moments = diagonal_moments(np.ones(3), COEFFICIENTS)
    ends = []
    slowest = distillation.critical_time(1.0, COEFFICIENTS[-1], 0.25, depth=LAYERS, share=1 - LEFT)
    for objective, rate in RATES.items():
        start: dict[str, Any] = {"depth": LAYERS, "start": 0.25, "decoder": objective == "mae"}
        last = int(float(slowest) / RATES["jepa"])
        history = train([case(moments, key, rate, **start)], [0, last], objective=objective)
        ends.append(np.linalg.svd(history.encoder[0, -1])[1])
    known = [
        np.asarray(
            distillation.end_state(1.0, COEFFICIENTS, depth=LAYERS, objective=objective).encoder
        )
        for objective in ("jepa", "mae")
    ]
    error = max(np.abs(a - b).max() for a, b in zip(ends, known, strict=True))
    swapped = max(np.abs(a - b).max() for a, b in zip(ends, known[::-1], strict=True))
    return at_most(
        "distillation/end-sizes",
        "With three layers, a mode ends at its regression coefficient to the power 3 under JEPA "
        "and 3/4 under a masked autoencoder.",
        SOURCE.format("D-6", JEPA),
        0.002,
        error,
        details="The measured value is the largest error of the singular values of both encoders. "
        f"The run ends when the slowest layer is within {LEFT:g} of its end.",
        rivals=(Rival("the two objectives swapped", swapped),),
    )


def _general_moments(settings: Settings) -> Moments:
    """Return moments of three variables that do not commute, S_yx not symmetric."""
    draws = settings.generator(11)
    half = draws.normal(size=(3, 3)) / np.sqrt(3)
    context = half @ half.T + 0.7 * np.eye(3)
    regression = 0.6 * np.eye(3) + np.diag([0.15, 0.0, -0.15]) + 0.12 * draws.normal(size=(3, 3))
    cross = regression @ context
    target = cross @ np.linalg.solve(context, cross.T) + 0.1 * np.eye(3)
    return Moments(context, cross, target)


def _trained(settings: Settings, moments: Moments, depth: int) -> WeightHistory:
    """Return the weights at the start and at the end of training on moments."""
    start = case(moments, settings.keys(2, 12)[0], SLOW, depth=depth, start=0.5)
    return train([start], [0, int(1200 / SLOW)])


def _last_predictor_claim(moments: Moments, trained: WeightHistory) -> Claim:
    begin, end = trained.predictor[0]
    encoder = trained.encoder[0, -1]

    def error(of: np.ndarray) -> float:
        return float(np.linalg.norm(end - of) / np.linalg.norm(end))

    seen = encoder @ moments.context @ encoder.T
    turned = np.linalg.solve(seen, encoder @ moments.cross @ encoder.T).T
    return at_most(
        "distillation/last-predictor",
        "JEPA ends with the predictor that is optimal for its encoder.",
        SOURCE.format("D-27", JEPA),
        1e-3,
        error(distillation.optimal_predictor(encoder, moments)),
        details="The measured value is the relative error in the Frobenius norm, for the run of "
        "one layer on moments that do not commute. The bound is that of its Gram matrix.",
        rivals=(
            Rival(
                "with the covariance of context and target, not of target and context",
                error(turned),
            ),
            Rival("the predictor of the start", error(begin)),
        ),
    )


def _gram_claim(moments: Moments, trained: WeightHistory, depth: int) -> Claim:
    encoder = trained.encoder[0, -1]
    gram = encoder.T @ encoder

    def error(of: np.ndarray) -> float:
        return float(np.linalg.norm(gram - of) / np.linalg.norm(gram))

    regression = np.linalg.solve(moments.context, moments.cross.T).T
    values, vectors = np.linalg.eigh((regression + regression.T) / 2)
    commuting = (vectors * values ** (2 * depth)) @ vectors.T
    layers = "one linear layer" if depth == 1 else f"{depth} linear layers"
    return at_most(
        f"distillation/gram-{depth}",
        f"For moments that do not commute, JEPA with {layers} ends at the predicted Gram matrix "
        "of the encoder.",
        SOURCE.format("D-16", JEPA),
        1e-3,
        error(distillation.final_gram(moments, depth=depth)),
        details="The measured value is the relative error in the Frobenius norm. The bound is of "
        f"first order in the step, {SLOW:g}, since descent conserves balance only up to it.",
        rivals=(
            Rival("formula for commuting moments", error(commuting)),
            Rival(
                "Gram matrix of a masked autoencoder",
                error(distillation.final_gram(moments, depth=depth, objective="mae")),
            ),
        ),
    )


def _optimal_claim(settings: Settings, moments: Moments) -> Claim:
    (key,) = settings.keys(1, 13)
    data = pairs_with_moments(moments)
    model = linear(3, 3, dtype=jnp.float64)

    def objective(params: Params, batch: PairsType, _: Array) -> Array:
        za, zb = (model.apply(params, x) for x in batch[:2])
        fixed, target = jax.lax.stop_gradient((za, zb))
        best = jnp.linalg.solve(fixed.T @ fixed, fixed.T @ target)
        return jepa(za, zb, predictor=lambda z: z @ best)

    problem = Problem(pairs.fixed(data), model, jepa, gradient_descent(0.02), objective)
    seen = jax.jit(run(problem, [0, 2000], lambda params, _: params))(key)
    start, end = np.asarray(seen.observables["weight"])
    learned = train([case(moments, key, 0.02, start=0.5)], [0, 2000]).encoder[0]
    return at_most(
        "distillation/optimal-predictor",
        "A square linear encoder does not move if its predictor is the optimal one at each step.",
        SOURCE.format("D-27", "Tian et al. 2021"),
        1e-8,
        float(np.linalg.norm(end - start) / np.linalg.norm(start)),
        details="The measured value is the relative change of the weights in 2,000 steps. Nothing "
        "is learned and nothing collapses.",
        rivals=(
            Rival(
                "a learned predictor",
                float(np.linalg.norm(learned[1] - learned[0]) / np.linalg.norm(learned[0])),
            ),
        ),
    )
