"""The weight decay and the augmentation at which dimensions are lost.

A dimension is lost where an eigenvalue of B - decay I - t Q crosses zero, Q being what the
augmentation subtracts from B and t its strength (Ziyin et al. 2023, arXiv 2210.00638).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl.errors import InputError
from jssl.theory.landscape.covariances import known_symmetric
from jssl.theory.landscape.dictionary import Form
from jssl.types import Array


class Thresholds(NamedTuple):
    """The weight decay and the augmentation at which dimensions are lost, each descending.

    Attributes:
        decay: (d,) weight decay at which each is lost, eig(B). The rank at a decay is the
            number of larger ones.
        augmentation: (d,) multiple of the given augmentation at which each is lost; infinite if it
            is never lost, 0 if it is lost without augmentation; None where only B is known.
    """

    decay: Array
    augmentation: Array | None


def decay_thresholds(form: Form) -> Array:
    """Return (d,) eig(B), descending: the weight decay at which each dimension is lost."""
    return jnp.asarray(np.linalg.eigvalsh(np.asarray(form.signal))[::-1].copy())


def augmentation_thresholds(kept: Any, lost: Any) -> Array:
    """Return the multiple of the augmentation at which each dimension is lost.

    Example:
        >>> print(augmentation_thresholds(jnp.diag(jnp.array([1.0, 0.5])), 0.25 * jnp.eye(2)))
        [4. 2.]

    The multiples t > 0 at which an eigenvalue of P - t Q crosses zero, Q positive semi-definite:
    generalised eigenvalues, after the kernel of Q is eliminated. With as many outputs as
    dimensions, the rank at t is the number of larger ones.

    Args:
        kept: (d, d) P, B - decay I without augmentation.
        lost: (d, d) Q, what the augmentation subtracts from P.

    Returns:
        (d,) descending: infinite for a dimension that is never lost, 0 for one that is lost at t =
        0.

    Raises:
        InputError: for matrices that are not symmetric, finite and of one size, or Q with negative
            eigenvalues.
    """
    # Shapes depend on values: on the host, uncompiled.
    p = known_symmetric("kept", kept, None, host=True)
    q = known_symmetric("lost", lost, len(p), host=True)
    sizes, vectors = np.linalg.eigh(q)
    floor = len(sizes) * np.finfo(sizes.dtype).eps
    if sizes[0] < -1e3 * floor * max(np.linalg.norm(p), np.linalg.norm(q)):
        message = f"lost must be positive semi-definite; its smallest eigenvalue is {sizes[0]:.3g}"
        raise InputError(message)
    acting = sizes > floor * max(sizes[-1], 0)
    free, touched = vectors[:, ~acting], vectors[:, acting]
    values, axes = np.linalg.eigh(free.T @ p @ free)
    certain = np.abs(values) > floor * np.linalg.norm(p)
    inverse = np.where(certain, 1 / np.where(certain, values, 1), 0)
    coupling = axes.T @ (free.T @ p @ touched)
    schur = touched.T @ p @ touched - (coupling.T * inverse) @ coupling
    root = sizes[acting] ** -0.5
    finite = np.maximum(np.linalg.eigvalsh(root[:, None] * schur * root), 0)
    ends = np.where(certain & (values > 0), np.inf, 0)
    values = np.sort(np.concatenate([finite, ends]))[::-1]
    return jnp.asarray(values, jax.dtypes.canonicalize_dtype(p.dtype))
