"""How the minimum moves with noise and samples, and what several rows do."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import comb

from jssl.papers.claims import at_least, at_most, close
from jssl.papers.learnability import figures
from jssl.papers.learnability.judge import (
    SOURCE,
    quantile,
    same_mean,
    same_share,
    sizes,
)
from jssl.papers.learnability.known import BASE, base_certificate
from jssl.papers.learnability.seeds import Design, Numbers, draw
from jssl.papers.learnability.simulate import self_supervised
from jssl.papers.outcome import Part, Settings
from jssl.theory.learnability import (
    StationaryPoints,
    duplicate_probability,
    expected_loss,
    minimum,
    noise_shift,
    noisy_minimum,
    safe_rate,
    sampling_law,
    stationary_points,
)
from jssl.types import Array

NOISES = (0.05, 0.1, 0.15)


def noise(settings: Settings) -> Part:
    """Judge the shift that view noise causes, in pairs of runs with it and without it.

    Two dimensions, so that no orthogonal coordinate adds to the norm that scales the noise. Allowed
    beyond sampling error: 5 % for the sample's own cells.
    """
    seeds = max(10, sizes(settings).seeds // 8)
    keys = jnp.tile(settings.keys(seeds, 10), len(NOISES))
    levels = np.repeat(NOISES, seeds)

    def ends(on: float, correlation: float) -> np.ndarray:
        design = Design(100, 2, start="near", data="balanced", correlation=correlation)
        numbers = Numbers(noise=levels, view_noise=levels * on)
        weight = self_supervised(keys, [0, 6000], design, numbers)[:, -1]
        return _folded(weight).mean(1).reshape(len(NOISES), seeds, 2)

    still = ends(0.0, 0.0)
    shifts, mirrored = ends(1.0, 0.0) - still, ends(1.0, -1.0) - still
    moved = [_moved(level) for level in NOISES]
    claims = [
        same_mean(
            f"learnability/view-shift-{level}",
            f"independent view noise of {level} moves u by the predicted amount",
            move[0],
            shift[:, 0],
            bias=0.05 * abs(move[0]),
        )
        for level, move, shift in zip(NOISES, moved, shifts, strict=True)
    ]
    against = _moved(NOISES[-1], correlation=-1.0)
    seen, exact = np.linalg.norm(shifts, axis=-1), np.linalg.norm(moved, axis=-1)
    tiny = 0.01
    both = noisy_minimum(BASE.tau, BASE.decay, tiny) - minimum(BASE.tau, BASE.decay)
    view = noisy_minimum(BASE.tau, BASE.decay, 0.0, view_noise=tiny) - minimum(BASE.tau, BASE.decay)
    covered = base_certificate()
    claims += [
        same_mean(
            "learnability/mirrored-views",
            f"view noise of correlation -1 and size {NOISES[-1]} moves u by the predicted amount",
            against[0],
            mirrored[-1, :, 0],
            source="setting of Meng & Wang 2024, arXiv 2406.06909",
            bias=0.05 * abs(against[0]),
        ),
        same_mean(
            "learnability/view-shift-exponent",
            "the shift grows as rho^2, less the predicted bend at these rho",
            float(np.polyfit(np.log(NOISES), np.log(exact), 1)[0]),
            np.polyfit(np.log(NOISES), np.log(seen), 1)[0],
            bias=0.05,
        ),
        close(
            "learnability/view-shift-coefficient",
            "view noise alone moves u by 2.5 rho^2 (rho = .01; the next order is rho^2 of it)",
            SOURCE + " N-3, restated",
            noise_shift(BASE.tau, BASE.decay, sample=0.0)[0],
            view[0] / tiny**2,
            0.02,
        ),
        close(
            "learnability/shift-coefficient",
            "sample and view noise together move the minimum by 4.9 rho^2",
            SOURCE + " N-3, restated",
            float(np.linalg.norm(noise_shift(BASE.tau, BASE.decay))),
            float(np.linalg.norm(both)) / tiny**2,
            0.02,
        ),
        at_most(
            "learnability/noise-certificate",
            "the noise of the base case is covered by N-3: the error of the gradient on its ball "
            "is within the radius that it covers",
            SOURCE + " N-3",
            covered.covered,
            covered.noise_error,
        ),
        at_most(
            "learnability/noise-certificate-holds",
            "and the minimum with noise lies in the certified ball",
            SOURCE + " N-3",
            covered.radius,
            float(np.linalg.norm(noisy_minimum(BASE.tau, BASE.decay, BASE.noise) - covered.point)),
        ),
    ]
    return Part(claims, figures.shifts(NOISES, seen, exact))


def _moved(level: float, correlation: float = 0.0) -> np.ndarray:
    """Return how far view noise of this size moves the minimum, in (u, v)."""
    with_views = noisy_minimum(BASE.tau, BASE.decay, level, correlation=correlation)
    return with_views - noisy_minimum(BASE.tau, BASE.decay, level, view_noise=0.0)


def sampling(settings: Settings) -> Part:
    """Judge the 1/sqrt(n) law of the minimum of a sample; n = 100 is outside N-3's ball."""
    seeds, counts = 4 * sizes(settings).predicted, (100, 400, 1600)
    target = noisy_minimum(BASE.tau, BASE.decay, BASE.noise)
    law = sampling_law(BASE.tau, BASE.decay, noise=BASE.noise, dim=10)
    off = [sample_minima(settings.keys(seeds, 11), count)[:, :2] - target for count in counts]
    squares = [(o**2).sum(1) for o in off]
    kept = [square[np.isfinite(square)] for square in squares]
    spread = np.sqrt([square.mean() for square in kept])
    errors = np.array([s.std(ddof=1) / (2 * s.mean() * len(s) ** 0.5) for s in kept])
    logs = np.log(counts[1:]) - np.mean(np.log(counts[1:]))
    slope = logs @ np.log(spread[1:]) / (logs @ logs)
    slope_error = float(np.linalg.norm(logs * errors[1:]) / (logs @ logs))
    found = base_certificate()
    claims = [
        close(
            "learnability/sampling-exponent",
            "the distance of a sample's minimum from the population's falls as n^(-1/2), n >= 400; "
            "allowed beyond sampling error: the next order, 1 / sqrt(400)",
            SOURCE,
            -0.5,
            slope,
            quantile(seeds) * slope_error + 0.05,
        ),
        close(
            "learnability/sampling-coefficient",
            "and its root mean square times sqrt(n) is that of H^-1 S H^-1, at n = 1600",
            SOURCE,
            law.shift,
            spread[-1] * counts[-1] ** 0.5,
            law.shift * (quantile(seeds) * errors[-1] + 2 / counts[-1] ** 0.5),
        ),
        at_least(
            "learnability/outside-certificate",
            "n = 100 lies outside the strict ball of the inverse function theorem",
            SOURCE + " N-3",
            found.covered_full,
            found.sampling_error,
        ),
    ]
    return Part(claims, figures.sampling(counts, spread, law.shift))


