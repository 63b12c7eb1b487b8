r"""The embeddings that the tangent kernel of an encoder predicts, at finite or infinite width.

An encoder f with a constant tangent kernel k, trained on linearised Barlow Twins (S-2), follows

    df(x)/dt = -(2/n) k(x, Z) J F (C - I),    C = F^T J F / 2n,

with Z the 2n views of n pairs, F (2n, dim) their embeddings, and J the matrix that exchanges the
two views. `infinite` gives the kernel model of an architecture at infinite width, and `empirical`
that of given parameters. `embeddings` is its closed form from a small start, with the error that
S-14 estimates. `descend` is gradient descent of the kernel model itself; its only approximation is
that the kernel is constant. `jssl.diagnostics.distance_to_limit` compares a trained net with them.

Simon et al. 2023, arXiv 2303.15438, section 5; that the kernel of Barlow Twins does become constant
as width grows is Fleissner, Anil, Ghoshdastidar 2024, arXiv 2411.11176.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl.data.checks import require_range
from jssl.errors import InputError
from jssl.kernels import infinite as infinite_kernels
from jssl.kernels.contrastive import ContrastiveModes, contrastive_modes
from jssl.kernels.empirical import empirical_ntk
from jssl.record_steps import checked_record_steps
from jssl.theory.stepwise import kernel as stepwise_kernel
from jssl.types import Array, Model, Pairs, Params


class KernelModel(NamedTuple):
    """The kernels that determine the training of an encoder.

    Attributes:
        everywhere: (2n + q, 2n) kernel of the views, then of q other points, with the 2n views.
        modes: the dim largest modes of the contrastive kernel: what will be learned, in order.
    """

    everywhere: Array
    modes: ContrastiveModes


def infinite(
    model: Model, pairs: Pairs, dim: int, others: Array | None = None, *, rows: int | None = None
) -> KernelModel:
    """Return the kernel model of an architecture at infinite width.

    Example:
        >>> from jssl.models import linear
        >>> x = jnp.diag(jnp.array([2.0, 1.0]))
        >>> print(infinite(linear(2, 1), Pairs(x, x), 1).modes.eigenvalues.round(3))
        [2.]

    Args:
        model: with an infinite-width kernel.
        pairs: n positive pairs.
        dim: dimension of the embedding, at most the number of positive modes.
        others: (q, ...) further points, or None.
        rows: rows of the kernel computed at a time, None for all.

    Returns:
        KernelModel.

    Raises:
        InputError: if the model has no infinite-width kernel, or fewer than dim
            modes can be learned from these pairs.
    """
    gram = infinite_kernels.gram(model, pairs, rows=rows)
    if others is None:
        return KernelModel(gram, contrastive_modes(gram, dim))
    views = jnp.concatenate([pairs.first, pairs.second])
    cross = infinite_kernels.kernel(model, others, views, rows=rows)
    return KernelModel(jnp.concatenate([gram, cross]), contrastive_modes(gram, dim))


def tangent(
    apply: Callable[[Params, Array], Array],
    params: Params,
    pairs: Pairs,
    dim: int,
    others: Array | None = None,
    *,
    block: int = 64,
) -> KernelModel:
    """Return the kernel model of a net at its present parameters, of any architecture.

    Example:
        >>> linear = lambda weight, x: x @ weight.T
        >>> x = jnp.diag(jnp.array([2.0, 1.0]))
        >>> print(tangent(linear, jnp.zeros((1, 2)), Pairs(x, x), 1).modes.eigenvalues.round(3))
        [2.]

    Args:
        apply: `apply(params, x) -> z` with z (n, dim).
        params: its parameters.
        pairs: n positive pairs.
        dim: dimension of the embedding.
        others: (q, ...) further points; None for none.
        block: samples in a block, see `jssl.kernels.empirical_ntk`.

    Returns:
        KernelModel.

    Raises:
        InputError: z is not (n, dim), or fewer than dim modes can be learned from these pairs.
    """
    views = jnp.concatenate([pairs.first, pairs.second])
    gram = empirical_ntk(apply, params, views, block=block)
    modes = contrastive_modes(gram, dim)
    if others is None:
        return KernelModel(gram, modes)
    cross = empirical_ntk(apply, params, others, views, block=block)
    return KernelModel(jnp.concatenate([gram, cross]), modes)


def embeddings(kernel: KernelModel, times: Any, start: Array) -> Array:
    """Return the closed form f_t at the views and the other points, at any time.

    Example:
        >>> x = jnp.diag(jnp.array([2.0, 1.0]))
        >>> kernel = KernelModel(jnp.tile(x @ x, (2, 2)), contrastive_modes(jnp.tile(x, (2, 2)), 1))
        >>> embeddings(kernel, jnp.array([0.0, 9.0]), 1e-3 * jnp.ones((4, 1))).shape
        (2, 4, 1)

    Args:
        kernel: from `infinite` or `tangent`.
        times: (points,) or scalar, sums of learning rates.
        start: (2n + q, dim) embeddings at the start, of the net or of a draw.

    Returns:
        (points, 2n + q, dim). What is dropped is of the order of S-14,
        `jssl.theory.stepwise.error_estimate`.

    Raises:
        InputError: for shapes that do not fit.
    """
    rows = _check(kernel, start)
    return stepwise_kernel.embedding(
        jnp.asarray(times), kernel.modes, kernel.everywhere[:rows], start[:rows], kernel.everywhere,
        start,
    )  # fmt: skip


def descend(
    kernel: KernelModel, start: Array, learning_rate: Any, steps: Sequence[int] | np.ndarray
) -> Array:
    """Return gradient descent of the kernel model, at the given steps.

    Example:
        >>> gram = jnp.tile(jnp.diag(jnp.array([4.0, 1.0])), (2, 2))
        >>> kernel = KernelModel(gram, contrastive_modes(gram, 1))
        >>> z = descend(kernel, 1e-2 * jnp.ones((4, 1)), 0.02, [0, 200])
        >>> print(((z[:, :2] * z[:, 2:]).sum((1, 2)) / 2).round(3))  # C
        [0. 1.]

    Args:
        kernel: from `infinite` or `tangent`.
        start: (2n + q, dim) embeddings at the start.
        learning_rate: > 0; below 1 / (4 gamma_1), the largest eigenvalue. May be traced.
        steps: (points,) increasing step numbers.

    Returns:
        (points, 2n + q, dim).

    Raises:
        InputError: for shapes that do not fit, steps that are not whole numbers,
            do not increase or lie above 2**31 - 1, or a negative rate.
    """
    rows = _check(kernel, start)
    require_range("learning_rate", learning_rate, 0)
    steps = checked_record_steps(steps, "steps")
    n = rows // 2
    everywhere = kernel.everywhere

    def step(_: Any, f: Array) -> Array:
        swapped = jnp.concatenate([f[n:rows], f[:n]])
        defect = _product(f[:rows].T, swapped) / rows - jnp.eye(f.shape[1], dtype=f.dtype)
        return f - learning_rate * 2 / n * _product(everywhere, _product(swapped, defect))

    def to_next(f: Array, increment: Array) -> tuple[Array, Array]:
        f = jax.lax.fori_loop(0, increment, step, f)
        return f, f

    return jax.lax.scan(to_next, start, jnp.asarray(np.diff(steps, prepend=0), jnp.int32))[1]


def _check(kernel: KernelModel, start: Array) -> int:
    points, rows = kernel.everywhere.shape
    if start.ndim != 2 or len(start) != points:
        message = f"start must be ({points}, dim), a row for each point; got {start.shape}"
        raise InputError(message)
    return rows


def _product(a: Array, b: Array) -> Array:
    return jnp.matmul(a, b, precision="highest")
