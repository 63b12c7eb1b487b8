"""Hard negatives: unequal angles of the classes relax faster, and the least loss is the same."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jssl.figures import new_figure
from jssl.losses import hard_info_nce
from jssl.papers.claims import at_least, close
from jssl.papers.outcome import Part, Settings
from jssl.papers.rivals import factors
from jssl.report.figure import Figure
from jssl.theory import highdim
from jssl.types import Array, Rival

CLASSES, HARDNESS, RATE = 5, 5.0, 0.05
STARTS, MINIMISED = 16, 400.0
"""Descents from random embeddings to the least loss, and their time."""


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
    plain = highdim.relaxation_rate(CLASSES)
    predicted = highdim.relaxation_rate(CLASSES, hardness=HARDNESS) / plain
    full = highdim.relaxation_rate(CLASSES, hardness=HARDNESS, weight_gradient=True)
    points = draws.normal(size=(400, CLASSES, CLASSES - 1))
    losses = {h: np.asarray(_losses(jnp.asarray(points), h)) for h in (0.0, HARDNESS)}
    unrelated = np.mean([_unrelated_losses(points, draws) for _ in range(4)], axis=0)
    bound = highdim.supervised_bound(CLASSES)
    some = jnp.asarray(points[:STARTS])
    least = [float(np.asarray(_minimised(some, h)).max()) for h in (0.0, HARDNESS)]
    least.append(min(bound, *(float(values.min()) for values in losses.values())))
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
                    full / plain,
                ),
            ),
        ),
        close(
            "highdim/plain-relaxation",
            "Without hardness, unequal angles between classes relax to the simplex at the "
            "predicted rate.",
            source("I-42"),
            plain,
            rates[0.0],
            0.05 * plain,
            details=f"There are {CLASSES} classes and the start is off the simplex by 0.01, "
            "orthogonal to the slower modes. The tolerance is five times this distance, for the "
            "second order in the start.",
            rivals=factors(plain, "Vectors move as anchors only", "The sum of both orders"),
        ),
        close(
            "highdim/hard-bound",
            "The least loss of an embedding of the classes is the bound, with or without hardness.",
            source("I-37"),
            bound,
            max(least, key=lambda value: abs(value - bound)),
            bound * np.exp(-highdim.relaxation_rate(CLASSES) * MINIMISED),
            details=f"The value farthest from the bound among the losses of {STARTS} descents, for "
            f"hardness 0 and {HARDNESS:g}, at time {MINIMISED:g}, and the losses of 400 random "
            "embeddings that are below it, if there are any. The excess falls as exp(-2 rate t) "
            "with the slower rate, that of hardness 0; the tolerance is this factor at half of the "
            "time.",
            rivals=(
                Rival("Classes become orthogonal", float(np.log1p(np.exp(-1.0)))),
                Rival("Classes at opposite points", float(np.log1p(np.exp(-2.0)))),
                Rival("The loss vanishes at its minimum", 0.0),
            ),
        ),
        at_least(
            "highdim/hard-above-plain",
            "Hard negatives never lower the loss of an embedding.",
            source("I-38"),
            0.0,
            float((losses[HARDNESS] - losses[0.0]).min()),
            1e-12,
            details="The smallest difference of the losses with and without hardness among 400 "
            "random embeddings. The rival has weights of the same sizes that belong to other "
            "negatives, drawn at random.",
            rivals=(
                Rival(
                    "Any uneven weights of the negatives raise the loss",
                    float((unrelated - losses[0.0]).min()),
                ),
            ),
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
def _minimised(points: Array, hardness: float) -> Array:
    """Return the losses (starts,) after descent from embeddings."""

    def loss(f: Array) -> Array:
        return hard_info_nce(f, f, hardness=hardness, temperature=1.0)

    def one(f: Array) -> Array:
        f = f / jnp.linalg.norm(f, axis=1, keepdims=True)
        steps = round(MINIMISED / (4 * RATE))
        return loss(jax.lax.fori_loop(0, steps, lambda _, f: f - 4 * RATE * jax.grad(loss)(f), f))

    return jax.vmap(one)(points)


def _unrelated_losses(points: np.ndarray, draws: np.random.Generator) -> np.ndarray:
    """Return the losses with the weights of hard negatives, given to negatives at random."""
    u = points / np.linalg.norm(points, axis=2, keepdims=True)
    scores = u @ u.transpose(0, 2, 1)
    others = ~np.eye(CLASSES, dtype=bool)
    s = scores[:, others].reshape(len(points), CLASSES, CLASSES - 1)
    weights = np.exp(HARDNESS * draws.permuted(s, axis=2))
    weights /= weights.sum(2, keepdims=True)
    return np.asarray(np.log1p((weights * np.exp(s - 1)).sum(2)).mean(1))


@jax.jit
def _losses(points: Array, hardness: float) -> Array:
    return jax.vmap(lambda f: hard_info_nce(f, f, hardness=hardness, temperature=1.0))(points)
