"""Which of two features one unit learns, by descent on the population loss of the unit."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jssl.figures import new_figure
from jssl.papers.claims import close
from jssl.papers.highdim.passes import source
from jssl.papers.outcome import Part, Settings
from jssl.report.figure import Figure
from jssl.theory import highdim
from jssl.theory.highdim import OnePass, rademacher, three_points
from jssl.types import Array, Rival

SETTING = OnePass(rademacher(1.0), noise=1.0, correlation=0.0, decay=0.1)
SCALE = 0.05


def selection(settings: Settings) -> Part:
    """Test the angle of the start that separates the basins of two features."""
    del settings
    dense, sparse = rademacher(1.0), three_points(1.0, 0.5)
    predicted = highdim.selection_angle(dense, sparse)
    both = highdim.two_features(dense, sparse, SETTING)
    angles = np.array([20.0, 50.0, 54.0, 55.5, 60.0, 80.0])
    paths = np.stack([_path(both, angle) for angle in angles])
    low, high = 30.0, 80.0
    while high - low > 0.05:
        middle = (low + high) / 2
        end = _path(both, middle)[-1]
        low, high = (middle, high) if abs(end[0]) > abs(end[1]) else (low, middle)
    claim = close(
        "highdim/selection",
        "The start at which a unit changes from a dense to a sparse feature is set by their "
        "kurtoses.",
        source("I-35"),
        predicted,
        (low + high) / 2,
        0.2,
        details="Signals of two and of three points with one second moment. Descent on the "
        "population loss of the unit without view noise from a small overlap; the angle in degrees "
        "is found by bisection to 0.05. The tolerance is for this and for the size of the start.",
        rivals=(Rival("The kurtosis does not matter", 45.0),),
    )
    figure, (ax,) = new_figure(1)
    for angle, path in zip(angles, paths, strict=True):
        ax.plot(path[:, 0], path[:, 1], lw=1, label=f"{angle:g} degrees")
    largest = float(paths.max())
    edge = largest * np.array([0, 1 / np.tan(np.radians(predicted))])
    ax.plot(edge, [0, largest], "k:", lw=0.8)
    ax.set(xlabel="overlap with the dense feature", ylabel="overlap with the sparse feature")
    ax.legend(fontsize=6)
    description = (
        "Overlaps of a unit with two features in descent from six starts. Starts below the "
        "predicted line (dotted) end at the dense feature, starts above it at the sparse one."
    )
    return Part([claim], [Figure("selection", "Which feature is learned", description, figure)])


def _path(setting: OnePass, angle: float) -> np.ndarray:
    """Return overlaps (records, 2) from a start at an angle in degrees."""
    start = SCALE * jnp.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    law = setting.law
    return np.asarray(_descent(start, jnp.asarray(law.points), jnp.asarray(law.shares)))


@functools.partial(jax.jit, static_argnames=("records", "every"))
def _descent(
    start: Array, points: Array, shares: Array, *, records: int = 300, every: int = 20
) -> Array:
    def loss(q: Array) -> Array:
        """The norm has no part outside the features: without correlation, noise only costs."""
        setting = SETTING._replace(law=highdim.Law(points, shares))
        square = q @ q
        return -highdim.mean_product(q, square, setting) + SETTING.decay / 2 * square

    def record(q: Array, _: None) -> tuple[Array, Array]:
        q = jax.lax.fori_loop(0, every, lambda _, q: q - 0.05 * jax.grad(loss)(q), q)
        return q, q

    return jax.lax.scan(record, start, length=records)[1]
