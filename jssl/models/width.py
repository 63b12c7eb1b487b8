"""Nested starts, and width as padding.

Row i of a weight is `normal(fold_in(key, i), (columns,))`. Partitionable threefry in one dimension
has the prefix property, normal(key, (W,))[:w] = normal(key, (w,)), so a narrow net's start is the
first rows and columns of a wide one's. A net of width w may then live in arrays of a width W > w
that are zero beyond w. If phi(0) = 0, it is the same function; its gradients there are exactly
zero, and the weights stay zero under optax optimisers. Orthonormal starts are not nested.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jssl.keys import require_threefry
from jssl.memory import require_memory
from jssl.types import Array, Params


@functools.partial(jax.jit, static_argnames=("rows", "columns", "dtype"))
def nested_normal(key: Array, rows: int, columns: int, dtype: Any = None) -> Array:
    """Return standard normals whose leading block depends on neither `rows` nor `columns`.

    Example:
        >>> import jax, numpy as np
        >>> key = jax.random.key(0)
        >>> wide, narrow = nested_normal(key, 8, 6), nested_normal(key, 4, 3)
        >>> bool(np.array_equal(wide[:4, :3], narrow))
        True

    Entries are drawn in float32 and cast, so that every precision shares one start.

    Args:
        key: a typed threefry key.
        rows: number of rows, one per output neuron.
        columns: number of columns.
        dtype: dtype of the result; None for JAX's default float.

    Returns:
        (rows, columns) array.

    Raises:
        InputError: if the key is not a typed threefry key.
    """
    return nested_normals([key], ((rows, columns),), dtype)[0]


@functools.partial(jax.jit, static_argnames=("shapes", "dtype"))
def nested_normals(
    keys: Sequence[Array], shapes: tuple[tuple[int, int], ...], dtype: Any = None
) -> list[Array]:
    """Return `nested_normal` of every key and shape, drawn together: one draw to compile, not many.

    Example:
        >>> import jax, numpy as np
        >>> keys = [jax.random.key(0), jax.random.key(1)]
        >>> _, second = nested_normals(keys, ((8, 6), (4, 3)))
        >>> bool(np.array_equal(second, nested_normal(keys[1], 4, 3)))
        True

    Every row is drawn as wide as the widest and cut; where that is more than four million numbers,
    rows are drawn with those of similar width only.

    Args:
        keys: typed threefry keys.
        shapes: (rows, columns) of each, static.
        dtype: dtype of the results; None for JAX's default float.

    Raises:
        InputError: if a key is not a typed threefry key.
    """
    for key in keys:
        require_threefry(key, "starts")
    data = jnp.stack([jax.random.key_data(key) for key in keys])
    drawn = _draws(tuple((i, (), shape) for i, shape in enumerate(shapes)))(data[None])
    dtype = jnp.result_type(float) if dtype is None else dtype
    return [normals[0].astype(dtype) for normals in drawn]


@functools.partial(jax.jit, static_argnames=("paths", "shapes"))
def normals_at(
    key: Array, paths: tuple[tuple[int, ...], ...], shapes: tuple[tuple[int, int], ...]
) -> list[Array]:
    """Return `nested_normal` of fold_in(... fold_in(key, path[0]) ..., path[-1]), in float32.

    Example:
        >>> import jax, numpy as np
        >>> key = jax.random.key(0)
        >>> (drawn,) = normals_at(key, ((2, 1),), ((4, 3),))
        >>> of_path = jax.random.fold_in(jax.random.fold_in(key, 2), 1)
        >>> bool(np.array_equal(drawn, nested_normal(of_path, 4, 3)))
        True

    Args:
        key: a typed threefry key.
        paths: one for each shape, of whole numbers from 0, static.
        shapes: (rows, columns) of each, static.

    Raises:
        InputError: if the key is not a typed threefry key.
    """
    require_threefry(key, "starts")
    pieces = tuple((0, path, shape) for path, shape in zip(paths, shapes, strict=True))
    return [normals[0] for normals in _draws(pieces)(jax.random.key_data(key)[None, None])]


Piece = tuple[int, tuple[int, ...], tuple[int, int]]  # which key, path from it, (rows, columns)


def _draws(pieces: Sequence[Piece]) -> Callable[[Array], list[Array]]:
    """Return `draw(key data (maps, keys, 2)) -> [(maps, rows, columns)]` of the pieces.

    All keys of a path and of its rows come from one loop, and where `draw` is mapped the maps are
    drawn as more rows: each further threefry, and each dimension of it, takes as long to compile
    as a training step.
    """
    shapes = [shape for *_, shape in pieces]
    deepest = max(len(path) for _, path, _ in pieces)
    rows = sum(count for count, _ in shapes)
    indices = rows * (28 + 24 * deepest)  # bytes of whole numbers on the host, about that many
    require_memory(f"the start of {rows:,} neurons", indices, "take a smaller width")

    @jax.custom_batching.custom_vmap
    def draw(data: Array) -> list[Array]:
        drawn: dict[int, Array] = {}
        maps = len(data)
        for together in _alike(shapes):
            counts, widest = [shapes[i][0] for i in together], max(shapes[i][1] for i in together)
            owner = np.repeat([pieces[i][0] for i in together], counts)
            rows = [np.arange(count) for count in counts]
            paths = [(*[-1] * (deepest - len(pieces[i][1])), *pieces[i][1]) for i in together]
            above = np.repeat(np.reshape(paths, (len(together), deepest)), counts, axis=0)
            steps = np.tile(np.concatenate([above.T, [np.concatenate(rows)]]), maps)

            def follow(keys: Array, step: Array) -> tuple[Array, None]:
                folded = jax.vmap(jax.random.fold_in)(_typed(keys), step)
                stays = (step < 0)[:, None]
                return jnp.where(stays, keys, jax.random.key_data(folded)), None

            start = data[:, owner].reshape(-1, 2)
            of_row, _ = jax.lax.scan(follow, start, jnp.asarray(steps, jnp.int32))
            normal = functools.partial(jax.random.normal, shape=(widest,), dtype=jnp.float32)
            draws = jax.vmap(normal)(_typed(of_row)).reshape(maps, -1, widest)
            for i, end in zip(together, np.cumsum(counts), strict=True):
                drawn[i] = draws[:, end - shapes[i][0] : end, : shapes[i][1]]
        return [drawn[i] for i in range(len(shapes))]

    @draw.def_vmap
    def mapped(size: int, _: Any, data: Array) -> tuple[list[Array], list[bool]]:
        drawn = draw(data.reshape(-1, *data.shape[2:]))
        return [x.reshape(size, -1, *x.shape[1:]) for x in drawn], [True] * len(drawn)

    return draw


def _typed(data: Array) -> Array:
    return jax.random.wrap_key_data(data, impl="threefry2x32")


def _alike(shapes: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Return which shapes are drawn together: all, or those within a factor of 4 in width."""
    if sum(rows for rows, _ in shapes) * max(columns for _, columns in shapes) <= 2**22:
        return [list(range(len(shapes)))]
    classes: dict[int, list[int]] = {}
    for i, (_, columns) in enumerate(shapes):
        classes.setdefault(columns.bit_length() // 2, []).append(i)
    return list(classes.values())


def cut(array: Array, *live: Any) -> Array:
    """Return the array with zeros where the index along axis k is `live[k]` or more.

    Example:
        >>> import jax.numpy as jnp
        >>> cut(jnp.ones((2, 4)), None, 3).tolist()
        [[1.0, 1.0, 1.0, 0.0], [1.0, 1.0, 1.0, 0.0]]

    Args:
        array: any array.
        live: for each leading axis the number of live entries, may be traced; None for all.
    """
    for axis, size in enumerate(live):
        if size is not None:
            index = jax.lax.broadcasted_iota(jnp.int32, array.shape, axis)
            array = jnp.where(index < size, array, jnp.zeros((), array.dtype))
    return array


def pad(params: Params, like: Params) -> Params:
    """Return a narrow net's parameters inside zeros of a wide net's shapes.

    Example:
        >>> import jax.numpy as jnp
        >>> pad({"weight": jnp.ones((1, 1))}, {"weight": jnp.zeros((2, 2))})["weight"].tolist()
        [[1.0, 0.0], [0.0, 0.0]]

    Args:
        params: parameters of the narrow net.
        like: pytree of the same structure whose leaves have the target shapes (arrays, or the
            result of `jax.eval_shape(wide.init, key)`).
    """

    def grow(leaf: Array, target: Any) -> Array:
        return jnp.pad(leaf, [(0, m - n) for n, m in zip(leaf.shape, target.shape, strict=True)])

    return jax.tree.map(grow, params, like)


def crop(params: Params, like: Params) -> Params:
    """Return the leading blocks of a wide net's parameters in a narrow net's shapes; undoes `pad`.

    Example:
        >>> import jax.numpy as jnp
        >>> crop({"weight": jnp.eye(3)}, {"weight": jnp.zeros((1, 2))})["weight"].tolist()
        [[1.0, 0.0]]

    Args:
        params: parameters of the wide net.
        like: pytree of the same structure whose leaves have the target shapes.
    """

    def shrink(leaf: Array, target: Any) -> Array:
        return leaf[tuple(slice(size) for size in target.shape)]

    return jax.tree.map(shrink, params, like)
