r"""What the theory knows of each loss near a small start: growth, end and what it leaves out.

A loss is to leading order  L = -signal tr(W Gamma W^T) + quartic tr((W Sigma W^T)^2),  so mode j of
Gamma grows as d log s_j^2 / dt = 4 signal gamma_j, ends at s_j^2 = signal gamma_j / (2 quartic
spread_j^2), and descent is stable up to a step of 1 / (2 signal gamma_1). spread_j is gamma_j for
Barlow Twins (Sigma = Gamma) and else the variance of mode j over all views. Simon et al. 2023,
arXiv 2303.15438; Ziyin et al. 2023, arXiv 2210.00638; jssl.theory.landscape.dictionary.
"""

from typing import NamedTuple

from jssl.errors import InputError, unknown_name
from jssl.losses.registry import ALIASES, LOSSES
from jssl.theory.landscape.dictionary import SIMCLR


class Rule(NamedTuple):
    """A loss near a small start.

    Attributes:
        landscape: its name in `jssl.theory.landscape.LOSSES`.
        signal: coefficient of tr(W Gamma W^T); over the temperature where there is one.
        quartic: coefficient of the quartic; over the temperature squared.
        own_spread: whether Sigma = Gamma.
        centred: whether each view's mean is subtracted.
        tempered: whether it has a temperature.
        off_diagonal: weight of the off-diagonal terms of Barlow Twins.
        remark: where the theory stops.
    """

    landscape: str
    signal: float
    quartic: float
    own_spread: bool = False
    centred: bool = False
    tempered: bool = False
    off_diagonal: float = 1.0
    remark: str = ""


RULES: dict[str, Rule] = {
    "barlow_twins_linearized": Rule("barlow_twins_linearized", 2.0, 1.0, own_spread=True),
    "barlow_twins": Rule(
        "barlow_twins_linearized",
        2.0,
        1.0,
        own_spread=True,
        centred=True,
        off_diagonal=0.0051,
        remark="Batch normalisation of the embeddings is not in the theory: the order of the "
        "dimensions is that of the loss without it, times hold for off-diagonal weight .0051 "
        "to leading order in the logarithm of the start.",
    ),
    "vicreg_squared": Rule("vicreg_squared", 2.0, 1.0),
    "vicreg": Rule(
        "vicreg_squared",
        2.0,
        1.0,
        centred=True,
        remark="VICReg's hinge is not smooth: order and times are those of its squared form "
        "(vicreg_squared), so trust the order more than the times.",
    ),
    "spectral_contrastive": Rule("spectral_contrastive", 2.0, 1.0),
    "info_nce": Rule("info_nce_dot", 1.0, 0.5, centred=True, tempered=True),
    "nt_xent": Rule(
        "info_nce_euclidean",
        1.0,
        0.75,
        centred=True,
        tempered=True,
        remark="The cosine of SimCLR has no scale: order and times are those of the same loss "
        "with the distance as its score. Under the cosine and a standard start the "
        "steps blur and the times are not predicted.",
    ),
}
"""Loss -> Rule. The times of all but linearised Barlow Twins are leading-order."""


def rule_of(loss: str, placement: str = SIMCLR) -> tuple[str, Rule]:
    """Return the loss's own name and its rule.

    Example:
        >>> rule_of("simclr")[0]
        'nt_xent'
        >>> rule_of("byol")
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: the theory does not cover byol_regression; take one of ...

    Raises:
        InputError: for an unknown loss, or one that the theory does not cover.
    """
    name = ALIASES.get(loss, loss)
    if name not in LOSSES:
        error = unknown_name("loss", loss, (*LOSSES, *ALIASES))
        raise error
    if name not in RULES:
        message = f"the theory does not cover {name}; take one of {', '.join(sorted(RULES))}"
        raise InputError(message)
    rule = RULES[name]
    if placement != SIMCLR and not rule.landscape.startswith("info_nce_euclidean"):
        message = f"a placement belongs to nt_xent; {name} augments both views"
        raise InputError(message)
    return name, rule
