r"""One-pass SGD in d dimensions, exactly in law, at a cost that does not depend on d.

With w = q v + b e for unit vectors v (the signal) and e orthogonal to it, a step needs only the
components of the three noises along v and e; the rest has a length that is sigma times the root of
F times a chi-square variable with d - 2 degrees of freedom:

    q <- q + (eta/d) (sum_i A_i (s_i + g_i) - lambda q)
    b^2 <- (b + (eta/d) (sum_i A_i h_i - lambda b))^2 + (eta/d)^2 sigma^2 F chi^2

with the coefficients A_i of the three samples in the step and F their quadratic form (I-34).

References:
    Derived here.
"""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl.data.checks import require_count
from jssl.errors import InputError, shown
from jssl.keys import require_threefry
from jssl.memory import require_memory
from jssl.number_checks import real_array
from jssl.theory.highdim.settings import LARGEST, OnePass, check
from jssl.types import Array

_MOST = 2**31 - 1  # of dimensions and of steps, which are counted in int32


class Chain(NamedTuple):
    """Order parameters of many runs.

    Attributes:
        overlap: (records, seeds) q.
        square: (records, seeds) R.
    """

    overlap: Array
    square: Array

    @property
    def share(self) -> Array:
        """Q = q^2 / R, (records, seeds)."""
        return self.overlap**2 / self.square


def chain(
    key: Array,
    setting: OnePass,
    dim: int,
    steps: Sequence[int],
    *,
    overlap: float | Array,
    square: float | Array,
    seeds: int,
) -> Chain:
    """Return overlap and squared norm of many independent runs of SGD after numbers of steps.

    Example:
        >>> import jax
        >>> from jssl.theory.highdim import OnePass, rademacher
        >>> setting = OnePass(rademacher(2.0), learning_rate=0.5, decay=0.2)
        >>> found = chain(
        ...     jax.random.key(0), setting, 10**6, [0, 20], overlap=0.3, square=1.0, seeds=4
        ... )
        >>> print(found.overlap.shape, found.overlap[0])
        (2, 4) [0.3 0.3 0.3 0.3]

    The law of the result is that of `jax.grad` of the loss on vectors of length d.

    Args:
        key: a typed key.
        setting: of the problem with one signal.
        dim: d from 3 to 2^31 - 1.
        steps: increasing numbers of steps, from 0 to 2^31 - 1, at which a record is made.
        overlap: q at step 0, a number or (seeds,).
        square: R at step 0, a number or (seeds,); at least q^2.
        seeds: number of runs, >= 1.

    Raises:
        InputError: for numbers out of range, more runs than memory holds, or a run that diverges.
    """
    setting = check(setting)
    require_threefry(key, "starts")
    if setting.law.points.shape[1] != 1:
        message = f"a chain needs one signal; got {setting.law.points.shape[1]}"
        raise InputError(message)
    dim = require_count("dim", require_count("dim", dim, low=3), low=3, high=_MOST)
    seeds = require_count("seeds", seeds)
    require_memory(f"{seeds:,} runs", 160.0 * seeds, "take fewer seeds")
    single = isinstance(steps, str | bytes) or not hasattr(steps, "__iter__")
    listed = [] if single or getattr(steps, "ndim", 1) != 1 else steps
    marks = [require_count("a number of steps", step, low=0, high=_MOST) for step in listed]
    if not marks or any(b <= a for a, b in itertools.pairwise(marks)):
        message = f"steps must be increasing whole numbers >= 0; got {shown(steps)}"
        raise InputError(message)
    q, r = (_for_each_seed(*given, seeds) for given in (("overlap", overlap), ("square", square)))
    if not any(isinstance(x, jax.core.Tracer) for x in (q, r)):
        at, size = np.asarray(q, float), np.asarray(r, float)
        if not (size >= at**2 * (1 - 1e-6)).all():
            message = "square must be at least overlap^2 in every run: it is |w|^2"
            raise InputError(message)
    state = (q, jnp.sqrt(jnp.maximum(r - q**2, 0)))
    gaps = jnp.diff(jnp.asarray([0, *marks]))
    law = (jnp.asarray(setting.law.points[:, 0]), jnp.asarray(setting.law.shares))
    numbers = jnp.asarray(setting[1:])
    q, b = _records(key, law, numbers, jnp.asarray(float(dim)), state, gaps)
    found = Chain(q, q**2 + b**2)
    if not isinstance(found.square, jax.core.Tracer) and not jnp.isfinite(found.square).all():
        message = "a run diverges: take a smaller learning rate, noise or decay, or more dimensions"
        raise InputError(message)
    return found


def _for_each_seed(name: str, value: float | Array, seeds: int) -> Array:
    """Return a number, or one for each seed, as an array (seeds,)."""
    numbers = real_array(name, value)
    known = None if isinstance(numbers, jax.core.Tracer) else np.asarray(numbers)
    wrong = known is not None and not (np.abs(known) <= LARGEST).all()
    if numbers.shape not in ((), (seeds,)) or wrong:
        message = (
            f"{name} must be a finite number or one for each of the {seeds} seeds, "
            f"of size at most {LARGEST:g}"
        )
        raise InputError(message)
    return jnp.broadcast_to(jnp.asarray(numbers, float), (seeds,))


