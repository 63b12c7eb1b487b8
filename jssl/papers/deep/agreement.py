r"""Trained embeddings against K_Gamma of the empirical tangent kernel, on images held out.

With P the projector that takes the mean over the 2n views off, a loss on centred embeddings sees
the kernel P K P: its modes c, P K P in the contrastive kernel, give the embedding
f_j(x) = eigenvalue_j^{-1/2} k(x, Z) P c_j. Agreement is ||P_A P_B||_F^2 / d of the centred (m, d)
embeddings of m images; two random subspaces agree by d / (m - 1). The kernel is taken at the start
(in which, for a small start, the last layer alone speaks) and after training.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jssl.diagnostics import subspace_overlap
from jssl.figures import new_figure
from jssl.kernels import contrastive_modes, embed, empirical_ntk, repair_psd
from jssl.papers.claims import at_least
from jssl.papers.deep.training import DIM, LOSSES, STARTS, Data, Runs
from jssl.papers.outcome import Part
from jssl.report.figure import Figure
from jssl.types import Array

SOURCE = "Simon et al. 2023, section on the NTK after training"
_Z = 3.9  # two-sided 1e-4


def compare(name: str, runs: Runs, data: Data) -> Part:
    """Judge the agreement of embeddings with kernels and with one another, from small starts."""
    small = list(STARTS).index("small")
    found: dict[str, np.ndarray] = {}
    repairs = []
    for index, loss in enumerate(LOSSES):
        last = jax.tree.map(lambda a, i=index: a[i, small], runs.last)
        found[loss] = np.asarray(jax.jit(runs.apply)(last, data.held_out))
        found[f"kernel after {loss}"], moved = predicted(runs, last, data)
        repairs.append(moved)
    first = jax.tree.map(lambda a: a[0, small], runs.first)
    found["kernel at the start"], moved = predicted(runs, first, data)
    repairs.append(moved)
    pixels = np.asarray(data.held_out).reshape(len(data.held_out), -1)
    found["pixel PCA"] = np.linalg.svd(pixels - pixels.mean(0), full_matrices=False)[0][:, :DIM]
    names = [*LOSSES, *(f"kernel after {loss}" for loss in LOSSES), "kernel at the start"]
    names.append("pixel PCA")
    table = np.array([[agreement(found[a], found[b]) for b in names] for a in names])
    by_name = {(a, b): table[i, j] for i, a in enumerate(names) for j, b in enumerate(names)}
    mean, spread = chance(len(data.held_out), DIM)
    short = name.lower().replace(",", "").replace(" ", "-")
    claims = []
    for kind, pairs in {
        "own-kernel": [(loss, f"kernel after {loss}") for loss in LOSSES],
        "across": [(a, b) for i, a in enumerate(LOSSES) for b in LOSSES[:i]],
        "across-kernel": [(a, f"kernel after {b}") for a in LOSSES for b in LOSSES if a != b],
    }.items():
        worst = min(pairs, key=by_name.__getitem__)
        claims.append(
            at_least(
                f"deep/agreement-{kind}-{short}",
                f"{name}: least agreement of {_WHAT[kind]} on {len(data.held_out)} held-out "
                f"images ({worst[0]} with {worst[1]}), above chance by {_Z} standard deviations of "
                "random subspaces",
                SOURCE,
                mean + _Z * spread,
                by_name[worst],
            )
        )
    later = [
        by_name[loss, f"kernel after {loss}"] - by_name[loss, "kernel at the start"]
        for loss in LOSSES
    ]
    claims.append(
        at_least(
            f"deep/agreement-grows-{short}",
            f"{name}: least excess over the losses of a trained embedding's agreement with K_Gamma "
            "after training over that with K_Gamma at the start: networks are not lazy, and only "
            "the last kernel describes them",
            SOURCE,
            0,
            min(later),
        )
    )
    text = ", ".join(f"{a} with {b} {by_name[a, b]:.2f}" for a, b in _REMARKED)
    remark = (
        f"{name}, agreement on held-out images: {text}; chance {mean:.3f} +- {spread:.3f}. The "
        "tangent kernels in float32 were made positive semi-definite, a relative change of at most "
        f"{max(repairs):.0e}."
    )
    return Part(claims, [_figure(name, short, names, table, mean)], (remark,))


_WHAT = {
    "own-kernel": "a trained embedding with K_Gamma of its network after training",
    "across": "embeddings trained under two losses",
    "across-kernel": "a trained embedding with K_Gamma of the network trained under another loss",
}
_REMARKED = [
    *((loss, f"kernel after {loss}") for loss in LOSSES),
    *((loss, "kernel at the start") for loss in LOSSES),
    ("Barlow Twins", "VICReg"),
    ("Barlow Twins", "SimCLR"),
    ("Barlow Twins", "pixel PCA"),
]


def predicted(runs: Runs, params: Array, data: Data) -> tuple[np.ndarray, float]:
    """Return the embedding of held-out images that K_Gamma gives, and how far K was repaired."""
    n = len(data.x)
    everything = jnp.concatenate([*data.watched[:2], data.held_out])
    kernel = empirical_ntk(runs.apply, params, everything)
    gram, cross = kernel[: 2 * n, : 2 * n], kernel[2 * n :, : 2 * n]
    scale = jnp.mean(jnp.diag(gram))
    repaired = repair_psd(jnp.asarray(gram / scale, float))
    centred = repaired.kernel - repaired.kernel.mean(0)
    modes = contrastive_modes(centred - centred.mean(1, keepdims=True), DIM)
    cross = jnp.asarray(cross / scale, centred.dtype)
    return np.asarray(embed(modes, cross - cross.mean(1, keepdims=True))), float(repaired.moved)


def agreement(a: np.ndarray, b: np.ndarray) -> float:
    """Return the agreement of two (m, d) embeddings, each centred over the images.

    Example:
        >>> z = np.random.default_rng(0).normal(size=(9, 2))
        >>> round(agreement(z, 3 * z @ np.array([[1.0, 2.0], [0.0, 1.0]]) + 5), 6)
        1.0
    """
    return float(subspace_overlap(jnp.asarray(a - a.mean(0)), jnp.asarray(b - b.mean(0))))


def chance(m: int, dim: int, draws: int = 2000) -> tuple[float, float]:
    """Return mean and standard deviation of the agreement of two random centred embeddings.

    The mean is d / (m - 1); the deviation is that of so many draws.

    Example:
        >>> mean, spread = chance(41, 4)
        >>> print(mean, 0.02 < spread < 0.05)
        0.1 True
    """
    generator = np.random.default_rng(0)
    fixed = np.eye(m - 1, dim)
    frames = np.linalg.qr(generator.normal(size=(draws, m - 1, dim)))[0]
    agreements = ((fixed.T @ frames) ** 2).sum((1, 2)) / dim
    return dim / (m - 1), float(agreements.std(ddof=1))


def _figure(name: str, short: str, names: list[str], table: np.ndarray, mean: float) -> Figure:
    figure, (ax,) = new_figure(1, width=6.4, height=5.2)
    ax.grid(visible=False)
    image = ax.imshow(table, vmin=0, vmax=1, cmap="cividis")
    labels = [label.replace("kernel", r"$K_\Gamma$") for label in names]
    ax.set_xticks(range(len(names)), labels, rotation=40, ha="right", fontsize=8)
    ax.set_yticks(range(len(names)), labels, fontsize=8)
    for (i, j), value in np.ndenumerate(table):
        colour = "white" if value < 0.5 else "black"
        ax.text(j, i, f"{value:.2f}", ha="center", va="center", color=colour, fontsize=8)
    figure.colorbar(image, ax=ax, label=f"agreement (chance {mean:.2f})", shrink=0.8)
    ax.set_title(f"{name}, held-out images", fontsize=10)
    description = (
        f"{name}: matrix of subspace agreements on held-out images between embeddings trained "
        "under Barlow Twins, VICReg and SimCLR, the embeddings of K_Gamma of their tangent kernels "
        f"after training and at the start, and pixel PCA. Chance is {mean:.2f}."
    )
    return Figure(f"agreement-{short}", f"Subspace agreement, {name}", description, figure)
