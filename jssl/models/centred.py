"""A small initial output without a change of the NTK: f(params, x) - (1 - scale) f(start, x)."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jssl.models.layers import cast_like
from jssl.types import Array, Model, Params


@dataclass(frozen=True, eq=False)
class _CentredKernel:
    base: Any
    scale: Any

    @property
    def is_homogeneous(self) -> bool:
        """Whether the base model's kernel is; True for kernels that do not say so."""
        return getattr(self.base, "is_homogeneous", True)

    def __call__(self, x1: Array, x2: Array) -> tuple[Array, Array]:
        nngp, ntk = self.base(x1, x2)
        return cast_like(self.scale, nngp) ** 2 * nngp, ntk


def centred(model: Model, scale: Any = 1e-3) -> Model:
    """Return the model minus (1 - scale) times its own initial function.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jssl.models import mlp
        >>> base = mlp(3, 2, width=16)
        >>> small, x, key = centred(base, 0.5), jnp.ones((4, 3)), jax.random.key(0)
        >>> half = base.apply(base.init(key), x) / 2
        >>> bool(jnp.allclose(small.apply(small.init(key), x), half, atol=1e-6))
        True

    The start is `scale` times the base model's and the gradient with respect to "params" is the
    base model's at every parameter, so NTK = NTK_base and NNGP = scale^2 NNGP_base exactly: this
    is the small start of kernel theory. `output_scale` of `jssl.models.mlp` reduces the NTK of the
    hidden layers as well, as small initial weights in practice do. scale = 0 is a stationary point
    of losses that are even in z.

    Args:
        model: the base model.
        scale: size of the start as a share of the base model's; may be traced.

    Returns:
        Model with params {"params": ..., "start": ...}. The start is frozen by stop_gradient: its
        gradients are 0 and gradient descent, momentum and Adam do not change it; weight decay would
        not, so mask "start" out of it (`optax.masked`).

    References:
        Chizat, Oyallon, Bach, arXiv 1812.07956, section 2 (centred starts).
    """

    def init(key: Array) -> Params:
        params = model.init(key)
        return {"params": params, "start": jax.tree.map(jnp.copy, params)}

    def apply(params: Params, x: Array) -> Array:
        z = model.apply(params["params"], x)
        start = model.apply(jax.lax.stop_gradient(params["start"]), x)
        return z - (1 - cast_like(scale, start)) * start

    if model.kernel is None:
        return Model(init, apply, None, model.no_kernel)
    return Model(init, apply, _CentredKernel(model.kernel, scale))
