"""Networks that all begin along the leading modes of their infinite-width kernel.

A finite kernel lets the outputs leak into one another by order width^(-1/2) (F-3). The distance to
the limit is linear in this leak only if output j starts along mode j by much more than the leak.
Outputs that are linear in the input do not ensure this: of ten Gaussian images, the second mode of
a convolutional kernel with pooling may be nearly orthogonal to every linear function.
"""

import jax.numpy as jnp

from jssl.models import centred
from jssl.theory.width import KernelModel
from jssl.types import Array, Model, Pairs, Params


def mode_start(kernel: KernelModel, scale: float) -> Array:
    """Return outputs (2n + q, dim) along the modes: the views of n pairs, then q other points.

    Example:
        >>> from jssl.models import linear
        >>> from jssl.theory.width import infinite
        >>> x = jnp.diag(jnp.array([2.0, 1.0]))
        >>> print(jnp.abs(mode_start(infinite(linear(2, 1), Pairs(x, x), 1), 0.1)).round(3))
        [[0.141]
         [0.   ]
         [0.141]
         [0.   ]]

    Args:
        kernel: the infinite-width kernel and its dim modes.
        scale: root mean square of each output over all views.
    """
    functions = kernel.everywhere @ kernel.modes.coefficients
    views = functions[: len(kernel.modes.coefficients)]
    return scale * functions / jnp.sqrt(jnp.mean(views**2, axis=0))


def carry(x: Array, start: Array) -> Array:
    """Return points as rows (n, size + dim) that carry their outputs at the start.

    Example:
        >>> carry(jnp.ones((3, 4, 4, 1)), jnp.zeros((3, 2))).shape
        (3, 18)
    """
    return jnp.concatenate([x.reshape(len(x), -1), start], axis=1)


def start_from_rows(model: Model, shape: tuple[int, ...], dim: int) -> Model:
    """Return a model of the rows of `carry` that begins at the outputs which they carry.

    Example:
        >>> import jax
        >>> from jssl.models import mlp
        >>> net = start_from_rows(mlp(3, 2, width=4), (3,), dim=2)
        >>> rows = carry(jnp.ones((1, 3)), jnp.array([[0.1, -0.2]]))
        >>> print(net.apply(net.init(jax.random.key(0)), rows).round(3))
        [[ 0.1 -0.2]]

    The tangent kernel is that of the model.

    Args:
        model: the network.
        shape: of one of its inputs.
        dim: number of outputs.
    """
    silent = centred(model, 0.0)

    def apply(params: Params, rows: Array) -> Array:
        x = rows[:, :-dim].reshape(-1, *shape)
        return silent.apply(params, x) + rows[:, -dim:]

    return silent._replace(apply=apply)


def pairs_with_start(data: Pairs, start: Array) -> Pairs:
    """Return pairs of rows of `carry`, for outputs (2n or more, dim) in the order of `mode_start`.

    Example:
        >>> data = Pairs(jnp.ones((3, 4)), jnp.ones((3, 4)))
        >>> pairs_with_start(data, jnp.zeros((9, 2))).first.shape
        (3, 6)
    """
    count = len(data.first)
    return Pairs(carry(data.first, start[:count]), carry(data.second, start[count : 2 * count]))
