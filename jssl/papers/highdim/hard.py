"""Hard negatives: unequal angles of the classes relax faster, and the least loss is the same."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jssl.figures import new_figure
from jssl.losses import hard_info_nce
from jssl.papers.claims import at_least, close
from jssl.papers.outcome import Part, Settings
from jssl.report.figure import Figure
from jssl.theory import highdim
from jssl.types import Array, Rival

CLASSES, HARDNESS, RATE = 5, 5.0, 0.05


def source(*marks: str) -> str:
    """Return the source of a claim."""
    return f"Jiang et al. 2023, arXiv 2311.05139; {', '.join(marks)} in docs/equations.md"


def hard_negatives(settings: Settings) -> Part:
    """Test relaxation rates near the simplex, and the bound on the loss."""
    draws = settings.generator(4)
    frame = highdim.class_frame(CLASSES)
    start = frame + 0.01 * _unequal_angles(draws) @ frame
    paths = {h: np.asarray(_relaxation(jnp.asarray(start), h)) for h in (0.0, HARDNESS)}
    rates = {h: _rate(path) for h, path in paths.items()}
    predicted = highdim.relaxation_rate(CLASSES, hardness=HARDNESS) / highdim.relaxation_rate(
        CLASSES
    )
    full = highdim.relaxation_rate(CLASSES, hardness=HARDNESS, weight_gradient=True)
    points = draws.normal(size=(400, CLASSES, CLASSES - 1))
    losses = {h: np.asarray(_losses(jnp.asarray(points), h)) for h in (0.0, HARDNESS)}
    bound = highdim.supervised_bound(CLASSES)
    claims = [
        close(
            "highdim/hard-negatives",
            "With hard negatives unequal angles between classes relax faster by the predicted "
            "factor.",
            source("I-42"),
            predicted,
            rates[HARDNESS] / rates[0.0],
            0.1,
            details=f"There are {CLASSES} classes, hardness {HARDNESS:g} and weights without a "
            "gradient; the start is off the simplex by 0.01, orthogonal to the slower modes. The "
            "tolerance is for the second order in the start.",
            rivals=(
                Rival("Hardness does not matter", 1.0),
                Rival(
                    "Weights with a gradient",
                    full / highdim.relaxation_rate(CLASSES),
                ),
            ),
        ),
        at_least(
            "highdim/hard-bound",
            "No embedding of the classes has a loss below the bound, with or without hardness.",
            source("I-37"),
            bound,
            float(min(values.min() for values in losses.values())),
            1e-12,
            details=f"The smallest loss of 400 random embeddings of {CLASSES} classes, for "
            f"hardness 0 and {HARDNESS:g}.",
        ),
        at_least(
            "highdim/hard-above-plain",
            "Hard negatives never lower the loss of an embedding.",
            source("I-38"),
            0.0,
            float((losses[HARDNESS] - losses[0.0]).min()),
            1e-12,
            details="The smallest difference of the losses with and without hardness among 400 "
            "random embeddings.",
        ),
    ]
    return Part(claims, [_relaxation_figure(paths)])


def _relaxation_figure(paths: dict[float, np.ndarray]) -> Figure:
    figure, (ax,) = new_figure(1)
    times = RATE * 20 * np.arange(1, len(paths[0.0]) + 1)
    for hardness, path in paths.items():
        theory = highdim.relaxation_rate(CLASSES, hardness=hardness)
        (line,) = ax.semilogy(times, path, label=f"hardness {hardness:g}")
        ax.semilogy(
            times, path[0] * np.exp(-theory * (times - times[0])), "--", color=line.get_color()
        )
    ax.set(xlabel="time", ylabel="deviation from the simplex", ylim=(1e-6, None))
    ax.legend()
    description = (
        "How unequal angles between five classes relax to the simplex, with and without hard "
        "negatives, and the predicted rates (dashed)."
    )
    return Figure("hard-negatives", "Hard negatives", description, figure)


def _unequal_angles(draws: np.random.Generator) -> np.ndarray:
    """Return a symmetric matrix with zero diagonal and zero row sums, of norm one.

    A sum of its rows would excite slower modes.
    """
    i, j = np.triu_indices(CLASSES, 1)
    rows = np.zeros((CLASSES, len(i)))
    rows[i, np.arange(len(i))] = rows[j, np.arange(len(i))] = 1
    basis = np.linalg.svd(rows)[2][CLASSES:]
    entries = draws.normal(size=len(basis)) @ basis
    matrix = np.zeros((CLASSES, CLASSES))
    matrix[i, j] = matrix[j, i] = entries
    return matrix / np.linalg.norm(matrix)


@functools.partial(jax.jit, static_argnames=("records", "every"))
def _relaxation(start: Array, hardness: float, *, records: int = 60, every: int = 20) -> Array:
    """Return the deviation of the inner products from the simplex, by descent on free vectors."""
    simplex = jnp.where(jnp.eye(CLASSES, dtype=bool), 1.0, -1 / (CLASSES - 1))

    def loss(f: Array) -> Array:
        return hard_info_nce(f, f, hardness=hardness, temperature=1.0)

    def record(f: Array, _: None) -> tuple[Array, Array]:
        f = jax.lax.fori_loop(0, every, lambda _, f: f - RATE * jax.grad(loss)(f), f)
        u = f / jnp.linalg.norm(f, axis=1, keepdims=True)
        return f, jnp.linalg.norm(u @ u.T - simplex)

    return jax.lax.scan(record, start, length=records)[1]


def _rate(path: np.ndarray) -> float:
    """Return the rate of decay over the first quarter of the records."""
    count = len(path) // 4
    return float(-np.log(path[count] / path[0]) / (count * 20 * RATE))


@jax.jit
def _losses(points: Array, hardness: float) -> Array:
    return jax.vmap(lambda f: hard_info_nce(f, f, hardness=hardness, temperature=1.0))(points)
