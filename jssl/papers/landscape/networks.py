"""A convolutional network on images: rank of its embedding under growing noise.

The last layer W of a network is a linear encoder of its features h. Scaled by a, InfoNCE is

    L(a) - L(0) = -a^2 Tr[W B W^T] + O(a^4),    B = cov(h) - E[d d^T] / 2,   d = h(x) - h(x + e),

with clean anchors and negatives. This is an identity on any sample. If every eigenvalue of B is
negative, the origin is a minimum in every direction and the network can collapse completely.
Features of relu grow with the noise, so that strong noise has this effect. Features of a saturating
activation are bounded, and there noise of any strength may leave dimensions.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jssl.data import images
from jssl.diagnostics import collapse
from jssl.figures import new_figure
from jssl.models import conv
from jssl.papers.claims import at_least, at_most
from jssl.papers.landscape.common import SOURCE, sampled_loss, source
from jssl.papers.outcome import Part, Settings
from jssl.papers.sets import LABELS
from jssl.report.figure import Figure
from jssl.single_use import compile_for_many_steps
from jssl.types import Array, Claim, Model, Params, Rival

DIM, CHANNELS = 8, 8
PLACEMENT = "clean-augmented-clean"
NOISES = np.array([0.1, 0.4, 1.0, 2.0, 4.0, 8.0])
"""Standard deviation of the noise over that of a pixel."""


class Network(NamedTuple):
    """A network with a linear last layer, and its images.

    Attributes:
        x: (n, height, width, channels) images of mean square one.
        body: maps images to features.
        params: of the body at the start.
        head: (DIM, DIM) weight of the last layer at the start.
        draws: standard normals with the shape of x, for the noise of the recorded views.
    """

    x: Array
    body: Model
    params: Params
    head: Array
    draws: Array

    def views(self, params: Params, strength: Array, noise: Array) -> tuple[Array, Array]:
        """Return the features of clean and of noisy images."""
        both = self.body.apply(params, jnp.concatenate([self.x, self.x + strength * noise]))
        return both[: len(self.x)], both[len(self.x) :]

    def loss(self, head: Array, params: Params, strength: Array, noise: Array) -> Array:
        """Return InfoNCE with clean anchors and negatives and noisy positives."""
        clean, noisy = self.views(params, strength, noise)
        return sampled_loss(head, clean, noisy, clean, clean)


class Results(NamedTuple):
    """Curvature at the start and rank after training, at each noise strength.

    Attributes:
        curvature: (noises,) of the loss in the scale of the last layer.
        predicted_curvature: -2 Tr[W B W^T] with B from the features.
        rank: (noises,) dimensions of the trained embedding.
        predicted_rank: (noises,) number of positive eigenvalues of B of the trained features.
        steps: number of training steps.
    """

    curvature: np.ndarray
    predicted_curvature: np.ndarray
    rank: np.ndarray
    predicted_rank: np.ndarray
    steps: int


def features(name: str, settings: Settings) -> Part:
    """Test curvature at zero weights and rank of trained networks on one image set."""
    steps = {"quick": 200, "paper": 1000, "large": 4000}[settings.scale]
    chosen, noise_key, init_key = jax.random.split(
        jax.random.fold_in(jax.random.key(settings.seed), 11), 3
    )
    network = _network(name, settings, chosen, init_key)
    curvature, predicted_curvature = _curvatures(network)
    trained = [
        collapse(h, d, z, placement=PLACEMENT, clean_first=True)
        for h, d, z in zip(*_train(network, noise_key, steps), strict=True)
    ]
    results = Results(
        curvature,
        predicted_curvature,
        np.array([int(each.measured_rank) for each in trained]),
        np.array([int(each.predicted_rank) for each in trained]),
        steps,
    )
    label = LABELS[name]
    ranks = ", ".join(
        f"{expected} and {measured} at noise {strength:g}"
        for strength, expected, measured in zip(
            NOISES, results.predicted_rank, results.rank, strict=True
        )
    )
    sentence = f"Predicted and measured rank of a convolutional network on {label}: {ranks}."
    return Part(_claims(name, results), [_figure(name, results)], (sentence,))


def _network(name: str, settings: Settings, chosen: Array, init_key: Array) -> Network:
    count = {"quick": 100, "paper": 400, "large": 2000}[settings.scale]
    pixels = np.asarray(images.subset(chosen, images.load(name), count).x, float)
    pixels = pixels - pixels.mean(0)
    x = jnp.asarray(pixels / np.sqrt(np.mean(pixels**2)))
    body = conv(
        (x.shape[1], x.shape[2], x.shape[3]),
        DIM,
        channels=CHANNELS,
        layers=2,
        activation="relu",
        readout="flatten",
        parametrisation="standard",
        dtype=x.dtype,
    )
    params = body.init(init_key)
    random = settings.generator(11)
    head = jnp.asarray(random.normal(size=(DIM, DIM)) / np.sqrt(DIM))
    return Network(x, body, params, head, jnp.asarray(random.normal(size=x.shape)))


def _curvatures(network: Network) -> tuple[np.ndarray, np.ndarray]:
    """Return the curvature at a = 0 for each noise, measured and predicted."""

    @jax.jit
    @jax.vmap
    def start(strength: Array) -> tuple[Array, Array, Array]:
        def scaled(a: Array) -> Array:
            return network.loss(a * network.head, network.params, strength, network.draws)

        views = network.views(network.params, strength, network.draws)
        return jax.hessian(scaled)(0.0), *views

    measured, first, second = jax.device_get(start(NOISES))
    head = np.asarray(network.head)
    predicted = []
    for pair in zip(first, second, strict=True):
        estimate = collapse(*pair, placement=PLACEMENT, clean_first=True)
        predicted.append(-2 * float(np.sum((head @ np.asarray(estimate.signal)) * head)))
    return np.asarray(measured), np.array(predicted)


def _train(network: Network, noise_key: Array, steps: int) -> Any:
    """Return trained features of clean and noisy images and embeddings, for each noise."""
    optimiser = optax.adam(1e-2)

    @partial(compile_for_many_steps, products=True)
    @jax.vmap
    def train(strength: Array) -> tuple[Array, Array, Array]:
        def step(k: Array, carry: tuple[Params, Params]) -> tuple[Params, Params]:
            weights, state = carry
            key = jax.random.fold_in(noise_key, k)
            noise = jax.random.normal(key, network.x.shape, network.x.dtype)
            slope = jax.grad(lambda w: network.loss(w[1], w[0], strength, noise))(weights)
            updates, state = optimiser.update(slope, state, weights)
            return optax.apply_updates(weights, updates), state

        begin = (network.params, network.head)
        (params, last), _ = jax.lax.fori_loop(0, steps, step, (begin, optimiser.init(begin)))
        clean, noisy = network.views(params, strength, network.draws)
        return clean, noisy, clean @ last.T

    return jax.device_get(train(NOISES))


def _claims(name: str, results: Results) -> list[Claim]:
    label = LABELS[name]
    ratio = results.curvature / results.predicted_curvature
    weak, strong = float(results.curvature[0]), float(results.curvature[-1])
    scale = (
        "The last layer is scaled by a, and the measured value is the curvature in a at a = 0. "
        "The standard deviation of the noise is {:g} times that of a pixel."
    )
    return [
        at_most(
            f"landscape/network-curvature-{name}",
            f"For a convolutional network on {label}, the features predict the curvature of "
            "InfoNCE in the scale of the last layer.",
            source("L-3"),
            1e-9,
            float(np.max(np.abs(ratio - 1))),
            details="The last layer W is scaled by a. The prediction at a = 0 is -2 Tr[W B W^T] "
            "with B estimated from the features, an identity on the sample. The measured value is "
            f"the largest relative error over {len(NOISES)} noise strengths.",
            rivals=[
                Rival("half of it, -Tr[W B W^T]", float(np.max(np.abs(2 * ratio - 1)))),
                Rival("the opposite sign", float(np.max(np.abs(-ratio - 1)))),
            ],
        ),
        at_most(
            f"landscape/network-weak-noise-{name}",
            f"Under weak noise on {label}, InfoNCE of a convolutional network decreases as its "
            "last layer grows from zero.",
            source("L-9"),
            0,
            weak,
            details=scale.format(NOISES[0]),
            rivals=[Rival("the origin is a minimum at every noise strength", strong)],
        ),
        at_least(
            f"landscape/network-strong-noise-{name}",
            f"Under strong noise on {label}, InfoNCE of a convolutional network increases as its "
            "last layer grows from zero.",
            source("L-9"),
            0,
            strong,
            details=f"{scale.format(NOISES[-1])} The features of relu grow with the noise.",
            rivals=[Rival("noise does not change the sign of the curvature", weak)],
        ),
        at_most(
            f"landscape/network-rank-{name}",
            f"On {label}, the embedding of a trained convolutional network has at most the "
            "predicted rank at every noise strength.",
            source("L-9"),
            0,
            float((results.rank - results.predicted_rank).max()),
            details="The prediction is the number of positive eigenvalues of B of the trained "
            "features. The measured value is the largest excess of the rank over the prediction, "
            f"after {results.steps} steps of Adam. A dimension counts if its variance exceeds "
            "0.01.",
            rivals=[
                Rival(
                    "every dimension survives, as if all views are augmented",
                    float((DIM - results.predicted_rank).max()),
                )
            ],
        ),
        at_least(
            f"landscape/network-rank-lost-{name}",
            f"On {label}, strong noise reduces the rank of the embedding of a convolutional "
            "network.",
            f"{SOURCE}; qualitative",
            1,
            float(results.rank[0] - results.rank[-1]),
            details="The measured value is the number of dimensions after training with noise of "
            f"strength {NOISES[0]:g} minus that with noise of strength {NOISES[-1]:g}, in units of "
            "the standard deviation of a pixel.",
            rivals=[Rival("noise does not change the rank", 0.0)],
        ),
    ]


def _figure(name: str, results: Results) -> Figure:
    label = LABELS[name]
    noise = "noise / standard deviation of a pixel"
    figure, (left, right) = new_figure(2, width=4.4)
    left.axhline(0, color="black", linewidth=0.8)
    left.plot(NOISES, results.predicted_curvature, "--", color="black", label="from the features")
    left.plot(NOISES, results.curvature, "o", color="#d55e00", label="of the loss")
    left.set(xscale="log", xlabel=noise, ylabel="curvature at a = 0")
    right.plot(
        NOISES,
        results.predicted_rank,
        "s--",
        color="black",
        mfc="none",
        ms=8,
        label="positive eigenvalues of B",
    )
    right.plot(NOISES, results.rank, "o-", color="#d55e00", label="embedding")
    right.set(xscale="log", xlabel=noise, ylabel="dimensions after training")
    right.yaxis.get_major_locator().set_params(integer=True)
    for ax in (left, right):
        ax.legend(frameon=False)
    text = (
        f"A convolutional network on {label} with noise on the positive view. Left: the curvature "
        "of InfoNCE in the scale a of the last layer changes from negative to positive. Right: the "
        "trained embedding has fewer dimensions as the noise grows, and at most as many as B of "
        "the features has positive eigenvalues."
    )
    title = f"A convolutional network collapses on {label}"
    return Figure(f"network-{name}", title, text, figure)
