"""The comparison of the paper: self-supervised learning finds both features, supervision one."""

from typing import Any, NamedTuple

import jax
import numpy as np

from jssl.papers.claims import close
from jssl.papers.learnability import figures
from jssl.papers.learnability.base import (
    BASE,
    STEPS,
    alignments,
    base_certificate,
    base_supervised,
    opposite,
)
from jssl.papers.learnability.seeds import Design, draw
from jssl.papers.learnability.simulate import self_supervised, supervised
from jssl.papers.learnability.statistical import (
    SOURCE,
    quantile,
    same_distribution,
    same_mean,
    same_share,
    sizes,
)
from jssl.papers.learnability.supervised import supervised_claims
from jssl.papers.outcome import Part, Settings
from jssl.papers.rivals import factors
from jssl.theory.learnability import noisy_minimum, row_objective
from jssl.theory.learnability.curves import curve
from jssl.types import Array, Claim, Rival


class Ends(NamedTuple):
    """Final weights (seeds, m, d) of self-supervised runs and of the noise-averaged dynamics.

    Attributes:
        near_start: weights at the start of runs near the minimum.
        sign_start: weights at the start of runs with the signs of the paper.
        near: runs that start near the minimum.
        near_mean: noise-averaged dynamics that start near the minimum.
        sign: runs that start at random weights with the signs of the paper.
        sign_mean: noise-averaged dynamics that start so.
    """

    near_start: np.ndarray
    sign_start: np.ndarray
    near: np.ndarray
    near_mean: np.ndarray
    sign: np.ndarray
    sign_mean: np.ndarray


def comparison(settings: Settings) -> Part:
    """Test the three runs of the paper against the noise-averaged dynamics and the minima."""
    seeds, predicted, _ = sizes(settings)
    points = np.linspace(0, STEPS, 41).astype(int)
    keys, other = settings.keys(seeds, 0), settings.keys(predicted, 1)
    near = self_supervised(keys, points, Design(start="near"))
    sign = self_supervised(keys, points, Design(start="sign"))
    by_labels = supervised(keys, 2 * points, Design(start="sign"))
    ends = Ends(
        near_start=near[:, 0],
        sign_start=sign[:, 0],
        near=near[:, -1],
        near_mean=self_supervised(other, points, Design(start="near", step="mean"))[:, -1],
        sign=sign[:, -1],
        sign_mean=self_supervised(other, points, Design(start="sign", step="mean"))[:, -1],
    )
    claims = [
        *_near_claims(ends),
        _pairs_claim(settings),
        *_sign_claims(ends),
        _decay(near),
        _fluctuation(keys, near, points),
        *supervised_claims(settings, by_labels[:, -1], ends.near),
    ]
    pictures = figures.comparison(points, near, sign, by_labels, base_supervised())
    return Part(claims, pictures, (_certificate_sentence(),))


def _near_claims(ends: Ends) -> list[Claim]:
    (projection, share), (predicted, predicted_share) = map(alignments, (ends.near, ends.near_mean))
    start = "From a start near the minimum,"
    label, hidden = _ALIGNMENT.format("e1"), _ALIGNMENT.format("e2")
    begin, begin_share = alignments(ends.near_start)
    equal = np.linalg.norm(alignments(_minimum())[0], axis=0)
    unchanged = "the alignment of the start"
    return [
        same_mean(
            "learnability/near-label",
            f"{start} self-supervised learning aligns with the label feature as much as the "
            "noise-averaged dynamics predict.",
            predicted[:, 0],
            projection[:, 0],
            details=label,
            rivals=[
                Rival(unchanged, begin[:, 0].mean()),
                Rival("two rows at one minimum", equal[0]),
                Rival("the plane of both features", 1.0),
            ],
        ),
        same_mean(
            "learnability/near-hidden",
            f"{start} self-supervised learning aligns with the hidden feature as much as the "
            "noise-averaged dynamics predict.",
            predicted[:, 1],
            projection[:, 1],
            details=hidden,
            rivals=[
                Rival(unchanged, begin[:, 1].mean()),
                Rival("two rows at one minimum", equal[1]),
                Rival("the plane of both features", 1.0),
            ],
        ),
        same_distribution(
            "learnability/near-distribution",
            f"{start} the alignment with the hidden feature has the predicted distribution over "
            "seeds.",
            predicted[:, 1],
            projection[:, 1],
            details="The alignment is the norm of the projection of the hidden feature e2 onto the "
            "span of the rows. The prediction is that of the noise-averaged dynamics.",
            rivals={
                unchanged: begin[:, 1],
                "the plane of both features": np.ones(len(predicted)),
            },
        ),
        same_mean(
            "learnability/near-hidden-share",
            f"{start} the hidden feature has the predicted share in the weight rows of the "
            "self-supervised model.",
            predicted_share[:, 1],
            share[:, 1],
            details="The measured value is the mean of |w . e2| / |w| over rows w and seeds. The "
            "prediction is that of the noise-averaged dynamics.",
            rivals=[
                Rival("the share of the start", begin_share[:, 1].mean()),
                Rival("equal shares of both features", 0.5**0.5),
            ],
        ),
    ]


