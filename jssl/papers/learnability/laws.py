"""Minima without noise, their distance from the minima of samples, and duplicate rows."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import comb

from jssl.papers.claims import at_least, at_most, close
from jssl.papers.learnability import figures
from jssl.papers.learnability.base import BASE, base_certificate
from jssl.papers.learnability.seeds import Design, Numbers, draw
from jssl.papers.learnability.simulate import self_supervised
from jssl.papers.learnability.statistical import (
    SOURCE,
    quantile,
    same_mean,
    sizes,
)
from jssl.papers.outcome import Part, Settings
from jssl.papers.rivals import factors, powers
from jssl.single_use import compile_for_many_steps
from jssl.theory.learnability import (
    StationaryPoints,
    duplicate_probability,
    expected_loss,
    noisy_minimum,
    safe_rate,
    sampling_law,
    stationary_points,
)
from jssl.types import Array, Rival


def sampling(settings: Settings) -> Part:
    """Test how far the minimum of a sample is from that of the population.

    The distance decreases as n^(-1/2). With n = 100, it is outside the ball that the inverse
    function theorem certifies.
    """
    seeds, counts = 4 * sizes(settings).predicted, (100, 400, 1600)
    target = noisy_minimum(BASE.tau, BASE.decay, BASE.noise)
    law = sampling_law(BASE.tau, BASE.decay, noise=BASE.noise, dim=10)
    shifts = [sample_minima(settings.keys(seeds, 11), count)[:, :2] - target for count in counts]
    squares = [(shift**2).sum(1) for shift in shifts]
    finite = [square[np.isfinite(square)] for square in squares]
    spread = np.sqrt([square.mean() for square in finite])
    errors = np.array([s.std(ddof=1) / (2 * s.mean() * len(s) ** 0.5) for s in finite])
    logs = np.log(counts[1:]) - np.mean(np.log(counts[1:]))
    slope = logs @ np.log(spread[1:]) / (logs @ logs)
    slope_error = float(np.linalg.norm(logs * errors[1:]) / (logs @ logs))
    theorem = base_certificate()
    claims = [
        close(
            "learnability/sampling-exponent",
            "The distance between the minimum of n samples and that of the population decreases as "
            "n^(-1/2).",
            SOURCE,
            -0.5,
            slope,
            quantile(seeds) * slope_error + 0.05,
            details="The measured value is the exponent of the root-mean-square distance from "
            f"n = {counts[1]} to n = {counts[-1]}, over {seeds} samples. The tolerance is "
            f"{quantile(seeds):.1f} standard errors plus 0.05 for the next order, "
            f"1 / sqrt({counts[1]}).",
            rivals=powers(0, -1),
            standard_error=slope_error,
        ),
        close(
            "learnability/sampling-coefficient",
            "The root-mean-square distance between the minimum of n samples and that of the "
            "population has the predicted size.",
            SOURCE,
            law.shift,
            spread[-1] * counts[-1] ** 0.5,
            law.shift * (quantile(seeds) * errors[-1] + 2 / counts[-1] ** 0.5),
            details=f"The measured value is the distance at n = {counts[-1]} times sqrt(n). The "
            "prediction comes from the covariance H^-1 S H^-1 with the Hessian H and the "
            "covariance S of the gradient. The tolerance is "
            f"{quantile(seeds):.1f} standard errors plus the next order, 2 / sqrt(n).",
            rivals=factors(
                law.shift, "four times as many samples count", "only one of the four cells counts"
            ),
            standard_error=law.shift * errors[-1],
        ),
        at_least(
            "learnability/outside-certificate",
            "The 100 samples of the paper are too few for the inverse function theorem to certify "
            "the minimum.",
            f"{SOURCE}, inverse function theorem",
            theorem.covered_full,
            theorem.sampling_error,
            details="The measured value is the error of the gradient due to sampling. The bound is "
            "the largest error for which the theorem guarantees a minimum in the certified ball.",
            rivals=[Rival("the minimum of the sample is that of the population", 0.0)],
        ),
    ]
    return Part(claims, figures.sampling(counts, spread, law.shift))


def sample_minima(keys: Array, samples: int) -> np.ndarray:
    """Return the minimum (seeds, d) with u > 0 of the noise-averaged loss on each data set.

    Newton's method starts from the minimum of the population. The result is NaN if it does not
    reach a minimum with u > 0.
    """
    start = np.zeros(10)
    start[:2] = noisy_minimum(BASE.tau, BASE.decay, BASE.noise)
    blocks = [keys[k : k + 128] for k in range(0, len(keys), 128)]
    data = (jnp.asarray(draw(block, Design(samples=samples), BASE).x) for block in blocks)
    return np.concatenate([np.asarray(_newton(x, jnp.asarray(start, x.dtype))) for x in data])


@compile_for_many_steps
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
    """Test the probability 2^(1-m) on the population, and that a finite sample increases it.

    Given the data, rows are independent. From `many` rows of which k are positive, the probability
    that m rows are duplicates is estimated by [(k over m) + (many - k over m)] / (many over m).
    """
    seeds, ms, many = sizes(settings).cheap, range(2, 7), 28
    population = Design(4, many, many, start="random", data="centres")
    few = Design(48, rows=many, start="random", step="mean")
    exact, sampled = (
        {m: (comb(rows, m) + comb(many - rows, m)) / comb(many, m) for m in ms}
        for rows in (
            _positive(settings, 12, seeds, population).sum(1),
            _positive(settings, 14, seeds, few).sum(1),
        )
    )
    error = sampled[2].std(ddof=1) / seeds**0.5
    claims = [
        same_mean(
            f"learnability/duplicates-{m}",
            f"Without sample noise, {m} weight rows of random initial sign all end at one minimum "
            f"with probability 1/{2 ** (m - 1)}.",
            duplicate_probability(m),
            exact[m],
            details="The samples are the centres of the four cells, with view noise drawn anew at "
            f"every step. The probability is estimated from {many} rows of each seed.",
            rivals=factors(
                duplicate_probability(m), "one sign only, 2^-m", "one row fewer, 2^(2-m)"
            ),
        )
        for m in ms
    ]
    claims.append(
        at_least(
            "learnability/duplicates-of-a-sample",
            "On a finite sample, two weight rows of random initial sign end at one minimum with "
            "probability above 1/2.",
            "Beyond Yang et al. 2023",
            duplicate_probability(2) + quantile(seeds) * error,
            sampled[2].mean(),
            details="Unequal cells of a sample favour one sign for all rows. The measured value is "
            f"the probability for {few.samples} samples, over {seeds} seeds. The bound is "
            f"{quantile(seeds):.1f} standard errors above 1/2.",
            rivals=[Rival("1/2, as for the population", duplicate_probability(2))],
            standard_error=error,
        )
    )
    return Part(
        claims, figures.duplicates({"population": exact, f"{few.samples} samples": sampled})
    )


def minima(settings: Settings) -> Part:
    """Test that gradient descent ends in the computed minima for a grid of (tau, decay).

    The learning rate follows from the largest curvature. The slowest rate is that of a Hessian, or
    2 decay where the activation is saturated. A distance of 10 decreases to the tolerance in time
    log(10 / tolerance) / rate, and the runs last twice as long.
    """
    taus, decays, tolerance = (1.0, 2.0, 4.0, 7.0, 10.0), (1 / 800, 1 / 200, 1 / 70), 0.01
    grid = [(tau, decay) for tau in taus for decay in decays]
    theory = [stationary_points(*pair) for pair in grid]
    rates = np.array([safe_rate(*pair) for pair in grid])
    steps = max(
        settling_steps(f, rate, decay, tolerance)
        for f, rate, (_, decay) in zip(theory, rates, grid, strict=True)
    )
    tau, decay, rate = (np.repeat(v, 4) for v in (*np.transpose(grid), rates))
    ends = self_supervised(
        settings.keys(4 * len(grid), 13),
        [0, steps],
        Design(4, 2, data="centres", step="mean"),
        Numbers(tau=tau, decay=decay, view_noise=0.0, rate=rate),
    )[:, -1]
    distances = [
        nearest(rows.reshape(-1, 2), f.points[f.descents == 0])
        for rows, f in zip(ends.reshape(len(grid), 8, 2), theory, strict=True)
    ]
    base = stationary_points(BASE.tau, BASE.decay)
    rival = nearest(ends.reshape(-1, 2), base.points[base.descents == 0])
    claim = at_most(
        "learnability/all-minima",
        "Without noise, every weight row ends in a computed minimum, for all tested strengths of "
        "the hidden feature and of weight decay.",
        f"{SOURCE}, self-supervised objective",
        tolerance,
        float(np.max(distances)),
        details="The samples are the centres of the four cells. The measured value is the largest "
        f"distance to the nearest minimum after {steps:,} steps, over {len(grid)} pairs of tau and "
        "weight decay with 4 runs each.",
        rivals=[Rival("the minima of the paper's tau and weight decay for all", rival.max())],
    )
    return Part([claim], figures.basins(BASE.tau, BASE.decay))


def settling_steps(points: StationaryPoints, rate: float, decay: float, tolerance: float) -> int:
    """Return the steps after which descent is within the tolerance of a minimum, see `minima`."""
    slowest = min(np.linalg.eigvalsh(points.hessians[points.descents == 0]).min(), 2 * decay)
    return int(2 * np.log(10 / tolerance) / (rate * slowest))


def _positive(settings: Settings, purpose: int, seeds: int, design: Design) -> np.ndarray:
    keys = settings.keys(seeds, purpose)
    return self_supervised(keys, [0, 1000], design)[:, -1, :, 0] > 0


def nearest(rows: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the distance of each row to the nearest of the points."""
    return np.linalg.norm(rows[:, None] - points, axis=-1).min(1)