def sample_minima(keys: Array, samples: int) -> np.ndarray:
    """Return the minimum (seeds, d) with u > 0 of the noise-averaged N-1 on each data set.

    Newton's method from the population's minimum; NaN where that does not end in one with u > 0.
    """
    start = np.zeros(10)
    start[:2] = noisy_minimum(BASE.tau, BASE.decay, BASE.noise)
    blocks = [keys[k : k + 128] for k in range(0, len(keys), 128)]
    data = (jnp.asarray(draw(block, Design(samples=samples), BASE).x) for block in blocks)
    return np.concatenate([np.asarray(_newton(x, jnp.asarray(start, x.dtype))) for x in data])


@jax.jit
def _newton(data: Array, start: Array) -> Array:
    def one(x: Array) -> Array:
        def objective(row: Array) -> Array:
            return expected_loss(row, x, noise=BASE.view_noise, decay=BASE.decay)

        def step(_: Any, state: tuple[Array, ...]) -> tuple[Array, ...]:
            row, _, _ = state
            hessian = jax.hessian(objective)(row)
            move = jnp.linalg.solve(hessian, jax.grad(objective)(row))
            return row - move, jnp.linalg.eigvalsh(hessian)[0], jnp.linalg.norm(move)

        zero = jnp.zeros((), start.dtype)
        row, lowest, move = jax.lax.fori_loop(0, 9, step, (start, zero, zero))
        return jnp.where((lowest > 0) & (row[0] > 0) & (move < 1e-8), row, jnp.nan)

    return jax.lax.map(one, data, batch_size=8)


