"""Finite batches: the floor of SIGReg, shrinkage, and training on small batches."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl.figures import new_figure
from jssl.losses import bhep, sigreg
from jssl.papers.claims import close
from jssl.papers.isotropy.common import LEJEPA, mapped, source, standard_error
from jssl.papers.outcome import Part, Settings
from jssl.report.figure import Figure
from jssl.single_use import compile_for_many_steps
from jssl.theory import isotropy
from jssl.theory.isotropy.samples import UNIT
from jssl.types import Array, Claim, Rival


class Sizes(NamedTuple):
    """Number of batches whose loss is averaged, and of training runs."""

    batches: int
    runs: int


SIZES = {"quick": Sizes(8000, 400), "paper": Sizes(40_000, 2000), "large": Sizes(200_000, 8000)}
BATCH = 16
VARIANCES, NOISES, STRENGTH = (1.0, 0.6), (0.05, 0.12), 4.0
START, END, RATE = 0.01, 2.4, 0.005


def floor_and_shrinkage(settings: Settings) -> Part:
    """Test the loss of perfect embeddings, and the variance at which training settles."""
    sizes = SIZES[settings.scale]
    draws = settings.generator(0)
    values = {}
    for samples in (16, 64):
        count = sizes.batches * 16 // samples if samples != 64 else sizes.batches
        z = jnp.asarray(draws.normal(size=(count, samples, 4)))
        a = jnp.asarray(draws.normal(size=(count, 1, 4)))
        values[samples] = np.asarray(mapped(lambda z, a: sigreg(z, z, slices=a))(z, a))
    settings.progress("shrinkage", 0.3)
    rate, burn, steps = 0.02, 2500, 2500
    variances = _settled(settings.keys(sizes.runs, 1), rate, burn, steps)
    predicted = isotropy.shrunk_variance(BATCH)
    claims = [
        close(
            "isotropy/floor",
            "On perfect Gaussian embeddings SIGReg does not vanish but has the predicted mean.",
            source("I-10", paper=LEJEPA),
            isotropy.floor(grid="code"),
            values[64].mean(),
            4 * standard_error(values[64]),
            details=f"The mean is over {len(values[64]):,} batches of 64 independent embeddings "
            "N(0, I), with 17 knots on [0, 3]. The tolerance is four standard errors.",
            rivals=(Rival("The loss vanishes at its target", 0.0),),
        ),
        close(
            "isotropy/floor-every-batch-size",
            "The floor of SIGReg on perfect embeddings does not depend on the size of the batch.",
            source("I-10", paper=LEJEPA),
            isotropy.floor(grid="code"),
            values[16].mean(),
            4 * standard_error(values[16]),
            details=f"The mean is over {len(values[16]):,} batches of 16 embeddings. The tolerance "
            "is four standard errors.",
            rivals=(
                Rival("The loss falls as one over the batch", isotropy.floor(grid="code") * 4),
            ),
        ),
        close(
            "isotropy/shrinkage",
            "Training on batches of 16 settles at a variance below the target of one.",
            source("I-11"),
            predicted,
            variances.mean(),
            4 * standard_error(variances) + 0.3 * rate,
            details=f"There are {len(variances)} runs in one dimension, with fresh batches of 16 "
            f"and learning rate {rate}; the variance is averaged over the last {steps} of "
            f"{burn + steps} steps. The tolerance is four standard errors and 0.3 times the "
            "learning rate, for the noise of the gradient.",
            rivals=(Rival("Batches are unbiased", 1.0),),
        ),
    ]
    return Part([*claims, _grid_claim()], [_floor_figure(values[64])])


def _grid_claim() -> Claim:
    """The knots of the code integrate to 3 only, which shows where the embeddings collapse."""
    limit, step = 3.0, 3.0 / 16
    # of the integrand g = (1 - e)^2 e, e = exp(-t^2 / 2), whose slope is t e (1 - e) (3 e - 1)
    e = np.exp(-(limit**2) / 2)
    corner = step**2 / 6 * abs(limit * e * (1 - e) * (3 * e - 1))
    samples = 8
    z = jnp.zeros((samples, 1))
    return close(
        "isotropy/grid",
        "On collapsed embeddings SIGReg is the integral over [-3, 3] and not over the whole line.",
        source("I-4", paper=LEJEPA),
        isotropy.truncated_value(0.0, limit),
        float(sigreg(z, z, slices=1)) / samples,
        2 * corner,
        details="The measured value is SIGReg of zeros over the number of samples, with the 17 "
        "knots on [0, 3] of the authors' code. The tolerance is twice the error of the trapezoidal "
        "rule, step^2 / 12 times the difference of the slopes at both ends.",
        rivals=(
            Rival("The knots of the paper, to 5", isotropy.truncated_value(0.0, 5.0)),
            Rival("The whole line", isotropy.slice_value(0.0) * UNIT),
        ),
    )


def small_batches(settings: Settings) -> Part:
    """Test that batches weaken the repulsion of samples by one over the size of the batch."""
    runs = SIZES[settings.scale].runs
    options = {"regulariser": "bhep", "width": 1.0}
    records = 12
    every = round(END / RATE / records)
    times = RATE * every * np.arange(1, records + 1)
    arguments = (times, np.full(2, START), VARIANCES, NOISES, STRENGTH)
    finite, infinite = (
        isotropy.trajectory(*arguments, batch=batch, **options)[:, 0] for batch in (BATCH, None)
    )
    seen = np.asarray(_trained(settings.keys(runs, 2), records, every))
    gap = np.abs(finite - infinite)
    chosen = int(gap.argmax())
    speed = float(np.max(np.diff(np.log(finite)) / np.diff(times)))
    claims = [
        close(
            "isotropy/finite-batch-flow",
            "On batches of 16 the first eigenvalue follows the flow with a repulsion weaker by "
            "1/16.",
            source("I-9", "I-17"),
            finite[chosen],
            seen[:, chosen].mean(),
            4 * standard_error(seen[:, chosen]) + RATE * speed * finite[chosen],
            details=f"There are {runs} runs of a linear encoder with two outputs under BHEP, "
            f"learning rate {RATE}, at time {times[chosen]:.2f}, where both theories differ most. "
            "The tolerance is four standard errors and the learning rate times the largest growth "
            "rate.",
            rivals=(Rival("The flow of the population", infinite[chosen]),),
        )
    ]
    figure, (ax,) = new_figure(1)
    ax.plot(times, infinite, "k:", label="population")
    ax.plot(times, finite, "k--", label="batches of 16, theory")
    error = 2 * seen.std(0) / runs**0.5
    ax.errorbar(times, seen.mean(0), error, fmt="o", ms=3, label="batches of 16, training")
    ax.set(xlabel="time", ylabel="first eigenvalue")
    ax.legend()
    description = (
        "The first eigenvalue of the embedding covariance in training on batches of 16, with the "
        "flow of the population and the flow whose repulsion is weaker by one sixteenth."
    )
    return Part(claims, [Figure("small-batches", "Training on small batches", description, figure)])


@functools.partial(compile_for_many_steps, static_argnums=(2, 3))
def _settled(keys: Array, rate: float, burn: int, steps: int) -> Array:
    """Return the mean of w^2 over the last steps of SGD on SIGReg in one dimension, per key."""

    def loss(w: Array, x: Array) -> Array:
        z = w * x
        slices = jnp.ones((1, 1), x.dtype)
        return sigreg(z, z, slices=slices, grid="exact") / (BATCH * UNIT)

    def one(key: Array) -> Array:
        def step(k: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
            w, total = state
            x = jax.random.normal(jax.random.fold_in(key, k), (BATCH, 1))
            w = w - rate * jax.grad(loss)(w, x)
            return w, total + jnp.where(k >= burn, w**2, 0)

        start = (jnp.ones(()), jnp.zeros(()))
        return jax.lax.fori_loop(0, burn + steps, step, start)[1] / steps

    return jax.vmap(one)(keys)


@functools.partial(compile_for_many_steps, static_argnums=(1, 2))
def _trained(keys: Array, records: int, every: int) -> Array:
    """Return the first entry of W Sigma W^T (keys, records) in training on fresh batches."""
    q, c = jnp.asarray(VARIANCES), jnp.asarray(NOISES)

    def loss(weight: Array, shared: Array, noise: Array) -> Array:
        za, zb = (shared + noise[0]) @ weight.T, (shared + noise[1]) @ weight.T
        agreement = jnp.sum((za - zb) ** 2) / (2 * BATCH)
        return agreement + STRENGTH * bhep(za, zb, width=1.0)

    def one(key: Array) -> Array:
        def step(k: Array, weight: Array) -> Array:
            own, other = jax.random.split(jax.random.fold_in(key, k))
            shared = jax.random.normal(own, (BATCH, 2)) * jnp.sqrt(q - c)
            noise = jax.random.normal(other, (2, BATCH, 2)) * jnp.sqrt(c)
            return weight - RATE * jax.grad(loss)(weight, shared, noise)

        def record(weight: Array, k: Array) -> tuple[Array, Array]:
            weight = jax.lax.fori_loop(k * every, (k + 1) * every, step, weight)
            return weight, jnp.sum(q * weight[0] ** 2)

        start = jnp.diag(jnp.sqrt(START / q))
        return jax.lax.scan(record, start, jnp.arange(records))[1]

    return jax.vmap(one)(keys)


def _floor_figure(values: np.ndarray) -> Figure:
    figure, (ax,) = new_figure(1)
    ax.hist(values, 60, density=True, color="0.6")
    ax.axvline(isotropy.floor(grid="code"), color="k", ls="--")
    ax.set(xlabel="SIGReg of one slice, perfect embeddings", ylabel="density")
    description = (
        "The loss SIGReg of one slice on batches of 64 perfect embeddings, and its exact mean "
        "(dashed). It does not vanish."
    )
    return Figure("floor", "SIGReg at its target", description, figure)
