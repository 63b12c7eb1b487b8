r"""Barlow Twins with a weight of the off-diagonal terms other than one: plateaus and growth.

The theory of Simon et al. (ICML 2023, arXiv 2303.15438) assumes a weight lambda of

    L = sum_i (C_ii - 1)^2 + lambda sum_{i != j} C_ij^2,    C = W Gamma W^T,

of 1; in practice it is .0051. The plateau of rank k is the smallest loss of rank k. With
w = min(lambda, 1) and kappa = k / d

    level   c_k = 1 / (kappa + w (1 - kappa))      every nonzero eigenvalue of C
    loss    L_k = d w (1 - kappa) c_k
    growth  d log lambda_{k+1} / dt = 8 gamma_{k+1} w c_k.

Below 1, C = c_k P with a projector P whose diagonal is constant: sum_i C_ii^2 and ||C||^2 are then
both as small as trace and rank allow, and -dL/dC = 2 w c_k (I - P). From 1 upwards C is a
projector, for lambda > 1 onto coordinate axes: c_k = 1, L_k = d - k. Symbols: gamma = eigenvalues
of Gamma, s_j = scales, t = learning rate x step.
"""

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jssl.data.checks import require_count, require_range
from jssl.errors import InputError
from jssl.host_arithmetic import host_value
from jssl.types import Array


class Plateau(NamedTuple):
    """The plateau of rank k.

    Attributes:
        level: the k nonzero eigenvalues of C, all equal; at k = 0 the limit 1 / w.
        loss: the loss there.
        growth: w c_k: the next eigenvalue grows at 8 gamma_{k+1} times this, against
            8 gamma_{k+1} where the weight is one.
    """

    level: Array
    loss: Array
    growth: Array


class RedundancyStaircase(NamedTuple):
    """All plateaus from zero to d learned modes, and the times at which they end.

    Attributes:
        times: (k,) when the k-th eigenvalue of C rises, ascending; inf for modes never learned.
        blur: (k,) scale of the error of `times`.
        order: (k,) which mode rises k-th.
        plateaus: levels, losses and growth factors, each (d + 1,), of ranks 0 ... d.
    """

    times: Array
    blur: Array
    order: Array
    plateaus: Plateau


def plateau(rank: Array | int, dim: int, off_diagonal: Array | float) -> Plateau:
    """Return the plateau that gradient flow visits with `rank` modes learned.

    Example:
        >>> level, loss, growth = plateau(1, 4, 0.0051)
        >>> print(f"{level:.5f} {loss:.6f} {8 * 0.5 * growth:.5f}")
        3.93972 0.060278 0.08037

    c_k = 1 / (kappa + w (1 - kappa)), L_k = d w (1 - kappa) c_k, growth w c_k, with
    w = min(lambda, 1) and kappa = rank / d.

    Args:
        rank: modes learned so far, 0 ... dim; any shape.
        dim: embedding dimension d.
        off_diagonal: the weight lambda > 0 of the off-diagonal terms; broadcasts with `rank`.

    Returns:
        Level, loss and growth factor, of the broadcast shape.

    Raises:
        InputError: if dim or rank is out of range, or the weight is not positive.

    References:
        Simon et al. (2023), arXiv 2303.15438, eq. 2 for weight one; below and above one derived
        here. Zbontar et al. (2021), arXiv 2103.03230, eq. 1 for the loss.
    """
    dim = require_count("dim", dim)
    require_range("rank", rank, 0, dim)
    known = host_value(off_diagonal)
    if known is not None and not (known > 0).all():
        message = f"off_diagonal must be positive; got {off_diagonal}"
        raise InputError(message)
    weight = jnp.minimum(off_diagonal, 1.0)
    share = jnp.asarray(rank) / dim
    level = 1 / (share + weight * (1 - share))
    growth = weight * level
    return Plateau(level, dim * (1 - share) * growth, growth)


def redundancy_staircase(
    start_scales: Array,
    eigenvalues: Array,
    off_diagonal: Array | float,
    *,
    dim: int | None = None,
) -> RedundancyStaircase:
    """Predict the staircase from a small start, to leading order in the logarithm of its size.

    Example:
        >>> gamma, start = jnp.array([1.0, 0.5]), jnp.array([1e-4, 1e-4])
        >>> print(*(f"{time:.1f}" for time in redundancy_staircase(start, gamma, 1.0).times))
        2.3 4.8
        >>> print(*(f"{time:.1f}" for time in redundancy_staircase(start, gamma, 0.01).times))
        2.3 127.3

    A mode that is still small grows at 8 gamma_j w c_k, so in the time dT = w c_k dt every mode
    grows as at weight one and rises at T_j = -log(gamma_j s_j^2) / (8 gamma_j). Converted back,
    plateau by plateau: t_1 = T_1, t_{k+1} = t_k + (T_{k+1} - T_k) / (w c_k).

    The neglected terms are of order one in log lambda_j: the learned directions rotate until the
    diagonal of C is constant, and the small modes rotate with them. Each step is therefore shifted
    by a time that does not depend on the size of the start: the relative error decreases as 1 /
    log(1 / start). `blur` = sum over the steps so far of ln 81 / (8 gamma w c), the 10-90 % rise of
    each, is its order of magnitude; the measured errors of random starts were not larger. At weight
    one with scales from the QR alignment the times are sharp and the blur does not apply.

    Args:
        start_scales: (k,) scales s_j(0) >= 0 of the top k modes.
        eigenvalues: (k,) of the cross moment, of any sign.
        off_diagonal: the weight lambda > 0 of the off-diagonal terms.
        dim: number of outputs d >= k, static; None for k. With fewer modes than outputs every
            plateau is lower in rank k / d, and the waits are shorter.

    Returns:
        Times with their blur, the order of the modes, and the d + 1 plateaus.

    Raises:
        InputError: if the two shapes differ, dim is below k, or the weight is not positive.

    References:
        Simon et al. (2023), arXiv 2303.15438, Prop. 4.1 for weight one; the rest derived here.
    """
    if np.ndim(eigenvalues) != 1 or np.shape(eigenvalues) != np.shape(start_scales):
        shapes = f"{np.shape(start_scales)} and {np.shape(eigenvalues)}"
        message = f"start_scales and eigenvalues must both be (d,); got {shapes}"
        raise InputError(message)
    count = len(eigenvalues)
    dim = count if dim is None else require_count("dim", dim, low=count)
    plateaus = plateau(jnp.arange(dim + 1), dim, off_diagonal)
    learned = (eigenvalues > 0) & (start_scales > 0)
    gamma = jnp.where(learned, eigenvalues, 1)
    size = jnp.log(gamma) + 2 * jnp.log(jnp.where(learned, start_scales, 1))
    clock = jnp.maximum(-size / (8 * gamma), 0)
    order = jnp.argsort(jnp.where(learned, clock, jnp.inf))
    reached, growth = learned[order], plateaus.growth[:count]
    waits = jnp.diff(clock[order], prepend=0)
    rises = math.log(81) / (8 * gamma[order])
    times = jnp.where(reached, jnp.cumsum(waits / growth), jnp.inf)
    blur = jnp.where(reached, jnp.cumsum(rises / growth), jnp.inf)
    return RedundancyStaircase(times, blur, order, plateaus)
