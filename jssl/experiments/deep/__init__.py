"""Stepwise learning in deep networks, hidden layers, and K_Gamma of their tangent kernels.

The second half of *On the stepwise nature of self-supervised learning* (Simon et al. 2023): conv
nets and ResNets under Barlow Twins, VICReg and SimCLR with random views, from small and standard
starts, and the comparison of trained embeddings with kernels that the paper sketches.
"""

import jax

from jssl.data import images
from jssl.experiments.deep import agreement, staircases, training
from jssl.experiments.outcome import Outcome, Scale, Settings

NETWORKS = {
    "quick": ("conv net", "ResNet, group norm"),
    "paper": ("conv net", "ResNet, group norm", "ResNet, batch norm"),
    "large": ("ResNet, group norm", "ResNet, batch norm"),
}


def run(settings: Settings) -> Outcome:
    """Train every network of a scale and judge its steps, hidden layers and kernels.

    Args:
        settings: scale, seed and progress.

    Returns:
        Outcome with claims, figures, settings and remarks.
    """
    sets, remarks = image_sets(settings.scale)
    claims, figures = [], []
    tasks = [(name, kind) for name in sets for kind in NETWORKS[settings.scale]]
    for index, (name, kind) in enumerate(tasks):
        data = training.load(name, settings)
        net = training.network(kind, data.x.shape[1:], settings.scale)
        key = jax.random.fold_in(jax.random.key(settings.seed), 22)
        label = kind if len(sets) == 1 else f"{kind}, {name}"
        settings.progress(f"{label}: training", index / len(tasks))
        runs = training.train(net, data, key)
        parts = [staircases.judge(label, runs)]
        if "batch" in kind:
            remarks.append(f"{label}: no tangent kernel, since batch norm makes rows interact.")
        else:
            settings.progress(f"{label}: kernels", (index + 0.8) / len(tasks))
            parts.append(agreement.compare(label, runs, data))
        for part in parts:
            claims += part.claims
            figures += part.figures
            remarks += part.remarks
    shown = {"image sets": ", ".join(sets), "precision": "float32", "dimensions": training.DIM}
    return Outcome(tuple(claims), tuple(figures), shown, tuple(remarks))


def image_sets(scale: Scale) -> tuple[list[str], list[str]]:
    """Return the image sets of a scale that are on this machine, and what is missing.

    Example:
        >>> image_sets("quick")
        (['digits'], [])
    """
    wanted = {"quick": [], "paper": ["fashion_mnist"], "large": ["cifar10", "stl10"]}[scale]
    found = [name for name in wanted if images.find(name) is not None]
    missing = [
        f"{name} was not found: set JSSL_DATA to its folder."
        for name in wanted
        if name not in found
    ]
    return found or ["digits"], missing
