"""An encoder of the user: its mean tangent kernel, its start, and whether it is a function of rows.

In the limit, the tangent kernel of all outputs is k(x, x') times the identity. It is not for
outputs with different kernels or shared parameters, nor at finite width. A few samples give the
deviation (`Deviation`), and `jssl.forecast.finite` uses all blocks. Weight decay needs an encoder
that is linear in its parameters; in any other it changes the kernel.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl.errors import InputError
from jssl.kernels import empirical
from jssl.types import Array, Params

Apply = Callable[[Params, Array], Array]

NEGLIGIBLE = 1e-3
"""Deviation of the whole kernel up to which outputs do not affect each other."""

_SAMPLES = 32
_MEMORY = 2**30


class Deviation(NamedTuple):
    """How far the kernels of all outputs are from one kernel k times the identity.

    Attributes:
        block: largest ||Theta_ab - delta_ab k|| / ||k|| of two outputs a, b, Frobenius norms over
            samples.
        whole: ||Theta - k I|| / ||k||, spectral norms over samples and outputs: no growth rate is
            off by more, relative to the largest.
    """

    block: float
    whole: float

    @staticmethod
    def of(theta: np.ndarray) -> "Deviation":
        """Return the deviation of a kernel of all outputs (rows, dim, rows, dim)."""
        n, dim = theta.shape[:2]
        units = np.eye(dim)
        mean = np.einsum("ikjk->ij", theta) / dim
        off = theta - mean[:, None, :, None] * units[:, None]
        if not mean.any():
            return Deviation(0.0, 0.0)
        block = np.sqrt((off**2).sum((0, 2)).max()) / np.linalg.norm(mean)
        whole = np.linalg.norm(off.reshape(n * dim, n * dim), 2) / np.linalg.norm(mean, 2)
        return Deviation(float(block), float(whole))


class OwnEncoder(NamedTuple):
    """The kernel and the start of an encoder.

    Attributes:
        gram: (2n, 2n) tangent kernel per output.
        start: (2n, dim) embeddings at the start; None for a random start with covariance `gram`.
        rounding: relative rounding error of `start`.
        deviation: of the outputs' kernels from `gram` times the identity.
        linear: whether the encoder is linear in its parameters, so that its kernel never changes.
    """

    gram: np.ndarray
    start: np.ndarray | None
    rounding: float
    deviation: Deviation
    linear: bool = False


def read_encoder(
    apply: Apply, params: Params, views: Array, dim: int, *, decayed: bool = False
) -> OwnEncoder:
    """Return the mean tangent kernel and the start of an encoder, if the theory covers it.

    Example:
        >>> encoder = read_encoder(lambda p, x: x @ p.T, jnp.ones((2, 3)), jnp.eye(4, 3), 2)
        >>> encoder.gram.shape, round(encoder.deviation.whole, 6)
        ((4, 4), 0.0)

    Args:
        apply: `apply(params, x) -> z` (n, dim).
        params: at the start of training.
        views: (2n, ...).
        dim: number of outputs.
        decayed: whether there is weight decay.

    Raises:
        InputError: for a PyTorch module; embeddings of another shape, not finite or all zero; an
            encoder that is random or that couples the rows of a batch; weight decay on an encoder
            that is not linear in its parameters.
    """
    if hasattr(apply, "state_dict") and hasattr(apply, "parameters"):
        message = "apply is a PyTorch module; pass it as torch=module, without apply and params"
        raise InputError(message)
    _check_call(apply, params, views, dim)
    embedded = jax.jit(apply)(params, views)
    if jnp.iscomplexobj(embedded):
        message = "the encoder's embeddings are complex; return real numbers"
        raise InputError(message)
    start = np.asarray(embedded, np.float64)
    check_embeddings(start, len(views), dim)
    check_rows(lambda x: apply(params, x), views, start)
    chosen = np.unique(np.linspace(0, len(views) - 1, _SAMPLES).astype(int))
    deviation = kernel_deviation(apply, params, views[chosen], dim)
    linear = _is_linear(apply, params, views[chosen])
    if decayed and not linear:
        raise not_linear()
    shapes = jax.eval_shape(lambda p: p, params)
    block = min(64, max(1, empirical.block_for(shapes, 2**29)))
    gram = np.asarray(empirical.empirical_ntk(apply, params, views, block=block), np.float64)
    rounding = float(max(jnp.finfo(x.dtype).eps for x in (embedded, *_floating(params))))
    return OwnEncoder(gram, start, rounding, deviation, linear)


def _check_call(apply: Apply, params: Params, views: Array, dim: int) -> None:
    """Raise for a function that fails, or that does not return one array of numbers."""
    try:
        found = jax.eval_shape(apply, params, views)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        message = f"apply(params, x) fails for samples {views.shape}: {reason}"
        raise InputError(message) from error
    if not hasattr(found, "shape"):
        message = (
            f"apply must return ({len(views)}, dim = {dim}); it returns {type(found).__name__}"
        )
        raise InputError(message)


def check_embeddings(start: np.ndarray, rows: int, dim: int, what: str = "apply") -> None:
    """Raise for embeddings of another shape, not finite or all zero; `what` returned them."""
    if start.shape != (rows, dim):
        message = f"{what} must return ({rows}, dim = {dim}); it returns {start.shape}"
        raise InputError(message)
    if not np.isfinite(start).all() or not start.any():
        message = "the encoder's embeddings at the start must be finite and not all zero"
        raise InputError(message)


def check_gram(gram: np.ndarray) -> None:
    """Raise for a tangent kernel that is not finite, or zero."""
    if not np.isfinite(gram).all():
        message = (
            "the derivative of the encoder's embeddings with respect to its parameters is not "
            "finite at the start"
        )
        raise InputError(message)
    if not gram.any():
        message = (
            "the encoder's embeddings do not depend on its parameters, so that training changes "
            "nothing: look for stop_gradient or detach"
        )
        raise InputError(message)


def check_rows(embed: Callable[[Any], Any], views: Any, start: np.ndarray) -> None:
    """Raise for an encoder that is random, or whose rows depend on each other.

    Args:
        embed: `embed(x) -> z` (n, dim).
        views: (2n, ...).
        start: (2n, dim) embeddings of all views.
    """
    few = views[: min(5, len(views))]
    once, again = (np.asarray(embed(few), np.float64) for _ in range(2))
    tolerance = 1e-3 * np.abs(start).max()
    if np.abs(once - again).max() > tolerance:
        message = (
            "two calls of the encoder return different embeddings of the same samples; switch off "
            "dropout and other random layers"
        )
        raise InputError(message)
    two = np.asarray(embed(few[:2]), np.float64)
    if max(np.abs(once - start[: len(few)]).max(), np.abs(two - start[:2]).max()) > tolerance:
        message = (
            "the encoder couples the rows of a batch, as batch normalisation in training mode "
            "does: the embedding of a sample depends on the other samples; use fixed statistics"
        )
        raise InputError(message)


def not_linear() -> InputError:
    """Return the error of weight decay on an encoder that is not linear in its parameters."""
    return InputError(
        "weight_decay needs an encoder that is linear in its parameters: in others it shrinks the "
        "tangent kernel; use kernel='linear', or weight_decay=0"
    )


def kernel_deviation(apply: Apply, params: Params, x: Array, dim: int) -> Deviation:
    """Return how far the kernels of all outputs are from one kernel times the identity.

    Example:
        >>> tied = lambda p, x: jnp.repeat(x @ p, 2, 1)
        >>> found = kernel_deviation(tied, jnp.ones((3, 1)), jnp.eye(3), 2)
        >>> round(found.block, 3), round(found.whole, 3)
        (1.0, 1.0)

    k is the mean over outputs. Both are 0 for a last dense layer on frozen features. For a network
    of random weights `block` falls as width^-1/2 and `whole` as (dim / width)^1/2.

    Args:
        apply: `apply(params, x) -> z` (n, dim).
        params: any pytree.
        x: (n, ...) a few samples.
        dim: number of outputs.
    """
    size = sum(leaf.size * leaf.dtype.itemsize for leaf in _floating(params))
    group = int(np.clip(_MEMORY // max(2 * len(x) * size, 1), 1, dim))
    starts = [min(k, dim - group) for k in range(0, dim, group)]
    units = np.eye(dim)
    blocks = jax.jit(partial(_blocks, apply))
    theta = np.zeros((len(x), dim, len(x), dim))
    for i, a in enumerate(starts):
        for b in starts[i:]:
            block = blocks(params, x, units[a : a + group], units[b : b + group])
            theta[:, a : a + group, :, b : b + group] = block
            theta[:, b : b + group, :, a : a + group] = np.transpose(block, (2, 3, 0, 1))
    check_gram(theta)
    return Deviation.of(theta)


def _blocks(apply: Apply, params: Params, x: Array, first: Array, second: Array) -> Array:
    """Return Theta (n, a, n, b) of the outputs in the directions `first` (a,) and `second` (b,)."""
    leaves, merge = empirical.split_params(params)

    def gradients(directions: Array) -> Any:
        def one(sample: Array) -> Any:
            z, pull = jax.vjp(lambda floating: apply(merge(floating), sample[None])[0], leaves)
            return jax.vmap(lambda v: pull(v.astype(z.dtype))[0])(directions)

        return jax.vmap(one)(x)

    pairs = zip(gradients(first), gradients(second), strict=True)
    flat = [(g.reshape(*g.shape[:2], -1), h.reshape(*h.shape[:2], -1)) for g, h in pairs]
    total = jnp.zeros((len(x), len(first), len(x), len(second)))
    for g, h in flat:
        total = total + jnp.einsum("iap,jbp->iajb", g, h, precision="highest")
    return total


def _is_linear(apply: Apply, params: Params, x: Array) -> bool:
    """Return whether f(p + q) = f(p) + f(q) for a random q of the size of p."""
    leaves, merge = empirical.split_params(params)
    draws = np.random.default_rng(0)
    other = [
        jnp.asarray(draws.normal(size=leaf.shape), leaf.dtype) * (jnp.abs(leaf).max() + 1e-3)
        for leaf in leaves
    ]
    both = [a + b for a, b in zip(leaves, other, strict=True)]
    z, w, sum_ = (np.asarray(apply(merge(part), x), np.float64) for part in (leaves, other, both))
    return bool(np.abs(sum_ - z - w).max() <= 1e-3 * max(np.abs(w).max(), np.abs(z).max()))


def _floating(params: Params) -> list[Array]:
    return empirical.split_params(params)[0]
