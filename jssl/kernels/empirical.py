r"""The empirical neural tangent kernel of any network, in blocks of bounded memory.

For outputs f_k(x), k = 1 ... dim, of a network with parameters theta,

    full:   Theta[i, j, k, l] = <d f_k(x_i) / d theta, d f_l(x_j) / d theta>,
    trace:  Theta[i, j] = (1/dim) sum_k Theta[i, j, k, k],

where `trace` is per output, so that it is what the infinite-width kernel of the same architecture
is the limit of (Jacot, Gabriel, Hongler 2018, arXiv 1806.07572). The gradients of one output at two
blocks of samples are all that a device holds at a time. Products with the kernel that never form it
are in `jssl.kernels.products`.

The blocks are a loop on the host over one compiled program: convolutions inside a compiled loop are
several times slower on CPUs.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from jssl.data.checks import require_count
from jssl.errors import InputError, unknown_name
from jssl.kernels.gradients import Apply as Apply
from jssl.kernels.gradients import contract_pairs, in_blocks, split_params
from jssl.lapack import calls_lapack
from jssl.types import Array, Params

_LARGEST = 512  # samples in a block: bounds its activations
_TOGETHER = 8  # outputs at once, each with activations of its own


def empirical_ntk(
    apply: Apply,
    params: Params,
    x1: Array,
    x2: Array | None = None,
    *,
    outputs: str = "trace",
    block: int | None = None,
    memory_bytes: int = 2**30,
    mesh: Mesh | None = None,
) -> Array:
    """Return the tangent kernel of a network at its present parameters.

    Gradients of a block of samples are contracted at once, leaf by leaf; without `x2` only the
    upper half is computed. One program serves all blocks, and `apply` is traced a few times however
    many there are. Can be jitted (with `apply` fixed; the blocks are then unrolled, so take few),
    mapped over parameters and differentiated.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[1.0, 2.0], [0.0, 1.0]])
        >>> linear = lambda weight, x: x @ weight.T
        >>> bool(jnp.allclose(empirical_ntk(linear, jnp.ones((3, 2)), x), x @ x.T))
        True

    Args:
        apply: `apply(params, x) -> z` with z (n, dim); row i of z depends on row i of x alone
            (no batch statistics).
        params: any pytree; leaves that are not floating point are held fixed.
        x1: (n1, ...) samples.
        x2: (n2, ...) samples; `x1` if None.
        outputs: `trace` (mean over the outputs) or `full`.
        block: samples in a block; None for the largest that `memory_bytes` allows, at most 512.
            Few and large blocks are fast: the gradients of a block are computed once for every
            other block.
        memory_bytes: for the gradients of two blocks on a device (`peak_bytes`), of as many outputs
            at once as fit, at most 8: these share one pass forward. Activations of a block, once
            for each of these outputs, and three copies of the result come on top.
        mesh: of one axis, to spread the blocks over, and where these are few the outputs, as
            `jax.make_mesh((jax.device_count(),), ("block",))`; None for one device.

    Returns:
        (n1, n2) for `trace`, (n1, n2, dim, dim) for `full`.

    Raises:
        InputError: if z is not (n, dim), there are no samples or they differ in shape, `block` is
            not positive, nothing in `params` is floating point, the mesh has more axes than one or
            several CPU devices for an `apply` that calls LAPACK, which may wait there for ever, or
            the gradients of two samples do not fit in the memory.

    References:
        Jacot et al. 2018, arXiv 1806.07572, section 4.
    """
    if outputs not in ("trace", "full"):
        kind = "outputs"
        raise unknown_name(kind, outputs, ["trace", "full"])
    if block is not None:
        block = require_count("block", block)
    if mesh is not None and len(mesh.axis_names) != 1:
        message = f"the mesh must have one axis; got {mesh.axis_names}"
        raise InputError(message)
    other = x1 if x2 is None else x2
    dim = check_samples(apply, params, x1, other)
    if mesh is not None:
        _refuse_lapack(apply, params, x1, mesh)
    if block is None:
        block = min(block_for(params, memory_bytes), _LARGEST)
    block = min(block, max(len(x1), len(other)))
    rows = in_blocks(x1, block)
    columns = rows if x2 is None else in_blocks(x2, block)
    every = [(i, j) for i in range(len(rows)) for j in range(len(columns))]
    above = [(i, j) for i, j in every if x2 is not None or i < j]
    group = max(1, min(dim, _TOGETHER, memory_bytes // max(peak_bytes(params, block), 1)))
    units = [(k, k) for k in range(dim)]
    if outputs == "full":
        units = [(k, m) for k in range(dim) for m in range(dim)]
    work = partial(contract_pairs, apply, params, rows, columns, dim=dim, group=group, mesh=mesh)
    kernel: dict[tuple[int, int], Array] = {}
    if outputs == "trace":
        kernel |= work(above, units)
        if x2 is None:
            kernel |= work([(i, i) for i in range(len(rows))], units, half=True)
    else:
        kept = every if x2 is not None else [(i, j) for i, j in every if i <= j]
        parts = [work(kept, [unit]) for unit in units]
        for pair in kept:
            stacked = jnp.stack([part[pair] for part in parts], axis=-1)
            kernel[pair] = stacked.reshape(*stacked.shape[:2], dim, dim)
    scale = 1 / dim if outputs == "trace" else 1
    mirror = (1, 0, 3, 2) if outputs == "full" else (1, 0)
    table = []
    for i in range(len(rows)):
        line = [
            kernel[i, j] if (i, j) in kernel else jnp.transpose(kernel[j, i], mirror)
            for j in range(len(columns))
        ]
        table.append(jnp.concatenate(line, axis=1))
    return scale * jnp.concatenate(table)[: len(x1), : len(other)]


def peak_bytes(params: Params, block: int = 64, outputs: int = 1) -> int:
    """Return the bytes of gradients that are held at a time, 2 x block x outputs x parameters.

    On top of them come the activations of one block and three copies of the result.

    Example:
        >>> import jax.numpy as jnp
        >>> peak_bytes({"weight": jnp.zeros((100, 10))}, block=8)
        64000

    Args:
        params: the parameters, or their shapes as from `jax.eval_shape`.
        block: samples in a block.
        outputs: taken at once; `empirical_ntk` takes as many as its `memory_bytes` allow.
    """
    leaves = [a for a in jax.tree.leaves(params) if jnp.issubdtype(a.dtype, jnp.inexact)]
    return 2 * block * outputs * sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)


def block_for(params: Params, memory_bytes: int) -> int:
    """Return the largest block whose gradients fit in so many bytes.

    Example:
        >>> import jax.numpy as jnp
        >>> block_for(jnp.zeros((1000,)), memory_bytes=80_000)
        10

    Args:
        params: the parameters, or their shapes.
        memory_bytes: memory for gradients.

    Raises:
        InputError: if not even one sample fits.
    """
    one = peak_bytes(params, 1)
    if memory_bytes < one:
        message = (
            f"the gradients of two samples take {one} bytes; {memory_bytes} are too few: raise "
            "memory_bytes, or take products (jssl.kernels.ntk_product), which hold one gradient a "
            "column"
        )
        raise InputError(message)
    return memory_bytes // max(one, 1)


def check_samples(apply: Apply, params: Params, x1: Array, x2: Array) -> int:
    """Return the number of outputs, or raise where samples or outputs have a wrong shape."""
    if x1.shape[1:] != x2.shape[1:] or not x1.ndim or not x2.ndim:
        message = f"x1 and x2 must hold samples of one shape; got {x1.shape} and {x2.shape}"
        raise InputError(message)
    if not len(x1) or not len(x2):
        message = f"a kernel needs at least one sample; got shapes {x1.shape} and {x2.shape}"
        raise InputError(message)
    if not split_params(params)[0]:
        message = "the parameters hold no floating-point array, so the network has no gradient"
        raise InputError(message)
    shape = jax.eval_shape(apply, params, x1[:1]).shape
    if len(shape) != 2 or shape[0] != 1 or not shape[1]:
        message = f"apply must return (n, dim) for n samples; it returns {shape} for one"
        raise InputError(message)
    return shape[1]


def _refuse_lapack(apply: Apply, params: Params, x: Array, mesh: Mesh) -> None:
    """Raise where programs on several CPU devices would call LAPACK at the same time."""
    on_cpu = all(device.platform == "cpu" for device in mesh.devices.flat)
    if mesh.size > 1 and on_cpu and calls_lapack(jax.make_jaxpr(apply)(params, x[:1]).jaxpr):
        message = (
            "apply calls LAPACK (eigh, svd, qr, cholesky, solve), which may wait for ever on "
            "several CPU devices; give mesh=None"
        )
        raise InputError(message)
