"""Phase diagrams: hidden share of the minimum, and share of runs with rows of opposite sign."""

import numpy as np

from jssl.papers.claims import at_least
from jssl.papers.learnability import figures
from jssl.papers.learnability.base import opposite
from jssl.papers.learnability.seeds import Design, Numbers
from jssl.papers.learnability.simulate import self_supervised
from jssl.papers.learnability.statistical import quantile
from jssl.papers.outcome import Part, Settings
from jssl.theory.learnability import safe_rate, stationary_points
from jssl.types import Rival

STEPS = 1000  # signs no longer change after far fewer steps


def phases(settings: Settings) -> Part:
    """Compute the phase diagrams, and test that more samples preserve more pairs of rows."""
    fine, seeds = (6, 12) if settings.scale == "quick" else (24, 64)
    taus, decays = np.geomspace(0.8, 12, fine), np.geomspace(1e-3, 0.05, fine)
    hidden = np.array([[_hidden(tau, decay) for tau in taus] for decay in decays])
    grid = np.array([(tau, decay) for decay in decays for tau in taus])
    tau, decay = np.repeat(grid, seeds, axis=0).T
    rate = np.repeat([safe_rate(*pair) for pair in grid], seeds)
    ends = self_supervised(
        settings.keys(seeds * len(grid), 30),
        [0, STEPS],
        Design(step="mean"),
        Numbers(tau=tau, decay=decay, rate=np.minimum(0.1, rate)),
    )[:, -1]
    pairs = opposite(ends).reshape(fine, fine, seeds).mean(2)
    dims, counts = ((5, 20) if settings.scale == "quick" else (5, 10, 20)), (24, 100, 400)
    seeds = 128 if settings.scale == "quick" else 512
    opposite_rows = np.array(
        [[_pairs(settings, dim, samples, seeds) for dim in dims] for samples in counts], float
    )
    few, most = opposite_rows[0].ravel(), opposite_rows[-1].ravel()
    error = ((few.var() + most.var()) / len(few)) ** 0.5
    claim = at_least(
        "learnability/more-samples",
        "The two weight rows keep opposite signs more often if there are more samples.",
        "Beyond Yang et al. 2023",
        quantile(len(few)) * error,
        most.mean() - few.mean(),
        details="The measured value is the difference between the shares of runs that keep "
        f"opposite signs with {counts[-1]} and with {counts[0]} samples, over {len(few)} runs "
        f"each. The bound is {quantile(len(few)):.1f} standard errors.",
        rivals=[Rival("the number of samples has no effect", 0.0)],
        standard_error=error,
    )
    pictures = figures.phases((taus, decays, hidden, pairs), (dims, counts, opposite_rows.mean(2)))
    return Part([claim], pictures)


def _pairs(settings: Settings, dim: int, samples: int, seeds: int) -> np.ndarray:
    rho = dim**-1.5
    ends = self_supervised(
        settings.keys(seeds, 31 + dim),
        [0, STEPS],
        Design(samples, dim, step="mean"),
        Numbers(noise=rho, view_noise=rho),
    )
    return opposite(ends[:, -1])


def _hidden(tau: float, decay: float) -> float:
    """Return v / |(u, v)| at the minimum with u > 0, or NaN if there is none."""
    theory = stationary_points(tau, decay)
    minima = theory.points[(theory.descents == 0) & (theory.points[:, 0] > 0)]
    return float(minima[0, 1] / np.linalg.norm(minima[0])) if len(minima) else float("nan")
