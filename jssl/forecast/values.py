"""The values of a forecast."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from jssl.forecast.lost_dimensions import LostDimensions


class Values(NamedTuple):
    """Predicted training, mode by mode in the order of the eigenvalues. `print` shows the summary.

    Attributes:
        eigenvalues: (count,) of the contrastive kernel of all pairs, or of B under a placement,
            descending, positive.
        held_out: (count,) eigenvalues of the modes of one half of the pairs on the other half.
        errors: (count,) standard errors of `held_out`, given the modes of each half.
        times: (dim,) t = learning rate x step at which each dimension is half-learned; infinite
            for those never learned. Where the learning rate is too large for training to be
            stable, this and every other step of the forecast is NaN.
        steps: (dim,) the same in steps of gradient descent; the median over networks where a
            width is given, and those of the gradient flow of a network of the user.
        low: (dim,) 5 % quantile of `steps` for training on these pairs.
        high: (dim,) 95 % quantile.
        start_errors: (dim,) standard errors of `steps` from the random start.
        width_errors: (dim,) standard errors from the finite width; 0 in the limit.
        new_data_errors: (dim,) standard errors on new data, from the sampling of the pairs. They
            are no errors for training on these pairs.
        limit_steps: (dim,) steps in the limit of infinite width, where outputs do not affect each
            other.
        networks: (nets, dim) steps of each network of finite width, with the tangent kernel of its
            start; (0, dim) in the limit.
        simulated: (runs, dim) steps of trained networks, of the first of these networks.
        final: (dim,) eigenvalues of C at the end, of the dimensions that are learned, descending
            (for `lejepa`, and for `jepa` where modes are independent, in the order of the modes);
            0 for the others.
        rises: (dim,) steps in which each dimension rises from 10 % to 90 % of its final value.
        learning_rate: given, or a tenth of the largest stable one; less for a network of the user
            whose curvature rises during training (`settings["largest curvature"]`).
        stable_rate: the largest stable learning rate from a small start. Negative modes, and
            variance that the views do not share, lower it.
        scale: factor of the encoder's initial embedding, given or suggested.
        relative_start: initial over final amplitude of mode 1; if mode 1 is not learned, the final
            amplitude without weight decay is used.
        distinguishable: number of leading modes that are distinguishable from sampling noise: each
            has an eigenvalue on held-out pairs that exceeds the threshold of weight decay (0
            without it) by 3.9 standard errors. Dimensions are learned in this order.
        all_distinguishable: whether this holds for all computed modes and there may be more modes,
            so that `distinguishable` is a lower bound.
        leakage: share of the learned subspace outside the leading modes, an order of magnitude.
        lost: directions that the augmentation removes, for a linear encoder on the same pairs.
        summary: the results as sentences, the most important one first.
        caveats: what is uncertain, the most important one first.
        settings: pairs, kernel, loss, dim.
        columns: what else is known of the modes, name -> (modes,), for `jepa` and `lejepa`.
        curves: where training was integrated, `steps` (points,) and the eigenvalues of C at them,
            `eigenvalues` (points, dim): for `jepa`, and for a network of the user whose gradient
            flow was followed; empty otherwise.
    """

    eigenvalues: np.ndarray
    held_out: np.ndarray
    errors: np.ndarray
    times: np.ndarray
    steps: np.ndarray
    low: np.ndarray
    high: np.ndarray
    start_errors: np.ndarray
    width_errors: np.ndarray
    new_data_errors: np.ndarray
    limit_steps: np.ndarray
    networks: np.ndarray
    simulated: np.ndarray
    rises: np.ndarray
    final: np.ndarray
    learning_rate: float
    stable_rate: float
    scale: float
    relative_start: float
    distinguishable: int
    all_distinguishable: bool
    leakage: float
    lost: LostDimensions
    summary: tuple[str, ...]
    caveats: tuple[str, ...]
    settings: dict[str, Any]
    columns: Mapping[str, np.ndarray] = {}
    curves: Mapping[str, np.ndarray] = {}

    @property
    def step_errors(self) -> np.ndarray:
        """(dim,) standard errors on these pairs, of random start and finite width together."""
        return np.hypot(self.start_errors, self.width_errors)

    @property
    def diverges(self) -> bool:
        """Whether the learning rate is at the largest stable one or above: no step is predicted."""
        return self.learning_rate >= self.stable_rate

    def __str__(self) -> str:
        """Return the summary, one sentence a line."""
        return "\n".join(self.summary)


def without_steps(values: Any) -> Any:
    """Return a forecast of a training that diverges: whatever depends on its steps is NaN.

    Args:
        values: Values or Forecast; those of a stable learning rate are returned as they are.
    """
    if not values.diverges:
        return values
    names = ("times", "steps", "low", "high", "limit_steps", "networks", "rises", "final")
    errors = ("start_errors", "width_errors", "new_data_errors")
    arrays = {name: getattr(values, name) for name in (*names, *errors)}
    return values._replace(**{name: np.full_like(x, np.nan) for name, x in arrays.items()})
