"""Stepwise learning in deep networks, hidden layers, and K_Gamma of their tangent kernels.

The second half of *On the stepwise nature of self-supervised learning* (Simon et al. 2023): conv
nets and ResNets under Barlow Twins, VICReg and SimCLR with random views, from small and standard
starts, and the comparison of trained embeddings with kernels that the paper sketches.
"""

import functools

import jax

from jssl.data import images
from jssl.papers.deep import agreement, staircases, training
from jssl.papers.outcome import Experiment, Part, Scale, Settings

NETWORKS = {
    "quick": ("conv net", "ResNet, group norm"),
    "paper": ("conv net", "ResNet, group norm", "ResNet, batch norm"),
    "large": ("ResNet, group norm", "ResNet, batch norm"),
}


def plan(settings: Settings) -> Experiment:
    """Return one study a network and image set."""
    sets, missing = image_sets(settings.scale)
    studies = {
        (kind if len(sets) == 1 else f"{kind}, {name}"): (name, kind)
        for name in sets
        for kind in NETWORKS[settings.scale]
    }
    return Experiment(
        {label: functools.partial(_network, label, *which) for label, which in studies.items()},
        {"image sets": ", ".join(sets), "precision": "float32", "dimensions": training.DIM},
        missing,
    )


def _network(label: str, name: str, kind: str, settings: Settings) -> Part:
    """Train one network and judge its steps, hidden layers and kernels."""
    data = training.load(name, settings)
    net = training.network(kind, data.x.shape[1:], settings.scale)
    key = jax.random.fold_in(jax.random.key(settings.seed), 22)
    settings.progress(f"{label}: training", 0.0)
    runs = training.train(net, data, key)
    steps = staircases.judge(label, runs)
    if "batch" in kind:
        remark = f"{label}: no tangent kernel, since batch norm makes rows interact."
        return steps._replace(remarks=(*steps.remarks, remark))
    settings.progress(f"{label}: kernels", 0.8)
    kernels = agreement.compare(label, runs, data)
    return Part(
        [*steps.claims, *kernels.claims],
        [*steps.figures, *kernels.figures],
        (*steps.remarks, *kernels.remarks),
    )


def image_sets(scale: Scale) -> tuple[list[str], tuple[str, ...]]:
    """Return the image sets of a scale that are on this machine, and what is missing.

    Example:
        >>> image_sets("quick")
        (['digits'], ())
    """
    wanted = {"quick": [], "paper": ["fashion_mnist"], "large": ["cifar10", "stl10"]}[scale]
    found = [name for name in wanted if images.find(name) is not None]
    missing = tuple(
        f"{name} was not found: set JSSL_DATA to its folder."
        for name in wanted
        if name not in found
    )
    return found or ["digits"], missing
