r"""The leading terms of each loss near a small start: growth rates and final values.

A loss is to leading order

    L = -signal tr(W Gamma W^T) + own tr(Kn^2) + (quartic - own) tr(Ka Kn) + decay ||W||^2

with Ka = W Sa W^T and Kn = W Sn W^T, Sa and Sn the second moments of anchors and negatives. With
h_j = signal gamma_j - decay, mode j grows as d log s_j^2 / dt = 4 h_j, is never learned where
h_j <= 0, and ends at s_j^2 = h_j / (2 own n_j^2 + 2 (quartic - own) a_j n_j), a_j and n_j its mean
squares. For Barlow Twins Sa = Sn = Gamma. Where the placement of the augmentation is given, Gamma
is replaced by B = A0 - f C. Simon et al. 2023, arXiv 2303.15438; Ziyin et al. 2023, arXiv
2210.00638; jssl.theory.landscape.dictionary.
"""

from typing import NamedTuple

from jssl.data.checks import require_name
from jssl.errors import InputError, unknown_name
from jssl.losses.registry import ALIASES, LOSSES
from jssl.theory.landscape.dictionary import PLACEMENTS, SIMCLR


class Rule(NamedTuple):
    """The leading terms of a loss near a small start.

    Attributes:
        landscape: its name in `jssl.theory.landscape.LOSSES`.
        signal: coefficient of tr(W Gamma W^T); over the temperature where there is one.
        quartic: coefficient of the quartic; over the temperature squared.
        own: its part in tr(Kn^2), likewise; the rest is in tr(Ka Kn).
        own_spread: whether Sigma = Gamma.
        centred: whether each view's mean is subtracted.
        tempered: whether it has a temperature.
        off_diagonal: weight of the off-diagonal terms of Barlow Twins.
        views_apart: whether anchors are first views, not centred, and negatives second views, and
            not all views together.
        stands_for: the loss that the theory covers, where it differs from this one.
        caveat: what the theory does not cover.
    """

    landscape: str
    signal: float
    quartic: float
    own: float = 1.0
    own_spread: bool = False
    centred: bool = False
    tempered: bool = False
    off_diagonal: float = 1.0
    views_apart: bool = False
    stands_for: str = ""
    caveat: str = ""


RULES: dict[str, Rule] = {
    "barlow_twins_linearized": Rule("barlow_twins_linearized", 2.0, 1.0, own_spread=True),
    "barlow_twins": Rule(
        "barlow_twins_linearized",
        2.0,
        1.0,
        own_spread=True,
        centred=True,
        off_diagonal=0.0051,
        stands_for="barlow_twins without batch normalisation on centred views",
        caveat="Batch normalisation of the embeddings is not part of the theory. The order of the "
        "dimensions is that of the loss without it. The times hold for an off-diagonal weight of "
        "0.0051 and a constant diagonal of the cross-correlation. So small a weight hardly keeps "
        "outputs apart while they rise: they first learn nearly the same function, and separate "
        "later, at a rate proportional to the weight. Which mixture of close modes comes first "
        "depends on the random start, so the steps of later dimensions differ between networks by "
        "a factor of 2 and more, which the intervals of a forecast with a width contain.",
    ),
    "vicreg_squared": Rule("vicreg_squared", 2.0, 1.0),
    "vicreg": Rule(
        "vicreg_squared",
        2.0,
        1.0,
        centred=True,
        stands_for="vicreg_squared on centred views",
        caveat="VICReg's hinge is not smooth. Order and times are those of its squared form, "
        "vicreg_squared. From a small start, the hinge itself learns the directions of largest "
        "variance first, and much faster, so neither order nor times apply to it.",
    ),
    "spectral_contrastive": Rule("spectral_contrastive", 2.0, 1.0),
    "info_nce": Rule(
        "info_nce_dot", 1.0, 0.5, own=0.0, centred=True, tempered=True, views_apart=True
    ),
    "nt_xent": Rule(
        "info_nce_euclidean",
        1.0,
        0.75,
        own=0.25,
        centred=True,
        tempered=True,
        stands_for="info_nce with the score -|z - z'|^2 / 2",
        caveat="The cosine of SimCLR does not depend on scale. Order and times are those of the "
        "same loss with the distance as its score, on Gaussian data with many negatives. With the "
        "cosine and a standard start the steps overlap and the times are not predicted.",
    ),
}
"""Loss -> Rule. The times of all but linearised Barlow Twins are leading-order."""


LINEAR_LOSSES = ("jepa", "lejepa")
"""Losses that are forecast for linear encoders alone, by `jssl.forecast.linear_theory`."""

ELSEWHERE = {
    "bhep": "isotropy",
    "byol_regression": "distillation",
    "iso_loss": "distillation",
    "sigreg": "isotropy",
    "simsiam": "distillation",
}
"""Loss -> the theory of its linear encoders, for losses that forecasts do not cover."""


def rule_of(loss: str, placement: str = SIMCLR) -> tuple[str, Rule]:
    """Return the loss's own name and its rule.

    Example:
        >>> rule_of("simclr")[0]
        'nt_xent'
        >>> rule_of("SimCLR")[0]
        'nt_xent'
        >>> rule_of("byol")
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: forecasts do not cover byol_regression (jssl.theory.distillation ...

    Raises:
        InputError: for an unknown loss, or one that forecasts do not cover.
    """
    lower = loss.lower().replace("-", "_")
    name = ALIASES.get(lower, lower)
    if name not in LOSSES:
        aliases = (alias for alias, of in ALIASES.items() if of in RULES)
        error = unknown_name("loss", loss, (*RULES, *LINEAR_LOSSES, *aliases))
        raise error
    if name not in RULES:
        theory = ELSEWHERE.get(name)
        other = f" (jssl.theory.{theory} covers linear encoders)" if theory else ""
        covered = sorted({*RULES, *LINEAR_LOSSES})
        message = f"forecasts do not cover {name}{other}; use one of {', '.join(covered)}"
        raise InputError(message)
    rule = RULES[name]
    require_name("placement", placement, PLACEMENTS)
    if placement != SIMCLR and not rule.landscape.startswith("info_nce_euclidean"):
        message = f"a placement needs the loss nt_xent; {name} augments both views"
        raise InputError(message)
    return name, rule
