"""Nets of every width in one program: narrow ones are the widest padded with zeros, nested starts.

Drawing the starts is most of what a training program would have to compile, so they are drawn
outside it and passed as arguments.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jssl.data import images, pairs, toy, views
from jssl.experiments.outcome import Settings
from jssl.types import Array, Model, Pairs, Params


def nested_starts(model_of: Callable[[int], Model], widths: Sequence[int], keys: Array) -> Params:
    """Return the starts of all widths and seeds, leaves (widths, seeds, ...).

    Args:
        model_of: width -> model in arrays of the largest width.
        widths: increasing.
        keys: (seeds,) typed keys; a seed is the same net at every width, cut.
    """
    runs = [_stack([model_of(width).init(key) for key in keys]) for width in widths]
    return _stack(runs)


def started(model: Model, params: Params) -> Model:
    """Return the model with a start that is given, whatever the key."""
    return model._replace(init=lambda _: params)


def over_runs(program: Callable[..., Any], widths: Sequence[int], starts: Params) -> Any:
    """Return program(width, start) of every run as NumPy arrays (widths, seeds, ...)."""
    mapped = jax.jit(jax.vmap(program, (None, 0)))
    found = [
        jax.tree.map(np.asarray, mapped(jnp.float64(width), jax.tree.map(lambda a: a[row], starts)))  # noqa: B023
        for row, width in enumerate(widths)
    ]
    return jax.tree.map(lambda *a: np.stack(a), *found)


def clear_pairs(settings: Settings, count: int, shape: tuple[int, ...]) -> tuple[Pairs, Array]:
    """Return Gaussian pairs and as many unseen points, two strong directions and a clear gap.

    Which subspace is learned is then identifiable (S-14), so that what a distance to the limit
    shows is the width.
    """
    size = math.prod(shape)
    spectrum = jnp.array([2.0, 1.0] + [0.05] * (size - 2))
    spectrum = spectrum / spectrum.mean()
    draw, unseen = jax.random.split(jax.random.fold_in(jax.random.key(settings.seed), 71))
    data = toy.gaussian_pairs(draw, count, spectrum, 0.02)
    others = toy.gaussian(unseen, count, spectrum)
    return jax.tree.map(lambda x: x.reshape(-1, *shape), (data, others))


def image_pairs(settings: Settings, count: int, name: str) -> tuple[Pairs, Array]:
    """Return pairs of shifted images and unseen ones, flat, centred, of unit mean square."""
    chosen, shift = jax.random.split(jax.random.fold_in(jax.random.key(settings.seed), 73))
    x = jnp.asarray(images.subset(chosen, images.load(name), 2 * count).x, jnp.float64)
    data = pairs.flatten(pairs.make_pairs(shift, x[:count], views.shift(1)))
    others = x[count:].reshape(count, -1)
    seen = jnp.concatenate([data.first, data.second])
    mean = seen.mean(axis=0)
    size = jnp.sqrt(jnp.mean((seen - mean) ** 2))
    return jax.tree.map(lambda a: (a - mean) / size, (data, others))


def _stack(trees: Sequence[Params]) -> Params:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)
