"""With orthonormal output weights, the tangent kernel changes in training at every width.

f = W2^T phi(W1 x / sqrt(d)), trained with W2^T W2 = I and, for comparison, with supervision.
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
from jssl.papers.rivals import powers
from jssl.report.figure import Figure
from jssl.single_use import compile_for_many_steps
from jssl.theory import grassmann
from jssl.types import Array, Claim, Params, Rival

SOURCE = "Esser et al. 2023, arXiv 2309.02011, section 5"
FEATURES, DIM, COUNT, STEPS = 6, 2, 36, 100
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {"tanh": jnp.tanh, "relu": jax.nn.relu}


def kernel_drift(settings: Settings) -> Part:
    """Test the drift of the first-layer kernel against width, with and without the constraint.

    Both kinds of training last equally long, in time divided by the width because the kernel grows
    with the width. The first layer changes by order 1 / width in both. Under supervision, so does
    the kernel. Under the constraint, W2 rotates from a random frame to the leading directions of
    the features at any width: drift^2 = plateau^2 + c / width, with c from the random entries of
    the first frame.
    """
    widths = {"quick": (256, 4096), "paper": (1024, 4096, 16384, 65536)}.get(
        settings.scale, (1024, 4096, 16384, 65536, 262144)
    )
    changes = _changes(widths, settings)
    claims = []
    for name in ACTIVATIONS:
        claims += _claims(name, widths, changes)
    figure, axes = new_figure(2)
    for ax, name in zip(axes, ACTIVATIONS, strict=True):
        for kind, colour, label in (
            ("constrained", "C0", "orthonormal output weights"),
            ("supervised", "C1", "supervised"),
        ):
            kernel = changes[name, kind][..., 0]
            ax.loglog(widths, kernel, ".", color=colour, alpha=0.4)
            ax.loglog(widths, np.exp(np.log(kernel).mean(1)), "o-", color=colour, label=label)
        ax.set(title=name, xlabel="width", ylabel="relative change of the first-layer kernel")
        ax.set_xticks(widths, [str(width) for width in widths])
        ax.minorticks_off()
        ax.legend(frameon=False)
    text = (
        "Relative change of the first-layer tangent kernel in training against width. With "
        "orthonormal output weights it approaches a constant; under supervision it decreases as "
        "1 / width."
    )
    title = "With orthonormal outputs, the kernel changes at every width"
    return Part(claims, [Figure("drift", title, text, figure)])


def _changes(widths: tuple[int, ...], settings: Settings) -> dict[tuple[str, str], np.ndarray]:
    """Return the relative changes (widths, seeds, 2) of the first-layer kernel and of W1."""
    seeds = {"quick": 28, "paper": 8, "large": 16}[settings.scale]
    draw, begin = jax.random.split(jax.random.fold_in(jax.random.key(settings.seed), 51))
    data = noisy_pairs(draw, COUNT, (1.0,) * FEATURES, 0.4)
    sample, pairing = grassmann.stack_views(data), grassmann.pairing_matrix(COUNT)
    targets = jax.random.normal(jax.random.fold_in(draw, 1), (DIM, 2 * COUNT), sample.dtype)
    keys = jax.random.split(begin, seeds)
    changes = {}
    for index, (name, phi) in enumerate(ACTIVATIONS.items()):
        for kind in ("constrained", "supervised"):
            study = compile_for_many_steps(
                _drift(phi, kind == "constrained"), static_argnums=0, products=True
            )
            rows = []
            for step, width in enumerate(widths):
                share = (index + (step + 1) / len(widths)) / 2
                settings.progress(f"tangent kernel, {name}, width {width}", share)
                results = [study(width, key, sample, pairing, targets) for key in keys]
                rows.append(np.array([[float(x) for x in pair] for pair in results]))
            changes[name, kind] = np.array(rows)
    return changes


def _claims(
    name: str, widths: tuple[int, ...], changes: dict[tuple[str, str], np.ndarray]
) -> list[Claim]:
    at = np.array(widths)
    constrained, supervised = (changes[name, kind] for kind in ("constrained", "supervised"))
    exponent, error = fit_exponent(at, np.log(supervised[..., 0]))
    level, level_error = plateau(at, constrained[..., 0])
    lazy, lazy_error = fit_exponent(at, np.log(constrained[..., 1]))
    sizes = f"widths {widths[0]} to {widths[-1]} with {constrained.shape[1]} seeds"
    tolerance = "The tolerance is 0.1 for the finite range of widths plus 3.9 standard errors."
    return [
        close(
            f"grassmann/supervised-drift-{name}",
            f"Under supervised training, the first-layer tangent kernel of a {name} network "
            "changes by order 1 / width.",
            SOURCE,
            -1.0,
            exponent,
            0.1 + 3.9 * error,
            details="The loss is the squared error of the outputs minus those at the start. The "
            f"measured value is the exponent of the relative change, fitted to {sizes}. "
            f"{tolerance}",
            rivals=powers(0, -0.5),
            standard_error=error,
        ),
        at_least(
            f"grassmann/constrained-plateau-{name}",
            "With orthonormal output weights, the change of the first-layer tangent kernel of a "
            f"{name} network does not vanish at infinite width.",
            SOURCE,
            3.9,
            level / level_error,
            details=f"The squared relative change at {sizes} is fitted by a constant plus a term "
            "in 1 / width. The measured value is the constant divided by its standard error.",
            rivals=[Rival("the kernel becomes constant, as under supervision", 0.0)],
            standard_error=1.0,
        ),
        close(
            f"grassmann/first-layer-lazy-{name}",
            f"With orthonormal output weights, the first-layer weights of a {name} network change "
            "by order 1 / width.",
            SOURCE,
            -1.0,
            lazy,
            0.1 + 3.9 * lazy_error,
            details="The measured value is the exponent of the relative change, fitted to "
            f"{sizes}. {tolerance} The change of the kernel comes from the output weights.",
            rivals=powers(0, -0.5),
            standard_error=lazy_error,
        ),
    ]


def _drift(phi: Callable[[Array], Array], constrained: bool) -> Callable[..., Any]:
    """Return `study(width, key, sample, pairing, targets) -> relative changes of kernel and W1`."""
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

    The network is f = W2^T phi(W1 x / sqrt(in)) with parameters {"hidden": W1, "output": W2}.
    Constrained training minimises Tr(F M F^T) with W2^T W2 = I; otherwise the loss is the squared
    error to the targets, of the outputs minus those at the start. All starts and widths therefore
    begin at the same function, zero, which makes the drift vary less.
    """

    def train(width: int, key: Array, sample: Array, pairing: Array, targets: Array) -> Any:
        first, last = jax.random.split(key)
        count, inputs = sample.shape
        dim = len(targets)
        hidden = jax.random.normal(first, (width, inputs), sample.dtype)
        scaled = sample / inputs**0.5
        gram = phi(scaled @ hidden.T)
        gram = gram @ gram.T
        # lambda_max / N of the kernel of the features bounds the curvature of both objectives.
        rate = 0.3 / jnp.linalg.norm(gram) * count
        if constrained:
            output = Stiefel().random(last, (width, dim), sample.dtype)
            link = stiefel_sgd(rate, manifold={"hidden": None, "output": Stiefel()})
        else:
            output = jax.random.normal(last, (width, dim), sample.dtype) / width**0.5
            link = optax.sgd(rate)

        first_outputs = (phi(scaled @ hidden.T) @ output).T

        def loss(params: Params) -> Array:
            f = (phi(scaled @ params["hidden"].T) @ params["output"]).T
            if constrained:
                return jnp.sum((f @ pairing) * f)
            return jnp.sum((f - first_outputs - targets) ** 2) / (2 * count)

        def step(_: int, carry: Any) -> Any:
            params, state = carry
            updates, state = link.update(jax.grad(loss)(params), state, params)
            return optax.apply_updates(params, updates), state

        start = {"hidden": hidden, "output": output}
        return start, jax.lax.fori_loop(0, steps, step, (start, link.init(start)))[0]

    return train


def first_layer_kernel(phi: Callable[[Array], Array], params: Params, sample: Array) -> Array:
    """Return the contribution of the first layer to the tangent kernel, averaged over outputs."""
    scaled = sample / sample.shape[1] ** 0.5
    slopes = jax.vmap(jax.vmap(jax.grad(phi)))(scaled @ params["hidden"].T)
    return (slopes * (params["output"] ** 2).mean(1)) @ slopes.T * (scaled @ scaled.T)


def kernel_of(phi: Callable[[Array], Array], params: Params, sample: Array) -> Array:
    """Return the whole tangent kernel in NTK parametrisation, W2 = A / sqrt(width)."""
    hidden = params["hidden"]
    features = phi(sample @ hidden.T / sample.shape[1] ** 0.5)
    return first_layer_kernel(phi, params, sample) + features @ features.T / len(hidden)


def plateau(widths: np.ndarray, drift: np.ndarray, degree: int = 1) -> tuple[float, float]:
    """Return the constant of drift^2 = plateau^2 + c / width + ... and its error over seeds."""
    constants = np.polyfit(1 / widths, drift**2, degree)[-1]
    return float(constants.mean()), float(constants.std(ddof=1) / len(constants) ** 0.5)
