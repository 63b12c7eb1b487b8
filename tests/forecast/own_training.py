"""A small network that is trained by gradient descent, for forecasts of one's own network."""

import jax
import jax.numpy as jnp
import numpy as np

from jssl import losses
from jssl.models import mlp

RATE = 0.02
EVERY = 20  # steps between two records
MODEL = mlp(6, 2, width=128, depth=1, activation="tanh", output_scale=0.05)


def trained(pairs, steps):
    """Return the step at which each of two dimensions is half-learned, and step -> parameters."""
    views, n = jnp.asarray(np.concatenate(pairs)), len(pairs[0])
    loss = losses.get("barlow_twins_linearized")

    def value(p):
        z = MODEL.apply(p, views)
        return loss(z[:n], z[n:])

    @jax.jit
    def descend(p):
        def step(_, p):
            return jax.tree.map(lambda a, g: a - RATE * g, p, jax.grad(value)(p))

        return jax.lax.fori_loop(0, EVERY, step, p)

    params, kept, seen = MODEL.init(jax.random.key(0)), {}, []
    for at in range(0, steps, EVERY):
        kept[at] = params
        z = np.asarray(MODEL.apply(params, views))
        c = z[:n].T @ z[n:] / n
        seen.append(np.linalg.eigvalsh((c + c.T) / 2)[::-1])
        params = descend(params)
    half = EVERY * np.argmax(np.array(seen) > 0.5, 0)
    assert (half > 0).all()
    return half, kept
