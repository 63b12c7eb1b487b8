"""The kernel model: closed form at unseen points, spectrum of K_Gamma, comparison with networks."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.integrate import solve_ivp

from jssl import losses
from jssl.data import images, pairs, views
from jssl.figures import new_figure
from jssl.kernels.contrastive import contrastive_modes
from jssl.models import mlp
from jssl.optim import gradient_descent
from jssl.papers.claims import at_most, close
from jssl.papers.linear_start import linear_start
from jssl.papers.outcome import Part, Settings
from jssl.papers.rivals import powers
from jssl.papers.stepwise.linear import image_pairs
from jssl.report.figure import Figure
from jssl.simulation import run
from jssl.single_use import compile_for_many_steps
from jssl.theory import stepwise
from jssl.theory import width as width_theory
from jssl.types import Array, Claim, Pairs, Problem, Rival


def closed_form(settings: Settings) -> Part:
    """Compare f_t at unseen points with numerical integration of its flow (S-16, S-17)."""
    n, unseen, dim, scale = 20, 12, 2, 1e-3
    data = image_pairs("digits", settings, n)
    key = jax.random.fold_in(jax.random.key(settings.seed), 8)
    others = images.subset(key, images.digits(), unseen).x.reshape(unseen, -1)
    z = jnp.concatenate([data.first, data.second])
    gram, cross = _gaussian_kernel(z, z), _gaussian_kernel(jnp.asarray(others, z.dtype), z)
    modes = contrastive_modes(gram, dim)
    coefficients = scale * modes.coefficients @ jax.random.orthogonal(key, dim)
    start, start_cross = gram @ coefficients, cross @ coefficients
    last = 2 * float(
        stepwise.critical_time(
            stepwise.align_embedding(start, modes).start_scales, modes.eigenvalues
        )[-1]
    )
    times = np.linspace(0, last, 25)
    theory, slower = (
        np.asarray(stepwise.embedding(jnp.asarray(at), modes, gram, start, cross, start_cross))
        for at in (times, times / 2)
    )
    integrated = _integrate(np.asarray(gram), np.asarray(cross), np.asarray(coefficients), times)
    error, late = (
        np.abs(found - integrated).max() / np.abs(integrated).max() for found in (theory, slower)
    )
    unmoved = np.abs(theory[0] - integrated).max() / np.abs(integrated).max()
    claim = at_most(
        "stepwise/kernel-unseen-points",
        "From an aligned initialisation, the closed form of the kernel model agrees with numerical "
        "integration of its gradient flow at unseen points.",
        "Simon et al. 2023, section 5; S-17 in docs/equations.md",
        1e-6,
        error,
        details="The measured value is the largest difference over points and times, relative to "
        "the largest value. The integration has relative tolerance 1e-10.",
        rivals=[
            Rival("half the rate, for a loss of one order of the views", late),
            Rival("unseen points do not move", unmoved),
        ],
    )
    return Part([claim], [])


def spectra(settings: Settings) -> Part:
    """Test the spectrum of K_Gamma for a linear kernel and for identical views."""
    data = image_pairs("digits", settings, 100)
    z = jnp.concatenate([data.first, data.second])
    linear = contrastive_modes(z @ z.T, 10)
    top = stepwise.modes(pairs.cross_moment(data), 10)
    linear_error = np.abs(linear.eigenvalues / top.eigenvalues - 1).max()
    identical = jnp.concatenate([data.first, data.first])
    modes = contrastive_modes(_gaussian_kernel(identical, identical), 10)
    kernel = _gaussian_kernel(data.first, data.first) / len(data.first)
    components = jnp.linalg.eigvalsh(kernel)[::-1][:10]
    centred_kernel = kernel - kernel.mean(0) - kernel.mean(1)[:, None] + kernel.mean()
    centred_components = jnp.linalg.eigvalsh(centred_kernel)[::-1][:10]
    second = jnp.linalg.eigvalsh(z.T @ z / len(z))[::-1][:10]
    identical_error = np.abs(modes.eigenvalues / components - 1).max()
    source = "Simon et al. 2023, section 5; {} in docs/equations.md"
    claims = [
        at_most(
            "stepwise/contrastive-kernel-spectrum",
            "For a linear kernel, the ten largest eigenvalues of the contrastive kernel K_Gamma "
            "equal those of Gamma.",
            source.format("S-15"),
            1e-8,
            linear_error,
            details="The measured value is the largest relative difference. The kernel matrix is "
            f"singular: its rank is {int(linear.rank)} and its size {len(z)}.",
            rivals=[
                Rival(
                    "the second moment of the views: kernel PCA",
                    np.abs(second / top.eigenvalues - 1).max(),
                ),
                Rival("half of them, for a factor 1/2n in place of 1/n", 0.5),
            ],
        ),
        at_most(
            "stepwise/identical-views-are-kernel-pca",
            "For identical views, the eigenvalues of K_Gamma equal those of uncentred kernel PCA.",
            source.format("S-18"),
            1e-7,
            identical_error,
            details="Kernel PCA has the eigenvalues of K_XX / n. The measured value is the largest "
            "relative difference of the ten largest ones. The kernel matrix is singular, so the "
            "tolerance is of the order of the square root of the rounding error.",
            rivals=[
                Rival(
                    "centred kernel PCA", np.abs(modes.eigenvalues / centred_components - 1).max()
                ),
                Rival("half of them, for a factor 1/2n in place of 1/n", 0.5),
            ],
        ),
    ]
    return Part(claims, [])


class WidthErrors(NamedTuple):
    """Distances from the infinite-width kernel model at the end of training.

    Attributes:
        widths: of the networks.
        networks: (widths, seeds) relative distance of trained networks.
        closed_form: (seeds,) relative distance of the closed form of K_Gamma from the trained
            kernel model, from the small outputs of random networks.
        swapped: (seeds,) this distance if outputs are in another order, as if the start did not
            decide which output learns which mode.
        start: scale of the initial outputs.
        eigenvalue_ratio: eigenvalue after the last learned one, divided by that one.
    """

    widths: tuple[int, ...]
    networks: np.ndarray
    closed_form: np.ndarray
    swapped: np.ndarray
    start: float
    eigenvalue_ratio: float


def wide_networks(settings: Settings) -> Part:
    """Fit the exponent with which trained networks approach the infinite-width prediction."""
    errors = width_errors(settings)
    seeds = errors.networks.shape[1]
    logs, at = np.log(errors.networks), np.log(errors.widths)
    slopes = np.array([np.polyfit(at, logs[:, s], 1)[0] for s in range(seeds)])
    claims = _width_claims(errors, slopes)
    figure, (ax,) = new_figure(1)
    widths = np.asarray(errors.widths)
    ax.loglog(widths, errors.networks, "o", color="0.6", markersize=3)
    ax.loglog(widths, np.exp(logs.mean(axis=1)), "o-", label="geometric mean over seeds")
    line = np.exp(logs[-1].mean()) * (widths / widths[-1]) ** -0.5
    ax.loglog(widths, line, "k--", linewidth=1, label="width$^{-1/2}$")
    ax.set_xlabel("width")
    ax.set_ylabel("relative distance from the kernel model")
    ax.legend(frameon=False)
    text = (
        "Relative distance between trained two-layer erf networks and the infinite-width kernel "
        f"model trained from the same start, at training and unseen points. Grey points are the "
        f"{seeds} seeds."
    )
    return Part(claims, [Figure("width", "Wide networks approach the kernel model", text, figure)])


def width_errors(settings: Settings) -> WidthErrors:
    """Train networks of every width and the kernel model from the same starts."""
    widths, seeds = {
        "quick": ((64, 256, 1024), 16),
        "paper": ((256, 1024, 4096, 16384), 32),
        "large": ((256, 1024, 4096, 16384, 65536), 64),
    }[settings.scale]
    n, dim, inputs, scale = 15, 2, 16, 1e-2
    data, others = projected_digits(settings, n, inputs)
    options: dict[str, Any] = {"depth": 1, "activation": "erf", "dtype": jnp.float64}
    model = mlp(inputs, dim, width=64, **options)
    kernel = width_theory.infinite(model, data, dim, others)
    modes = kernel.modes
    further = contrastive_modes(kernel.everywhere[: 2 * n], dim + 1).eigenvalues
    rate = 0.1 / float(modes.eigenvalues[0])
    last = int(4 * np.log(1 / scale**2) / (8 * float(modes.eigenvalues[-1])) / rate)
    points = jnp.concatenate([data.first, data.second, others])
    begin = linear_start(model, data, dim, scale)
    key = jax.random.key(0)  # the outputs at the start depend on no key
    limit = width_theory.descend(kernel, begin.apply(begin.init(key), points), rate, [last])[-1]

    def error(width: Array, key: Array) -> Array:
        base = mlp(inputs, dim, width=width, max_width=widths[-1], **options)
        net = linear_start(base, data, dim, scale)
        problem = Problem(
            pairs.fixed(data), net, losses.get("barlow_twins_linearized"), gradient_descent(rate)
        )

        def observe(params: Array, _: Pairs) -> dict[str, Array]:
            return {"embedding": net.apply(params, points)}

        end = run(problem, [last], observe)(key).observables["embedding"][-1]
        return jnp.linalg.norm(end - limit) / jnp.linalg.norm(limit)

    keys = jax.random.split(jax.random.fold_in(jax.random.key(settings.seed), 9), seeds)
    # One program: narrower networks are the widest one padded with zeros, and start nested.
    of_width = compile_for_many_steps(jax.vmap(error, (None, 0)), products=True)
    networks = np.array([of_width(jnp.float64(width), keys) for width in widths])
    outputs = jax.vmap(lambda key: model.apply(model.init(key), points))(keys)
    closed_form, swapped = closed_form_errors(kernel, scale * outputs, rate, last)
    ratio = float(further[dim] / further[dim - 1])
    return WidthErrors(widths, networks, closed_form, swapped, scale, ratio)


def closed_form_errors(
    kernel: width_theory.KernelModel, starts: Array, rate: float, last: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the relative distance of the closed form from descent on the kernel, for each start.

    The second result is the distance if the outputs are in the opposite order.

    Args:
        kernel: the kernel model.
        starts: (seeds, points, dim) small outputs.
        rate: learning rate.
        last: number of steps.
    """

    def both(start: Array) -> tuple[Array, Array]:
        ideal = width_theory.descend(kernel, start, rate, [last])[-1]
        return ideal, width_theory.embeddings(kernel, last * rate, start)

    ideal, closed = map(np.asarray, compile_for_many_steps(jax.vmap(both), products=True)(starts))
    size = np.linalg.norm(ideal, axis=(1, 2))
    first, second = (
        np.linalg.norm(found - ideal, axis=(1, 2)) / size for found in (closed, closed[..., ::-1])
    )
    return first, second


