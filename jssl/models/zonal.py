r"""Kernels of homogeneous networks: a function of the angle of two inputs, times their lengths.

A relu or leaky relu network without biases has k(x, x') = |x| |x'| f(angle). f is analytic on
[0, pi], and so is it in

    s = sqrt(|signed gap| / 2) = sin(angle / 2) up to a right angle,    cos(angle / 2) beyond.

One polynomial in s for either half, interpolated once at Chebyshev points from the recursion of
`jssl.models.recursion`, takes the place of an arctangent and a root in every layer.
"""

from functools import lru_cache
from itertools import zip_longest
from typing import Any, NamedTuple

import jax
import numpy as np

from jssl.models.correlation import namespace, safe_root
from jssl.models.recursion import Gains, Network, propagate, side

HOMOGENEOUS = ("leaky_relu", "linear", "relu")

_MOST = 80  # degree above which the recursion is used
_DROPPED = {64: 1e-13, 32: 2e-8}  # coefficients below this share of the largest are left out
_CENTRE = np.sqrt(1 / 8)  # of the range of s, and half its length


class Zonal(NamedTuple):
    """f of NNGP and NTK as polynomials in y = s / centre - 1, in [-1, 1].

    Attributes:
        near: (degree + 1, 2) coefficients up to a right angle, those of the highest power first.
        far: (degree + 1, 2) beyond.
    """

    near: np.ndarray
    far: np.ndarray


@lru_cache(maxsize=64)
def zonal(network: Network, gains: Gains, dtype: Any) -> Zonal | None:
    """Return the polynomials of a network, or None where it has none of moderate degree.

    Example:
        >>> found = zonal(Network("relu", 1), Gains(2**0.5), np.dtype("float64"))
        >>> gap = np.array([[0.0, 1.0, -1e-300]])  # angles 0, pi / 2, pi
        >>> nngp, ntk = evaluate(found, gap, np.ones((1, 1)), np.ones((1, 3)))
        >>> (nngp * np.pi).round(9).tolist(), (np.abs(ntk) * np.pi).round(9).tolist()
        ([[6.283185307, 2.0, 0.0]], [[12.566370614, 2.0, 0.0]])

    Args:
        network: its layers.
        gains: numbers.
        dtype: in which it is evaluated: the degree grows with the digits.
    """
    if network.activation not in HOMOGENEOUS or network.biased:
        return None
    points, transform = _chebyshev(2 * _MOST)
    squares = (_CENTRE * (1 + points)) ** 2
    one = side(network, gains, np.ones(1))
    many = side(network, gains, np.ones(len(points)))
    halves = []
    for gap in (2 * squares, -2 * squares):
        values = np.stack([part[0] for part in propagate(network, gains, gap[None], one, many)], 1)
        halves.append(transform @ values)
    degree = _degree(halves, dtype)
    if degree > _MOST // 2:
        return None
    near, far = (
        np.stack([np.polynomial.chebyshev.cheb2poly(c) for c in half[: degree + 1].T], 1)[::-1]
        for half in halves
    )
    return Zonal(near.astype(dtype), far.astype(dtype))


def evaluate(
    polynomials: Zonal, gap: Any, first: Any, second: Any, kinds: tuple[int, ...] = (0, 1)
) -> tuple[Any, ...]:
    """Return the kernels, in NumPy for NumPy arrays.

    Args:
        polynomials: from `zonal`.
        gap: (n1, n2) signed gaps, as in `jssl.models.correlation`.
        first: (n1, 1) lengths of the inputs over sqrt(in).
        second: (1, n2).
        kinds: columns of the coefficients: 0 for NNGP, 1 for NTK.
    """
    if namespace(gap) is np:
        return _in_numpy(polynomials, gap, first, second, kinds)
    xp, size = namespace(gap), first * second
    is_far = gap < 0
    half = xp.clip(xp.abs(gap), 0, 1) / 2
    y = safe_root(half) / half.dtype.type(_CENTRE) - 1
    found = []
    for kind in kinds:
        coefficients = zip(polynomials.near[:, kind], polynomials.far[:, kind], strict=True)
        total = xp.zeros_like(y)
        for near, far in coefficients:
            total = total * y + xp.where(is_far, far, near)
        found.append(total * size)
    return tuple(found)


def _in_numpy(
    polynomials: Zonal, gap: np.ndarray, first: Any, second: Any, kinds: tuple[int, ...]
) -> tuple[np.ndarray, ...]:
    is_far = gap < 0
    far: list[np.ndarray] = []
    if is_far.any():
        far = _values(polynomials.far[:, kinds], _variable(-gap[is_far]))
        gap = np.where(is_far, 1, gap)  # inside the range of the others
    found = _values(polynomials.near[:, kinds], _variable(gap))
    for total, part in zip_longest(found, far):
        if part is not None:
            total[is_far] = part
        total *= first
        total *= second
    return tuple(found)


def _variable(gap: np.ndarray) -> np.ndarray:
    y = np.clip(gap, 0, 1)
    y /= 2
    np.sqrt(y, out=y)
    y /= gap.dtype.type(_CENTRE)
    y -= 1
    return y


def _values(coefficients: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    """Return polynomials, each of the degree that it needs from the smallest to the largest y."""
    low, high = float(y.min()), float(y.max())
    centre, half = (low + high) / 2, max(high - low, 1e-3) / 2
    points, transform = _chebyshev(len(coefficients))
    at, found = (y - y.dtype.type(centre)) / y.dtype.type(half), []
    for powers in coefficients.T.astype(float):
        narrow = transform @ np.polyval(powers, centre + half * points)
        degree = _degree(narrow[:, None], y.dtype)
        local = np.polynomial.chebyshev.cheb2poly(narrow[: degree + 1]).astype(y.dtype)
        total = np.full_like(y, local[-1])
        for coefficient in local[-2::-1]:
            total *= at
            total += coefficient
        found.append(total)
    return found


@lru_cache(maxsize=64)
def _chebyshev(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return Chebyshev points, and the matrix from values there to Chebyshev coefficients."""
    angles = np.pi * (np.arange(count) + 0.5) / count
    transform = np.cos(np.outer(np.arange(count), angles)) * (2 / count)
    transform[0] /= 2
    return np.cos(angles), transform


def _degree(coefficients: Any, dtype: Any) -> int:
    """Return the largest degree whose Chebyshev coefficient matters, of (..., degrees, kinds)."""
    size = np.abs(coefficients)
    size = size.reshape(-1, *size.shape[-2:])
    large = size > _DROPPED[np.finfo(dtype).bits] * np.maximum(size.max(axis=(0, 1)), 1e-300)
    return int(np.flatnonzero(large.any(axis=(0, 2))).max(initial=0))


compiled = jax.jit(evaluate, static_argnums=4)
"""`evaluate`, compiled; networks of one degree share a program."""
