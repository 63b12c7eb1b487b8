"""How view noise moves the minimum, and the inverse function theorem at the noise of the paper."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jssl.papers.claims import at_most, close
from jssl.papers.learnability import figures
from jssl.papers.learnability.base import BASE, base_certificate
from jssl.papers.learnability.seeds import Design, Numbers
from jssl.papers.learnability.simulate import self_supervised
from jssl.papers.learnability.statistical import SOURCE, same_mean, sizes
from jssl.papers.outcome import Part, Settings
from jssl.theory.learnability import minimum, noise_shift, noisy_minimum, sampling_law
from jssl.types import Claim, Rival

NOISES = (0.05, 0.1, 0.15)


class Shifts(NamedTuple):
    """Shifts of the minimum by view noise, in (u, v), averaged over rows.

    Attributes:
        independent: (noises, seeds, 2) with independent noise in the two views.
        mirrored: (noises, seeds, 2) with noise of correlation -1.
    """

    independent: np.ndarray
    mirrored: np.ndarray


def noise(settings: Settings) -> Part:
    """Test the shift due to view noise, in pairs of runs with it and without it."""
    shifts = measure(settings)
    predicted = np.array([_shift(level) for level in NOISES])
    measured = np.linalg.norm(shifts.independent, axis=-1)
    exact = np.linalg.norm(predicted, axis=-1)
    claims = [
        *_shift_claims(shifts, predicted),
        _exponent_claim(measured, exact),
        *_coefficient_claims(),
        *_certificate_claims(),
    ]
    return Part(claims, figures.shifts(NOISES, measured, exact))


def measure(settings: Settings) -> Shifts:
    """Train pairs of runs with and without view noise.

    There are two dimensions, since further ones would change the norm of a row and with it the
    effect of the noise.
    """
    seeds = max(40, sizes(settings).seeds // 8)
    keys = jnp.tile(settings.keys(seeds, 10), len(NOISES))
    levels = np.repeat(NOISES, seeds)

    def ends(on: float, correlation: float) -> np.ndarray:
        design = Design(100, 2, start="near", data="balanced", correlation=correlation)
        numbers = Numbers(noise=levels, view_noise=levels * on)
        weight = self_supervised(keys, [0, 6000], design, numbers)[:, -1]
        return _folded(weight).mean(1).reshape(len(NOISES), seeds, 2)

    without = ends(0.0, 0.0)
    return Shifts(ends(1.0, 0.0) - without, ends(1.0, -1.0) - without)


def _shift(level: float, correlation: float = 0.0) -> np.ndarray:
    """Return the predicted shift (u, v) of the minimum by view noise of this size."""
    with_views = noisy_minimum(BASE.tau, BASE.decay, level, correlation=correlation)
    return with_views - noisy_minimum(BASE.tau, BASE.decay, level, view_noise=0.0)


_PAIRS = (
    "The measured value is the mean difference of the label weight |w . e1| between runs with view "
    "noise and without it. The prediction is that of the population, and the tolerance has 5 % for "
    "the finite sample."
)


def _shift_claims(shifts: Shifts, predicted: np.ndarray) -> list[Claim]:
    claims = [
        same_mean(
            f"learnability/view-shift-{level}",
            f"Independent view noise of size {level} shifts the minimum along the label feature by "
            "the predicted amount.",
            expected[0],
            shift[:, 0],
            bias=0.05 * abs(expected[0]),
            details=_PAIRS,
            rivals=_others(level, 0.0),
        )
        for level, expected, shift in zip(NOISES, predicted, shifts.independent, strict=True)
    ]
    mirrored = _shift(NOISES[-1], correlation=-1.0)
    claims.append(
        same_mean(
            "learnability/mirrored-views",
            f"View noise of size {NOISES[-1]} and correlation -1 shifts the minimum along the "
            "label feature by the predicted amount.",
            mirrored[0],
            shifts.mirrored[-1, :, 0],
            source="Setting of Meng and Wang 2024, arXiv 2406.06909",
            bias=0.05 * abs(mirrored[0]),
            details=_PAIRS,
            rivals=_others(NOISES[-1], -1.0),
        )
    )
    return claims


def _others(level: float, correlation: float) -> list[Rival]:
    """Return the shifts for other correlations of the views' noise, and none."""
    names = {0.0: "independent noise", -1.0: "noise of correlation -1", 1.0: "equal noise in views"}
    others = [
        Rival(name, _shift(level, other)[0])
        for other, name in names.items()
        if other != correlation and (other, correlation) != (-1.0, 0.0)
    ]
    return [*others, Rival("no shift: the noise averages out", 0.0)]


