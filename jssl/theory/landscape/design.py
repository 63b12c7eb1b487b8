r"""Useful collapse: an augmentation that removes nuisance directions and keeps the signal (L-16).

Under a placement with B = A0 - f C (f = 1/2 or 1) the augmentation

    C = (1 + margin) P A0 P / f,    P the projector on the nuisance directions,

makes B = -margin P A0 P there, which is negative, and does not change B elsewhere. By Sylvester's
law the rank is the number of signal directions whether or not signal and nuisance are correlated.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jssl.data.checks import require_count, require_name
from jssl.errors import InputError
from jssl.manifolds.linalg import matmul
from jssl.theory.landscape.covariances import covariance
from jssl.theory.landscape.dictionary import PLACEMENTS, views
from jssl.types import Array


def augmentation_factor(placement: str, *, alignment: Any = 1.0) -> Array:
    """Return f of B = A0 - f C for InfoNCE with the score -|z - z'|^2 / 2.

    Example:
        >>> print(augmentation_factor("clean-augmented-clean"))
        0.5
    """
    require_name("placement", placement, PLACEMENTS)
    seen = views(1.0 * jnp.ones(1), 1.0, placement, alignment=alignment)
    return (1 + seen.positive - (seen.anchor + seen.negative) / 2)[0, 0]


def collapsing_augmentation(
    data_cov: Any,
    nuisance: Array,
    *,
    placement: str = "clean-augmented-clean",
    margin: float = 0.5,
    alignment: Any = 1.0,
) -> Array:
    """Return the augmentation covariance (d, d) under which only the nuisance directions collapse.

    Example:
        >>> print(collapsing_augmentation([1.0, 0.4], jnp.array([[0.0], [1.0]])) + 0)
        [[0.  0. ]
         [0.  1.2]]

    Args:
        data_cov: A0, (d,) variances or (d, d).
        nuisance: (d, k) directions to remove, as linearly independent columns.
        placement: a name in `PLACEMENTS`, under which augmentation can cause a collapse.
        margin: relative distance beyond the threshold, > 0.
        alignment: weight of the positive term.

    Returns:
        C of rank k; `from_loss("info_nce_euclidean", data_cov, C, ...)` has rank d - k.

    Raises:
        InputError: for a placement whose B does not depend on C, a margin that is not positive, or
            directions that do not fit.
    """
    data = covariance("data_cov", data_cov)
    factor = float(augmentation_factor(placement, alignment=alignment))
    if factor <= 0:
        message = (
            f"under {placement} augmentation causes no collapse; pass clean-augmented-clean, or "
            "an alignment above 1"
        )
        raise InputError(message)
    if not margin > 0:
        message = f"margin must be positive; got {margin}"
        raise InputError(message)
    if nuisance.ndim != 2 or len(nuisance) != len(data):
        message = f"nuisance must be ({len(data)}, k) directions; got shape {nuisance.shape}"
        raise InputError(message)
    require_count("number of nuisance directions", nuisance.shape[1], high=len(data))
    if not _independent(np.asarray(nuisance)):
        message = "nuisance directions must be finite and linearly independent; drop some of them"
        raise InputError(message)
    basis = jnp.linalg.qr(nuisance)[0]
    inside = matmul(basis.T, matmul(data, basis))
    return (1 + margin) / factor * matmul(basis, matmul(inside, basis.T))


def _independent(directions: np.ndarray) -> bool:
    if not np.isfinite(directions).all():
        return False
    return int(np.linalg.matrix_rank(directions)) == directions.shape[1]
