r"""Where data are not Gaussian: the bound that still holds, and how far decoupled modes mislead.

Four Gaussian classes in the plane, uncorrelated, but with correlated squares. Once the first mode
is held, the quartic of the data couples it to the second,

    L4 = Tr[Ka Kn] / 2 + Var(|W n|^2) / 8,

so that cov(x_1^2, x_2^2) > 0 loses the second mode early and < 0 late. InfoNCE is evaluated
exactly: the mean over negatives is a sum over classes, that over anchors a Gauss-Hermite sum.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular

from jssl.figures import new_figure
from jssl.papers.claims import at_least, close
from jssl.papers.landscape.common import SOURCE
from jssl.papers.outcome import Part, Settings
from jssl.report.figure import Figure
from jssl.theory import landscape
from jssl.types import Array

WITHIN = 0.2
"""Variance of each class in each direction."""

MIXTURES = {
    "squares that agree": (
        np.array([(1.8, 1.0), (-1.8, 1.0), (0.6, -0.5), (-0.6, -0.5)]),
        np.array([1, 1, 2, 2]) / 6,
    ),
    "squares that exclude each other": (
        np.array([(1.4, 0.0), (-1.4, 0.0), (0.0, 0.8), (0.0, -0.8)]),
        np.ones(4) / 4,
    ),
}

_NODES, _SHARES = np.polynomial.hermite_e.hermegauss(16)


def mixture_loss(weight: Array, means: Array, shares: Array, strength: Array) -> Array:
    """Return InfoNCE on a mixture, clean anchors and negatives, augmentation `strength` I."""
    nodes = np.stack(np.meshgrid(_NODES, _NODES), -1).reshape(-1, 2) * np.sqrt(WITHIN)
    masses = np.outer(_SHARES, _SHARES).ravel() / _SHARES.sum() ** 2
    anchors = (means[:, None] + nodes).reshape(-1, 2) @ weight.T
    factor = jnp.linalg.cholesky(jnp.eye(len(weight)) + WITHIN * weight @ weight.T)
    whiten = solve_triangular(factor, jnp.eye(len(weight)), lower=True)
    apart = (anchors[:, None] - means @ weight.T) @ whiten.T
    logs = jax.nn.logsumexp(-jnp.sum(apart**2, -1) / 2, axis=1, b=shares)
    mean = jnp.sum((shares[:, None] * masses).ravel() * logs)
    return strength * jnp.sum(weight**2) / 2 + mean - jnp.sum(jnp.log(jnp.diagonal(factor)))


def thresholds(settings: Settings) -> Part:
    """Find where the second and the first mode are lost on mixtures, by minimisation."""
    points = {"quick": 20, "paper": 60, "large": 120}[settings.scale]
    draws = settings.generator(10)
    starts = 0.5 * draws.normal(size=(3, 2, 2))

    @jax.jit
    def solve(means: Array, shares: Array, strengths: Array) -> Array:
        def one(strength: Array) -> Array:
            ends = jax.vmap(
                lambda w: landscape.minimise(
                    mixture_loss, w, means, shares, strength, tolerance=1e-9
                )
            )(starts)
            best = ends.point[jnp.argmin(ends.value)]
            return jnp.linalg.eigvalsh(best.T @ best)[::-1]

        return jax.lax.map(one, strengths, batch_size=4)

    claims, curves = [], {}
    for name, (means, shares) in MIXTURES.items():
        moments = shares @ means**2 + WITHIN
        predicted = 2 * moments  # of B = A0 - C / 2, first and second mode
        coupling = float(shares @ (means[:, 0] ** 2 * means[:, 1] ** 2))
        coupling -= float((shares @ means[:, 0] ** 2) * (shares @ means[:, 1] ** 2))
        grids = [np.linspace(0.5 * predicted[1], 1.3 * predicted[1], points)]
        grids.append(np.linspace(0.96 * predicted[0], 1.03 * predicted[0], 8))
        # Both grids at once: one program.
        found = np.split(np.asarray(solve(means, shares, np.concatenate(grids))), [points])
        lost = [
            _crossing(g, f[:, 1 - i]) for i, (g, f) in enumerate(zip(grids, found, strict=True))
        ]
        second, first = lost[0] / predicted[1], lost[1] / predicted[0]
        resolution = 0.25 * (grids[0][1] - grids[0][0]) / predicted[1]
        short = name.replace(" ", "-")
        direction = np.sign(coupling)
        claims += [
            close(
                f"landscape/mixture-complete-{short}",
                f"mixture, {name}: strength at which the last mode is lost, over 2 a_1; complete "
                "collapse is exact for any data (extrapolated over a hundredth)",
                f"{SOURCE}; L-9",
                1,
                first,
                2e-3,
            ),
            at_least(
                f"landscape/mixture-side-{short}",
                f"mixture, {name}: strength at which the second mode is lost over the decoupled "
                f"2 a_2; how far it is {'below' if direction > 0 else 'above'} 1, the side that "
                "cov(x_1^2, x_2^2) says, by more than the resolution",
                f"{SOURCE}; L-9",
                resolution,
                float(direction * (1 - second)),
            ),
            close(
                f"landscape/mixture-how-far-{short}",
                "the same ratio, against the strength at which the second mode grows no more out "
                "of the minimum with the first alone (curvature of the loss on these data); a "
                "quarter of a grid step",
                f"beyond {SOURCE}; L-9",
                _stability(means, shares, grids[0]) / predicted[1],
                second,
                resolution,
            ),
        ]
        curves[name] = (grids[0], found[0][:, 1], predicted[1], second)
    return Part([*claims, *_bound(draws)], [_figure(curves)])


@jax.jit
def _curvatures(means: Array, shares: Array, strengths: Array) -> Array:
    def alone(first: Array, second: Array, strength: Array) -> Array:
        weight = jnp.diag(jnp.stack([first[0], second]))
        return mixture_loss(weight, means, shares, strength)

    def one(strength: Array) -> Array:
        end = landscape.minimise(alone, jnp.full(1, 0.7), 0.0, strength, tolerance=1e-9)
        return jax.hessian(lambda second: alone(end.point, second, strength))(0.0)

    return jax.lax.map(one, strengths)


def _stability(means: np.ndarray, shares: np.ndarray, grid: np.ndarray) -> float:
    """Return the strength at which the second mode no longer grows out of the first alone."""
    return float(np.interp(0, np.asarray(_curvatures(means, shares, grid)), grid))


def _crossing(grid: np.ndarray, squares: np.ndarray) -> float:
    """Return where w^2, linear near its threshold, reaches 0."""
    last = np.flatnonzero(squares > 1e-3)[-1]
    (x0, x1), (y0, y1) = grid[last - 1 : last + 1], squares[last - 1 : last + 1]
    return float(x1 + (x1 - x0) * y1 / (y0 - y1))


def _bound(draws: np.random.Generator) -> list:
    """Try to fall below the bound of L-9 with heavy tails."""
    samples = draws.standard_t(2, (100, 3, 60, 3))
    sizes = np.geomspace(0.03, 3, 4)[:, None, None]
    weights = sizes * draws.normal(size=(4, 2, 3))

    @jax.jit
    def violations(samples: Array) -> Array:
        return jax.vmap(lambda x: landscape.check_bound(weights, *x).violations)(samples).sum()

    return [
        close(
            "landscape/bound",
            "InfoNCE on Student-t samples of 2 degrees of freedom: cases among 400 in which the "
            "loss is below its quadratic part",
            f"{SOURCE}; L-9",
            0,
            int(violations(samples)),
            0,
        )
    ]


def _figure(curves: dict) -> Figure:
    figure, axes = new_figure(2, width=4.2)
    for ax, (name, (grid, squares, predicted, ratio)) in zip(axes, curves.items(), strict=True):
        ax.plot(grid / predicted, squares, "o-", ms=4, color="#d55e00", label="minimised")
        ax.axvline(1, color="black", linestyle="--", linewidth=1, label="decoupled prediction")
        ax.set(title=f"{name}: lost at {ratio:.2f}", xlabel="augmentation over 2 a of the mode")
        ax.title.set_size(10)
    axes[0].set_ylabel("squared weight of the second mode")
    axes[0].legend(loc="upper right", framealpha=1, edgecolor="none")
    text = (
        "Squared weight of the second mode against augmentation on two mixtures of four classes. "
        "Where large first and second coordinates come together it is lost before the decoupled "
        "prediction (dashed), where they exclude each other after it."
    )
    return Figure("mixture", "Data that are not Gaussian couple the modes", text, figure)
