r"""The time between two points of a flow with three rest points, without loss of digits.

    F = -int_A^B dz / (z (z^2 - z + e))                   with A and B between the same rest points

Two times of one layer are this integral. Under decay z = w / rho and e = eta / (lambda rho), and
the time is F / (lambda rho) (D-21). From an unbalanced start z = (1 - v / rho) / 2 and
e = (rho^2 + alpha w_0^2 - v_0^2) / (4 rho^2), and the time is F / (4 lambda rho) (D-25).

Two rest points meet where e is 0 or 1/4, and the textbook form divides rounding by zero there.
With p and m the roots of z^2 - z + e there are three forms, and each is used where it cancels
nothing:

    e < 1/8     (K(m) - K(p)) / (p - m),    K(r) = log(A (B - r) / (B (A - r))) / r
    e >= 1/8    (log(R(B) / R(A)) - int_A^B dz / (z^2 - z + e)) / (2 e),   R(z) = 1 - 1/z + e/z^2
    far away    int u du / (1 - u + e u^2) over u = 1/z, by 24 Gauss-Legendre nodes

K is analytic in r at 0, and the integral in the second line is analytic in e at 1/4.
"""

from typing import NamedTuple

import jax.numpy as jnp

from jssl.theory.distillation.times import NODES, WEIGHTS
from jssl.types import Array

_SERIES = 0.05  # size of an argument below which a series of 13 terms gives rounding


class Way(NamedTuple):
    """Two points and the rest points, each number with its own digits.

    Attributes:
        first: A, not 0.
        last: B, of the sign of A.
        step: B - A.
        first_offset: A - 1/2.
        last_offset: B - 1/2.
        first_quadratic: A^2 - A + e.
        last_quadratic: B^2 - B + e.
        product: (A - 1/2) (B - 1/2) + e - 1/4.
        level: e.
        gap: 1/4 - e.
    """

    first: Array
    last: Array
    step: Array
    first_offset: Array
    last_offset: Array
    first_quadratic: Array
    last_quadratic: Array
    product: Array
    level: Array
    gap: Array


def passage(way: Way, reached: Array) -> Array:
    """Return F where B is reached from A, and 0 elsewhere.

    Example:
        >>> a, b = jnp.asarray(1.0), jnp.asarray(0.75)  # e = 1/4: -int dz / (z (z - 1/2)^2)
        >>> way = Way(a, b, b - a, a / 2, b / 3, a / 4, a / 16, a / 8, a / 4, 0 * a)
        >>> print(passage(way, a > 0).round(4))
        2.3781

    Args:
        way: the two points.
        reached: (...) whether no rest point lies on the way.
    """
    u = jnp.abs(1 / jnp.where(reached, jnp.minimum(jnp.abs(way.first), jnp.abs(way.last)), 1))
    far = reached & (u <= 0.5) & (jnp.abs(way.level) * u**2 <= 0.25)
    apart = reached & ~far & (way.level < 0.125)
    close = reached & ~far & ~apart
    time = jnp.where(far, _far(_only(far, way, 0.0)), 0)
    time = jnp.where(apart, _roots_apart(_only(apart, way, 0.0)), time)
    return jnp.where(close, _roots_close(_only(close, way, 0.5)), time)


def _only(chosen: Array, way: Way, level: float) -> Way:
    """Return the way where it is chosen, and elsewhere one of no length with finite slopes."""
    quadratic = level - 0.25
    other = (0.5, 0.5, 0.0, 0.0, 0.0, quadratic, quadratic, quadratic, level, -quadratic)
    return Way(*(jnp.where(chosen, x, y) for x, y in zip(way, other, strict=True)))


def _far(way: Way) -> Array:
    """Return F by quadrature over u = 1/z, where 1 - u + e u^2 is at least 1/4."""
    length = -way.step / way.first / way.last
    share = (1 + jnp.asarray(NODES, length.dtype)) / 2
    u = 1 / way.first[..., None] + length[..., None] * share
    speed = 1 - u + way.level[..., None] * u**2
    return length / 2 * ((u / speed) @ jnp.asarray(WEIGHTS, length.dtype))


def _roots_apart(way: Way) -> Array:
    """Return F from the two roots, which are real and at least 0.7 apart."""
    half = jnp.sqrt(way.gap)
    high = 0.5 + half
    from_low, from_high = zip(
        *(
            _distances(x, quadratic, half)
            for x, quadratic in (
                (way.first_offset, way.first_quadratic),
                (way.last_offset, way.last_quadratic),
            )
        ),
        strict=True,
    )
    low = _of_root(way, way.level / high, *from_low)
    return (low - _of_root(way, high, *from_high)) / (2 * half)