def _minimum() -> np.ndarray:
    """Return the minimum of the noise-averaged loss, (1, 1, 10)."""
    return np.append(noisy_minimum(BASE.tau, BASE.decay, BASE.noise), np.zeros(8))[None, None]


_ALIGNMENT = (
    "The measured value is the norm of the projection of the feature {} onto the span of the rows, "
    "averaged over seeds."
)


def _sign_claims(ends: Ends) -> list[Claim]:
    pair, predicted_pair = opposite(ends.sign), opposite(ends.sign_mean)
    projection, predicted = alignments(ends.sign)[0], alignments(ends.sign_mean)[0]
    dynamics = "The prediction is that of the noise-averaged dynamics."
    begin = alignments(ends.sign_start)[0][:, 1]
    return [
        same_mean(
            "learnability/sign-hidden",
            "If the two weight rows end with opposite signs, self-supervised learning aligns with "
            "the hidden feature as predicted.",
            predicted[predicted_pair, 1],
            projection[pair, 1],
            details=f"{_ALIGNMENT.format('e2')} {dynamics}",
            rivals=[
                Rival("the alignment of the start", begin.mean()),
                Rival("two rows at one minimum", float(alignments(_minimum())[0][0, 1])),
            ],
        ),
        same_distribution(
            "learnability/sign-distribution",
            "From random weights with the signs of the paper, the alignment with the hidden "
            "feature has the predicted distribution over seeds.",
            predicted[:, 1],
            projection[:, 1],
            details="The alignment is the norm of the projection of the hidden feature e2 onto the "
            f"span of the rows. Runs with two rows of equal sign are included. {dynamics}",
            rivals={
                "the alignment of the start": begin,
                "the plane of both features": np.ones(len(predicted)),
            },
        ),
    ]


def _pairs_claim(settings: Settings) -> Claim:
    """Test the share of pairs of opposite sign; signs no longer change after 1000 steps."""
    seeds = 2 * sizes(settings).cheap
    points = [0, 1000]
    measured = self_supervised(settings.keys(seeds, 5), points, Design(start="sign"))
    predicted = self_supervised(
        settings.keys(2 * seeds, 6), points, Design(start="sign", step="mean")
    )
    return same_share(
        "learnability/sign-pairs",
        "From random weights with the signs of the paper, the predicted share of runs ends with "
        "two weight rows of opposite sign.",
        opposite(predicted[:, -1]),
        opposite(measured[:, -1]),
        details="The sign of a row is that of its label weight w . e1 after 1000 steps. The "
        "prediction is that of the noise-averaged dynamics.",
        rivals=[
            Rival("rows keep the opposite signs of the start", 1.0),
            Rival("rows forget the signs of the start", 0.5),
        ],
    )


