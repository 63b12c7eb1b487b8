r"""Stationary points, minima and Hessians of the quartic landscape.

With one covariance Sigma, S = Sigma^{-1/2} (B - decay I) Sigma^{-1/2} = U diag(s) U^T and
V = W Sigma^{1/2}, every stationary point is given by a mask M of modes with s > 0, |M| <= m:

    W = R diag(w) (Sigma^{-1/2} U)^T,  w_i^2 = s_i / (2 c4) on M,  L = -(1/4 c4) sum_M s_i^2  (L-6)

The only local minimum, up to rotations R of the outputs, is that of the top min(m, n_+) modes; all
the others are strict saddles (L-7). Where Ka and Kn belong to different covariances the modes
decouple if these commute with B: then with b, a, n the common eigenvalues of B - decay I,
cov(anchor), cov(negative), q = own n^2 + cross a n,

    w_i^2 = b_i / (2 q_i) on M,    L = -sum_M b_i^2 / (4 q_i)

are stationary points; with m below the number of positive modes some of them besides the best may
be local minima, and there may be stationary points that no mask describes. The first case is
(b, a, n, c4) = (s, 1, 1, c4), so one set of functions covers both. Hessians are with respect to V
or W.
"""

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jssl.data.checks import require_count
from jssl.errors import InputError
from jssl.theory.landscape.bounded import require_minimum
from jssl.theory.landscape.dictionary import Form, decayed_signal
from jssl.types import Array


class Modes(NamedTuple):
    """Modes that decouple, in the order in which they lower the loss, largest first.

    Attributes:
        strength: (r,) s, or b.
        anchor: (r,) variance in Ka; ones with a single covariance.
        negative: (r,) variance in Kn; ones with a single covariance.
        own: coefficient of Tr[Kn^2].
        cross: coefficient of Tr[Ka Kn].
        basis: (d, r) columns: W = rotation diag(w) basis^T.
        outside: number of dimensions where Sigma is 0; they are left out.
        flat: number of dimensions on which the loss does not depend.
    """

    strength: Array
    anchor: Array
    negative: Array
    own: Any
    cross: Any
    basis: Array
    outside: int = 0
    flat: int = 0


def decouple(form: Form) -> Modes | None:
    """Return the modes of a landscape, or None where they do not decouple.

    Example:
        >>> from jssl.theory.landscape.dictionary import general_form
        >>> print(decouple(general_form([1.0, 2.0], [1.0, 4.0])).strength)
        [1.  0.5]

    A singular Sigma is restricted to its range, after the weight outside the range has been
    minimised out. If the loss has a minimum, B is at most 0 there, and 0 only without coupling to
    the range.

    Args:
        form: from `jssl.theory.landscape.form`; needs values, so works outside jit only.

    Returns:
        Modes; None for two covariances that do not commute.

    Raises:
        InputError: where the loss has no minimum; with the direction along which it decreases.
    """
    require_minimum(form)
    if np.array_equal(form.anchor, form.negative):
        return _one_covariance(form)
    return _two_covariances(form)


def _one_covariance(form: Form) -> Modes:
    signal, quartic = np.asarray(decayed_signal(form)), form.own + form.cross
    variances, vectors = np.linalg.eigh(np.asarray(form.anchor))
    size = len(variances)
    kept = variances > size * np.finfo(variances.dtype).eps * variances[-1]
    inside, outer = vectors[:, kept], vectors[:, ~kept]
    effective, lift, flat = inside.T @ signal @ inside, inside, 0
    if outer.shape[1]:
        # The quartic term does not depend on W outside the range: minimise over it.
        block = outer.T @ signal @ outer
        coupling = outer.T @ signal @ inside
        own, directions = np.linalg.eigh(block)
        floor = size * np.finfo(own.dtype).eps * np.linalg.norm(signal)
        flat = int((own >= -floor).sum())
        inverse = np.where(own < -floor, 1 / np.where(own < -floor, own, 1), 0)
        pulled = (directions * inverse) @ (directions.T @ coupling)
        effective = effective - coupling.T @ pulled
        lift = inside - outer @ pulled
    root = variances[kept] ** -0.5
    strength, axes = np.linalg.eigh(root[:, None] * effective * root)
    strength, axes = strength[::-1], axes[:, ::-1]
    ones = np.ones_like(strength)
    basis = (lift * root) @ axes
    s, one, columns = (jnp.asarray(x) for x in (strength, ones, basis))
    return Modes(s, one, one, quartic, 0.0, columns, outer.shape[1], flat)


