"""The kernel model: closed form at unseen points, K_Gamma's spectrum, wide networks against it."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.integrate import solve_ivp

from jssl import losses
from jssl._compat import neural_tangents
from jssl.data import images, pairs, views
from jssl.figures import new_figure
from jssl.kernels.contrastive import contrastive_modes
from jssl.models import centred, mlp
from jssl.optim import gradient_descent
from jssl.papers.claims import at_most, close
from jssl.papers.outcome import Part, Settings
from jssl.papers.stepwise.linear import image_pairs
from jssl.report.figure import Figure
from jssl.simulation import run
from jssl.theory import stepwise
from jssl.theory import width as width_theory
from jssl.types import Array, Pairs, Problem, start_key


def closed_form(settings: Settings) -> Part:
    """Judge f_t at unseen points against integration of the function-space flow (S-16, S-17)."""
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
    theory = np.asarray(
        stepwise.embedding(jnp.asarray(times), modes, gram, start, cross, start_cross)
    )
    integrated = _integrate(np.asarray(gram), np.asarray(cross), np.asarray(coefficients), times)
    apart = np.abs(theory - integrated).max() / np.abs(integrated).max()
    claim = at_most(
        "stepwise/kernel-unseen-points",
        "kernel model from an aligned start: largest distance of the closed form from a "
        "high-order integration (relative tolerance 1e-10) at unseen points and all times",
        "Simon et al. 2023, section 5; S-17",
        1e-6,
        apart,
    )
    return Part([claim], [])


def spectra(settings: Settings) -> Part:
    """Judge the spectrum of K_Gamma: Gamma's in feature space, kernel PCA for equal views."""
    data = image_pairs("digits", settings, 100)
    z = jnp.concatenate([data.first, data.second])
    linear = contrastive_modes(z @ z.T, 10)
    top = stepwise.modes(pairs.cross_moment(data), 10)
    apart = np.abs(linear.eigenvalues / top.eigenvalues - 1).max()
    same = jnp.concatenate([data.first, data.first])
    modes = contrastive_modes(_gaussian_kernel(same, same), 10)
    kernel = _gaussian_kernel(data.first, data.first) / len(data.first)
    components = jnp.linalg.eigvalsh(kernel)[::-1][:10]
    pca = np.abs(modes.eigenvalues / components - 1).max()
    source = "Simon et al. 2023, section 5; S-15, S-18"
    claims = [
        at_most(
            "stepwise/contrastive-kernel-spectrum",
            "linear kernel: the ten largest eigenvalues of K_Gamma (singular here: rank "
            f"{int(linear.rank)} of {len(z)}) are those of Gamma, relative",
            source,
            1e-8,
            apart,
        ),
        at_most(
            "stepwise/identical-views-are-kernel-pca",
            "identical views: eigenvalues of K_Gamma are those of K_XX / n, relative (a singular "
            "gram matrix: the square root of rounding)",
            source,
            1e-7,
            pca,
        ),
    ]
    return Part(claims, [])


