r"""Data that are not Gaussian: a bound that still holds, and thresholds that change.

The data are four Gaussian classes in the plane. The coordinates are uncorrelated, but their squares
are correlated. If the first mode survives, the fourth-order term of the data couples it to the
second,

    L4 = Tr[Ka Kn] / 2 + Var(|W n|^2) / 8.

With cov(x_1^2, x_2^2) > 0 the second mode is lost at weaker augmentation than for Gaussian data,
and with cov(x_1^2, x_2^2) < 0 at stronger augmentation. InfoNCE is evaluated exactly: the mean over
negatives is a sum over classes, and the mean over anchors is a Gauss-Hermite sum.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular

from jssl.figures import new_figure
from jssl.papers.claims import at_least, close
from jssl.papers.landscape.common import source
from jssl.papers.outcome import Part, Settings
from jssl.papers.rivals import factors
from jssl.report.figure import Figure
from jssl.theory import landscape
from jssl.types import Array, Claim, Rival

WITHIN = 0.2
"""Variance of each class in each direction."""


class Mixture(NamedTuple):
    """Four Gaussian classes in the plane.

    Attributes:
        means: (4, 2) of the classes.
        shares: (4,) of the classes.
        correlation: of the squared coordinates, "positively" or "negatively".
    """

    means: np.ndarray
    shares: np.ndarray
    correlation: str


MIXTURES = {
    "squares-that-agree": Mixture(
        np.array([(1.8, 1.0), (-1.8, 1.0), (0.6, -0.5), (-0.6, -0.5)]),
        np.array([1, 1, 2, 2]) / 6,
        "positively",
    ),
    "squares-that-exclude-each-other": Mixture(
        np.array([(1.4, 0.0), (-1.4, 0.0), (0.0, 0.8), (0.0, -0.8)]),
        np.ones(4) / 4,
        "negatively",
    ),
}
"""Name of a mixture in the names of claims -> the mixture."""


class LostModes(NamedTuple):
    """Where the modes of a mixture are lost.

    Attributes:
        grid: (points,) augmentation strengths around the predicted loss of the second mode.
        squares: (points,) squared weight of the second mode.
        predicted: (2,) strengths at which the modes of Gaussian data are lost.
        first: strength at which the first mode is lost, over the predicted one.
        second: strength at which the second mode is lost, over the predicted one.
    """

    grid: np.ndarray
    squares: np.ndarray
    predicted: np.ndarray
    first: float
    second: float

    @property
    def resolution(self) -> float:
        """A quarter of a grid step, relative to the predicted strength of the second mode."""
        return 0.25 * (self.grid[1] - self.grid[0]) / self.predicted[1]


_NODES, _SHARES = np.polynomial.hermite_e.hermegauss(16)


def mixture_loss(weight: Array, means: Array, shares: Array, strength: Array) -> Array:
    """Return InfoNCE on a mixture; only positives are augmented, with covariance `strength` I."""
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
    """Test at which augmentation strengths the modes of two mixtures are lost."""
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
    for name, mixture in MIXTURES.items():
        means, shares, _ = mixture
        predicted = 2 * (shares @ means**2 + WITHIN)  # eigenvalues of B = A0 - C / 2 vanish
        grids = [np.linspace(0.5 * predicted[1], 1.3 * predicted[1], points)]
        grids.append(np.linspace(0.96 * predicted[0], 1.03 * predicted[0], 8))
        # One call for both grids compiles one program.
        squares = np.split(np.asarray(solve(means, shares, np.concatenate(grids))), [points])
        second, first = (
            _crossing(g, f[:, 1 - i]) for i, (g, f) in enumerate(zip(grids, squares, strict=True))
        )
        lost = LostModes(
            grids[0], squares[0][:, 1], predicted, first / predicted[0], second / predicted[1]
        )
        claims += _claims(name, mixture, lost)
        curves[name] = lost
    return Part([*claims, _bound(draws)], [_figure(curves)])


def _claims(name: str, mixture: Mixture, lost: LostModes) -> list[Claim]:
    means, shares, correlation = mixture
    coupling = float(shares @ (means[:, 0] ** 2 * means[:, 1] ** 2))
    coupling -= float((shares @ means[:, 0] ** 2) * (shares @ means[:, 1] ** 2))
    direction = np.sign(coupling)
    data = f"On a Gaussian mixture with {correlation} correlated squared coordinates,"
    ratio = (
        "The measured value is the strength at which the mode is lost, divided by the prediction "
        "for Gaussian data, 2 a with the variance a of the mode."
    )
    return [
        close(
            f"landscape/mixture-complete-{name}",
            f"{data} complete collapse occurs at the predicted augmentation strength.",
            source("L-9"),
            1,
            lost.first,
            2e-3,
            details=f"{ratio} The condition for complete collapse is exact for any data. The "
            "tolerance covers the extrapolation of the squared weight to zero.",
            rivals=factors(
                1.0, "noise on both views of a pair, c = a", "half the loss of a positive pair"
            ),
        ),
        at_least(
            f"landscape/mixture-side-{name}",
            f"{data} the second mode is lost at {'weaker' if direction > 0 else 'stronger'} "
            "augmentation than for Gaussian data.",
            source("L-9"),
            lost.resolution,
            float(direction * (1 - lost.second)),
            details="The measured value is the relative difference of the strength at which the "
            "second mode is lost from the prediction for Gaussian data, in the claimed direction. "
            "The bound is a quarter of a step of the grid of strengths.",
            rivals=[Rival("the threshold of Gaussian data", 0.0)],
        ),
        close(
            f"landscape/mixture-how-far-{name}",
            f"{data} the second mode is lost where the minimum with the first mode alone becomes "
            "stable.",
            f"Beyond {source('L-9')}",
            _stability(means, shares, lost.grid) / lost.predicted[1],
            lost.second,
            lost.resolution,
            details=f"{ratio} The predicted value is the strength at which the loss has zero "
            "curvature in the second mode at the minimum with the first mode alone, divided by "
            "the prediction for Gaussian data. The tolerance is a quarter of a step of the grid.",
            rivals=[Rival("the threshold of Gaussian data", 1.0)],
        ),
    ]


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
    """Return the strength at which the curvature in the second mode changes its sign."""
    return float(np.interp(0, np.asarray(_curvatures(means, shares, grid)), grid))


def _crossing(grid: np.ndarray, squares: np.ndarray) -> float:
    """Return the strength at which w^2 reaches zero, by linear extrapolation."""
    last = np.flatnonzero(squares > 1e-3)[-1]
    (x0, x1), (y0, y1) = grid[last - 1 : last + 1], squares[last - 1 : last + 1]
    return float(x1 + (x1 - x0) * y1 / (y0 - y1))


def _bound(draws: np.random.Generator) -> Claim:
    """Test the lower bound of L-9 on data with heavy tails."""
    samples = draws.standard_t(2, (100, 3, 60, 3))
    sizes = np.geomspace(0.03, 3, 4)[:, None, None]
    weights = sizes * draws.normal(size=(4, 2, 3))

    @jax.jit
    def violations(samples: Array) -> tuple[Array, Array]:
        checks = jax.vmap(lambda x: landscape.check_bound(weights, *x))(samples)
        return checks.violations.sum(), (checks.quartic_ratio < 1).sum()

    below, below_quartic = violations(samples)

    return close(
        "landscape/bound",
        "On data with heavy tails, InfoNCE is never smaller than the quadratic term of its "
        "expansion at zero weights.",
        source("L-9"),
        0,
        int(below),
        0,
        details="The data are samples of Student's t distribution with 2 degrees of freedom. The "
        "measured value is the number of violations among 400 pairs of a sample and a weight.",
        rivals=[Rival("the expansion up to fourth order is a bound too", int(below_quartic))],
    )


def _figure(curves: dict[str, LostModes]) -> Figure:
    figure, axes = new_figure(2, width=4.2)
    for ax, (name, lost) in zip(axes, curves.items(), strict=True):
        strengths = lost.grid / lost.predicted[1]
        ax.plot(strengths, lost.squares, "o-", ms=4, color="#d55e00", label="minimisation")
        ax.axvline(1, color="black", linestyle="--", linewidth=1, label="Gaussian prediction")
        title = f"{MIXTURES[name].correlation} correlated squares: lost at {lost.second:.2f}"
        ax.set(title=title, xlabel="augmentation strength / Gaussian prediction")
        ax.title.set_size(10)
    axes[0].set_ylabel("squared weight of the second mode")
    axes[0].legend(loc="upper right", framealpha=1, edgecolor="none")
    text = (
        "Squared weight of the second mode against augmentation strength on two mixtures of four "
        "classes. If the squared coordinates are positively correlated, the mode is lost at weaker "
        "augmentation than for Gaussian data (dashed); if negatively, at stronger augmentation."
    )
    return Figure("mixture", "Thresholds of data that are not Gaussian", text, figure)
