r"""The moments that a landscape needs, as weights of the two views of every pair.

Every moment here is of the form

    M = (1/n) sum_i [first x_i x_i^T + (cross / 2) (x_i x'_i^T + x'_i x_i^T) + second x'_i x'_i^T],

so it applies to features and to kernels: in function space M is K^{1/2} A K^{1/2} with the
symmetric pairing A of these weights. With x = s + e and x' = s + e', e and e' independent,

    moment                           both views augmented      first view clean (e = 0)
    data A0                          cross                      x x^T
    augmentation C                   (x - x')(x - x')^T / 2     (x - x')(x - x')^T
    A0 + C                           both views, pooled         x' x'^T
    signal B = A0 - f C              (-f/2, 1 + f, -f/2)        (1 - f, 2 f, -f)

The placements of the augmentation and their factors f are those of `dictionary` (Ziyin et al. 2023,
arXiv 2210.00638).
"""

from typing import NamedTuple

import jax.numpy as jnp

from jssl.errors import InputError
from jssl.theory.landscape.design import augmentation_factor
from jssl.theory.landscape.dictionary import PLACEMENTS
from jssl.types import Array


class Pairing(NamedTuple):
    """Weights of a moment of pairs.

    Attributes:
        first: of x x^T.
        cross: of the symmetrised x x'^T.
        second: of x' x'^T.
    """

    first: float
    cross: float
    second: float


CROSS = Pairing(0.0, 1.0, 0.0)
POOLED = Pairing(0.5, 0.0, 0.5)
FIRST = Pairing(1.0, 0.0, 0.0)
SECOND = Pairing(0.0, 0.0, 1.0)


def signal_pairing(placement: str, *, clean_first: bool = False) -> Pairing:
    """Return the weights of B = A0 - f C of a placement.

    Example:
        >>> signal_pairing("clean-augmented-clean")
        Pairing(first=-0.25, cross=1.5, second=-0.25)
        >>> signal_pairing("clean-augmented-clean", clean_first=True)
        Pairing(first=0.5, cross=1.0, second=-0.5)

    Args:
        placement: a name in `PLACEMENTS`.
        clean_first: whether the pairs are (clean, augmented); otherwise both views are augmented.

    Raises:
        InputError: for an unknown placement.
    """
    factor = float(augmentation_factor(placement))
    if clean_first:
        return Pairing(1 - factor, 2 * factor, -factor)
    return Pairing(-factor / 2, 1 + factor, -factor / 2)


def covariance_pairings(placement: str, *, clean_first: bool = False) -> tuple[Pairing, Pairing]:
    """Return the weights of the covariances of anchor and negative in a negative pair.

    Example:
        >>> covariance_pairings("clean-augmented-augmented", clean_first=True)[1]
        Pairing(first=0.0, cross=0.0, second=1.0)

    Args:
        placement: a name in `PLACEMENTS`.
        clean_first: whether the pairs are (clean, augmented); otherwise both views are augmented.

    Raises:
        InputError: for an unknown placement.
    """
    augmentation_factor(placement)
    clean, augmented = (FIRST, SECOND) if clean_first else (CROSS, POOLED)
    *_, anchor, negative = PLACEMENTS[placement]
    return tuple(augmented if noisy else clean for noisy in (anchor, negative))  # type: ignore[return-value]


def first_is_clean(first: Array, second: Array) -> bool:
    """Return whether pairs are (clean, augmented) rather than both augmented; on the host.

    Example:
        >>> import jax
        >>> x, e = jax.random.normal(jax.random.key(0), (2, 500, 3))
        >>> first_is_clean(x, x + e)
        True

    With d = x' - x the ratio rho = -E[x . d] / (E[|d|^2] / 2) is 0 for x' = x + e, 1 for two views
    of equal law, 2 for the order (augmented, clean), as far as the augmentation is additive. It has
    a standard error over the pairs.

    Args:
        first: (n, ...) first views.
        second: (n, ...) second views.

    Raises:
        InputError: where the ratio differs from both 0 and 1 by more than 3.9 standard errors and
            0.35.
    """
    x, y = (v.reshape(len(v), -1) for v in (first, second))
    x, y = x - x.mean(0), y - y.mean(0)
    change = y - x
    along, size = -(x * change).sum(1), (change**2).sum(1) / 2
    mean = float(size.mean())
    if mean == 0:
        return False
    ratio = float(along.mean()) / mean
    error = float(jnp.std(along - ratio * size)) / (mean * len(x) ** 0.5)
    nearest = min(max(round(ratio), 0), 2)
    if nearest == 2 or abs(ratio - nearest) + 3.9 * error > 0.85 or abs(ratio - nearest) > 0.35:
        advice = "swap the views" if nearest == 2 else "pass clean_first=True or clean_first=False"
        message = (
            f"cannot distinguish (clean, augmented) pairs from two augmented views: the ratio is "
            f"{ratio:.2f} ± {error:.2g}, 0 for the former and 1 for the latter; {advice}"
        )
        raise InputError(message)
    return nearest == 0
