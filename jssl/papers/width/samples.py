"""Training pairs and unseen points of the width studies."""

import math

import jax
import jax.numpy as jnp

from jssl.data import images, pairs, toy, views
from jssl.papers.outcome import Settings
from jssl.types import Array, Pairs


def clear_pairs(settings: Settings, count: int, shape: tuple[int, ...]) -> tuple[Pairs, Array]:
    """Return Gaussian pairs and as many unseen points, with two strong directions and a gap.

    The gap makes the learned subspace identifiable (S-14), so that the distance to the limit is an
    effect of the width alone.
    """
    size = math.prod(shape)
    spectrum = jnp.array([2.0, 1.0] + [0.05] * (size - 2))
    spectrum = spectrum / spectrum.mean()
    draw, unseen = jax.random.split(jax.random.fold_in(jax.random.key(settings.seed), 71))
    data = toy.gaussian_pairs(draw, count, spectrum, 0.02)
    others = toy.gaussian(unseen, count, spectrum)
    return jax.tree.map(lambda x: x.reshape(-1, *shape), (data, others))


def image_pairs(settings: Settings, count: int, name: str) -> tuple[Pairs, Array]:
    """Return pairs of shifted images and unseen images; flat, centred, with unit mean square."""
    chosen, shift = jax.random.split(jax.random.fold_in(jax.random.key(settings.seed), 73))
    x = jnp.asarray(images.subset(chosen, images.load(name), 2 * count).x, jnp.float64)
    data = pairs.flatten(pairs.make_pairs(shift, x[:count], views.shift(1)))
    others = x[count:].reshape(count, -1)
    training = jnp.concatenate([data.first, data.second])
    mean = training.mean(axis=0)
    size = jnp.sqrt(jnp.mean((training - mean) ** 2))
    return jax.tree.map(lambda a: (a - mean) / size, (data, others))
