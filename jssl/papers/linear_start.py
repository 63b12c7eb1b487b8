"""Networks that all begin at the same small linear function, whatever their width and seed.

From the small outputs of random networks, chance decides which output learns which mode. Where the
outputs of two modes are nearly parallel at the start, a small change of the kernel exchanges them,
so that the distance of a network from its infinite-width limit varies by orders of magnitude over
seeds. From outputs along the leading directions of the data, this distance is linear in the change
of the kernel.
"""

import jax.numpy as jnp

from jssl.data import pairs
from jssl.models import centred
from jssl.theory import stepwise
from jssl.types import Array, Model, Pairs, Params


def linear_start(model: Model, data: Pairs, dim: int, scale: float) -> Model:
    """Return a model whose outputs at the start are linear in the input and of a given size.

    Example:
        >>> import jax
        >>> from jssl.data import toy
        >>> from jssl.models import mlp
        >>> data = toy.pairs_with_cross_moment(jnp.array([1.0, 0.5, 0.1]))
        >>> net = linear_start(mlp(3, 2, width=4), data, dim=2, scale=0.1)
        >>> z = net.apply(net.init(jax.random.key(0)), data.first)
        >>> print(jnp.sqrt((z**2).mean(0)).round(3))
        [0.1 0.1]

    The tangent kernel is that of the model. The outputs at the start are the projections of the
    input onto the leading eigenvectors of the cross moment of the views.

    Args:
        model: the network.
        data: pairs with inputs of any shape.
        dim: number of outputs, at most the number of inputs.
        scale: root mean square of each output at the start, over all views.
    """
    silent, flat = centred(model, 0.0), pairs.flatten(data)
    directions = stepwise.modes(pairs.cross_moment(data), dim).eigenvectors
    views = jnp.concatenate([flat.first, flat.second]) @ directions.T
    sizes = scale / jnp.sqrt(jnp.mean(views**2, axis=0))

    def apply(params: Params, x: Array) -> Array:
        return silent.apply(params, x) + x.reshape(len(x), -1) @ directions.T * sizes

    return silent._replace(apply=apply)
