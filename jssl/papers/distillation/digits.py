"""Digits of which half of the patches are masked: exact moments over all masks, no sampling.

Moments are in units of the largest eigenvalue of S_yx, projected to the leading principal
components of the pixels. Half of the eigenvalues of S_yx are negative and are not learned.
"""

from typing import Any

import numpy as np
import scipy.linalg

from jssl.data import images
from jssl.data.masks import masked_moments
from jssl.data.moments import Moments
from jssl.figures import COLOURS, new_figure
from jssl.papers.claims import at_least, at_most, close
from jssl.papers.distillation.runs import WeightHistory, amplitudes, case, crossing, train
from jssl.papers.outcome import Part, Settings
from jssl.report.figure import Figure
from jssl.theory import distillation
from jssl.types import Claim, Rival

SOURCE = "Littwin et al. 2024; {} in docs/equations.md"
START, JEPA_RATE, MAE_RATE = 0.03, 0.25, 0.02
JEPA_LEVEL, MAE_LEVEL = 0.12, 0.3
"""Eigenvalue and singular value of V at which a mode counts as learned."""
FIRST = 4
"""Modes whose times are compared."""
NOISY, NOISY_START, NOISY_RATES = 0.2, 0.05, {"jepa": 0.5, "mae": 0.01}
"""Coefficient of the first mode after noise is added, start of two layers, learning rates."""
DIM = 4


def components(settings: Settings) -> int:
    """Return the number of principal components of the pixels."""
    return 24 if settings.scale == "quick" else 61


def digit_moments(count: int) -> Moments:
    """Return the moments of masked digits in their leading principal components."""
    x = images.digits().x.astype(float)
    x -= x.mean(0)
    flat = x.reshape(len(x), -1)
    moments = masked_moments(x, patch=2)
    basis = np.linalg.eigh(flat.T @ flat)[1][:, ::-1][:, :count].T
    unit = np.linalg.eigvalsh(moments.cross)[-1]
    return Moments(*(basis @ matrix @ basis.T / unit for matrix in moments))


def times(settings: Settings) -> Part:
    """Test the learning times of the first modes under JEPA and a masked autoencoder."""
    moments = digit_moments(components(settings))
    modes = distillation.regression_modes(moments, FIRST + 2)
    wrong = _generalised_modes(moments)
    (key,) = settings.keys(1, 60)
    claims, shown = [], []
    for objective, rate, level in (
        ("jepa", JEPA_RATE, JEPA_LEVEL),
        ("mae", MAE_RATE, MAE_LEVEL),
    ):
        settings.progress(objective, 0.1 if objective == "jepa" else 0.6)
        predicted = _predicted(modes.covariances, modes.coefficients, objective, rate, level)
        rival = _predicted(*wrong, objective, rate, level)
        last = int(1.15 * predicted[-1] / rate)
        start: dict[str, Any] = {"start": START, "decoder": objective == "mae"}
        record = np.arange(0, last, 1 if objective == "mae" else 2)
        history = train([case(moments, key, rate, **start)], record, objective=objective)
        values = _sizes(history.predictor[0], objective)
        seen = np.array([crossing(record * rate, values[:, k], level) for k in range(FIRST)])
        claims.append(_times_claim(objective, seen, predicted, rival))
        shown.append((record * rate, values, predicted, level))
    return Part(claims, [_times_figure(shown)])


def _predicted(
    lam: np.ndarray, rho: np.ndarray, objective: str, rate: float, level: float
) -> np.ndarray:
    """Return the times at which the first modes pass a level, with the delay of a finite step."""
    end = distillation.end_state(lam, rho, objective=objective).layer
    found = distillation.descent_critical_time(
        lam, rho, START, rate, objective=objective, share=level / end
    )
    return np.asarray(found)[:FIRST]


def _sizes(predictor: np.ndarray, objective: str) -> np.ndarray:
    """Return eigenvalues (JEPA) or singular values of V, descending."""
    if objective == "mae":
        return np.linalg.svd(predictor, compute_uv=False)
    return np.sort(np.linalg.eigvals(predictor).real, axis=1)[:, ::-1]


def _generalised_modes(moments: Moments) -> tuple[np.ndarray, np.ndarray]:
    """Return covariances and coefficients in the generalised eigenbasis of the two moments."""
    rho, vectors = scipy.linalg.eigh(moments.cross, moments.context)
    vectors = vectors / np.linalg.norm(vectors, axis=0)
    lam = np.einsum("ij,ik,kj->j", vectors, moments.cross, vectors)
    first = np.argsort(-lam)[: FIRST + 2]
    return lam[first], rho[first]