def _width_claims(errors: WidthErrors, slopes: np.ndarray) -> list[Claim]:
    slope, standard_error = slopes.mean(), slopes.std(ddof=1) / np.sqrt(len(slopes))
    return [
        close(
            "stepwise/width-exponent",
            "The distance between trained networks and the infinite-width kernel model decreases "
            "as width^(-1/2).",
            "Simon et al. 2023, section 5; S-16 in docs/equations.md",
            -0.5,
            slope,
            0.1 + 3.9 * standard_error,
            details="Two-layer erf networks of widths "
            f"{errors.widths[0]} to {errors.widths[-1]} and the kernel model start from the same "
            f"outputs of scale {errors.start:g}, which are linear in the input. The kernel of a "
            "finite network fluctuates by width^(-1/2). The measured value is the fitted exponent, "
            f"averaged over {len(slopes)} seeds. The tolerance is 0.1 for the finite range of "
            "widths plus 3.9 standard errors.",
            rivals=powers(0, -1),
            standard_error=standard_error,
        ),
        at_most(
            "stepwise/kernel-closed-form-from-generic-start",
            "From a generic small initialisation, the closed form of K_Gamma agrees with gradient "
            "descent on the kernel model to the predicted order.",
            "Simon et al. 2023, section 5; S-14 and S-16 in docs/equations.md",
            3 * errors.start ** (1 - errors.eigenvalue_ratio),
            float(np.median(errors.closed_form)),
            details="The measured value is the relative distance at the end of gradient descent "
            f"from the outputs of random networks, times {errors.start:g}, the median over seeds. "
            "The bound is three times the order of magnitude given by S-14.",
            rivals=[
                Rival(
                    "the start does not decide which output learns which mode",
                    float(np.median(errors.swapped)),
                )
            ],
        ),
    ]


