"""The modes of a contrastive kernel from a Gram matrix of pairs, and what each does elsewhere.

A K c = eigenvalue c (S-15, S-16 of Simon et al. 2023, arXiv 2303.15438), the pairing A with each
view's mean taken away or not; read again on pairs that did not choose them; and where each ends.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jssl.kernels import lanczos
from jssl.practice.rules import Rule
from jssl.types import Array

_TOLERANCE = 1e-5  # of the largest eigenvalue; eigenvalues are then right to about its square
_SMALL = 800  # rows up to which a dense decomposition is the faster


@partial(jax.jit, static_argnames=("count", "centred"))
def _largest(gram: Array, start: Array, count: int, centred: bool) -> lanczos.Ritz:
    depth = max(6, 96 // start.shape[1])
    return lanczos.largest(
        lambda v: gram @ v,
        lambda v: _paired(v, centred),
        start,
        dim=count,
        tolerance=_TOLERANCE,
        steps=60,
        depth=depth,
    )


def _paired(v: Any, centred: bool) -> Any:
    """Return A v: the views of every pair swapped, over 2n, each view without its mean."""
    both = v.reshape(2, len(v) // 2, -1)
    both = both - both.mean(1, keepdims=True) if centred else both
    return both[::-1].reshape(v.shape) / len(v)


def _dense(gram: np.ndarray, centred: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return all eigenvalues, descending, and coefficients; small matrices need no program."""
    energy, vectors = np.linalg.eigh(gram)
    factor = vectors * np.sqrt(np.maximum(energy, 0))
    inside = factor.T @ _paired(factor, centred)
    values, mixing = (x[..., ::-1] for x in np.linalg.eigh((inside + inside.T) / 2))
    seen = np.where(values > _TOLERANCE * max(values[0], 0), values, np.inf)
    return values, _paired(factor @ mixing, centred) / seen


def modes_of(gram: np.ndarray, count: int, centred: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return up to `count` positive eigenvalues and coefficients; those that have converged."""
    if len(gram) <= _SMALL:
        values, vectors = _dense(gram, centred)
        kept = min(count, int((values > _TOLERANCE * values[0]).sum()))
        return values[:kept], vectors[:, :kept]
    start = jax.random.normal(jax.random.key(0), (len(gram), min(max(count, 4), len(gram))))
    ritz = _largest(jnp.asarray(gram), start, count, centred)
    values = np.asarray(ritz.eigenvalues)
    size = np.max(np.abs(values[np.isfinite(values)]), initial=0)
    near = np.asarray(ritz.residual) <= np.maximum(_TOLERANCE * size, 0.03 * values)
    good = np.isfinite(values) & (values > _TOLERANCE * size) & near
    kept = len(good) if good.all() else int(np.argmin(good))
    return values[:kept], np.asarray(ritz.vectors)[:, :kept]


def held_out(
    gram: np.ndarray, count: int, centred: bool, draws: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Read the modes of each half of the pairs on the other half: mean and standard error."""
    n = len(gram) // 2
    order = draws.permutation(n)
    halves = np.sort(order[: n // 2]), np.sort(order[n // 2 : 2 * (n // 2)])
    means, squares = np.zeros((2, count)), np.full((2, count), np.inf)
    for i, (chosen, judged) in enumerate((halves, halves[::-1])):
        own, other = (np.concatenate([h, h + n]) for h in (chosen, judged))
        _, vectors = modes_of(gram[np.ix_(own, own)], count, centred)
        seen = (gram[np.ix_(other, own)] @ vectors).reshape(2, len(judged), -1)
        seen = seen - seen.mean(1, keepdims=True) if centred else seen
        terms = seen[0] * seen[1]
        kept = terms.shape[1]
        means[i, :kept] = terms.mean(0)
        squares[i, :kept] = terms.var(0, ddof=1) / len(judged)
    return means.mean(0), np.sqrt(squares.sum(0)) / 2


def ends_of(gram: np.ndarray, values: np.ndarray, vectors: np.ndarray, rule: Rule) -> np.ndarray:
    """Return s_j at the end of training, sqrt(signal eigenvalue / (2 quartic spread^2))."""
    if rule.own_spread:
        return values**-0.5
    seen = (gram @ vectors).reshape(2, len(gram) // 2, -1)
    seen = seen - seen.mean(1, keepdims=True) if rule.centred else seen
    spread = (seen**2).mean((0, 1))
    return np.sqrt(rule.signal * values / (2 * rule.quartic)) / spread
