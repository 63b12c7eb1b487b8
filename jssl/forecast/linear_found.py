"""What is asked of a forecast of JEPA or LeJEPA, and what is found."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from jssl.forecast.lost_dimensions import LostDimensions
from jssl.forecast.rules import LINEAR_LOSSES

SHARE = 0.1
"""Learning rate over the largest stable one, by default."""


class LinearQuestion(NamedTuple):
    """What is asked; the attributes are arguments of `jssl.predict`."""

    name: str
    kernel: str | None
    dim: int
    trade_off: float | None
    batch: int | None
    learning_rate: float | None
    scale: float | None
    seed: int
    progress: Callable[[str, float], None] | None = None


class Found(NamedTuple):
    """Steps and ends of the dimensions, (dim,) each, and the rates."""

    steps: np.ndarray
    spread: np.ndarray
    blur: np.ndarray
    earliest: np.ndarray
    rises: np.ndarray
    final: np.ndarray
    rate: float
    stable: float
    scale: float
    relative: float
    columns: dict[str, np.ndarray]
    settings: dict[str, Any]
    lost: LostDimensions
    caveats: list[str]
    quantiles: np.ndarray | None = None
    curves: Mapping[str, np.ndarray] = {}


def linear_loss(loss: Any) -> str:
    """Return the loss's name if its theory is that of linear encoders, else an empty string.

    Example:
        >>> linear_loss("LeJEPA"), linear_loss("simclr")
        ('lejepa', '')
    """
    name = loss.lower().replace("-", "_") if isinstance(loss, str) else ""
    return name if name in LINEAR_LOSSES else ""
