"""Phase diagrams: what the minimum holds and how often rows keep opposite signs."""

import numpy as np

from jssl.papers.claims import at_least
from jssl.papers.learnability import figures
from jssl.papers.learnability.judge import quantile
from jssl.papers.learnability.known import opposite
from jssl.papers.learnability.seeds import Design, Numbers
from jssl.papers.learnability.simulate import self_supervised
from jssl.papers.outcome import Part, Settings
from jssl.theory.learnability import safe_rate, stationary_points

STEPS = 1000  # signs are decided long before


def phases(settings: Settings) -> Part:
    """Draw both diagrams; judge that pairs need both samples and a minimum."""
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
    kept = np.array(
        [[_pairs(settings, dim, samples, seeds) for dim in dims] for samples in counts], float
    )
    few, most = kept[0].ravel(), kept[-1].ravel()
    error = ((few.var() + most.var()) / len(few)) ** 0.5
    claim = at_least(
        "learnability/more-samples",
        "more samples keep more pairs of opposite signs: n = 400 against n = 24, less the "
        "confidence limit",
        "beyond Yang et al. 2023",
        0.0,
        most.mean() - few.mean() - quantile(len(few)) * error,
    )
    drawn = figures.phases((taus, decays, hidden, pairs), (dims, counts, kept.mean(2)))
    return Part([claim], drawn)


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
    """Return v / |(u, v)| at the minimum with u > 0, NaN where there is none."""
    found = stationary_points(tau, decay)
    wells = found.points[(found.descents == 0) & (found.points[:, 0] > 0)]
    return float(wells[0, 1] / np.linalg.norm(wells[0])) if len(wells) else float("nan")