def duplicates(settings: Settings) -> Part:
    """Judge 2^(1-m) on the population, and that a finite sample raises it.

    Rows decouple: given the data they are independent, so of `many` rows with k positive ones,
    (k over m) + (many - k over m), over (many over m), estimates the chance of m duplicates.
    """
    seeds, ms, many = sizes(settings).cheap, range(2, 7), 16
    population = Design(4, rows=6, start="random", data="centres")
    positive = _positive(settings, 12, seeds, population)
    exact = {m: np.asarray(positive[:, :m].all(1) | ~positive[:, :m].any(1), float) for m in ms}
    few = Design(48, rows=many, start="random", step="mean")
    ups = _positive(settings, 14, seeds, few).sum(1)
    drawn = {m: (comb(ups, m) + comb(many - ups, m)) / comb(many, m) for m in ms}
    least = quantile(len(ups)) * drawn[2].std(ddof=1) / len(ups) ** 0.5
    claims = [
        same_share(
            f"learnability/duplicates-{m}",
            f"{m} rows of random sign all duplicate one another with probability 2^{1 - m}, on the "
            "cell centres with fresh view noise",
            duplicate_probability(m),
            exact[m],
        )
        for m in ms
    ]
    claims.append(
        at_least(
            "learnability/duplicates-of-a-sample",
            "48 drawn samples tilt all rows one way: the chance that 2 rows duplicate, less its "
            "confidence limit, is above 1/2",
            "beyond Yang et al. 2023",
            duplicate_probability(2),
            drawn[2].mean() - least,
        )
    )
    return Part(claims, figures.duplicates({"population": exact, "n = 48": drawn}))


def minima(settings: Settings) -> Part:
    """Judge that descent ends in the computed minima for any (tau, alpha).

    The learning rate is that of the largest curvature. The slowest rate is that of a Hessian, or
    2 decay where the activation is saturated; in log(10 / tolerance) over it a distance of at most
    10 falls to the tolerance, and twice that is run.
    """
    taus, decays, tolerance = (1.0, 2.0, 4.0, 7.0, 10.0), (1 / 800, 1 / 200, 1 / 70), 0.01
    grid = [(tau, decay) for tau in taus for decay in decays]
    found = [stationary_points(*pair) for pair in grid]
    rates = np.array([safe_rate(*pair) for pair in grid])
    steps = max(
        settling_steps(f, rate, decay, tolerance)
        for f, rate, (_, decay) in zip(found, rates, grid, strict=True)
    )
    tau, decay, rate = (np.repeat(v, 4) for v in (*np.transpose(grid), rates))
    ends = self_supervised(
        settings.keys(4 * len(grid), 13),
        [0, steps],
        Design(4, 2, data="centres", step="mean"),
        Numbers(tau=tau, decay=decay, view_noise=0.0, rate=rate),
    )[:, -1]
    apart = [
        _nearest(rows.reshape(-1, 2), f.points[f.descents == 0])
        for rows, f in zip(ends.reshape(len(grid), 8, 2), found, strict=True)
    ]
    claim = at_most(
        "learnability/all-minima",
        "on the cell centres every row ends in a computed minimum, for 15 pairs (tau, alpha)",
        SOURCE + " N-2",
        tolerance,
        float(np.max(apart)),
    )
    return Part([claim], figures.basins(BASE.tau, BASE.decay))


def settling_steps(found: StationaryPoints, rate: float, decay: float, tolerance: float) -> int:
    """Return the steps after which descent is within the tolerance of a minimum; see `minima`."""
    slowest = min(np.linalg.eigvalsh(found.hessians[found.descents == 0]).min(), 2 * decay)
    return int(2 * np.log(10 / tolerance) / (rate * slowest))


def _positive(settings: Settings, purpose: int, seeds: int, design: Design) -> np.ndarray:
    keys = settings.keys(seeds, purpose)
    return self_supervised(keys, [0, 1000], design)[:, -1, :, 0] > 0


def _nearest(rows: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return how far each row is from the nearest of the points."""
    return np.linalg.norm(rows[:, None] - points, axis=-1).min(1)


def _folded(weight: np.ndarray) -> np.ndarray:
    """Return (|u|, v) of every row."""
    return np.stack([np.abs(weight[..., 0]), weight[..., 1]], -1).astype(float)
