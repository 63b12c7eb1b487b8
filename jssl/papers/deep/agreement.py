r"""Trained embeddings against K_Gamma of the empirical tangent kernel, on held-out images.

Let P be the projector that removes the mean over the 2n views. A loss on centred embeddings depends
on the kernel P K P, and the modes c of its contrastive kernel give the embedding
f_j(x) = eigenvalue_j^{-1/2} k(x, Z) P c_j. The agreement of two centred (m, d) embeddings of m
images is ||P_A P_B||_F^2 / d, with the projectors on their column spaces. Two random subspaces have
mean agreement d / (m - 1). The kernel is computed at the start and after training. At a small start
it is dominated by the gradient of the last layer.
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
from jssl.types import Array, Claim, Rival

SOURCE = "Simon et al. 2023, section on the tangent kernel after training"
_Z = 3.9  # two-sided 1e-4


NAMES = (
    *LOSSES,
    *(f"kernel after {loss}" for loss in LOSSES),
    "kernel at initialisation",
    "pixel PCA",
)
"""The embeddings that are compared: trained ones, those of kernels, and principal components."""

PAIRED, UNPAIRED = "Barlow Twins", "kernel PCA after Barlow Twins"
"""A loss, and the embedding of its kernel without the pairs of views."""


def compare(phrase: str, short: str, runs: Runs, data: Data) -> Part:
    """Compare embeddings with kernels and with one another, from small starts.

    Args:
        phrase: noun phrase for the network, with its article.
        short: the network in the names of claims and figures.
        runs: trained networks.
        data: their images.
    """
    embeddings, repair = _embeddings(runs, data)
    table = np.array([[agreement(embeddings[a], embeddings[b]) for b in NAMES] for a in NAMES])
    by_name = {(a, b): table[i, j] for i, a in enumerate(NAMES) for j, b in enumerate(NAMES)}
    images = len(data.held_out)
    mean, spread = chance(images, DIM)
    claims = [
        *_chance_claims(phrase, short, by_name, images, (mean, spread)),
        _growth_claim(phrase, short, by_name, spread),
    ]
    gain = agreement(embeddings[PAIRED], embeddings[f"kernel after {PAIRED}"])
    gain -= agreement(embeddings[PAIRED], embeddings[UNPAIRED])
    listed = ", ".join(f"{a} and {b} {by_name[a, b]:.2f}" for a, b in _REPORTED)
    summary = (
        f"Agreement on held-out images for {phrase}: {listed}. Random subspaces agree by "
        f"{mean:.3f} +- {spread:.3f}. Under Barlow Twins the agreement with K_Gamma exceeds that "
        f"with kernel PCA of the same kernel by {gain:.2f}. The float32 tangent kernels were "
        f"made positive semi-definite, which changed them by a relative {repair:.0e} at most."
    )
    figure = _figure(phrase, short, table, mean)
    return Part(claims, [figure._replace(claims=tuple(c.name for c in claims))], (summary,))


def _embeddings(runs: Runs, data: Data) -> tuple[dict[str, np.ndarray], float]:
    """Return the embeddings of held-out images by name, and the largest repair of a kernel."""
    small = list(STARTS).index("small")
    embeddings: dict[str, np.ndarray] = {}
    repairs = []
    for index, loss in enumerate(LOSSES):
        last = jax.tree.map(lambda a, i=index: a[i, small], runs.last)
        embeddings[loss] = np.asarray(jax.jit(runs.apply)(last, data.held_out))
        embeddings[f"kernel after {loss}"], repair = predicted(runs, last, data)
        repairs.append(repair)
        if loss == PAIRED:
            embeddings[UNPAIRED] = predicted(runs, last, data, paired=False)[0]
    first = jax.tree.map(lambda a: a[0, small], runs.first)
    embeddings["kernel at initialisation"], repair = predicted(runs, first, data)
    repairs.append(repair)
    pixels = np.asarray(data.held_out).reshape(len(data.held_out), -1)
    components = np.linalg.svd(pixels - pixels.mean(0), full_matrices=False)[0]
    embeddings["pixel PCA"] = components[:, :DIM]
    return embeddings, max(repairs)


_CHANCE_CLAIMS = {
    "own-kernel": (
        "with K_Gamma of its tangent kernel after training",
        [(loss, f"kernel after {loss}") for loss in LOSSES],
    ),
    "across": (
        "with embeddings trained under other losses",
        [(a, b) for i, a in enumerate(LOSSES) for b in LOSSES[:i]],
    ),
    "across-kernel": (
        "with K_Gamma of networks trained under another loss",
        [(a, f"kernel after {b}") for a in LOSSES for b in LOSSES if a != b],
    ),
}
"""Kind of a claim -> what embeddings agree with, and the pairs that are compared."""


def _chance_claims(
    phrase: str,
    short: str,
    by_name: dict[tuple[str, str], float],
    images: int,
    chance: tuple[float, float],
) -> list[Claim]:
    mean, spread = chance
    claims = []
    for kind, (what, pairs) in _CHANCE_CLAIMS.items():
        worst = min(pairs, key=by_name.__getitem__)
        claims.append(
            at_least(
                f"deep/agreement-{kind}-{short}",
                f"On held-out images, embeddings of {phrase} agree better than chance {what}.",
                SOURCE,
                mean + _Z * spread,
                by_name[worst],
                details=f"The agreement of two embeddings of {images} images is the overlap of "
                "their subspaces, between 0 and 1. The measured value is the smallest over "
                f"{len(pairs)} pairs, that of {worst[0]} and {worst[1]}. The bound is the mean "
                f"agreement of random subspaces plus {_Z} standard deviations.",
                rivals=[Rival("random subspaces", mean)],
                standard_error=spread,
            )
        )
    return claims


def _growth_claim(
    phrase: str, short: str, by_name: dict[tuple[str, str], float], spread: float
) -> Claim:
    excess = [
        by_name[loss, f"kernel after {loss}"] - by_name[loss, "kernel at initialisation"]
        for loss in LOSSES
    ]
    return at_least(
        f"deep/agreement-grows-{short}",
        f"Embeddings of {phrase} agree better with K_Gamma after training than with K_Gamma at "
        "initialisation.",
        SOURCE,
        _Z * spread,
        min(excess),
        details="K_Gamma is the contrastive kernel of the empirical tangent kernel. The measured "
        "value is the difference of the two agreements on held-out images, the smallest over the "
        f"losses. The bound is {_Z} standard deviations of the agreement of random subspaces.",
        rivals=[Rival("the kernel of the start is as good, as in lazy training", 0.0)],
        standard_error=spread,
    )


_REPORTED = [
    *((loss, f"kernel after {loss}") for loss in LOSSES),
    *((loss, "kernel at initialisation") for loss in LOSSES),
    ("Barlow Twins", "VICReg"),
    ("Barlow Twins", "SimCLR"),
    ("Barlow Twins", "pixel PCA"),
]


def predicted(
    runs: Runs, params: Array, data: Data, *, paired: bool = True
) -> tuple[np.ndarray, float]:
    """Return the embedding of held-out images under K_Gamma, and the relative repair of K.

    Without pairs it is that of kernel PCA of the views.
    """
    n = len(data.x)
    everything = jnp.concatenate([*data.recorded[:2], data.held_out])
    kernel = empirical_ntk(runs.apply, params, everything)
    gram, cross = kernel[: 2 * n, : 2 * n], kernel[2 * n :, : 2 * n]
    scale = jnp.mean(jnp.diag(gram))
    repaired = repair_psd(jnp.asarray(gram / scale, float))
    centred = repaired.kernel - repaired.kernel.mean(0)
    pairing = None if paired else jnp.eye(2 * n) / (2 * n)
    modes = contrastive_modes(centred - centred.mean(1, keepdims=True), DIM, pairing=pairing)
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

    The mean is d / (m - 1); the standard deviation is estimated from `draws` random subspaces.

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


def _figure(phrase: str, short: str, table: np.ndarray, mean: float) -> Figure:
    figure, (ax,) = new_figure(1, width=6.4, height=5.2)
    ax.grid(visible=False)
    image = ax.imshow(table, vmin=0, vmax=1, cmap="cividis")
    labels = [label.replace("kernel", r"$K_\Gamma$") for label in NAMES]
    ax.set_xticks(range(len(NAMES)), labels, rotation=40, ha="right", fontsize=8)
    ax.set_yticks(range(len(NAMES)), labels, fontsize=8)
    for (i, j), value in np.ndenumerate(table):
        colour = "white" if value < 0.5 else "black"
        ax.text(j, i, f"{value:.2f}", ha="center", va="center", color=colour, fontsize=8)
    figure.colorbar(image, ax=ax, label=f"agreement (chance {mean:.2f})", shrink=0.8)
    title = phrase.removeprefix("a ")
    ax.set_title(f"{title}, held-out images", fontsize=10)
    description = (
        f"Subspace agreement on held-out images for {phrase}. Compared are embeddings trained "
        "under Barlow Twins, VICReg and SimCLR, the embeddings given by K_Gamma of their tangent "
        f"kernels after training and at initialisation, and pixel PCA. Chance is {mean:.2f}."
    )
    return Figure(f"agreement-{short}", f"Subspace agreement, {title}", description, figure)
