"""Stepwise learning in deep networks, hidden layers, and K_Gamma of their tangent kernels.

These are the claims on deep networks of *On the stepwise nature of self-supervised learning* (Simon
et al. 2023): conv nets and ResNets are trained under Barlow Twins, VICReg and SimCLR with random
views, from small and from standard starts, and their embeddings are compared with kernels.
"""

import functools
from typing import NamedTuple

import jax

from jssl.data import images
from jssl.papers.deep import agreement, staircases, training
from jssl.papers.outcome import Experiment, Part, Scale, Settings
from jssl.papers.sets import LABELS

NETWORKS = {
    "quick": ("conv net", "ResNet, group norm"),
    "paper": ("conv net", "ResNet, group norm", "ResNet, batch norm"),
    "large": ("ResNet, group norm", "ResNet, batch norm"),
}


PHRASES = {
    "conv net": "a conv net",
    "ResNet, group norm": "a ResNet with group norm",
    "ResNet, batch norm": "a ResNet with batch norm",
}
"""Network -> noun phrase for the statements of claims."""


class Study(NamedTuple):
    """One network and image set.

    Attributes:
        kind: of the network, as in `NETWORKS`.
        images: name of the image set.
        phrase: noun phrase for the statements of claims; with the image set if there are several.
        short: the same for the names of claims.
    """

    kind: str
    images: str
    phrase: str
    short: str

    @property
    def title(self) -> str:
        """The phrase without its article."""
        return self.phrase.removeprefix("a ")


def plan(settings: Settings) -> Experiment:
    """Return one study for each network and image set."""
    sets, missing = image_sets(settings.scale)
    studies = [
        _study(kind, name, several=len(sets) > 1)
        for name in sets
        for kind in NETWORKS[settings.scale]
    ]
    return Experiment(
        {study.title: functools.partial(_network, study) for study in studies},
        {
            "image sets": ", ".join(LABELS[name] for name in sets),
            "precision": "float32",
            "embedding dimension": training.DIM,
        },
        missing,
    )


def _study(kind: str, name: str, *, several: bool) -> Study:
    label = f"{kind}, {name}" if several else kind
    short = label.lower().replace(",", "").replace(" ", "-")
    where = f" on {LABELS[name]}" if several else ""
    return Study(kind, name, PHRASES[kind] + where, short)


def _network(study: Study, settings: Settings) -> Part:
    """Train one network and test the claims on its steps, hidden layers and kernels."""
    data = training.load(study.images, settings)
    net = training.network(study.kind, data.x.shape[1:], settings.scale)
    key = jax.random.fold_in(jax.random.key(settings.seed), 22)
    settings.progress(f"{study.title}: training", 0.0)
    runs = training.train(net, data, key)
    steps = staircases.claims_and_figures(study.phrase, study.short, runs)
    if "batch" in study.kind:
        note = (
            f"The tangent kernel of {study.phrase} is not compared with its embeddings, because "
            "batch norm makes each output depend on the whole batch."
        )
        return steps._replace(summary=(*steps.summary, note))
    settings.progress(f"{study.title}: kernels", 0.8)
    kernels = agreement.compare(study.phrase, study.short, runs, data)
    return Part(
        [*steps.claims, *kernels.claims],
        [*steps.figures, *kernels.figures],
        (*steps.summary, *kernels.summary),
    )


def image_sets(scale: Scale) -> tuple[list[str], tuple[str, ...]]:
    """Return the image sets of a scale that are on this machine, and sentences on missing ones.

    Example:
        >>> image_sets("quick")
        (['digits'], ())
    """
    wanted = {"quick": [], "paper": ["fashion_mnist"], "large": ["cifar10", "stl10"]}[scale]
    available = [name for name in wanted if images.find(name) is not None]
    missing = tuple(
        f"{LABELS[name]} was not found; set JSSL_DATA to its folder."
        for name in wanted
        if name not in available
    )
    return available or ["digits"], missing
