"""Losses beyond the paper's: Barlow Twins at lambda = .0051, VICReg-beta, spectral, InfoNCE.

Each is stated as a Problem, simulated by gradient descent and judged against S-21 ... S-24.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jssl import losses
from jssl.data import pairs, toy
from jssl.figures import draw_modes, new_figure
from jssl.models import linear
from jssl.optim import gradient_descent
from jssl.papers.claims import at_most, close
from jssl.papers.outcome import Part, Settings
from jssl.report.figure import Figure
from jssl.simulation import run
from jssl.theory import stepwise
from jssl.types import Array, Pairs, Problem


def _run(problem: Problem, steps: Any, key: Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return times, weights and losses of a linear problem."""

    def observe(params: dict[str, Array], data: Pairs) -> dict[str, Array]:
        za, zb = (problem.model.apply(params, view) for view in data[:2])
        return {"weight": params["weight"], "loss": problem.loss(za, zb)}

    trajectory = jax.jit(run(problem, steps, observe))(key)
    seen = {name: np.asarray(value) for name, value in trajectory.observables.items()}
    return np.asarray(trajectory.t), seen["weight"], seen["loss"]


def redundancy(settings: Settings) -> Part:
    """Judge the first plateau and its growth at the weight lambda = .0051 of practice."""
    weight, dim, rate = 0.0051, 4, 0.01
    spectrum = jnp.array([1.0, 0.5, 0.25, 0.12, 0.06])
    data = toy.pairs_with_cross_moment(spectrum)
    problem = Problem(
        pairs=pairs.fixed(data),
        model=linear(5, dim, scale=1e-8, dtype=jnp.float64),
        loss=losses.get("barlow_twins_linearized", redundancy=weight),
        optimiser=gradient_descent(rate),
    )
    key = jax.random.fold_in(jax.random.key(settings.seed), 4)
    steps = np.arange(0, 40_001, 100)
    t, weights, loss = _run(problem, steps, key)
    c = weights @ np.asarray(pairs.cross_moment(data)) @ weights.transpose(0, 2, 1)
    values = np.linalg.eigvalsh(c)[:, ::-1]
    level, plateau_loss, growth = stepwise.plateau(1, dim, weight)
    predicted = 8 * float(spectrum[1]) * float(growth)
    # On the plateau once the first mode has settled and while the second is below 1e-4: what it
    # moves is of that order.
    on = (t > 20) & (values[:, 1] < 1e-4)
    slope = np.polyfit(t[on], np.log(values[on, 1]), 1)[0]
    last = int(np.flatnonzero(on)[-1])
    source = "beyond Simon et al. 2023; S-21"
    claims = [
        close(
            "stepwise/lambda-plateau-level",
            "Barlow Twins at lambda = .0051, four outputs: the learned eigenvalue of C on the "
            "first plateau",
            source,
            float(level),
            values[last, 0],
            1e-3 * float(level),
        ),
        close(
            "stepwise/lambda-plateau-loss",
            "the loss on that plateau",
            source,
            float(plateau_loss),
            loss[last],
            1e-2 * float(plateau_loss),
        ),
        close(
            "stepwise/lambda-growth",
            "growth rate of the second eigenvalue on that plateau (a finite step slows it by half "
            "a step's growth, 2e-4 of it)",
            source,
            predicted,
            slope,
            1e-2 * predicted,
        ),
    ]
    figure, (left, right) = new_figure(2)
    draw_modes(left, t[1:], values[1:], label="simulation")
    left.axhline(float(level), color="black", linestyle="--", linewidth=1, label="theory")
    right.plot(t[1:], loss[1:], label="simulation")
    right.axhline(float(plateau_loss), color="black", linestyle="--", linewidth=1, label="theory")
    for ax, name in ((left, "eigenvalues of C"), (right, "loss")):
        ax.set(xscale="log", xlabel="effective time t = learning rate × step", ylabel=name)
        ax.legend(frameon=False)
    right.set_yscale("log")
    text = (
        "Barlow Twins with the weight .0051 of practice on a linear model with four outputs: one "
        "direction overshoots to 3.94 and the next grows 50 times more slowly than at weight one."
    )
    return Part(claims, [Figure("lambda", "A small off-diagonal weight", text, figure)])