def _gaussian_kernel(x: Array, y: Array) -> Array:
    distance = jnp.sum((x[:, None] - y[None]) ** 2, axis=-1)
    return jnp.exp(-distance / 20)


def _integrate(
    gram: np.ndarray, cross: np.ndarray, coefficients: np.ndarray, times: np.ndarray
) -> np.ndarray:
    """Integrate df/dt = -(2/n) k(., Z) J F (C - I) at the views and at unseen points."""
    rows, dim = coefficients.shape
    n = rows // 2
    everywhere = np.concatenate([gram, cross])

    def velocity(_: float, flat: np.ndarray) -> np.ndarray:
        f = flat.reshape(-1, dim)[:rows]
        swapped = np.concatenate([f[n:], f[:n]])
        c = f.T @ swapped / rows
        return (-2 / n * everywhere @ swapped @ (c - np.eye(dim))).ravel()

    start = (everywhere @ coefficients).ravel()
    solution = solve_ivp(velocity, (0, times[-1]), start, "DOP853", times, rtol=1e-10, atol=1e-14)
    return solution.y.T.reshape(len(times), -1, dim)[:, rows:]


def projected_digits(settings: Settings, n: int, inputs: int) -> tuple[Pairs, Array]:
    """Return n pairs of digits and n unseen images on their leading principal components."""
    chosen, shift = jax.random.split(jax.random.fold_in(jax.random.key(settings.seed), 10))
    sample = images.subset(chosen, images.digits(), 2 * n).x.astype(np.float64)
    data = pairs.flatten(pairs.make_pairs(shift, jnp.asarray(sample[:n]), views.shift(1)))
    others = jnp.asarray(sample[n:]).reshape(n, -1)
    everything = jnp.concatenate([data.first, data.second, others])
    mean = everything.mean(axis=0)
    basis = jnp.linalg.svd(everything - mean, full_matrices=False)[2][:inputs]
    first, second, rest = ((x - mean) @ basis.T for x in (data.first, data.second, others))
    return Pairs(first, second), rest