def _times_claim(
    objective: str, seen: np.ndarray, predicted: np.ndarray, rival: np.ndarray
) -> Claim:
    name = "JEPA" if objective == "jepa" else "a masked autoencoder"
    return at_most(
        f"distillation/digits-times-{objective}",
        f"On masked digits, {name} learns the first four modes at the times predicted from the "
        "eigenvectors of the cross moment.",
        SOURCE.format("D-7, D-8 and D-17"),
        0.02,
        np.abs(seen / predicted - 1).max(),
        details="The measured value is the largest relative error. The bound is the square of "
        "0.14, the off-diagonal share of the context moment in the basis of the first ten modes.",
        rivals=(Rival("times from the generalised eigenvectors", np.abs(seen / rival - 1).max()),),
    )


def reversal(settings: Settings) -> Part:
    """Test the order of the first two modes when noise is added to the context along the first."""
    plain = digit_moments(24)
    modes = distillation.regression_modes(plain, 2)
    first = modes.vectors[0]
    lam, rho = modes.covariances, np.array([NOISY, modes.coefficients[1]])
    added = lam[0] / NOISY - lam[0] / modes.coefficients[0]
    moments = plain._replace(context=plain.context + added * np.outer(first, first))
    (key,) = settings.keys(1, 61)
    claims = []
    for objective in ("jepa", "mae"):
        rate = NOISY_RATES[objective]
        start: dict[str, Any] = {
            "start": NOISY_START, "depth": 2, "decoder": objective == "mae",
        }  # fmt: skip
        predicted = np.asarray(
            distillation.descent_critical_time(
                lam, rho, NOISY_START, rate, depth=2, objective=objective
            )
        )
        last = int(1.1 * predicted.max() / rate)
        record = np.unique(np.linspace(0, last, 1500).astype(int))
        history = train([case(moments, key, rate, **start)], record, objective=objective)
        layers = amplitudes(history.encoder[0], modes.vectors, 2)
        end = np.asarray(distillation.end_state(lam, rho, depth=2, objective=objective).layer)
        seen = [crossing(record * rate, layers[:, i], end[i] / 2) for i in range(2)]
        claims.append(_reversal_claim(objective, predicted, seen))
        settings.progress(objective, 0.5)
    return Part(claims, [])


def _reversal_claim(objective: str, predicted: np.ndarray, seen: list[float]) -> Claim:
    gap = float(predicted[0] - predicted[1])
    return close(
        f"distillation/digits-reversal-{objective}",
        "With noise on the context of masked digits, JEPA learns the mode of the second largest "
        "covariance first."
        if objective == "jepa"
        else "With noise on the context of masked digits, a masked autoencoder still learns the "
        "mode of the largest covariance first.",
        SOURCE.format("D-13 and D-17"),
        gap,
        seen[0] - seen[1],
        0.005 * float(predicted.max()),
        details="The noise leaves the covariance of the first mode and lowers its coefficient to "
        f"{NOISY:g}. The measured value is the time of the first mode minus that of the second, "
        "two layers. The tolerance is 0.5 % of the time, for moments that do not commute.",
        rivals=(Rival("order by covariance" if objective == "jepa" else "order of JEPA", -gap),),
    )


def bottleneck(settings: Settings) -> Part:
    """Test which directions four outputs keep, and draw how the row space turns."""
    moments = digit_moments(24)
    (key,) = settings.keys(1, 62)
    spaces = {
        "largest regression coefficients": distillation.selected_subspace(moments, DIM),
        "reduced-rank regression": distillation.selected_subspace(moments, DIM, objective="mae"),
        "largest covariances": distillation.regression_modes(moments, DIM).vectors,
    }
    claims, shown = [], []
    for objective, rate, last in (("jepa", 0.4, 20_000), ("mae", 0.25, 8000)):
        start: dict[str, Any] = {
            "start": START, "out_dim": DIM, "decoder": objective == "mae", "noise": 0.1,
        }  # fmt: skip
        record = np.unique(np.geomspace(1, last, 200).astype(int))
        history = train([case(moments, key, rate, **start)], record, objective=objective)
        overlaps = {name: _overlaps(history, rows) for name, rows in spaces.items()}
        shown.append((objective, record * rate, overlaps))
        claims.append(_bottleneck_claim(objective, overlaps))
        if objective == "jepa":
            claims.append(_spectrum_claim(moments, history))
        settings.progress(objective, 0.5)
    return Part(claims, [_bottleneck_figure(shown)])


