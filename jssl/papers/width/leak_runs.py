"""Networks for the claims on the leak: trained, forecast by F-5, and in the limit."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl import losses
from jssl.data import pairs
from jssl.formulas.steps import crossing_times
from jssl.kernels.contrastive import contrastive_modes
from jssl.kernels.infinite import gram as infinite_gram
from jssl.models import centred, mlp
from jssl.optim import gradient_descent
from jssl.papers.outcome import Settings
from jssl.simulation import run
from jssl.single_use import compile_for_many_steps
from jssl.theory.finite_width import linearised_loss, mode_flow, mode_kernel
from jssl.types import Array, Model, Pairs, Problem, start_key

COUNT, DIM, MODES, DEPTH = 20, 3, 10, 2
SPECTRUM = np.array([2.0, 0.9, 0.75, 0.5, 0.4, 0.3, 0.3, 0.3])
_LOSS = linearised_loss()


class Setting(NamedTuple):
    """What all studies of the leak share.

    Attributes:
        data: pairs.
        values: (modes,) eigenvalues of the contrastive kernel in the limit.
        weights: (2n, modes) the w_j of F-5.
        rate: learning rate, a fifth of the largest stable one.
        keys: of the runs.
    """

    data: Pairs
    values: np.ndarray
    weights: np.ndarray
    rate: float
    keys: Array


class Runs(NamedTuple):
    """Trained networks of one width and start.

    Attributes:
        steps: (points,) record steps.
        coordinates: (seeds, points, modes, dim) B.
        half: (seeds, dim) steps at which each dimension is half-learned.
    """

    steps: np.ndarray
    coordinates: np.ndarray
    half: np.ndarray


def setting_of(settings: Settings, seeds: int) -> Setting:
    """Return Gaussian pairs, their modes and the keys of the runs."""
    draws = settings.generator(81)
    x = draws.normal(size=(COUNT, len(SPECTRUM))) * SPECTRUM
    data = Pairs(*(jnp.asarray(x + 0.1 * draws.normal(size=x.shape)) for _ in range(2)))
    model = network(1)
    modes = contrastive_modes(infinite_gram(model, data), MODES)
    values, vectors = np.asarray(modes.eigenvalues), np.asarray(modes.coefficients)
    rate = 0.2 / (4 * float(values[0]))
    return Setting(data, values, vectors * np.sqrt(values), rate, settings.keys(seeds, 82))


def network(width: int) -> Model:
    """Return the architecture at a width."""
    return mlp(len(SPECTRUM), DIM, width=width, depth=DEPTH, activation="tanh", dtype=jnp.float64)


def train(case: Setting, width: int, scale: float) -> Runs:
    """Return networks of a width, trained from starts of a scale."""
    rate = gradient_descent(case.rate)
    loss = losses.get("barlow_twins_linearized")
    problem = Problem(pairs.fixed(case.data), centred(network(width), scale), loss, rate)
    views = views_of(case)
    weights = jnp.asarray(case.weights)

    def observe(params: Any, _: Pairs) -> dict[str, Array]:
        z = problem.model.apply(params, views)
        return {"coordinates": jnp.matmul(weights.T, z, precision="highest")}

    last = 2 * steps_of(case, scale, DIM - 1)
    steps = np.arange(0, last + 1, 2)
    trained = compile_for_many_steps(jax.vmap(run(problem, steps, observe)), products=True)(
        case.keys
    )
    coordinates = np.asarray(trained.observables["coordinates"])
    return Runs(steps, coordinates, np.array([_half(steps, b) for b in coordinates]))


def steps_of(case: Setting, scale: float, mode: int) -> int:
    """Return the steps in which a mode grows from a start to 1 in the limit."""
    return int(-2 * np.log(scale) / (8 * case.values[mode] * case.rate))


def views_of(case: Setting) -> Array:
    """Return all first views, then all second views."""
    return jnp.concatenate([case.data.first, case.data.second])


def _half(steps: np.ndarray, coordinates: np.ndarray) -> np.ndarray:
    values = np.linalg.eigvalsh(np.swapaxes(coordinates, 1, 2) @ coordinates)[:, ::-1]
    return np.asarray(crossing_times(steps.astype(float), values, np.full(DIM, 0.5), np))


def _flow(case: Setting, gram: np.ndarray, start: np.ndarray, scale: float) -> np.ndarray:
    steps = np.arange(0, 2 * steps_of(case, scale, DIM - 1), 2)
    flow = mode_flow(_LOSS, gram, start, steps * case.rate, learning_rate=case.rate)
    return _half(steps, flow.coordinates)


def forecasts(case: Setting, width: int, key: Array, scale: float) -> np.ndarray:
    """Return the half steps (2, dim) of F-5 for the network that a key draws.

    The second row is without the blocks of the tangent kernel between two outputs.
    """
    model = network(width)
    params, views = model.init(start_key(key)), views_of(case)
    gram = mode_kernel(model.apply, params, views, jnp.asarray(case.weights))
    start = scale * case.weights.T @ np.asarray(model.apply(params, views))
    without = gram * np.eye(DIM)[:, None]  # (modes, outputs, modes, outputs)
    return np.stack([_flow(case, each, start, scale) for each in (gram, without)])


def limit(case: Setting, width: int, scale: float) -> np.ndarray:
    """Return the half steps (seeds, dim) in the limit, from the same starts."""
    model, views = network(width), views_of(case)
    gram = np.einsum("ij,kl->ikjl", np.diag(case.values), np.eye(DIM))
    found = []
    for key in case.keys:
        embedded = np.asarray(model.apply(model.init(start_key(key)), views))
        found.append(_flow(case, gram, scale * case.weights.T @ embedded, scale))
    return np.array(found)
