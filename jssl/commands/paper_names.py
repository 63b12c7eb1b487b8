"""The papers whose claims jssl runs, and the names that the command line takes for them."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Paper(NamedTuple):
    """A paper, or a part of one, whose claims are run.

    Attributes:
        title: of the paper.
        arxiv: its number, or those of all papers that are judged together; none if it is new here.
    """

    title: str
    arxiv: tuple[str, ...]


PAPERS = {
    "stepwise": Paper(
        "On the stepwise nature of self-supervised learning (Simon et al. 2023)", ("2303.15438",)
    ),
    "grassmann": Paper(
        "Representation learning dynamics of self-supervised models (Esser et al. 2023)",
        ("2309.02011",),
    ),
    "learnability": Paper(
        "Understanding representation learnability of nonlinear self-supervised learning "
        "(Yang et al. 2023)",
        ("2401.03214",),
    ),
    "landscape": Paper(
        "What shapes the loss landscape of self-supervised learning? (Ziyin et al. 2023)",
        ("2210.00638",),
    ),
    "width": Paper(
        "Infinite width limits of self supervised neural networks (Fleissner et al. 2024, Anil et "
        "al. 2024)",
        ("2411.11176", "2403.08673"),
    ),
    "deep": Paper(
        "On the stepwise nature of self-supervised learning, second half: deep networks "
        "(Simon et al. 2023)",
        ("2303.15438",),
    ),
    "distillation": Paper(
        "How JEPA avoids noisy features (Littwin et al. 2024), with DirectPred (Tian et al. 2021), "
        "IsoLoss (Halvagal et al. 2023) and feature normalisation (Bao 2023)",
        ("2407.03475", "2102.06810", "2212.04858", "2309.16109"),
    ),
    "isotropy": Paper(
        "LeJEPA, the learning dynamics of isotropic regularisers, and identifiability "
        "(Balestriero and LeCun 2025, Klindt et al. 2026)",
        ("2511.08544", "2605.26379"),
    ),
    "highdim": Paper(
        "Nonlinear contrastive learning in the high dimensional limit, and hard negatives "
        "(Meng and Wang 2024, Jiang et al. 2023)",
        ("2406.06909", "2311.05139"),
    ),
    "samples": Paper("How many pairs does a predicted staircase need? (derived here)", ()),
}
"""Name -> paper, in the order in which they are run; `jssl.papers.PAPERS` has the same."""


def paper_names(asked: Sequence[str], known: Iterable[str]) -> tuple[str, ...]:
    """Return the registered names of papers that are given by name in any case or arXiv number.

    Example:
        >>> paper_names(["Width", "arXiv:2303.15438v2"], PAPERS)
        ('width', 'stepwise', 'deep')

    Args:
        asked: names or numbers; a number stands for all that is run of that paper.
        known: the registered names. Other names are returned unchanged.
    """
    names = {name.lower(): name for name in known}
    chosen: list[str] = []
    for text in asked:
        number = re.fullmatch(
            r"(?:https?://)?(?:arxiv(?:\.org/(?:abs|pdf)/|:|\s+)\s*)?(\d{4}\.\d{4,5})(?:v\d+)?",
            text.strip().lower(),
        )
        meant = [n for n, paper in PAPERS.items() if number and number[1] in paper.arxiv]
        meant = [name for name in meant if name in names.values()]
        chosen += meant or [text if text in names.values() else names.get(text.lower(), text)]
    return tuple(dict.fromkeys(chosen))


def list_papers() -> int:
    """Print the papers, one on each line; return 0."""
    width = max(map(len, PAPERS))
    for name, paper in PAPERS.items():
        numbers = ", ".join(f"arXiv {number}" for number in paper.arxiv) or "new"
        print(f"{name:{width}}  {numbers}: {paper.title}")
    return 0
