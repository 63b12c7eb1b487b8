"""Orthonormal output weights: principal components of random features, and no constant kernel.

    f(x) = W2^T phi(W1 x / sqrt(in)),    W2^T W2 = I,    L = Tr(F M F^T)

With W1 fixed the optimum is the bottom eigenspace of Phi M Phi^T, the principal components of the
random features Phi = phi(W1 X / sqrt(in)): F = V^T K^{1/2}, V the bottom eigenvectors of
K^{1/2} M K^{1/2}, K = Phi^T Phi. W1 is trained too, but it changes by order 1 / width at equal
training time. The trained representation therefore approaches the components of the initial
features as 1 / width, and these approach those of the infinite-width (NNGP) kernel as width^(-1/2).
At any width W2 changes from a random frame to these components, so the tangent kernel does not
become constant: with its change A + B / width, drift^2 = plateau^2 + c / width + c' / width^2.

Anil, Esser, Ghoshdastidar 2024, arXiv 2403.08673; Esser et al. 2023, arXiv 2309.02011, section 5.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl.diagnostics import paired_exponent
from jssl.figures import new_figure
from jssl.kernels import infinite
from jssl.models import mlp
from jssl.papers.claims import at_least, close
from jssl.papers.grassmann.naive import noisy_pairs
from jssl.papers.grassmann.wide import descend, kernel_of, plateau
from jssl.papers.outcome import Part, Settings
from jssl.papers.rivals import powers
from jssl.report.figure import Figure
from jssl.single_use import compile_for_many_steps
from jssl.theory import grassmann
from jssl.types import Array, Claim, Rival

SOURCE = "Anil et al. 2024, arXiv 2403.08673"
FEATURES, DIM, COUNT, STEPS = 6, 2, 16, 300
SPECTRUM = (2.0, 1.5, 0.1, 0.1, 0.1, 0.1)
DRAWS = 64
"""Random layers whose components are compared with those of infinite width; none is trained."""


class Measurements(NamedTuple):
    """Results, each array (widths, seeds).

    Attributes:
        widths: of the hidden layer.
        own: sine between the trained representation and the components of its initial features.
        limit: sine between such components and the infinite-width ones, for `DRAWS` random layers.
        drift: relative change of the tangent kernel.
    """

    widths: tuple[int, ...]
    own: np.ndarray
    limit: np.ndarray
    drift: np.ndarray


def random_features(settings: Settings) -> Part:
    """Compare trained representations with components of random features, and those with NNGP."""
    measured = measure(settings)
    return Part(_claims(measured), [_figure(*measured)])


def measure(settings: Settings) -> Measurements:
    """Train networks of every width and measure sines and drift."""
    widths = {"quick": (128, 512, 2048), "paper": (128, 512, 2048, 8192)}.get(
        settings.scale, (128, 512, 2048, 8192, 32768)
    )
    seeds = {"quick": 8, "paper": 16, "large": 32}[settings.scale]
    draw, begin = jax.random.split(jax.random.fold_in(jax.random.key(settings.seed), 75))
    data = noisy_pairs(draw, COUNT, SPECTRUM, 0.2)
    sample, pairing = grassmann.stack_views(data), grassmann.pairing_matrix(COUNT)
    targets = jnp.zeros((DIM, 2 * COUNT))
    net = mlp(FEATURES, 1, width=1, depth=1, activation="tanh")
    limit = components(np.asarray(infinite.kernel(net, sample, kind="nngp")), pairing)
    program = compile_for_many_steps(
        descend(jnp.tanh, constrained=True, steps=STEPS), static_argnums=0, products=True
    )
    rows = []
    for index, width in enumerate(widths):
        settings.progress(f"random features, width {width}", index / len(widths))
        row = []
        for key in jax.random.split(begin, seeds):
            start, end = program(width, key, sample, pairing, targets)
            before, after = (np.asarray(_features(p["hidden"], sample)) for p in (start, end))
            own = components(before @ before.T, pairing)
            kernels = [np.asarray(kernel_of(jnp.tanh, p, sample)) for p in (start, end)]
            row.append(
                (
                    sine(after @ np.asarray(end["output"]), own),
                    np.linalg.norm(kernels[1] - kernels[0]) / np.linalg.norm(kernels[0]),
                )
            )
        rows.append(row)
    own, drift = np.moveaxis(np.array(rows), -1, 0)
    generator = settings.generator(76)
    approach = [
        [sine(_random_components(width, generator, sample, pairing), limit) for _ in range(DRAWS)]
        for width in widths
    ]
    return Measurements(widths, own, np.array(approach), drift)


def _claims(measured: Measurements) -> list[Claim]:
    widths = measured.widths
    fit = paired_exponent(widths, measured.own)
    level, error = plateau(np.array(widths), measured.drift, degree=2)
    setting = (
        f"The networks have one tanh layer of width {widths[0]} to {widths[-1]} and are trained "
        f"with {measured.own.shape[1]} seeds."
    )
    exponent = (
        "The measured value is the fitted exponent of the root-mean-square sine of the angles "
        "between the two subspaces."
    )
    tolerance = "The tolerance is 0.1 for the finite range of widths plus 3.9 standard errors."
    claims = [
        close(
            "width/random-feature-components",
            "With orthonormal output weights, the trained representation approaches the principal "
            "components of its initial random features as 1 / width.",
            SOURCE,
            -1.0,
            fit.exponent,
            0.1 + 3.9 * fit.error,
            details=f"{setting} {exponent} Its 95 % interval is +- {fit.half_width:.2f}. "
            f"{tolerance}",
            rivals=powers(0, -0.5),
            standard_error=fit.error,
        ),
        at_least(
            "width/constrained-drift-plateau",
            "With orthonormal output weights, the change of the tangent kernel in training does "
            "not vanish at infinite width.",
            "Esser et al. 2023, arXiv 2309.02011, section 5",
            3.9,
            level / error,
            details=f"{setting} The squared relative change is fitted by a constant plus terms in "
            "1 / width and 1 / width^2. The measured value is the constant divided by its "
            "standard error.",
            rivals=[Rival("the kernel becomes constant, as under Barlow Twins", 0.0)],
            standard_error=1.0,
        ),
    ]
    if np.isfinite(measured.limit).all():
        limit_fit = paired_exponent(widths, measured.limit)
        claims.append(
            close(
                "width/components-approach-the-kernel",
                "The principal components of random features approach those of the "
                "infinite-width NNGP kernel as width^(-1/2).",
                SOURCE,
                -0.5,
                limit_fit.exponent,
                0.1 + 3.9 * limit_fit.error,
                details=f"The features are those of {measured.limit.shape[1]} random tanh layers "
                f"of each width {widths[0]} to {widths[-1]}, before training. {exponent} "
                f"{tolerance}",
                rivals=powers(0, -1),
                standard_error=limit_fit.error,
            )
        )
    return claims


def components(kernel: np.ndarray, pairing: Array) -> np.ndarray:
    """Return the optimal representation (2n, DIM) of fixed features with this Gram matrix."""
    values, vectors = np.linalg.eigh(kernel)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    return root @ np.linalg.eigh(root @ np.asarray(pairing) @ root)[1][:, :DIM]


def sine(a: np.ndarray, b: np.ndarray) -> float:
    """Return the root mean squared sine of the angles between two column spaces."""
    qa, qb = np.linalg.qr(a)[0], np.linalg.qr(b)[0]
    return float(np.linalg.norm(qa - qb @ (qb.T @ qa)) / np.sqrt(a.shape[1]))


def _random_components(
    width: int, generator: np.random.Generator, sample: Array, pairing: Array
) -> np.ndarray:
    """Return the components of the features of one random layer."""
    hidden = generator.standard_normal((width, FEATURES))
    features = np.tanh(np.asarray(sample) @ hidden.T / FEATURES**0.5)
    return components(features @ features.T, pairing)


def _features(hidden: Array, sample: Array) -> Array:
    return jnp.tanh(sample @ hidden.T / FEATURES**0.5)


def _figure(
    widths: tuple[int, ...], own: np.ndarray, limit: np.ndarray, drift: np.ndarray
) -> Figure:
    figure, (left, right) = new_figure(2)
    for values, label, marker in (
        (own, "trained network to its random features", "o"),
        (limit, "random features to infinite width", "s"),
    ):
        if np.isfinite(values).all():
            left.loglog(widths, np.exp(np.log(values).mean(1)), marker + "-", label=label)
    for power, style in ((-1.0, "--"), (-0.5, ":")):
        anchor = np.exp(np.log(own if power < -0.7 else limit)[0].mean()) * 1.3
        line = anchor * (np.array(widths) / widths[0]) ** power
        left.loglog(widths, line, "k" + style, linewidth=1, label=f"width$^{{{power:g}}}$")
    left.set(xlabel="width", ylabel="sine between subspaces")
    left.legend(frameon=False, fontsize=7)
    right.loglog(widths, drift, "o", color="C1", alpha=0.4, markersize=3)
    right.loglog(
        widths, np.exp(np.log(drift).mean(1)), "o-", color="C1", label="geometric mean over seeds"
    )
    right.set(xlabel="width", ylabel="drift of the tangent kernel", ylim=(1e-2, 2))
    right.legend(frameon=False)
    for ax in (left, right):
        ax.set_xticks(widths, [str(width) for width in widths])
        ax.minorticks_off()
    text = (
        "Orthonormal output weights. Left: trained representations approach the principal "
        "components of their random features as 1 / width, and these approach the infinite-width "
        "components as width^(-1/2). Right: the tangent kernel changes in training at every width."
    )
    title = "Orthonormal outputs: principal components of random features"
    return Figure("features", title, text, figure)