def _certificate_sentence() -> str:
    theorem = base_certificate()
    return (
        f"The inverse function theorem at tau = {BASE.tau:g} and weight decay {BASE.decay:g}: in "
        f"the plane of the two features, the certified ball has radius {theorem.radius:.3f} and "
        f"the inverse Hessian has norm {theorem.inverse_norm:.1f} "
        f"({theorem.inverse_norm_full:.0f} in all dimensions). The noise of views and samples is "
        f"{_covered(theorem.noise_inside)} to be covered. The sampling error of 100 samples is "
        f"{_covered(theorem.sampling_inside)}; {theorem.samples_needed:,} samples are needed."
    )


def _covered(inside: bool) -> str:
    return "small enough" if inside else "too large"


def _decay(near: np.ndarray) -> Claim:
    """Test the decay of the orthogonal weights by regression of the end on the start."""
    first, last = near[:, 0, :, 2:], near[:, -1, :, 2:]
    square = (first**2).sum()
    slope = (first * last).sum() / square
    by_seed = (first * (last - slope * first)).sum((1, 2))  # the rows of a seed have the same data
    error = np.linalg.norm(by_seed) / square
    predicted = (1 - 2 * BASE.decay * BASE.rate) ** STEPS
    point = np.append(noisy_minimum(BASE.tau, BASE.decay, BASE.noise), 0.0)
    curvature = float(_hessian(point, BASE.noise)[2, 2])
    corrected = (1 - curvature * BASE.rate) ** STEPS
    return close(
        "learnability/orthogonal-decay",
        "Weights orthogonal to both features decay at the rate that weight decay predicts.",
        SOURCE,
        predicted,
        slope,
        quantile(len(near)) * error + 2 * abs(corrected - predicted),
        details="The predicted factor is (1 - 2 (weight decay) (learning rate))^steps. The "
        f"measured value is the regression of the final weights on those at the start, over "
        f"{len(near)} seeds. The tolerance is {quantile(len(near)):.1f} standard errors plus twice "
        "the effect of the curvature that noise adds.",
        rivals=[
            Rival("half the decay, that of a penalty of half the square", predicted**0.5),
            Rival("no decay", 1.0),
        ],
        standard_error=error,
    )


@jax.jit
def _hessian(point: Array, noise: Any) -> Array:
    return jax.hessian(row_objective)(point, BASE.tau, BASE.decay, noise=noise)


def _fluctuation(keys: Array, near: np.ndarray, points: np.ndarray) -> Claim:
    """Test the fluctuation due to view noise, with runs that differ only in their view noise.

    Each step changes an orthogonal weight by rate view_noise (sum of slopes e) / n, and weight
    decay shrinks earlier changes. The slopes are those of each seed's own samples at the recorded
    steps. Besides sampling error, the tolerance has 5 % for the effect of the noise on the slopes.
    """
    replicas = [near[:, -1]] + [
        self_supervised(keys, points, Design(start="near"), replica=r)[:, -1] for r in (1, 2, 3)
    ]
    samples = draw(keys, Design(start="near"), BASE).x
    slopes = curve("sigmoid").slope(near @ np.swapaxes(samples, 1, 2)[:, None])
    keep = 1 - 2 * BASE.decay * BASE.rate
    shares = keep ** (2.0 * (STEPS - points))  # of what a step adds, left at the end
    kicks = BASE.rate**2 * BASE.view_noise**2 * 2 * (slopes**2).mean((2, 3)) / 100
    predicted = np.trapezoid(kicks * shares, points)
    measured = np.var([w[..., 2:] for w in replicas], axis=0, ddof=1).mean((1, 2))
    return same_mean(
        "learnability/view-noise",
        "View noise that is drawn anew at every step causes the predicted variance of weights "
        "orthogonal to both features.",
        1.0,
        measured / predicted,
        bias=0.05,
        details="The measured value is the variance over four runs that differ only in their view "
        "noise, divided by the prediction and averaged over seeds. The theory takes the slopes "
        "without view noise.",
        rivals=factors(
            1.0, "one noisy view instead of two", "one draw of the noise for both views"
        ),
    )