def chi_square(key: Array, degrees: Array, normal: Array, uniform: Array) -> Array:
    """Return chi-square variables, exactly, by the rejection of Marsaglia and Tsang 2000.

    Example:
        >>> import jax
        >>> normal, uniform = jnp.array([0.3, -1.0]), jnp.array([0.5, 0.9])
        >>> x = chi_square(jax.random.key(0), jnp.float32(1e6), normal, uniform)
        >>> print((x / 1e6).round(2))
        [1. 1.]

    The first proposals come from the arguments: above 95 % of them are accepted, and nearly all for
    many degrees. Only the others draw again. `jax.random.chisquare` loops over single variables.

    Args:
        key: a typed key, for further proposals.
        degrees: of freedom, >= 1, one number.
        normal: (count,) standard normal.
        uniform: (count,) uniform in [0, 1).
    """
    shape = jnp.asarray(degrees, normal.dtype) / 2
    shift = jnp.where(shape < 1, shape + 1, shape) - 1 / 3
    scale = 1 / jnp.sqrt(9 * shift)

    def propose(x: Array, u: Array) -> tuple[Array, Array]:
        v = (1 + scale * x) ** 3
        away = jnp.where(v > 0, v, 1) - 1
        # d - d v + d log v, without cancellation: v - 1 is small for many degrees
        good = jnp.log1p(-u) < x**2 / 2 + shift * (jnp.log1p(away) - away)
        return shift * v, (v > 0) & good

    def again(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        count, values, accepted = state
        own = jax.random.split(jax.random.fold_in(key, count))
        fresh, good = propose(
            jax.random.normal(own[0], normal.shape, normal.dtype),
            jax.random.uniform(own[1], normal.shape, normal.dtype),
        )
        return count + 1, jnp.where(accepted, values, fresh), accepted | good

    start = (jnp.int32(1), *propose(normal, uniform))
    _, values, _ = jax.lax.while_loop(lambda state: ~jnp.all(state[2]), again, start)
    boost = jax.random.uniform(jax.random.fold_in(key, 0), normal.shape, normal.dtype)
    boosted = jax.lax.cond(
        shape < 1, lambda x: x * boost ** (1 / jnp.minimum(shape, 1)), lambda x: x, values
    )
    return 2 * boosted


@jax.jit
def _records(
    key: Array,
    law: tuple[Array, Array],
    numbers: Array,
    dim: Array,
    state: tuple[Array, Array],
    gaps: Array,
) -> tuple[Array, Array]:
    points, shares = law
    sigma, r, kappa, eta, decay = numbers
    ends = jnp.cumsum(shares)[:-1]
    rate = eta / dim
    count = len(state[0])

    def signal(uniform: Array) -> Array:
        return points[jnp.sum(uniform[:, None] >= ends, 1)]

    def step(index: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        q, b = state
        draws = jax.random.split(jax.random.fold_in(key, index), 3)
        normals = jax.random.normal(draws[0], (7, count))
        uniforms = jax.random.uniform(draws[1], (3, count))
        g1, g2, g3, h1, h2, h3 = sigma * normals[:6]
        g2, h2 = (r * a + jnp.sqrt(1 - r**2) * z for a, z in ((g1, g2), (h1, h2)))
        same, other = signal(uniforms[0]), signal(uniforms[1])
        chi = chi_square(draws[2], dim - 2, normals[6], uniforms[2])
        views = ((same, g1, h1), (same, g2, h2), (other, g3, h3))
        inputs = [q * (s + g) + b * h for s, g, h in views]
        (f1, d1), (f2, d2), (f3, d3) = (_outputs(u) for u in inputs)
        a = (d1 * (f2 - kappa * f3), f1 * d2, -kappa * f1 * d3)
        total = a[0] ** 2 + a[1] ** 2 + 2 * r * a[0] * a[1] + a[2] ** 2
        moved = sum(part * (s + g) for part, (s, g, _) in zip(a, views, strict=True))
        grown = sum(part * h for part, (_, _, h) in zip(a, views, strict=True))
        along = b + rate * (grown - decay * b)
        square = along**2 + rate**2 * sigma**2 * total * chi
        return q + rate * (moved - decay * q), jnp.sqrt(square)

    def record(
        carry: tuple[Array, tuple[Array, Array]], gap: Array
    ) -> tuple[tuple[Array, tuple[Array, Array]], tuple[Array, Array]]:
        begin, state = carry
        state = jax.lax.fori_loop(begin, begin + gap, step, state)
        return (begin + gap, state), state

    return jax.lax.scan(record, (jnp.zeros((), gaps.dtype), state), gaps)[1]


def _outputs(u: Array) -> tuple[Array, Array]:
    slope = math.sqrt(2 / math.pi) * jnp.exp(-(u**2) / 2)
    return jax.lax.erf(u / math.sqrt(2)), slope
