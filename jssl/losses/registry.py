"""The catalogue of losses: what they are called, what they are invariant to, where they are from.

Being registered is being tested: every generic test runs for every member.
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from jssl.errors import InputError, shown, unknown_name
from jssl.losses import (
    contrastive,
    decorrelation,
    distillation,
    hard_negatives,
    isotropy,
    linearized,
    prediction,
)
from jssl.losses.common import check_choice, check_number
from jssl.types import Array


class LossSpec(NamedTuple):
    """One loss and its properties, at its default hyperparameters.

    Attributes:
        function: `function(za, zb, *, hyperparameters) -> scalar`.
        source: the paper.
        symmetric: whether exchanging the views leaves the loss as it is.
        scale_free: whether multiplying both embeddings by one positive number does.
        rotation_invariant: whether rotating both embeddings in the same way does.
        potential: whether the gradient is that of the value; false with a stop-gradient.
        bounded_below: whether the infimum over all embeddings is finite.
        paired: whether it matters which first view belongs to which second view.
        oscillates: whether the value is made of sines of the embeddings, so that it depends, for
            large embeddings, on digits that float32 does not hold.
        choices: names allowed for hyperparameters that are strings.
    """

    function: Callable[..., Array]
    source: str
    symmetric: bool = True
    scale_free: bool = False
    rotation_invariant: bool = True
    potential: bool = True
    bounded_below: bool = True
    paired: bool = True
    oscillates: bool = False
    choices: Mapping[str, tuple[str, ...]] = {}


LOSSES: dict[str, LossSpec] = {
    "align_uniform": LossSpec(contrastive.align_uniform, "arXiv 2005.10242", scale_free=True),
    "barlow_twins": LossSpec(
        decorrelation.barlow_twins, "arXiv 2103.03230", rotation_invariant=False
    ),
    "barlow_twins_linearized": LossSpec(linearized.barlow_twins_linearized, "arXiv 2303.15438"),
    "bhep": LossSpec(isotropy.bhep, "Henze and Wagner 1997", paired=False),
    "byol_regression": LossSpec(
        distillation.byol_regression, "arXiv 2006.07733", scale_free=True, potential=False
    ),
    "decoupled_contrastive": LossSpec(
        contrastive.decoupled_contrastive, "arXiv 2110.06848", scale_free=True
    ),
    "hard_info_nce": LossSpec(
        hard_negatives.hard_info_nce,
        "arXiv 2010.04592",
        symmetric=False,
        scale_free=True,
        potential=False,
        choices={
            "negatives": hard_negatives.HARD_NEGATIVES,
            "score": hard_negatives.HARD_SCORES,
        },
    ),
    "info_nce": LossSpec(
        contrastive.info_nce,
        "arXiv 1807.03748",
        symmetric=False,
        choices={"score": contrastive.SCORES, "negatives": contrastive.INFO_NCE_NEGATIVES},
    ),
    "iso_loss": LossSpec(prediction.iso_loss, "arXiv 2212.04858", potential=False),
    "jepa": LossSpec(prediction.jepa, "arXiv 2407.03475", potential=False),
    "lejepa": LossSpec(
        isotropy.lejepa,
        "arXiv 2511.08544",
        rotation_invariant=False,
        oscillates=True,
        choices={"grid": isotropy.GRID_NAMES},
    ),
    "linear_contrastive": LossSpec(
        linearized.linear_contrastive, "arXiv 2309.02011", bounded_below=False
    ),
    "linear_non_contrastive": LossSpec(
        linearized.linear_non_contrastive, "arXiv 2309.02011", bounded_below=False
    ),
    "nt_xent": LossSpec(contrastive.nt_xent, "arXiv 2002.05709", scale_free=True),
    "sigreg": LossSpec(
        isotropy.sigreg,
        "arXiv 2511.08544",
        rotation_invariant=False,
        paired=False,
        oscillates=True,
        choices={"grid": isotropy.GRID_NAMES},
    ),
    "simsiam": LossSpec(distillation.simsiam, "arXiv 2011.10566", scale_free=True, potential=False),
    "spectral_contrastive": LossSpec(
        contrastive.spectral_contrastive,
        "arXiv 2106.04156",
        choices={"negatives": contrastive.SPECTRAL_NEGATIVES},
    ),
    "vicreg": LossSpec(decorrelation.vicreg, "arXiv 2105.04906", rotation_invariant=False),
    "vicreg_squared": LossSpec(decorrelation.vicreg_squared, "arXiv 2105.04906"),
}

OBJECTIVES: dict[str, str] = {
    "directpred": "its predictor is set from the embeddings; use jssl.losses.direct_objective",
    "mae": "its target is an input; use jssl.losses.reconstruction_objective",
    "reconstruction": "its target is an input; use jssl.losses.reconstruction_objective",
}
"""What is no function of two embeddings, in lower case -> why, and what to use."""

ALIASES: dict[str, str] = {
    "byol": "byol_regression",
    "dcl": "decoupled_contrastive",
    "simclr": "nt_xent",
}


def get(name: str, **hyperparameters: Any) -> Callable[[Array, Array], Array]:
    """Return the loss of that name with its hyperparameters filled in.

    Example:
        >>> import jax.numpy as jnp
        >>> loss = get("simclr", temperature=1.0)
        >>> z = jnp.array([[1.0, 0.0], [-1.0, 0.0]])
        >>> print(round(float(loss(z, z)), 4))
        0.2395
        >>> get("simclr", temprature=1.0)
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: unknown hyperparameter of nt_xent 'temprature'; did you mean
        'temperature'? known: temperature

    Args:
        name: a key of `LOSSES` or of `ALIASES`.
        **hyperparameters: keyword arguments of the loss; numbers may be traced.

    Returns:
        `loss(za, zb) -> scalar`.

    Raises:
        InputError: on an unknown name, hyperparameter or choice (the nearest is named), or on a
            number out of range.
    """
    name = ALIASES.get(name, name) if isinstance(name, str) else shown(name)
    if name.lower() in OBJECTIVES:
        message = f"{name} is no loss of two embeddings: {OBJECTIVES[name.lower()]}"
        raise InputError(message)
    if name not in LOSSES:
        error = unknown_name("loss", name, (*LOSSES, *ALIASES))
        raise error
    function, choices = LOSSES[name].function, LOSSES[name].choices
    known = inspect.signature(function).parameters
    keywords = [word for word, p in known.items() if p.kind is inspect.Parameter.KEYWORD_ONLY]
    for word, value in hyperparameters.items():
        if word not in keywords:
            error = unknown_name(f"hyperparameter of {name}", word, keywords)
            raise error
        if word in choices and (isinstance(value, str) or not hasattr(value, "shape")):
            check_choice(word, value, choices[word])
        elif isinstance(known[word].default, float):
            check_number(word, value)
    return functools.partial(function, **hyperparameters)
