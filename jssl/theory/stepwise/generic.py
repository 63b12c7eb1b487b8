"""A generic small start: which aligned start it follows, and how far from it.

    Q R = W(0) V^T,  R_jj > 0:   use U = Q and s_j(0) = R_jj in the aligned solution

    V (dim, m)           eigenvectors     the top modes of the cross moment, as rows
    U = Q (dim, dim)     rotation         which embedding direction carries which mode
    R_jj                 start_scales     s_j(0)
    alpha                start_scale      scale of the start relative to the end, W(0) = alpha W~

The flow tends to the aligned one as alpha -> 0, at rates set by the gaps of the spectrum: a mode
that grows gamma_{j+1}/gamma_j times as fast as its elder has outgrown its start by that power when
the elder is done. Equal or close eigenvalues are the subject of `close`. Steps are robust; *which*
subspace is learned needs a gap after mode dim.

Simon et al. 2023, arXiv 2303.15438, result 4.6; the rates are derived here.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jssl.data.checks import require_count, require_range
from jssl.models.correlation import namespace
from jssl.theory.stepwise.linear import Modes
from jssl.types import Array


class IdentifiabilityWarning(UserWarning):
    """The start is too large for the spectral gaps: the learned subspace is not the top modes."""


class Alignment(NamedTuple):
    """The aligned start that a generic small start follows.

    Attributes:
        rotation: (dim, k) orthonormal columns.
        start_scales: (k,) >= 0.
    """

    rotation: Array
    start_scales: Array


class ErrorEstimate(NamedTuple):
    """Orders of magnitude of the errors of the aligned solution, relative to 1.

    Each is start_scale ** exponent; constants are of order one and not known.

    Attributes:
        weight: error of the weight, at worst over time.
        eigenvalue: error of the eigenvalues of C, at worst over time.
        leakage: share of the final weight outside the top modes.
        weight_exponent: 1 - max_j gamma_{j+1} / gamma_j.
        eigenvalue_exponent: twice that.
        leakage_exponent: 1 - gamma_{dim+1} / gamma_dim.
        identifiable: whether the leakage is within the tolerance.
        spectrum: error of the eigenvalues of C in `trajectory`, at worst over time: equal
            and close modes are handled by `effective_modes`.
    """

    weight: Array
    eigenvalue: Array
    leakage: Array
    weight_exponent: Array
    eigenvalue_exponent: Array
    leakage_exponent: Array
    identifiable: Array
    spectrum: Array


def align(start_weight: Array, modes: Modes) -> Alignment:
    """Return the aligned start that a small generic start follows.

    Example:
        >>> from jssl.theory.stepwise.linear import modes, weight
        >>> top = modes(jnp.diag(jnp.array([4.0, 1.0, 0.5])), dim=2)
        >>> rotation, start_scales = align(jnp.array([[0.0, -0.3, 0.0], [0.2, 0.0, 0.0]]), top)
        >>> [round(x, 3) for x in start_scales.tolist()]  # the signs go into the rotation
        [0.2, 0.3]

    From (Q, R) of W(0) V^T: the first column, which the fastest mode takes, fixes the first
    direction; every later mode grows in what the earlier ones leave. R is unique once its diagonal
    is positive.

    Args:
        start_weight: (dim, m).
        modes: the top k <= dim modes of the cross moment.

    Where eigenvalues are equal the result depends on the basis that `modes` has there: take
    `adapt_modes(start_weight, modes)`, which is exact. Where they are close, the spectrum follows
    `effective_modes`, and which weights are learned is not determined by the top modes.

    Returns:
        Alignment(rotation, start_scales); a scale of zero is a mode that never starts.

    References:
        Simon et al. 2023, arXiv 2303.15438, result 4.6.
    """
    return qr_alignment(jnp.matmul(start_weight, modes.eigenvectors.mT, precision="highest"))


def qr_alignment(projection: Array) -> Alignment:
    """Return the alignment of a start given by its projection on the modes.

    Example:
        >>> qr_alignment(jnp.array([[0.0, 2.0], [-3.0, 1.0]])).start_scales.tolist()
        [3.0, 2.0]

    Args:
        projection: (dim, k), k <= dim, a column per mode in the order of the modes.

    Returns:
        Alignment from its QR factorisation with a non-negative diagonal.
    """
    q, r = jnp.linalg.qr(projection)
    diagonal = jnp.diagonal(r, axis1=-2, axis2=-1)
    return Alignment(q * jnp.where(diagonal < 0, -1, 1)[..., None, :], jnp.abs(diagonal))


def error_estimate(
    start_scale: Array | float, eigenvalues: Array, dim: int, *, tolerance: float = 0.1
) -> ErrorEstimate:
    """Return the orders of magnitude of the errors of the aligned solution for a generic start.

    Example:
        >>> estimate = error_estimate(1e-6, jnp.array([1.0, 0.9]), dim=1)
        >>> round(float(estimate.leakage), 2), bool(estimate.identifiable)
        (0.25, False)

    Negative eigenvalues count as 0 in the ratios, and modes that are never learned do not count.

    Args:
        start_scale: scale of the start relative to the end, such as max_j sqrt(g_j) s_j(0);
            in (0, 1].
        eigenvalues: (m,) all of the cross moment, descending; at least dim + 1 of them unless there
            are no more.
        dim: embedding dimension, static.
        tolerance: leakage up to which the learned subspace counts as identified.

    Returns:
        ErrorEstimate of scalars.

    Raises:
        InputError: for a start_scale outside (0, 1] or a dim below 1.

    References:
        Derived here for result 4.6 of Simon et al. 2023, arXiv 2303.15438.
    """
    require_range("start_scale", start_scale, float(np.finfo(eigenvalues.dtype).tiny), 1)
    dim = min(require_count("dim", dim), len(eigenvalues))
    xp = namespace(start_scale, eigenvalues)
    elder = eigenvalues[:dim]
    younger = xp.maximum(xp.append(eigenvalues, 0)[1 : dim + 1], 0)
    ratios = xp.where(elder > 0, younger / xp.where(elder > 0, elder, 1), 0)
    gap, edge = 1 - ratios.max(), 1 - ratios[-1]
    start_scale = xp.asarray(start_scale, eigenvalues.dtype)
    leakage = start_scale**edge
    return ErrorEstimate(
        start_scale**gap,
        start_scale ** (2 * gap),
        leakage,
        gap,
        2 * gap,
        edge,
        leakage <= tolerance,
        _spectrum_error(start_scale, eigenvalues, dim),
    )


def _spectrum_error(start_scale: Array | float, eigenvalues: Array, dim: int) -> Array:
    """Return start^{2 (1 - r)}, at most (1 - r)^2 / 4, of the worst pair of ratio r.

    Modes far apart have outgrown each other; modes close together grow alike.
    """
    xp = namespace(start_scale, eigenvalues)
    grown = xp.maximum(eigenvalues[: dim + 1], 0)
    elder = grown[:dim, None]
    gaps = 1 - grown / xp.where(elder > 0, elder, 1)
    later = (xp.arange(len(grown)) > xp.arange(dim)[:, None]) & (elder > 0) & (grown > 0)
    gaps = xp.where(later, gaps, 0)
    return xp.minimum(start_scale ** (2 * gaps), gaps**2 / 4).max(initial=0)


def explain(estimate: ErrorEstimate) -> str:
    """Return an error estimate as a sentence; outside jit.

    Example:
        >>> explain(error_estimate(1e-3, jnp.array([1.0, 0.1]), dim=1))
        'The top modes are learned: the leakage is about 0.002, and the error of eigenvalues about
        4e-06.'

    Args:
        estimate: of scalars.
    """
    leakage, eigenvalue = float(estimate.leakage), float(estimate.spectrum)
    if estimate.identifiable:
        return (
            f"The top modes are learned: the leakage is about {leakage:.1g}, and the error of "
            f"eigenvalues about {eigenvalue:.1g}."
        )
    needed = 0.1 ** (1 / max(float(estimate.leakage_exponent), 1e-3))
    return (
        f"The learned subspace is not identifiable: about {leakage:.1g} of it lies outside the top "
        f"modes. For a share of 0.1, the start must be {needed:.1g} of the final amplitude. The "
        f"times of the steps are not affected."
    )
