"""A conv net on images: the curvature of its rescaled last layer, and its rank, under noise.

The last layer W of a network is a linear encoder of its features h. Scaled by a, InfoNCE is

    L(a) - L(0) = -a^2 Tr[W B W^T] + O(a^4),    B = cov(h) - E[d d^T] / 2,   d = h(x) - h(x + e),

with clean anchors and negatives: an identity on any sample. Where every eigenvalue of B is negative
the origin is a minimum in every direction and the network collapses completely. Features of relu
grow with the noise, so that strong noise does this; those of a saturating activation stay bounded,
and under them no strength of noise need collapse anything.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jssl.data import images
from jssl.diagnostics import Collapse, collapse
from jssl.figures import new_figure
from jssl.models import conv
from jssl.papers.claims import at_least, at_most
from jssl.papers.landscape.common import SOURCE, sampled_loss
from jssl.papers.outcome import Part, Settings
from jssl.report.figure import Figure
from jssl.types import Array, Params

DIM, CHANNELS = 8, 8
PLACEMENT = "clean-augmented-clean"
NOISES = np.array([0.1, 0.4, 1.0, 2.0, 4.0, 8.0])
"""Standard deviation of the noise over that of a pixel."""


def features(name: str, settings: Settings) -> Part:
    """Judge the curvature at a = 0 and the rank of trained nets on one image set."""
    count = {"quick": 100, "paper": 400, "large": 2000}[settings.scale]
    steps = {"quick": 200, "paper": 1000, "large": 4000}[settings.scale]
    chosen, noise_key, init_key = jax.random.split(
        jax.random.fold_in(jax.random.key(settings.seed), 11), 3
    )
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
    draws = jnp.asarray(random.normal(size=x.shape))

    def views(params: Params, strength: Array, noise: Array) -> tuple[Array, Array]:
        both = body.apply(params, jnp.concatenate([x, x + strength * noise]))
        return both[: len(x)], both[len(x) :]

    def loss(head: Array, params: Params, strength: Array, noise: Array) -> Array:
        clean, noisy = views(params, strength, noise)
        return sampled_loss(head, clean, noisy, clean, clean)

    @jax.jit
    @jax.vmap
    def start(strength: Array) -> tuple[Array, Array, Array]:
        curvature = jax.hessian(lambda a: loss(a * head, params, strength, draws))(0.0)
        return curvature, *views(params, strength, draws)

    measured, first, second = jax.device_get(start(NOISES))
    predicted = []
    for pair in zip(first, second, strict=True):
        seen = collapse(*pair, placement=PLACEMENT, clean_first=True)
        predicted.append(-2 * float(np.sum((head @ np.asarray(seen.signal)) * head)))

    optimiser = optax.adam(1e-2)

    @jax.jit
    @jax.vmap
    def train(strength: Array) -> tuple[Array, Array, Array]:
        def step(k: Array, carry: tuple[Params, Params]) -> tuple[Params, Params]:
            weights, state = carry
            noise = jax.random.normal(jax.random.fold_in(noise_key, k), x.shape, x.dtype)
            slope = jax.grad(lambda w: loss(w[1], w[0], strength, noise))(weights)
            updates, state = optimiser.update(slope, state, weights)
            return optax.apply_updates(weights, updates), state

        begin = (params, head)
        (body_params, last), _ = jax.lax.fori_loop(0, steps, step, (begin, optimiser.init(begin)))
        clean, noisy = views(body_params, strength, draws)
        return clean, noisy, clean @ last.T

    trained = [
        collapse(h, d, z, placement=PLACEMENT, clean_first=True)
        for h, d, z in zip(*jax.device_get(train(NOISES)), strict=True)
    ]
    return _judge(name, np.asarray(measured), np.array(predicted), trained, steps)


def _judge(
    name: str, measured: np.ndarray, predicted: np.ndarray, trained: list[Collapse], steps: int
) -> Part:
    held = np.array([int(seen.measured_rank) for seen in trained])
    expected = np.array([int(seen.predicted_rank) for seen in trained])
    claims = [
        at_most(
            f"landscape/network-curvature-{name}",
            f"{name}: InfoNCE of a conv net whose last layer is scaled by a, six strengths of "
            "noise: largest relative error of the curvature at a = 0 against -2 Tr[W B W^T], B "
            "estimated from the features (an identity on the sample)",
            f"{SOURCE}; L-3",
            1e-9,
            float(np.max(np.abs(measured / predicted - 1))),
        ),
        at_most(
            f"landscape/network-weak-noise-{name}",
            f"{name}: that curvature under the weakest noise, below 0: the origin repels",
            f"{SOURCE}; L-9",
            0,
            float(measured[0]),
        ),
        at_least(
            f"landscape/network-strong-noise-{name}",
            f"{name}: that curvature under the strongest noise, above 0: the origin attracts "
            "(features of relu grow with the noise)",
            f"{SOURCE}; L-9",
            0,
            float(measured[-1]),
        ),
        at_most(
            f"landscape/network-rank-{name}",
            f"{name}: largest excess, over the strengths, of a trained net's rank over the number "
            f"of positive eigenvalues of B of its features ({steps} steps; a dimension counts from "
            "a variance of .01)",
            f"{SOURCE}; L-9",
            0,
            float((held - expected).max()),
        ),
        at_least(
            f"landscape/network-rank-lost-{name}",
            f"{name}: dimensions lost between the weakest and the strongest noise",
            f"{SOURCE}; qualitative",
            1,
            float(held[0] - held[-1]),
        ),
    ]
    figure, (left, right) = new_figure(2, width=4.4)
    left.axhline(0, color="black", linewidth=0.8)
    left.plot(NOISES, predicted, "--", color="black", label="theory, from features")
    left.plot(NOISES, measured, "o", color="#d55e00", label="loss")
    left.set(xscale="log", xlabel="noise over a pixel's spread", ylabel="curvature at a = 0")
    right.plot(NOISES, expected, "s--", color="black", mfc="none", ms=8, label="B of its features")
    right.plot(NOISES, held, "o-", color="#d55e00", label="embedding")
    right.set(
        xscale="log", xlabel="noise over a pixel's spread", ylabel="dimensions after training"
    )
    right.yaxis.get_major_locator().set_params(integer=True)
    for ax in (left, right):
        ax.legend(frameon=False)
    text = (
        f"A conv net on {name} under noise on the positive view. Left: the curvature of InfoNCE in "
        "the scale of the last layer turns from negative to positive. Right: dimensions of the "
        "trained embedding fall as noise grows, beside the positive eigenvalues of B of the "
        "features."
    )
    picture = Figure(f"network-{name}", f"A conv net collapses, {name}", text, figure)
    table = ", ".join(f"{s:g}: {a}/{b}" for s, a, b in zip(NOISES, expected, held, strict=True))
    remark = f"Conv net on {name}, predicted/measured rank at each noise: {table}."
    return Part(claims, [picture], (remark,))
