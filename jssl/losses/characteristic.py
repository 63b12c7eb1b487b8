r"""How far samples on a line are from a standard normal law, by characteristic functions.

    T = n integral |phi(t) - exp(-t^2 / 2)|^2 exp(-t^2 / 2) dt,   phi(t) = (1/n) sum_i exp(i t y_i)

is the Epps-Pulley statistic. `GRIDS` names the ways to integrate that are in use. On equidistant
knots, exp(i t y) at one knot is that at the knot before times exp(i h y), so one sine and one
cosine per sample are enough. Values and slopes are computed together.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jssl.arithmetic import mean
from jssl.types import Array


class Grid(NamedTuple):
    """Equidistant knots 0, h, 2h, ... of the trapezoidal rule on [-limit, limit].

    Attributes:
        limit: the end of the interval.
        knots: the number of knots on [0, limit]; the rule counts each t > 0 for -t as well.
    """

    limit: float
    knots: int


GRIDS: dict[str, Grid | None] = {
    "code": Grid(3.0, 17),
    "paper": Grid(5.0, 9),
    "exact": None,
}
"""`code`: the authors' present code and lightly, 17 knots on [0, 3]. `paper`: 17 points on [-5, 5],
9 of them not negative. `exact`: the whole line in closed form, quadratic in the samples."""


def statistic(y: Array, grid: str, *, unbiased: bool) -> Array:
    """Return T for every row of y.

    Example:
        >>> import jax.numpy as jnp
        >>> print(statistic(jnp.zeros((1, 2)), "exact", unbiased=False).round(4))  # 2 x 0.4089
        [0.8178]

    Args:
        y: (rows, n) samples.
        grid: a key of `GRIDS`.
        unbiased: whether the pairs of a sample with itself are left out.
    """
    return _choose(grid)(y, grid, unbiased, False)[0]


def statistic_and_slope(y: Array, grid: str, *, unbiased: bool) -> tuple[Array, Array]:
    """Return T (rows,) and its gradient (rows, n)."""
    return _choose(grid)(y, grid, unbiased, True)


def weights(grid: Grid) -> tuple[list[float], list[float]]:
    """Return the knots and their weights, which include exp(-t^2 / 2)."""
    knots = np.linspace(0, grid.limit, grid.knots)
    step = knots[1]
    rule = np.full(grid.knots, 2 * step)
    rule[[0, -1]] = step
    return knots.tolist(), (rule * np.exp(-(knots**2) / 2)).tolist()


def _choose(grid: str) -> Callable[[Array, str, bool, bool], tuple[Array, Array]]:
    return _in_closed_form if GRIDS[grid] is None else _on_knots


def _on_knots(y: Array, name: str, unbiased: bool, slope: bool) -> tuple[Array, Array]:
    grid = GRIDS[name]
    assert grid is not None
    knots, rule = weights(grid)
    n = y.shape[1]
    first = (jnp.cos(knots[1] * y), jnp.sin(knots[1] * y))
    factor = n / (n - 1) if unbiased else 1.0
    total = jnp.zeros(len(y), y.dtype)
    means = []
    wave = (jnp.ones_like(y), jnp.zeros_like(y))
    for knot, weight in zip(knots, rule, strict=True):
        if knot:
            wave = _rotate(wave, first)
        even, odd = mean(wave[0], 1), mean(wave[1], 1)
        target = math.exp(-(knot**2) / 2)
        square = even**2 + odd**2
        if unbiased:
            square = (square - 1 / n) * factor
        total += weight * (square - 2 * target * even + target**2)
        means.append((even, odd))
    if not slope:
        return n * total, y
    gradient = jnp.zeros_like(y)
    wave = (jnp.ones_like(y), jnp.zeros_like(y))
    for knot, weight, (even, odd) in zip(knots[1:], rule[1:], means[1:], strict=True):
        wave = _rotate(wave, first)
        away = factor * even - math.exp(-(knot**2) / 2)
        gradient += (2 * weight * knot) * (
            (factor * odd)[:, None] * wave[0] - away[:, None] * wave[1]
        )
    return n * total, gradient


def _in_closed_form(y: Array, _: str, unbiased: bool, slope: bool) -> tuple[Array, Array]:
    n = y.shape[1]
    unit = math.sqrt(2 * math.pi)
    apart = y[:, :, None] - y[:, None, :]
    kernel = jnp.exp(-(apart**2) / 2)
    if unbiased:
        kernel = jnp.where(jnp.eye(n, dtype=bool), 0, kernel)
    pairs = n * (n - 1) if unbiased else n * n
    own = jnp.exp(-(y**2) / 4)
    total = jnp.sum(kernel, (1, 2)) / pairs - math.sqrt(2) * mean(own, 1) + 3**-0.5
    total += 0 * mean(y, 1)  # infinite samples give NaN, not the value of samples far apart
    if not slope:
        return n * unit * total, y
    pull = 2**-1.5 * y * own
    push = jnp.sum(apart * kernel, 2) * (n / pairs)
    return n * unit * total, 2 * unit * (pull - push)


def _rotate(wave: tuple[Array, Array], by: tuple[Array, Array]) -> tuple[Array, Array]:
    return wave[0] * by[0] - wave[1] * by[1], wave[1] * by[0] + wave[0] * by[1]