def _exponent_claim(measured: np.ndarray, exact: np.ndarray) -> Claim:
    return same_mean(
        "learnability/view-shift-exponent",
        "The shift of the minimum grows as the predicted power of the size of the view noise.",
        float(np.polyfit(np.log(NOISES), np.log(exact), 1)[0]),
        np.polyfit(np.log(NOISES), np.log(measured), 1)[0],
        bias=0.05,
        details="For small noise the power is 2. The prediction is the exponent of the exact shift "
        f"at sizes {NOISES[0]} to {NOISES[-1]}, and the measured value that of the simulated "
        "shift.",
        rivals=[
            Rival("the square, as for small noise", 2.0),
            Rival("in proportion to the noise", 1.0),
            Rival("no dependence on the noise", 0.0),
        ],
    )


def _coefficient_claims() -> list[Claim]:
    tiny = 0.01
    clean = minimum(BASE.tau, BASE.decay)
    both = noisy_minimum(BASE.tau, BASE.decay, tiny) - clean
    view = noisy_minimum(BASE.tau, BASE.decay, 0.0, view_noise=tiny) - clean
    both_noises = noise_shift(BASE.tau, BASE.decay)
    views_alone = noise_shift(BASE.tau, BASE.decay, sample=0.0)
    details = (
        "The prediction is an expansion around the minimum without noise. The measured value is "
        f"the shift of the exact minimum at rho = {tiny}, divided by rho^2. The tolerance covers "
        "the next order of the expansion."
    )
    return [
        close(
            "learnability/view-shift-coefficient",
            "Small view noise of size rho shifts the minimum along the label feature by 2.5 rho^2.",
            f"{SOURCE}, derived from the self-supervised objective",
            views_alone[0],
            view[0] / tiny**2,
            0.02,
            details=details,
            rivals=[
                Rival("noise in samples and views", both_noises[0]),
                Rival("noise in one view only", views_alone[0] / 2),
                Rival("no shift: the noise averages out", 0.0),
            ],
        ),
        close(
            "learnability/shift-coefficient",
            "Small noise of size rho in samples and views shifts the minimum by 4.9 rho^2.",
            f"{SOURCE}, derived from the self-supervised objective",
            float(np.linalg.norm(both_noises)),
            float(np.linalg.norm(both)) / tiny**2,
            0.02,
            details=details,
            rivals=[
                Rival("noise in the views alone", float(np.linalg.norm(views_alone))),
                Rival("no shift: the noise averages out", 0.0),
            ],
        ),
    ]


def _certificate_claims() -> list[Claim]:
    theorem = base_certificate()
    law = sampling_law(BASE.tau, BASE.decay, noise=BASE.noise, dim=10)
    moved = noisy_minimum(BASE.tau, BASE.decay, BASE.noise) - theorem.point
    return [
        at_most(
            "learnability/noise-certificate",
            "At the noise level of the paper, the inverse function theorem covers the error of the "
            "gradient.",
            f"{SOURCE}, inverse function theorem",
            theorem.covered,
            theorem.noise_error,
            details="The measured value is the largest change of the gradient by noise on the "
            "certified ball. The bound is the largest change for which the theorem guarantees a "
            "minimum in this ball.",
            rivals=[Rival("as large as the sampling error of 100 samples", theorem.sampling_error)],
        ),
        at_most(
            "learnability/noise-certificate-holds",
            "At the noise level of the paper, the minimum lies in the ball certified by the "
            "inverse function theorem.",
            f"{SOURCE}, inverse function theorem",
            theorem.radius,
            float(np.linalg.norm(moved)),
            details="The measured value is the distance of the minimum with noise from the one "
            "without noise. The bound is the radius of the certified ball.",
            rivals=[Rival("as far as the minimum of 100 samples", law.shift / 10)],
        ),
    ]


def _folded(weight: np.ndarray) -> np.ndarray:
    """Return (|u|, v) of every row."""
    return np.stack([np.abs(weight[..., 0]), weight[..., 1]], -1).astype(float)