def wide_networks(settings: Settings) -> Part:
    """Fit how trained networks of growing width approach the infinite-width prediction."""
    usable, _ = neural_tangents.status()
    if not usable:
        missing = (
            "Wide networks were not compared with their infinite-width kernel: neural-tangents is "
            "not usable here; `jssl doctor` says what to do."
        )
        return Part([], [], (missing,))
    widths, seeds = {
        "quick": ((256, 1024, 4096), 12),
        "paper": ((256, 1024, 4096, 16384), 32),
        "large": ((256, 1024, 4096, 16384, 65536), 64),
    }[settings.scale]
    n, dim, inputs, scale = 15, 2, 16, 1e-2
    data, others = projected_digits(settings, n, inputs)
    model = mlp(inputs, dim, width=64, depth=1, activation="erf", dtype=jnp.float64)
    kernel = width_theory.infinite(model, data, dim, others)
    modes = kernel.modes
    further = contrastive_modes(kernel.everywhere[: 2 * n], dim + 1).eigenvalues
    rate = 0.1 / float(modes.eigenvalues[0])
    last = int(4 * np.log(1 / scale**2) / (8 * float(modes.eigenvalues[-1])) / rate)
    points = jnp.concatenate([data.first, data.second, others])

    def error(width: Array, key: Array) -> Array:
        base = mlp(
            inputs,
            dim,
            width=width,
            max_width=widths[-1],
            depth=1,
            activation="erf",
            dtype=jnp.float64,
        )
        net = centred(base, scale)
        problem = Problem(
            pairs.fixed(data), net, losses.get("barlow_twins_linearized"), gradient_descent(rate)
        )

        def observe(params: Array, _: Pairs) -> dict[str, Array]:
            return {"embedding": net.apply(params, points)}

        end = run(problem, [last], observe)(key).observables["embedding"][-1]
        start = net.apply(net.init(start_key(key)), points)
        limit = width_theory.descend(kernel, start, rate, [last])[-1]
        closed = width_theory.embeddings(kernel, last * rate, start)
        size = jnp.linalg.norm(limit)
        return jnp.stack([jnp.linalg.norm(end - limit), jnp.linalg.norm(closed - limit)]) / size

    keys = jax.random.split(jax.random.fold_in(jax.random.key(settings.seed), 9), seeds)
    # One program: narrower networks are the widest one padded with zeros, and start nested.
    of_width = jax.jit(jax.vmap(error, (None, 0)))
    seen = [np.asarray(of_width(jnp.float64(width), keys)) for width in widths]
    errors, closed = np.moveaxis(np.stack(seen), -1, 0)
    logs, at = np.log(errors), np.log(widths)
    slopes = np.array([np.polyfit(at, logs[:, s], 1)[0] for s in range(seeds)])
    slope, spread = slopes.mean(), slopes.std(ddof=1) / np.sqrt(seeds)
    claims = [
        close(
            "stepwise/width-exponent",
            f"two-layer erf networks, widths {widths[0]} ... {widths[-1]}, from a centred small "
            "start: exponent in the width of the distance from the infinite-width kernel model "
            "trained from the same start (a finite kernel fluctuates by width^-1/2); .1 for the "
            "finite range and 3.9 standard errors over seeds",
            "Simon et al. 2023, section 5; S-16",
            -0.5,
            slope,
            0.1 + 3.9 * spread,
        ),
        at_most(
            "stepwise/kernel-closed-form-from-generic-start",
            f"closed form of K_Gamma at the end of training from a start of {scale:g}: relative "
            "distance from the kernel model's own descent, median over seeds; three times the "
            "order of magnitude of S-14",
            "Simon et al. 2023, section 5; S-14, S-16",
            3 * scale ** (1 - float(further[dim] / further[dim - 1])),
            float(np.median(closed)),
        ),
    ]
    figure, (ax,) = new_figure(1)
    ax.loglog(widths, errors, "o", color="0.6", markersize=3)
    ax.loglog(widths, np.exp(logs.mean(axis=1)), "o-", label="mean over seeds")
    line = np.exp(logs[-1].mean()) * (np.asarray(widths) / widths[-1]) ** -0.5
    ax.loglog(widths, line, "k--", linewidth=1, label="width$^{-1/2}$")
    ax.set_xlabel("width")
    ax.set_ylabel("distance from the kernel's prediction")
    ax.legend(frameon=False)
    text = (
        f"Relative distance between trained two-layer erf networks and the closed form of the "
        f"infinite-width contrastive kernel, {seeds} seeds (grey), at training and unseen points."
    )
    return Part(claims, [Figure("width", "Wide networks approach the kernel", text, figure)])


def _gaussian_kernel(x: Array, y: Array) -> Array:
    distance = jnp.sum((x[:, None] - y[None]) ** 2, axis=-1)
    return jnp.exp(-distance / 20)


def _integrate(
    gram: np.ndarray, cross: np.ndarray, coefficients: np.ndarray, times: np.ndarray
) -> np.ndarray:
    """Integrate df/dt = -(2/n) k(., Z) J F (C - I) at the views and at unseen points together."""
    rows, dim = coefficients.shape
    n = rows // 2
    everywhere = np.concatenate([gram, cross])

    def velocity(_: float, flat: np.ndarray) -> np.ndarray:
        f = flat.reshape(-1, dim)[:rows]
        swapped = np.concatenate([f[n:], f[:n]])
        c = f.T @ swapped / rows
        return (-2 / n * everywhere @ swapped @ (c - np.eye(dim))).ravel()

    start = (everywhere @ coefficients).ravel()
    done = solve_ivp(velocity, (0, times[-1]), start, "DOP853", times, rtol=1e-10, atol=1e-14)
    return done.y.T.reshape(len(times), -1, dim)[:, rows:]


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