def _two_covariances(form: Form) -> Modes | None:
    matrices = np.stack([np.asarray(x) for x in (decayed_signal(form), form.anchor, form.negative)])
    # A generic combination separates all eigenspaces that one of the three separates.
    sizes = np.maximum(np.linalg.norm(matrices, axis=(1, 2)), np.finfo(matrices.dtype).tiny)
    mix = np.tensordot(np.array([1.0, 0.7548, 0.5698], matrices.dtype) / sizes, matrices, 1)
    basis = np.linalg.eigh(mix)[1]
    turned = basis.T @ matrices @ basis / sizes[:, None, None]
    diagonal = np.diagonal(turned, axis1=1, axis2=2)
    rest = np.abs(turned - diagonal[:, None, :] * np.eye(len(basis))).max()
    if rest > len(basis) * np.finfo(basis.dtype).eps ** 0.75:
        return None
    rounding = len(basis) * np.finfo(basis.dtype).eps
    strength, anchor, negative = np.where(np.abs(diagonal) > rounding, diagonal * sizes[:, None], 0)
    quartic = form.own * negative**2 + form.cross * anchor * negative
    held = quartic > 0
    gain = np.where(held, strength / np.sqrt(np.where(held, quartic, 1)), -np.inf)
    order, flat = np.argsort(-gain, stable=True), int((~held & (strength == 0)).sum())
    strength, anchor, negative = (x[order] for x in (strength, anchor, negative))
    b, a, n, columns = (jnp.asarray(x) for x in (strength, anchor, negative, basis[:, order]))
    return Modes(b, a, n, form.own, form.cross, columns, flat=flat)


def stiffness(modes: Modes) -> Array:
    """Return (r,) q: L = sum_i (-b_i w_i^2 + q_i w_i^4) on masks."""
    anchor, negative = np.asarray(modes.anchor), np.asarray(modes.negative)
    return jnp.asarray(modes.own * negative**2 + modes.cross * anchor * negative)


def squared_amplitudes(modes: Modes, mask: Any) -> Array:
    """Return (r,) w^2 at the stationary point of a mask; 0 off it.

    Along the columns of `Modes.basis`: with one covariance that is the variance of the embedding,
    an eigenvalue of W Sigma W^T; with two it is the squared weight, an eigenvalue of W^T W.

    Raises:
        InputError: for a mask that contains a mode without positive strength.
    """
    return jnp.asarray(_squares(modes, mask))


def stationary_loss(modes: Modes, mask: Any) -> Array:
    """Return the loss at the stationary point of a mask, 0 at W = 0."""
    return jnp.asarray(-np.sum(_squares(modes, mask) * np.asarray(modes.strength)) / 2)


def stationary_gram(modes: Modes, mask: Any) -> Array:
    """Return W^T W (d, d), which does not change under rotations of the outputs."""
    rows = np.sqrt(_squares(modes, mask)) * np.asarray(modes.basis)
    return jnp.asarray(rows @ rows.T)


def stationary_weight(modes: Modes, mask: Any, dim: int) -> Array:
    """Return a weight (dim, d) at the stationary point of a mask; any rotation of it is another."""
    amplitudes = np.sqrt(_squares(modes, mask))
    chosen = np.flatnonzero(amplitudes)
    if len(chosen) > dim:
        message = f"the mask contains {len(chosen)} modes, more than the {dim} outputs"
        raise InputError(message)
    weight = np.zeros((dim, len(modes.basis)), amplitudes.dtype)
    weight[: len(chosen)] = amplitudes[chosen, None] * np.asarray(modes.basis).T[chosen]
    return jnp.asarray(weight)


def minimum_mask(modes: Modes, dim: int) -> np.ndarray:
    """Return the mask of the global minimum: the first min(dim, n_+) modes."""
    dim = require_count("dim", dim)
    positive = np.asarray(modes.strength) > _rounding(modes)
    return positive & (np.cumsum(positive) <= dim)


