"""Gram matrices of a model's infinite-width kernels.

With Z = [X; X'] the 2n stacked views of n pairs, the theory of arXiv 2303.15438 (section 4.4) asks
for the NTK gram K~ = NTK(Z, Z), (2n, 2n). The kernels themselves belong to the models
(`jssl.models.limits`); this file evaluates them on data: a symmetric kernel by the blocks of its
upper half, any other in blocks of rows where memory asks for it.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jssl.arithmetic import working
from jssl.data.checks import require_count
from jssl.errors import InputError, shown, unknown_name
from jssl.kernels.inputs import check_inputs, check_pairs, check_scale_of_inputs
from jssl.models.dense_kernel import KINDS as KINDS
from jssl.models.dense_kernel import DenseKernel
from jssl.types import Array, Model, Pairs

_BLOCKS, _LEAST = 8, 32


def kernel(
    model: Model,
    x1: Array,
    x2: Array | None = None,
    *,
    kind: str = "ntk",
    rows: int | None = None,
) -> Array:
    """Return the model's infinite-width kernel between two sets of inputs.

    Example:
        >>> import jax.numpy as jnp
        >>> from jssl.models import linear
        >>> kernel(linear(2, 1), jnp.eye(2), jnp.ones((1, 2))).tolist()
        [[1.0], [1.0]]

    Args:
        model: a model with a kernel.
        x1: (n1, ...) inputs.
        x2: (n2, ...) inputs; None for x1.
        kind: "ntk", or "nngp" for the covariance of the initial function over starts.
        rows: rows of the result computed at a time; None for all at once. Memory is that of a
            (rows, n2) kernel, beside the result.

    Where x2 is None or x1 itself, only the upper half is computed, in blocks, and mirrored.

    Returns:
        (n1, n2) kernel in the dtype of the inputs as JAX takes it, at least float32 (float64 needs
        `jssl.precision.float64()`); exactly symmetric where x2 is x1.

    Raises:
        InputError: the model has no kernel, the kind is unknown, there are no inputs, they are not
            finite real numbers or are pixels of 0 to 255 for a kernel that depends on their scale,
            `rows` is below 1, or the model is convolutional and
            neural-tangents is missing.
    """
    kernel_of(model)
    check_inputs(x1=x1, **({} if x2 is None else {"x2": x2}))
    check_scale_of_inputs(model, x1=x1, x2=x2)
    return _of_checked(model, x1, x2, kind, rows)


def _of_checked(model: Model, x1: Array, x2: Array | None, kind: str, rows: int | None) -> Array:
    if kind not in KINDS:
        error = unknown_name("kind of kernel", kind, KINDS)
        raise error
    function, index = kernel_of(model), KINDS.index(kind)
    rows = None if rows is None else require_count("rows", rows)
    if isinstance(function, DenseKernel) and function.is_on_host(x1, x2):
        return function.of_kinds(x1, None if x2 is x1 else x2, [kind])[0]
    if x2 is None or x2 is x1:
        (x1,) = working(x1=x1)
        block = max(-(-len(x1) // _BLOCKS), _LEAST)
        block = min(block, len(x1) if rows is None else rows)
        return _symmetric(function, index, block, x1)
    x1, x2 = working(x1=x1, x2=x2)
    return _by_rows(function, index, len(x1) if rows is None else rows, x1, x2)


def gram(model: Model, pairs: Pairs, *, kind: str = "ntk", rows: int | None = None) -> Array:
    """Return K~, the kernel of all views with all views, first views first.

    Example:
        >>> import jax.numpy as jnp
        >>> from jssl.models import linear
        >>> from jssl.types import Pairs
        >>> gram(linear(1, 1), Pairs(jnp.array([[1.0]]), jnp.array([[2.0]]))).tolist()
        [[1.0, 2.0], [2.0, 4.0]]

    Args:
        model: a model with a kernel.
        pairs: n positive pairs; explicit negatives play no part.
        kind: "ntk" or "nngp".
        rows: rows computed at a time, None for all.

    Returns:
        (2n, 2n) symmetric positive semidefinite matrix.

    Raises:
        InputError: as in `kernel`.

    References:
        Simon et al., arXiv 2303.15438, section 4.4.
    """
    kernel_of(model)
    check_pairs(model, pairs)
    views = jnp.concatenate(working(first=pairs.first, second=pairs.second))
    return _of_checked(model, views, None, kind, rows)


def kernel_of(model: Model) -> "Function":
    """Return the kernel function of a model.

    Raises:
        InputError: it is no model, or has no kernel; the reason is said.
    """
    if not isinstance(model, Model):
        message = f"model must be a jssl.types.Model, as jssl.models.mlp gives; got {shown(model)}"
        raise InputError(message)
    if model.kernel is None:
        message = (
            f"the model has no infinite-width kernel ({model.no_kernel or 'none was given'}); "
            "use the NTK of one net, jssl.kernels.empirical_ntk(apply, params, x)"
        )
        raise InputError(message)
    if not callable(model.kernel):
        message = f"the kernel of the model must be a function; got {shown(model.kernel)}"
        raise InputError(message)
    return model.kernel


Function = Callable[[Array, Array], tuple[Array, Array]]


def part_of(function: "Function", index: int, x1: Array, x2: Array) -> Array:
    """Return one of the two kernels that a kernel function gives.

    Raises:
        InputError: it gives no pair of (n1, n2) arrays.
    """
    found = function(x1, x2)
    shape = (len(x1), len(x2))
    if not isinstance(found, tuple | list) or [np.shape(part) for part in found] != [shape] * 2:
        message = f"the model's kernel must return (nngp, ntk), both {shape} for these inputs"
        raise InputError(message)
    return found[index]


@partial(jax.jit, static_argnames=("function", "index", "rows"))
def _by_rows(function: Function, index: int, rows: int, x1: Array, x2: Array) -> Array:
    if rows >= len(x1):
        return part_of(function, index, x1, x2)
    return jax.lax.map(lambda row: part_of(function, index, row[None], x2)[0], x1, batch_size=rows)


@partial(jax.jit, static_argnames=("function", "index", "block"))
def _symmetric(function: Function, index: int, block: int, x: Array) -> Array:
    """Return function(x, x)[index] from the blocks of its upper half."""
    if block >= len(x):
        matrix = part_of(function, index, x, x)
        return (matrix + matrix.T) / 2
    padding = [(0, -len(x) % block)] + [(0, 0)] * (np.ndim(x) - 1)
    parts = jnp.pad(x, padding, mode="edge").reshape(-1, block, *x.shape[1:])
    first, second = np.triu_indices(len(parts))
    blocks = jax.lax.map(
        lambda pair: part_of(function, index, parts[pair[0]], parts[pair[1]]),
        (jnp.asarray(first), jnp.asarray(second)),
    )
    mirror = jnp.swapaxes(blocks, 1, 2)
    blocks = jnp.where((first == second)[:, None, None], (blocks + mirror) / 2, blocks)
    matrix = jnp.zeros((len(parts), len(parts), block, block), blocks.dtype)
    matrix = matrix.at[second, first].set(jnp.swapaxes(blocks, 1, 2))
    matrix = jnp.swapaxes(matrix.at[first, second].set(blocks), 1, 2)
    return matrix.reshape(len(parts) * block, -1)[: len(x), : len(x)]
