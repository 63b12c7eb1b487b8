"""Whitened maps that agree on pairs: how well samples identify latents, and where it fails."""

import numpy as np
from scipy.linalg import eigh

from jssl.figures import new_figure
from jssl.papers.claims import close
from jssl.papers.isotropy.common import source, standard_error
from jssl.papers.outcome import Part, Settings
from jssl.report.figure import Figure
from jssl.theory.isotropy import estimate_error
from jssl.types import Claim, Rival

SIZES = {"quick": 300, "paper": 2000, "large": 10_000}
PAIRS = 10_000
WORLD = "Klindt, LeCun and Balestriero 2026, arXiv 2605.26379"


def identifiability(settings: Settings) -> Part:
    """Test the error of the best map on samples, and a latent that is not Gaussian."""
    runs = SIZES[settings.scale]
    draws = settings.generator(7)
    correlation = 0.5
    weights = np.array([_nonlinear_weight(draws, correlation) for _ in range(runs)])
    predicted = estimate_error(correlation)
    r = correlation
    alike = (1 - r) ** 2 * (1 + 4 * r + 6 * r**2 + 3 * r**3) / 2
    alike += (1 - r**2) ** 2 * (1 + 4 * r**2) / 2
    claims = [
        close(
            "isotropy/rotation-error",
            "The best whitened map on samples has the predicted nonlinear part.",
            source("I-48", paper=WORLD),
            predicted,
            weights.mean(),
            4 * standard_error(weights) + 0.05 * predicted,
            details=f"There are {runs} sets of {PAIRS:,} pairs with correlation 0.5 and features "
            "up to degree 3; the value is the number of pairs times the nonlinear weight. The "
            "tolerance is four standard errors and 5 % for the next order in one over the pairs.",
            rivals=(Rival("The gaps between eigenvalues do not matter", alike),),
        ),
        _not_gaussian(draws, 40_000 if settings.scale == "quick" else 400_000),
    ]
    figure, (ax,) = new_figure(1)
    axis = np.linspace(0.05, 0.99, 200)
    ax.plot(axis, [estimate_error(x) for x in axis], "k--", label="theory")
    ax.errorbar(
        [correlation], [weights.mean()], 4 * standard_error(weights), fmt="o", label="measured"
    )
    ax.set(xlabel="correlation of the views", ylabel="pairs x nonlinear weight", yscale="log")
    ax.legend()
    description = (
        "The nonlinear part that remains in the best whitened map, times the number of pairs, "
        "against the correlation of the views, with the value measured at 0.5."
    )
    return Part(claims, [Figure("rotation-error", "Error of the best map", description, figure)])


def _nonlinear_weight(draws: np.random.Generator, r: float) -> float:
    z = draws.normal(size=PAIRS)
    pair = z, r * z + np.sqrt(1 - r**2) * draws.normal(size=PAIRS)
    features = [np.stack([x, (x**2 - 1) / 2**0.5, (x**3 - 3 * x) / 6**0.5]) for x in pair]
    best = _best(*features)[1]
    return float(PAIRS * (best[1:] ** 2).sum() / (best**2).sum())


def _best(first: np.ndarray, second: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the largest whitened correlation of features (count, n), and its coefficients."""
    f, g = (x - x.mean(1, keepdims=True) for x in (first, second))
    n = f.shape[1]
    cross, pooled = (f @ g.T + g @ f.T) / (2 * n), (f @ f.T + g @ g.T) / (2 * n)
    values, vectors = eigh(cross, pooled)
    return float(values[-1]), vectors[:, -1]


def _not_gaussian(draws: np.random.Generator, n: int) -> Claim:
    z = draws.uniform(-1, 1, n)
    pair = z, (z + draws.choice([-1.0, 1.0], n)) / 2
    features = [np.stack([x, *(np.cos(2**j * np.pi * (x + 1)) for j in range(3))]) for x in pair]
    return close(
        "isotropy/non-Gaussian",
        "For uniform latents a nonlinear map agrees better on the views than every linear map.",
        source("I-49", paper=WORLD),
        float(np.cos(np.pi / 4)),
        _best(*features)[0],
        4 / n**0.5 + 20 / n,
        details=f"There are {n:,} pairs of a uniform process with correlation 0.5; the features "
        "are the latent and three cosines. The tolerance is four standard errors, each below one "
        "over the root of the pairs, and 20 over the pairs for the bias of the largest eigenvalue.",
        rivals=(Rival("The linear map is the best", 0.5),),
    )
