"""Products of the gradients of two blocks of samples, on one device or several."""

import math
from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from jssl.types import Array, Params

Apply = Callable[[Params, Array], Array]

_dot = partial(jnp.matmul, precision="highest")


def split_params(params: Params) -> tuple[list[Array], Callable[[Sequence[Array]], Params]]:
    """Return the floating-point leaves, and what puts such leaves back among the fixed ones."""
    leaves, tree = jax.tree.flatten(params)
    moving = [jnp.issubdtype(leaf.dtype, jnp.inexact) for leaf in leaves]

    def merge(floating: Sequence[Array]) -> Params:
        values = iter(floating)
        merged = [next(values) if m else leaf for m, leaf in zip(moving, leaves, strict=True)]
        return jax.tree.unflatten(tree, merged)

    return [leaf for m, leaf in zip(moving, leaves, strict=True) if m], merge


def in_blocks(x: Array, block: int) -> Array:
    """Return (blocks, block, ...), the last block filled up with its last sample."""
    padding = [(0, -len(x) % block)] + [(0, 0)] * (x.ndim - 1)
    return jnp.pad(x, padding, mode="edge").reshape(-1, block, *x.shape[1:])


def contract_pairs(
    apply: Apply,
    params: Params,
    rows: Array,
    columns: Array,
    pairs: list[tuple[int, int]],
    units: list[tuple[int, int]],
    *,
    dim: int,
    group: int,
    mesh: Mesh | None,
    half: bool = False,
) -> dict[tuple[int, int], Array]:
    """Return for each pair of blocks the sum over units (k, l) of <grad f_k, grad f_l>.

    A task is a pair of blocks with its share of the units, which are split where there are fewer
    pairs than devices; each device has one task at a time and takes a group of units at once, which
    share one pass forward.
    """
    if not pairs:
        return {}
    devices = 1 if mesh is None else mesh.size
    shares = min(-(-devices // len(pairs)), len(units))
    tasks = [(pair, units[share::shares]) for pair in pairs for share in range(shares)]
    dtype = jax.eval_shape(apply, params, rows[0]).dtype
    found: dict[tuple[int, int], Array] = {}
    for first in range(0, len(tasks), devices):
        batch = tasks[first : first + devices]
        batch += [(batch[-1][0], [])] * (devices - len(batch))
        index = np.array([pair for pair, _ in batch])
        total: Array = jnp.zeros((devices, rows.shape[1], columns.shape[1]), dtype)
        longest = max(len(share) for _, share in batch)
        together = -(-longest // -(-longest // group))  # as even as can be
        for turn in range(0, longest, together):
            cotangents = np.zeros((2, devices, together, dim), dtype)
            for device, (_, share) in enumerate(batch):
                for row, (left, right) in enumerate(share[turn : turn + together]):
                    cotangents[0, device, row, left] = 1
                    cotangents[1, device, row, right] = 1
            total = _add(
                apply,
                half,
                mesh,
                params,
                rows,
                columns,
                index[:, 0],
                index[:, 1],
                *cotangents,
                total,
            )
        for device, (pair, share) in enumerate(batch):
            if share:
                found[pair] = found[pair] + total[device] if pair in found else total[device]
    return found


@partial(jax.jit, static_argnums=(0, 1, 2))
def _add(
    apply: Apply,
    half: bool,
    mesh: Mesh | None,
    params: Params,
    rows: Array,
    columns: Array,
    *task: Array,
) -> Array:
    def add(params: Params, rows: Array, columns: Array, *task: Array) -> Array:
        i, j, left, right, total = (part[0] for part in task)
        gradients = _gradients(apply, params, rows[i], left)
        if half:
            return (total + _half_contract(gradients))[None]
        other = _gradients(apply, params, columns[j], right)
        return (total + _contract(gradients, other))[None]

    if mesh is None:
        return add(params, rows, columns, *task)
    everywhere, own = PartitionSpec(), PartitionSpec(mesh.axis_names[0])
    specs = (everywhere, everywhere, everywhere, *[own] * len(task))
    # Unchecked: a checked one would sum the gradients of replicated parameters over devices.
    return jax.shard_map(add, mesh=mesh, in_specs=specs, out_specs=own, check_vma=False)(
        params, rows, columns, *task
    )


def _gradients(apply: Apply, params: Params, x: Array, cotangents: Array) -> list[Array]:
    """Return the gradients of cotangent . f at each sample, (block, cotangents, ...) a leaf."""
    floating, merge = split_params(params)

    def of_sample(sample: Array) -> list[Array]:
        _, pull = jax.vjp(lambda leaves: apply(merge(leaves), sample[None])[0], floating)
        return jax.vmap(lambda cotangent: pull(cotangent)[0])(cotangents)

    return jax.vmap(of_sample)(x)


def _contract(left: list[Array], right: list[Array]) -> Array:
    pairs = zip(left, right, strict=True)
    return sum(_dot(_flat(a), _flat(b).T) for a, b in pairs)  # type: ignore[return-value]


def _flat(gradient: Array) -> Array:
    """Return (samples, numbers); -1 for the numbers would fail where there are no samples."""
    return gradient.reshape(len(gradient), math.prod(gradient.shape[1:]))


def _half_contract(gradients: list[Array]) -> Array:
    """Return the products of the gradients with themselves, the lower left quarter mirrored.

    The upper half is empty for a block of one sample.
    """
    middle = len(gradients[0]) // 2
    top, bottom = ([g[part] for g in gradients] for part in (slice(middle), slice(middle, None)))
    corner = _contract(top, bottom)
    whole = jnp.block([[_contract(top, top), corner], [corner.T, _contract(bottom, bottom)]])
    return (whole + whole.T) / 2
