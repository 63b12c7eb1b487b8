"""Supervised learning finds the label feature alone, up to sampling noise."""

import jax
import jax.numpy as jnp
import numpy as np

from jssl.papers.claims import at_least, at_most
from jssl.papers.learnability.base import (
    BASE,
    CENTRES,
    SUPERVISED_STEPS,
    alignments,
    base_supervised,
    opposite,
)
from jssl.papers.learnability.seeds import Design, Numbers
from jssl.papers.learnability.simulate import supervised
from jssl.papers.learnability.statistical import SOURCE, quantile, same_mean, sizes
from jssl.papers.outcome import Settings
from jssl.theory.learnability import minimum
from jssl.types import Array, Claim, Rival

LATE_STEPS = 10_000


def supervised_claims(
    settings: Settings, by_labels: np.ndarray, without_labels: np.ndarray
) -> list[Claim]:
    """Return the claims on supervised learning.

    Args:
        settings: of the study.
        by_labels: (seeds, m, d) final weights of supervised runs.
        without_labels: (seeds, m, d) final weights of self-supervised runs.
    """
    best = base_supervised()
    by_labels = by_labels[opposite(by_labels)]
    share, share_ssl = alignments(by_labels)[1], alignments(without_labels)[1]
    spread, _ = supervised_sampling(best.weight[0], best.head[0], 100)
    return [
        *_label_claims(settings, by_labels, share, without_labels),
        *_hidden_claims(share, share_ssl, spread),
        _metric_claim(settings),
        _supervised_minima(settings),
    ]


def _label_claims(
    settings: Settings, by_labels: np.ndarray, share: np.ndarray, without_labels: np.ndarray
) -> list[Claim]:
    best = base_supervised()
    centres = Design(samples=4, data="centres", start="sign")
    flow = supervised(settings.keys(sizes(settings).predicted, 2), [0, SUPERVISED_STEPS], centres)
    flow = flow[:, -1][opposite(flow[:, -1])]
    hidden, across = supervised_sampling(best.weight[0], best.head[0], 100)
    size = float(np.linalg.norm(best.weight[0, 0]))
    return [
        same_mean(
            "learnability/supervised-label",
            "The label feature has the predicted share in the weight rows of the supervised model.",
            alignments(flow)[1][:, 0],
            share[:, 0],
            bias=8 * across**2 / (2 * size**2) + hidden**2 / (2 * size**2),
            details="The measured value is the mean of |w . e1| / |w| over rows w and seeds. The "
            "prediction comes from training on the centres of the four cells, without noise.",
            rivals=[
                Rival(
                    "the share in the self-supervised model",
                    float(alignments(without_labels)[1][:, 0].mean()),
                ),
                Rival("rows along the label feature alone", 1.0),
            ],
        ),
        same_mean(
            "learnability/supervised-optimum",
            "The supervised model reaches the optimum of the population loss along the label "
            "feature.",
            float(np.abs(best.weight[0, :, 0]).mean()),
            np.abs(by_labels[:, :, 0]).mean(1),
            bias=1 / 100,
            details="The measured value is the mean of |w . e1| over rows w and seeds. The theory "
            "neglects the bias of a finite sample, which is of order 1 / n for n = 100 samples.",
            rivals=[
                Rival("the minimum of two equal rows", float(np.abs(best.weight[1, :, 0]).mean())),
                Rival("the self-supervised minimum", float(minimum(BASE.tau, BASE.decay)[0])),
            ],
        ),
    ]


def _hidden_claims(share: np.ndarray, share_ssl: np.ndarray, spread: float) -> list[Claim]:
    size = float(np.linalg.norm(base_supervised().weight[0, 0]))
    ours, theirs = share[:, 1].mean(), share_ssl[:, 1].mean()
    error, error_ssl = (s[:, 1].std(ddof=1) / len(s) ** 0.5 for s in (share, share_ssl))
    return [
        at_most(
            "learnability/supervised-hidden",
            "The share of the hidden feature in the supervised model does not exceed sampling "
            "noise.",
            SOURCE,
            spread / size,
            ours,
            quantile(len(share)) * error,
            details="The measured value is the mean of |w . e2| / |w| over rows w and seeds. The "
            "bound is the predicted standard deviation of the hidden weight over samples, divided "
            f"by the norm of a row. The tolerance is {quantile(len(share)):.1f} standard errors.",
            rivals=[Rival("as in the self-supervised model", theirs)],
            standard_error=error,
        ),
        at_least(
            "learnability/self-supervised-against-supervised",
            "The share of the hidden feature is at least ten times larger in weight rows of the "
            "self-supervised model than of the supervised model.",
            SOURCE,
            10 * ours,
            theirs,
            details="The share is the mean of |w . e2| / |w| over rows w and seeds. The bound is "
            "ten times that of the supervised model.",
            rivals=[Rival("as in the supervised model", ours)],
            standard_error=float(np.hypot(error_ssl, 10 * error)),
        ),
    ]


