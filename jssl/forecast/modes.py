"""The modes of a contrastive kernel from a Gram matrix of pairs, and their held-out eigenvalues.

A K c = eigenvalue c (S-15, S-16 of Simon et al. 2023, arXiv 2303.15438), the pairing A with each
view's mean subtracted or not; their eigenvalues on held-out pairs; and their variance under other
pairings. By default A swaps the views, J / 2n.
"""

from typing import NamedTuple

import numpy as np

from jssl.errors import InputError
from jssl.kernels.host_lanczos import largest_on_host
from jssl.theory.landscape.dictionary import SIMCLR
from jssl.theory.landscape.pairing import CROSS, Pairing

_TOLERANCE = 1e-5  # of the largest eigenvalue; eigenvalues are then right to about its square
_ROUNDING = 64 * float(np.finfo(float).eps)  # of the Gram matrix's norm / n: rounding error
_SMALL = 800  # number of rows up to which a dense decomposition is faster


class Modes(NamedTuple):
    """Modes of the contrastive kernel.

    Attributes:
        values: (count,) positive eigenvalues, descending.
        vectors: (2n, count) coefficients.
        held_out: (count,) eigenvalues on held-out pairs.
        errors: (count,) their standard errors.
    """

    values: np.ndarray
    vectors: np.ndarray
    held_out: np.ndarray
    errors: np.ndarray


def _paired(v: np.ndarray, centred: bool, pairing: Pairing) -> np.ndarray:
    """Return A v, each view without its mean if `centred`."""
    n = len(v) // 2
    both = v.reshape(2, n, -1)
    both = both - both.mean(1, keepdims=True) if centred else both
    half = pairing.cross / 2
    mixed = (
        pairing.first * both[0] + half * both[1],
        half * both[0] + pairing.second * both[1],
    )
    return np.concatenate(mixed).reshape(v.shape) / n


def _dense(gram: np.ndarray, centred: bool, pairing: Pairing) -> tuple[np.ndarray, np.ndarray]:
    """Return all eigenvalues, descending, and coefficients, by NumPy."""
    energy, vectors = np.linalg.eigh(gram)
    factor = vectors * np.sqrt(np.maximum(energy, 0))
    inside = factor.T @ _paired(factor, centred, pairing)
    values, mixing = (x[..., ::-1] for x in np.linalg.eigh((inside + inside.T) / 2))
    divisor = np.where(values > _TOLERANCE * max(values[0], 0), values, np.inf)
    return values, _paired(factor @ mixing, centred, pairing) / divisor


def modes_of(
    gram: np.ndarray, count: int, centred: bool, pairing: Pairing = CROSS
) -> tuple[np.ndarray, np.ndarray]:
    """Return up to `count` positive eigenvalues and coefficients that have converged."""
    floor = _ROUNDING * float(np.linalg.norm(gram)) / len(gram)
    if len(gram) <= _SMALL:
        values, vectors = _dense(gram, centred, pairing)
        kept = min(count, int((values > max(_TOLERANCE * values[0], floor)).sum()))
        return values[:kept], vectors[:, :kept]
    ritz = largest_on_host(
        lambda v: gram @ v,
        lambda v: _paired(v, centred, pairing),
        len(gram),
        dim=count,
        tolerance=_TOLERANCE,
    )
    values = ritz.eigenvalues
    size = np.max(np.abs(values[np.isfinite(values)]), initial=0)
    near = ritz.residual <= np.maximum(_TOLERANCE * size, 0.03 * values)
    good = np.isfinite(values) & (values > max(_TOLERANCE * size, floor)) & near
    kept = len(good) if good.all() else int(np.argmin(good))
    return values[:kept], ritz.vectors[:, :kept]


def modes_with_errors(
    gram: np.ndarray,
    count: int,
    centred: bool,
    draws: np.random.Generator,
    pairing: Pairing,
    placement: str,
) -> Modes:
    """Return up to `count` modes with their eigenvalues on held-out pairs.

    Raises:
        InputError: where no eigenvalue is positive.
    """
    values, vectors = modes_of(gram, count, centred, pairing)
    if not len(values):
        message = "no eigenvalue is positive: the two views share nothing under this kernel"
        if placement != SIMCLR:
            message = (
                f"no eigenvalue is positive under {placement}: the augmentation removes all "
                "directions"
            )
        raise InputError(message)
    held, errors = held_out(gram, len(values), centred, draws, pairing)
    return Modes(values, vectors, held, errors)


def largest_value(gram: np.ndarray, centred: bool, pairing: Pairing) -> float:
    """Return the largest eigenvalue of a pairing, 0 where none is positive."""
    return float(np.max(modes_of(gram, 1, centred, pairing)[0], initial=0))


def held_out(
    gram: np.ndarray,
    count: int,
    centred: bool,
    draws: np.random.Generator,
    pairing: Pairing = CROSS,
) -> tuple[np.ndarray, np.ndarray]:
    """Return eigenvalues of the modes of half of the pairs on the other half, and their errors."""
    n = len(gram) // 2
    order = draws.permutation(n)
    halves = np.sort(order[: n // 2]), np.sort(order[n // 2 : 2 * (n // 2)])
    means, squares = np.zeros((2, count)), np.full((2, count), np.inf)
    for i, (chosen, other_half) in enumerate((halves, halves[::-1])):
        own, other = (np.concatenate([h, h + n]) for h in (chosen, other_half))
        _, vectors = modes_of(gram[np.ix_(own, own)], count, centred, pairing)
        first, second = functions_of(gram[np.ix_(other, own)], vectors, centred)
        terms = pairing.cross * first * second
        terms = terms + pairing.first * first**2 + pairing.second * second**2
        kept = terms.shape[1]
        means[i, :kept] = terms.mean(0)
        squares[i, :kept] = terms.var(0, ddof=1) / len(other_half)
    return means.mean(0), np.sqrt(squares.sum(0)) / 2


def spread_of(gram: np.ndarray, vectors: np.ndarray, centred: bool, pairing: Pairing) -> np.ndarray:
    """Return the mean square of each mode's function under another pairing."""
    first, second = functions_of(gram, vectors, centred)
    terms = pairing.cross * first * second
    return (terms + pairing.first * first**2 + pairing.second * second**2).mean(0)


def functions_of(cross: np.ndarray, vectors: np.ndarray, centred: bool) -> np.ndarray:
    """Return the modes' functions at the first and at the second views, (2, n, count).

    Args:
        cross: (2n, m) kernel of all views with the m rows of the coefficients.
        vectors: (m, count) coefficients.
        centred: whether each view's mean is subtracted.
    """
    values = (cross @ vectors).reshape(2, len(cross) // 2, -1)
    return values - values.mean(1, keepdims=True) if centred else values
