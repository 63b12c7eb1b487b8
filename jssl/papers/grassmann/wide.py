"""Under orthogonality the last layer always travels, so the kernel never becomes constant.

f = W2^T phi(W1 x / sqrt(d)), descent with W2^T W2 = I against supervised descent of the same net.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jssl.figures import new_figure
from jssl.manifolds import Stiefel
from jssl.optim import stiefel_sgd
from jssl.papers.claims import at_least, close
from jssl.papers.grassmann.naive import fit_exponent, noisy_pairs
from jssl.papers.outcome import Part, Settings
from jssl.report.figure import Figure
from jssl.theory import grassmann
from jssl.types import Array, Params

SOURCE = "Esser et al. 2023, section 5"
FEATURES, DIM, COUNT, STEPS = 6, 2, 36, 100
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {"tanh": jnp.tanh, "relu": jax.nn.relu}


def kernel_drift(settings: Settings) -> Part:
    """Judge the drift of the first-layer kernel against width, with and without the constraint.

    Both train for the same time, in units of 1 / width, as the kernel grows with width. The first
    layer moves by 1 / width either way. Supervised, so does the kernel; under the constraint W2
    goes from a random frame to the leading directions of the features, however many there are:
    drift^2 = plateau^2 + c / width, c from the random entries of the first frame.
    """
    widths = {"quick": (1024, 4096), "paper": (1024, 4096, 16384, 65536)}.get(
        settings.scale, (1024, 4096, 16384, 65536, 262144)
    )
    seeds = {"quick": 6, "paper": 8, "large": 16}[settings.scale]
    draw, begin = jax.random.split(jax.random.fold_in(jax.random.key(settings.seed), 51))
    data = noisy_pairs(draw, COUNT, (1.0,) * FEATURES, 0.4)
    sample, pairing = grassmann.stack_views(data), grassmann.pairing_matrix(COUNT)
    targets = jax.random.normal(jax.random.fold_in(draw, 1), (DIM, 2 * COUNT), sample.dtype)
    keys = jax.random.split(begin, seeds)
    claims, drifts = [], {}
    for index, (name, phi) in enumerate(ACTIVATIONS.items()):
        for kind in ("constrained", "supervised"):
            study = jax.jit(_drift(phi, kind == "constrained"), static_argnums=0)
            rows = []
            for step, width in enumerate(widths):
                share = (index + (step + 1) / len(widths)) / 2
                settings.progress(f"kernel drift, {name}, width {width}", share)
                found = [study(width, key, sample, pairing, targets) for key in keys]
                rows.append(np.array([[float(x) for x in pair] for pair in found]))
            drifts[name, kind] = np.array(rows)
        kernel = drifts[name, "supervised"][..., 0]
        exponent, error = fit_exponent(np.array(widths), np.log(kernel))
        level, level_error = plateau(np.array(widths), drifts[name, "constrained"][..., 0])
        moved = np.log(drifts[name, "constrained"][..., 1])
        lazy, lazy_error = fit_exponent(np.array(widths), moved)
        claims += [
            close(
                f"grassmann/supervised-drift-{name}",
                f"{name}, squared loss: change of the first-layer kernel over training, exponent "
                f"in the width {widths[0]} ... {widths[-1]}, {seeds} seeds; .1 and 3.9 standard "
                "errors",
                SOURCE,
                -1.0,
                exponent,
                0.1 + 3.9 * error,
            ),
            at_least(
                f"grassmann/constrained-plateau-{name}",
                f"{name}, orthonormal outputs: the part of that change that no width removes, "
                "squared, over its standard error",
                SOURCE,
                3.9,
                level / level_error,
            ),
            close(
                f"grassmann/first-layer-lazy-{name}",
                f"{name}, orthonormal outputs: change of the first layer itself, exponent; it is "
                "lazy and W2 is what travels",
                SOURCE,
                -1.0,
                lazy,
                0.1 + 3.9 * lazy_error,
            ),
        ]
    figure, axes = new_figure(2)
    for ax, name in zip(axes, ACTIVATIONS, strict=True):
        for kind, colour in (("constrained", "C0"), ("supervised", "C1")):
            kernel = drifts[name, kind][..., 0]
            ax.loglog(widths, kernel, ".", color=colour, alpha=0.4)
            ax.loglog(widths, np.exp(np.log(kernel).mean(1)), "o-", color=colour, label=kind)
        ax.set(title=name, xlabel="width", ylabel="relative change of the first-layer kernel")
        ax.set_xticks(widths, [str(width) for width in widths])
        ax.minorticks_off()
        ax.legend(frameon=False)
    text = (
        "Change of the first-layer tangent kernel over training against width: it levels off with "
        "orthonormal outputs and vanishes as one over the width under supervision."
    )
    return Part(claims, [Figure("drift", "The kernel of constrained SSL moves", text, figure)])


def _drift(phi: Callable[[Array], Array], constrained: bool) -> Callable[..., Any]:
    """Return `study(width, key, sample, pairing, targets) -> changes of the kernel and of W1`."""
    train = descend(phi, constrained, STEPS)

    def study(width: int, key: Array, sample: Array, pairing: Array, targets: Array) -> Any:
        start, end = train(width, key, sample, pairing, targets)
        before, after = (first_layer_kernel(phi, p, sample) for p in (start, end))
        moved = end["hidden"] - start["hidden"]
        return (
            jnp.linalg.norm(after - before) / jnp.linalg.norm(before),
            jnp.linalg.norm(moved) / jnp.linalg.norm(start["hidden"]),
        )

    return study


def descend(phi: Callable[[Array], Array], constrained: bool, steps: int) -> Callable[..., Any]:
    """Return `train(width, key, sample, pairing, targets) -> parameters at the start and the end`.

    f = W2^T phi(W1 x / sqrt(in)) with parameters {"hidden": W1, "output": W2}: descent on
    Tr(F M F^T) with W2^T W2 = I where constrained, on the squared loss to the targets otherwise.
    """

    def train(width: int, key: Array, sample: Array, pairing: Array, targets: Array) -> Any:
        first, last = jax.random.split(key)
        count, inputs = sample.shape
        dim = len(targets)
        hidden = jax.random.normal(first, (width, inputs), sample.dtype)
        scaled = sample / inputs**0.5
        gram = phi(scaled @ hidden.T)
        gram = gram @ gram.T
        # lambda_max / N of the features' kernel bounds both objectives' curvature by itself
        rate = 0.3 / jnp.linalg.norm(gram) * count
        if constrained:
            output = Stiefel().random(last, (width, dim), sample.dtype)
            link = stiefel_sgd(rate, manifold={"hidden": None, "output": Stiefel()})
        else:
            output = jax.random.normal(last, (width, dim), sample.dtype) / width**0.5
            link = optax.sgd(rate)

        def loss(params: Params) -> Array:
            f = (phi(scaled @ params["hidden"].T) @ params["output"]).T
            if constrained:
                return jnp.sum((f @ pairing) * f)
            return jnp.sum((f - targets) ** 2) / (2 * count)

        def step(_: int, carry: Any) -> Any:
            params, state = carry
            updates, state = link.update(jax.grad(loss)(params), state, params)
            return optax.apply_updates(params, updates), state

        start = {"hidden": hidden, "output": output}
        return start, jax.lax.fori_loop(0, steps, step, (start, link.init(start)))[0]

    return train


def first_layer_kernel(phi: Callable[[Array], Array], params: Params, sample: Array) -> Array:
    """Return the first layer's share of the tangent kernel, mean over outputs."""
    scaled = sample / sample.shape[1] ** 0.5
    slopes = jax.vmap(jax.vmap(jax.grad(phi)))(scaled @ params["hidden"].T)
    return (slopes * (params["output"] ** 2).mean(1)) @ slopes.T * (scaled @ scaled.T)


def kernel_of(phi: Callable[[Array], Array], params: Params, sample: Array) -> Array:
    """Return the whole tangent kernel, W2 = A / sqrt(width) counted in NTK parametrisation."""
    hidden = params["hidden"]
    features = phi(sample @ hidden.T / sample.shape[1] ** 0.5)
    return first_layer_kernel(phi, params, sample) + features @ features.T / len(hidden)


def plateau(widths: np.ndarray, drift: np.ndarray, degree: int = 1) -> tuple[float, float]:
    """Return the constant of drift^2 = plateau^2 + c / width + ... and its error, seeds paired."""
    constants = np.polyfit(1 / widths, drift**2, degree)[-1]
    return float(constants.mean()), float(constants.std(ddof=1) / len(constants) ** 0.5)