def masks(modes: Modes, dim: int) -> Iterator[np.ndarray]:
    """Yield the masks of all stationary points, the smallest first.

    Example:
        >>> from jssl.theory.landscape.dictionary import general_form
        >>> modes = decouple(general_form([1.0, 0.5, -1.0], [1.0, 1.0, 1.0]))
        >>> [mask.astype(int).tolist() for mask in masks(modes, 2)]
        [[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]]

    There are sum_k binomial(n_+, k) of them, so they are computed one at a time.
    """
    positive = np.flatnonzero(np.asarray(modes.strength) > _rounding(modes))
    for count in range(min(require_count("dim", dim), len(positive)) + 1):
        for chosen in itertools.combinations(positive, count):
            mask = np.zeros(len(modes.strength), bool)
            mask[list(chosen)] = True
            yield mask


def hessian_spectrum(modes: Modes, mask: Any, dim: int) -> Array:
    """Return all dim * r eigenvalues of the Hessian at a mask, descending.

    Example:
        >>> from jssl.theory.landscape.dictionary import general_form
        >>> modes = decouple(general_form([1.0, 0.5], [1.0, 1.0]))
        >>> print(hessian_spectrum(modes, minimum_mask(modes, 2), 2))
        [4. 3. 2. 0.]

    With p_rj = 2 own n_r n_j + cross (a_r n_j + a_j n_r): 4 b_i for i in M; 2 p_rj (w_r^2 + w_j^2)
    and 0 for r < j in M; 2 (p_rj w_r^2 - b_j) for r in M, j not in M; -2 b_j for j not in M with
    multiplicity dim - |M|; 0 with |M| (dim - |M|). One covariance: p_rj w_r^2 = s_r (L-8).

    Args:
        modes: from `decouple`.
        mask: (r,) boolean.
        dim: number of outputs, at least the modes in the mask.

    Returns:
        (dim * r,).

    Raises:
        InputError: for a mask with too many modes, or modes that are not positive.
    """
    squares = _squares(modes, mask)
    held = np.asarray(mask, bool)
    b, a, n = (np.asarray(x) for x in modes[:3])
    own, cross = float(modes.own), float(modes.cross)
    count, dim = int(held.sum()), require_count("dim", dim)
    if count > dim:
        message = f"the mask contains {count} modes, more than the {dim} outputs"
        raise InputError(message)
    pull = 2 * own * np.outer(n, n) + cross * (np.outer(a, n) + np.outer(n, a))
    grown = squares[:, None] * pull  # [i, j]: effect of mode i on mode j
    inside, off = np.flatnonzero(held), np.flatnonzero(~held)
    leave = 2 * (grown[np.ix_(inside, off)] - b[off])
    first, second = (inside[k] for k in np.triu_indices(count, 1))
    # The flat direction of a pair is a rotation, so the trace is the other eigenvalue.
    both = 2 * (grown[first, second] + grown[second, first])
    values = [4 * b[inside], both, np.zeros(len(both)), leave.ravel()]
    values += [np.repeat(-2 * b[off], dim - count), np.zeros(count * (dim - count))]
    return jnp.asarray(np.sort(np.concatenate(values))[::-1].copy(), modes.strength.dtype)


def saddle_index(modes: Modes, mask: Any, dim: int) -> int:
    """Return the number of descending directions at a mask; it is 0 at the minimum only (L-8)."""
    spectrum = np.asarray(hessian_spectrum(modes, mask, dim))
    return int((spectrum < -1e3 * _rounding(modes)).sum())


def _rounding(modes: Modes) -> float:
    strength = np.asarray(modes.strength)
    return float(len(strength) * np.finfo(strength.dtype).eps * np.abs(strength).max(initial=0))


def _squares(modes: Modes, mask: Any) -> np.ndarray:
    held, quartic = _checked(modes, mask), np.asarray(stiffness(modes))
    return np.where(held, np.asarray(modes.strength) / (2 * np.where(held, quartic, 1)), 0)


def _checked(modes: Modes, mask: Any) -> np.ndarray:
    held = np.asarray(mask, bool)
    if held.shape != modes.strength.shape:
        message = f"a mask has one entry for each mode, {modes.strength.shape}; got {held.shape}"
        raise InputError(message)
    if (held & (np.asarray(modes.strength) <= 0)).any():
        message = "a mask may contain only modes of positive strength; see `masks`"
        raise InputError(message)
    return held