def _metric_claim(settings: Settings) -> Claim:
    numbers = Numbers(rate=0.4)
    late = supervised(settings.keys(16, 3), [0, LATE_STEPS], numbers=numbers)[:, -1]
    hidden = [values[:, 1] for values in alignments(late)]
    projection, share = (values.mean() for values in hidden)
    relative = [values.std(ddof=1) / len(values) ** 0.5 / values.mean() for values in hidden]
    return at_least(
        "learnability/ill-conditioned-metric",
        "After long supervised training, the projection metric of the paper overstates the hidden "
        "feature at least tenfold.",
        f"{SOURCE}, projection metric",
        1,
        np.log10(projection / share),
        details="The two rows become nearly parallel, so the projection onto their span is "
        "ill-conditioned. The measured value is the decimal logarithm of the projection of the "
        f"hidden feature after {LATE_STEPS:,} steps over its share |w . e2| / |w| in the rows.",
        rivals=[Rival("the projection equals the share", 0.0)],
        standard_error=float(np.hypot(*relative)) / np.log(10),
    )


def _supervised_minima(settings: Settings) -> Claim:
    """Test where supervised learning on the cell centres ends.

    At the slowest rate of the Hessians, a distance of 10 decreases to the tolerance in time
    log(10 / tolerance) / rate. The runs last twice as long, since they may pass saddles.
    """
    best, rate, tolerance = base_supervised(), 0.3, 0.01
    steps = int(2 * np.log(10 / tolerance) / (rate * best.slowest.min()))
    ends = supervised(
        settings.keys(64, 4),
        [0, steps],
        Design(4, 2, data="centres", start="random"),
        Numbers(rate=rate),
    )[:, -1]
    # The sign of all u may be flipped and the rows exchanged: four images of every minimum.
    images = [best.weight[:, order] * [sign, 1] for order in ([0, 1], [1, 0]) for sign in (1, -1)]
    distance = np.linalg.norm(ends[:, None] - np.concatenate(images), axis=(2, 3)).min(1)
    u, v = minimum(BASE.tau, BASE.decay)
    signs = [np.array([[a * u, v], [b * u, v]]) for a in (1, -1) for b in (1, -1)]
    others = np.linalg.norm(ends[:, None] - np.array(signs), axis=(2, 3)).min(1)
    return at_most(
        "learnability/supervised-minima",
        "Without noise, supervised learning from random weights ends in one of the computed "
        "minima.",
        f"{SOURCE}, supervised objective",
        tolerance,
        distance.max(),
        details=f"The samples are the centres of the four cells, and {len(ends)} runs start from "
        "standard normal weights. The measured value is the largest distance to the nearest "
        f"minimum after {steps:,} steps.",
        rivals=[Rival("the self-supervised minima", others.max())],
    )


def supervised_sampling(weight: np.ndarray, head: np.ndarray, samples: int) -> tuple[float, float]:
    """Return the sampling spread of hidden and orthogonal weights at the supervised optimum."""
    hidden, across = _spreads(jnp.asarray(weight), jnp.asarray(head))
    return float(hidden) / samples**0.5, float(across) / samples**0.5


@jax.jit
def _spreads(weight: Array, head: Array) -> tuple[Array, Array]:
    """Return both spreads for a sample of size one."""
    x, label = jnp.asarray(CENTRES), jnp.array([1.0, -1.0, 1.0, -1.0])
    params = jnp.concatenate([weight.ravel(), head])

    def cell(params: Array, x: Array, label: Array) -> Array:
        z = jax.nn.sigmoid(params[:4].reshape(2, 2) @ x)
        fit = jax.nn.softplus(label * (z @ params[4:]))
        return fit + BASE.decay * params @ params

    pulls = jax.vmap(jax.grad(cell), (None, 0, 0))(params, x, label)
    hessian = jax.vmap(jax.hessian(cell), (None, 0, 0))(params, x, label).mean(0)
    shift = jnp.linalg.solve(hessian, pulls.T)
    z = jax.nn.sigmoid(x @ weight.T)
    back = label[:, None] * jax.nn.sigmoid(label * (z @ head))[:, None]
    back = back * head * z * (1 - z)
    hidden = jnp.sqrt(jnp.mean(shift[1] ** 2))
    return hidden, BASE.noise * jnp.sqrt(jnp.mean(back[:, 0] ** 2)) / (2 * BASE.decay)