def vicreg(settings: Settings) -> Part:
    """Judge squared-variance VICReg: the growth rate, the commuting closed form, the end state."""
    beta, dim, rate, scale = 0.6, 3, 1e-3, 1e-3
    data = _exact_pairs(jnp.array([1.6, 1.3, 0.7, 0.5]), jnp.array([1.4, 0.7, 0.5, 0.1]))
    second, cross = stepwise.centred_moments(data.first, data.second)
    key = jax.random.fold_in(jax.random.key(settings.seed), 5)
    problem = Problem(
        pairs=pairs.fixed(data),
        model=linear(4, dim, scale=scale, dtype=jnp.float64),
        loss=losses.get("vicreg_squared", invariance=beta),
        optimiser=gradient_descent(rate),
    )
    aligned = jnp.eye(dim, 4) * scale
    from_aligned = problem._replace(
        model=problem.model._replace(init=lambda _: {"weight": aligned})
    )
    t, weights, _ = _run(from_aligned, np.arange(0, 6001, 20), key)
    variances = jnp.diagonal(second)[:dim]
    matrix = stepwise.vicreg_matrix(second, cross, beta)
    growth = jnp.diagonal(matrix)[:dim]
    scales = np.asarray(stepwise.vicreg_scales(t, jnp.full(dim, scale), variances, growth))
    seen = np.abs(np.diagonal(weights, axis1=1, axis2=2))
    off = np.abs(seen - scales).max() / scales.max()
    # Euler's delay: 2 lr mu of the time, and the fastest scale changes by 4 mu max|s'|-wise
    # e^-1/2-like, at most 4 mu t_half x 2 lr mu / 2 of its height at its half time.
    mu = float(growth.max())
    half = np.log(1 / scale) / (4 * mu)
    allowed = 4 * mu * half * 2 * rate * mu
    end_time, ends, losses_seen = _run(problem, [60_000], key)
    del end_time
    final = stepwise.vicreg_final(second, cross, beta, dim)
    spectrum = np.sort(np.linalg.eigvalsh(ends[-1] @ np.asarray(second) @ ends[-1].T))[::-1]
    apart = np.abs(spectrum - np.sort(np.asarray(final.eigenvalues))[::-1]).max()
    source = "beyond Simon et al. 2023; S-22"
    claims = [
        at_most(
            "stepwise/vicreg-closed-form",
            "squared-variance VICReg, beta = .6, commuting moments: largest distance of a mode's "
            "scale from its closed form, relative; the delay of a finite step",
            source,
            allowed,
            off,
        ),
        at_most(
            "stepwise/vicreg-final-spectrum",
            "the same from a generic start: largest error of the final covariance eigenvalues "
            "t_j, M v = t Sigma v (converged: e^(-8 mu t) is below 1e-9)",
            source,
            1e-6,
            apart,
        ),
        close(
            "stepwise/vicreg-final-loss",
            "the same: final loss against d - sum of t_j^2",
            source,
            float(final.loss),
            losses_seen[-1],
            1e-6,
        ),
    ]
    return Part(claims, [])


def spectral(settings: Settings) -> Part:
    """Judge the spectral contrastive flow from any start: W^T W(t) at all times, large start."""
    dim, rate = 2, 2e-4
    cross = jnp.array([0.9, 0.6, 0.4, 0.2])
    data = _exact_pairs(jnp.ones(4), cross)
    key = jax.random.fold_in(jax.random.key(settings.seed), 6)
    problem = Problem(
        pairs=pairs.fixed(data),
        model=linear(4, dim, scale=0.8, dtype=jnp.float64),
        loss=losses.get("vicreg_squared", invariance=1.0),
        optimiser=gradient_descent(rate),
    )
    t, weights, _ = _run(problem, np.arange(0, 20_001, 500), key)
    gamma = stepwise.centred_moments(data.first, data.second).cross
    exact = np.asarray(
        jax.vmap(lambda time: stepwise.spectral_gram(time, jnp.asarray(weights[0]), gamma))(
            jnp.asarray(t)
        )
    )
    seen = weights.transpose(0, 2, 1) @ weights
    off = np.abs(seen - exact).max()
    # Euler's global error: (lr / 2) max|W''| integrated; rates up to 8, times of order 1: 32 lr.
    claim = at_most(
        "stepwise/spectral-any-start",
        "spectral contrastive loss on whitened data, from a start of order one: largest error of "
        "W^T W at all times against the safe closed form; order of the finite step",
        "beyond Simon et al. 2023; S-23",
        32 * rate,
        off,
    )
    return Part([claim], [])


def infonce(settings: Settings) -> Part:
    """Judge the first growth of unnormalised InfoNCE from a small start."""
    temperature, rate = 0.5, 0.01
    data = _exact_pairs(jnp.array([1.2, 0.7, 0.4]), jnp.array([1.0, 0.5, 0.2]))
    problem = Problem(
        pairs=pairs.fixed(data),
        model=linear(3, 2, scale=1e-6, dtype=jnp.float64),
        loss=losses.get("info_nce", score="dot", temperature=temperature),
        optimiser=gradient_descent(rate),
    )
    key = jax.random.fold_in(jax.random.key(settings.seed), 7)
    t, weights, _ = _run(problem, np.arange(0, 101, 10), key)
    moments = stepwise.centred_moments(data.first, data.second)
    values, vectors = np.linalg.eigh(np.asarray(moments.cross))
    along = np.sum((weights @ vectors[:, -1]) ** 2, axis=1)
    slope = np.polyfit(t, np.log(along), 1)[0]
    predicted = float(
        stepwise.infonce_growth(values[-1], temperature=temperature, learning_rate=rate)
    )
    # The next order of the expansion is |W|^2 / temperature, below 1e-4 while |W|^2 < 1e-5.
    claim = close(
        "stepwise/infonce-growth",
        "unnormalised dot-product InfoNCE near zero: growth rate of |W v_1|^2 under descent with "
        "a finite step",
        "beyond Simon et al. 2023; S-24",
        predicted,
        slope,
        1e-4 * predicted,
    )
    return Part([claim], [])


def _exact_pairs(second: Array, cross: Array) -> Pairs:
    """Return centred pairs with exact moments Sigma = diag(second), Gamma = diag(cross).

    Columns of sign patterns are orthogonal and of mean zero: the moments are exact, not sampled.
    """
    dim = len(second)
    rows = 1 << (2 * dim).bit_length()
    signs = np.array([[(-1.0) ** ((i & j).bit_count()) for j in range(rows)] for i in range(rows)])
    shared = signs[:, 1 : dim + 1] * np.sqrt((np.asarray(second) + np.asarray(cross)) / 2)
    own = signs[:, dim + 1 : 2 * dim + 1] * np.sqrt((np.asarray(second) - np.asarray(cross)) / 2)
    return Pairs(jnp.asarray(shared + own), jnp.asarray(shared - own))