def _overlaps(history: WeightHistory, rows: np.ndarray) -> np.ndarray:
    encoders = history.encoder[0]
    bases = np.linalg.qr(encoders.transpose(0, 2, 1))[0]
    return np.sum((rows @ bases) ** 2, axis=(1, 2)) / DIM


def _bottleneck_claim(objective: str, overlaps: dict[str, np.ndarray]) -> Claim:
    own, other, top = (values[-1] for values in overlaps.values())
    if objective == "mae":
        own, other = other, own
    return at_least(
        f"distillation/digits-bottleneck-{objective}",
        "On masked digits, JEPA with four outputs ends in the directions of the largest "
        "regression coefficients."
        if objective == "jepa"
        else "On masked digits, a masked autoencoder with four outputs ends in the directions of "
        "reduced-rank regression.",
        SOURCE.format("D-15"),
        0.995,
        own,
        details="The measured value is the overlap of the row space of the encoder with the "
        "predicted one, 1 if they are equal. The bound leaves what is not yet turned.",
        rivals=(
            Rival("the directions of the other objective", other),
            Rival("the largest covariances", top),
        ),
    )


def _spectrum_claim(moments: Moments, history: WeightHistory) -> Claim:
    """Compare the predictor's eigenvalues with those of the regression of target on context."""
    seen = _sizes(history.predictor[0, -1:], "jepa")[0]
    regression = np.linalg.solve(moments.context, moments.cross.T).T
    known = np.sort(np.linalg.eigvals(regression).real)[::-1][:DIM]
    of_modes = np.sort(distillation.regression_modes(moments, DIM).coefficients)[::-1]
    return at_most(
        "distillation/digits-predictor",
        "On masked digits, the predictor of JEPA ends with the largest eigenvalues of the "
        "regression of target on context.",
        SOURCE.format("D-15 and D-16"),
        0.005,
        float(np.abs(seen - known).max()),
        details=f"The eigenvalues are {', '.join(f'{value:.3f}' for value in known)}. The "
        "measured value is the largest difference. The bound leaves what is not yet turned.",
        rivals=(
            Rival("coefficients of the modes learned first", float(np.abs(seen - of_modes).max())),
        ),
    )


def _times_figure(shown: list[Any]) -> Figure:
    figure, axes = new_figure(2)
    names = ("JEPA: eigenvalues of the predictor", "masked autoencoder: singular values")
    for ax, name, (t, values, predicted, level) in zip(axes, names, shown, strict=True):
        for k, colour in zip(range(FIRST), COLOURS, strict=False):
            ax.plot(t, values[:, k], color=colour)
            ax.plot(predicted[k], level, "o", color=colour, markeredgecolor="black")
        ax.axhline(level, color="black", linewidth=0.6)
        ax.set(title=name, xlabel="t = learning rate × step")
    text = (
        "Masked digits, one layer. Circles are the predicted times at which each mode passes the "
        "horizontal line. Both objectives learn the modes in one order here, since covariances and "
        "coefficients fall together."
    )
    return Figure("distillation-digits", "Learning times on masked digits", text, figure)


def _bottleneck_figure(shown: list[Any]) -> Figure:
    figure, axes = new_figure(2)
    titles = {"jepa": "JEPA", "mae": "masked autoencoder"}
    for ax, (objective, t, overlaps) in zip(axes, shown, strict=True):
        for (name, values), colour in zip(overlaps.items(), COLOURS, strict=False):
            ax.plot(t, values, color=colour, label=name)
        ax.set(
            xscale="log", title=titles[objective], xlabel="t = learning rate × step", ylim=(0, 1.05)
        )
    axes[0].set_ylabel("overlap of the row space with")
    axes[0].legend(frameon=False, fontsize=7)
    text = (
        f"The row space of an encoder with {DIM} outputs on masked digits. Early on it contains "
        "the directions of the largest covariances; at the end JEPA keeps the largest regression "
        "coefficients and a masked autoencoder the directions of most explained variance."
    )
    return Figure("distillation-selection", "What a bottleneck keeps", text, figure)