def _distances(x: Array, quadratic: Array, half: Array) -> tuple[Array, Array]:
    """Return z minus the lower root and z minus the upper one; the smaller from their product."""
    left = x < 0
    away = jnp.where(left, x - half, x + half)
    return jnp.where(left, quadratic / away, away), jnp.where(left, away, quadratic / away)


def _of_root(way: Way, root: Array, first: Array, last: Array) -> Array:
    """Return K(r) from A - r and B - r."""
    slope = way.step / first / way.last
    share = root * slope
    small = jnp.abs(share) < 0.5
    near = slope * _log_ratio(jnp.where(small, share, 0))
    ratio = jnp.where(small, 1, last / first * (way.first / way.last))
    return jnp.where(small, near, jnp.log(ratio) / jnp.where(small, 1, root))


def _roots_close(way: Way) -> Array:
    """Return F for roots that are close to one another, equal or complex."""
    squares = _log_of_squares(way)
    return (squares - arc(way)) / (2 * way.level)


def _log_of_squares(way: Way) -> Array:
    """Return log(R(B) / R(A)), R = 1 - 1/z + e/z^2."""
    a, b, level = way.first, way.last, way.level
    near = jnp.abs(way.step) < jnp.abs(b) / 2
    b, step = jnp.where(near, b, a), jnp.where(near, way.step, 0)
    change = step / b * ((a - level) * b - level * a) / (b * way.first_quadratic)
    near &= jnp.abs(change) < 0.5
    at_a = _log_of_square(a, way.first_quadratic, level)
    at_b = _log_of_square(way.last, way.last_quadratic, level)
    return jnp.where(near, jnp.log1p(jnp.where(near, change, 0)), at_b - at_a)


def _log_of_square(z: Array, quadratic: Array, level: Array) -> Array:
    """Return log |R(z)|."""
    large = jnp.abs(z) > 1
    u = 1 / jnp.where(large, z, 1)
    change = jnp.where(large, u * (level * u - 1), 0)
    small = jnp.log(jnp.abs(quadratic)) - 2 * jnp.log(jnp.abs(z))
    return jnp.where(large, jnp.log1p(change), small)


def arc(way: Way) -> Array:
    """Return the integral of 1 / (z^2 - z + e) from A to B, analytic in e at 1/4."""
    gap, product, step = way.gap, way.product, way.step
    tangent = step / jnp.where(product == 0, 1, product)
    square = -gap * tangent**2
    small = (jnp.abs(square) < _SERIES) & (product != 0) & ((gap > 0) | (product > 0))
    series = tangent * _arctan_ratio(jnp.where(small, square, 0))
    root = jnp.sqrt(jnp.where(small, 1, jnp.abs(gap)))
    turned = jnp.arctan2(root * step, jnp.where(gap < 0, product, 1)) / root
    before = _log_of_roots(way.first_offset, way.first_quadratic, root)
    after = _log_of_roots(way.last_offset, way.last_quadratic, root)
    logs = (after - before) / (2 * root)
    return jnp.where(small, series, jnp.where(gap < 0, turned, logs))


def _log_of_roots(x: Array, quadratic: Array, half: Array) -> Array:
    """Return log |(x - h) / (x + h)|, of which x^2 - h^2 is known."""
    size = jnp.where(x < 0, -x, x)
    large = size > 2 * half
    far = jnp.log1p(jnp.where(large, -2 * half / (size + half), 0))
    near = jnp.log(jnp.abs(quadratic / (size + half) / (size + half)))
    return jnp.where(x < 0, -1, 1) * jnp.where(large, far, near)


def _arctan_ratio(square: Array) -> Array:
    """Return arctan(x) / x for a small x^2 of either sign."""
    total = jnp.zeros_like(square)
    for n in range(12, -1, -1):
        total = 1 / (2 * n + 1) - square * total
    return total


def _log_ratio(x: Array) -> Array:
    """Return log(1 + x) / x for x > -1, also at 0."""
    small = jnp.abs(x) < _SERIES
    little, large = jnp.where(small, x, 0), jnp.where(small, 1, x)
    total = jnp.zeros_like(x)
    for n in range(12, -1, -1):
        total = 1 / (n + 1) - little * total
    return jnp.where(small, total, jnp.log1p(large) / large)
