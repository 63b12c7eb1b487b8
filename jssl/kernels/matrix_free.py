"""The leading modes of the contrastive kernel of an infinite network, for sets of any size.

`contrastive_modes` needs the Gram matrix, 80 GB of float64 for 50,000 pairs. Here block Lanczos
(`jssl.kernels.host_krylov`) asks for products with it, and its tiles are computed for each product
and thrown away (`jssl.kernels.tiles`). A product then costs the same for many columns as for few,
so that blocks are wide and products few. The tiles of a small set, of up to 16,000 views in
float32, are kept. The state can be kept in a file after every product.
"""

import hashlib
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl.arithmetic import as_array, working
from jssl.data.checks import require_count, require_name, require_range
from jssl.errors import InputError, shown
from jssl.host_arithmetic import refuse_traced
from jssl.kernels import host_krylov as krylov
from jssl.kernels import processes
from jssl.kernels.checkpoint import Checkpoint
from jssl.kernels.contrastive import ContrastiveModes
from jssl.kernels.infinite import KINDS, kernel_of
from jssl.kernels.inputs import check_pairs
from jssl.kernels.mode_checks import (
    check_definite,
    check_size,
    check_tolerance,
    hidden_by,
    is_loose,
    not_converged,
    too_few,
)
from jssl.kernels.tiles import KernelProduct
from jssl.keys import require_key
from jssl.types import Array, Model, Pairs

TYPICAL = {4: 8, 8: 12}
"""Bytes of a number -> products that a run is expected to take.

Data with the spectrum of images take 4 to 8 in float32 and up to 12 in float64.
"""

_DEPTH = 5  # blocks before a restart
_PROBED = 4  # rows of a view whose kernel tells one model from another


class Progress(NamedTuple):
    """How far a run is.

    Attributes:
        products: finished products.
        share: of the present product that is done.
        bound: largest error bound of a wanted eigenvalue over the largest eigenvalue; the run ends
            when it is below the tolerance.
    """

    products: int
    share: float
    bound: float


@np.errstate(over="ignore", invalid="ignore")  # said in one line at the end
def leading_modes(
    model: Model,
    pairs: Pairs,
    dim: int,
    *,
    kind: str = "ntk",
    width: int | None = None,
    tolerance: float | None = None,
    products: int = 60,
    most_hours: float = 1.0,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: Callable[[Progress], None] | None = None,
    key: Array | None = None,
    tile: int | None = None,
) -> ContrastiveModes:
    """Return the `dim` largest modes of K_Gamma of an infinite network, without its Gram matrix.

    Example:
        >>> from jssl.models import mlp
        >>> pairs = Pairs(*jax.random.normal(jax.random.key(0), (2, 40, 5)))
        >>> modes = leading_modes(mlp(5, 1, activation="relu"), pairs, 3)
        >>> modes.coefficients.shape
        (80, 3)

    The same modes as `contrastive_modes(gram(model, pairs), dim)`. Memory is that of the views, 14
    blocks of (2n, width), and a tile, or up to 512 MB of tiles that are kept: 2 GB at 2n = 100,000
    and 16 modes in float32. Runs on the host: it cannot be jitted.

    The tiles are spread over the devices of the process and, under `jax.distributed.initialize`,
    over all processes. Each makes the same call and gets the same modes; the blocks, the
    checkpoint, `progress` and `most_hours` are those of process 0.

    Args:
        model: a model with an infinite-width kernel.
        pairs: n positive pairs. All arithmetic has their dtype as JAX takes it: float64 inside
            `jssl.precision.float64()` alone, and float32 otherwise.
        dim: number of modes, at most n.
        kind: "ntk" or "nngp".
        width: columns of a block; None for dim + 8 where the tiles are kept and for at least 64
            where each product computes them, at most 2n. More columns take fewer products and more
            memory.
        tolerance: as in `contrastive_modes`.
        products: bound on the products with K.
        most_hours: longest run that is begun; the time is estimated from a few tiles first.
        checkpoint: file of the state, written after every product but the first and read at the
            start; the same call then continues. It is kept at the end.
        progress: called after every tile.
        key: typed key of the random start; the modes do not depend on it.
        tile: rows of a tile; None for up to 512 on the CPU and up to 2048 elsewhere.

    Returns:
        ContrastiveModes; `coefficients` (2n, dim), first views first, `residual` the bounds of
        block Lanczos, and `rank` -1.

    Raises:
        InputError: as in `contrastive_modes`; for dim above n, inputs that are not finite or not
            scaled, a longer run than `most_hours`, a checkpoint of another run, or processes that
            were given different pairs.

    References:
        Simon et al. 2023, arXiv 2303.15438, section 5.
    """
    require_name("kind of kernel", kind, KINDS)
    kernel_of(model)
    check_pairs(model, pairs)
    numbers = tolerance, most_hours, products, dim
    refuse_traced("the pairs, the key and all numbers", (tuple(pairs), key, numbers))
    refuse_traced("the model's gains", getattr(model.kernel, "gains", ()))
    if progress is not None and not callable(progress):
        message = f"progress must be a function of one Progress; got {shown(progress)}"
        raise InputError(message)
    seed = np.zeros(2, np.uint32)  # the data of key(0), without a program to compile
    if key is not None:
        seed = np.asarray(jax.random.key_data(require_key(key))).ravel()
    views = _in_one_dtype(pairs)
    size, dtype = 2 * len(views[0]), views[0].dtype
    dim = _dim(dim, size // 2)
    require_range("most_hours", most_hours, 0)
    tolerance = float(np.finfo(dtype).eps) ** (2 / 3) if tolerance is None else tolerance
    check_tolerance(tolerance)
    products = require_count("products", products, low=2)
    tile = None if tile is None else require_count("tile", tile)
    part = processes.share()
    product = KernelProduct(model, views, kind=kind, tile=tile, part=part)
    if width is None:
        width = min(dim + 8 if product.are_kept else max(dim + 8, 64), size)
    width = require_count("width", width, low=dim, high=size)
    digest = ""
    if checkpoint is not None or part != (0, 1):
        digest = _same_everywhere(model, views, kind, dim, width, tile)

    def compute(multiply: processes.Multiply) -> ContrastiveModes:
        store = None if checkpoint is None else Checkpoint(checkpoint, digest)
        space = None if store is None else store.read()
        if space is None or krylov.is_unfinished(space, tolerance, products):
            left = max(TYPICAL[dtype.itemsize] - (0 if space is None else space.products), 2)
            _check_hours(product.estimate(width) * left / 3600, most_hours, size // 2)
        run = _Run(multiply, dtype, dim, width, progress, any(view.any() for view in views))
        if space is None:
            draws = np.random.default_rng(seed)
            space = run.begin(draws.standard_normal((size, width), dtype))
        while krylov.is_unfinished(space, tolerance, products):
            if store is not None:
                store.write(space)
            space = run.advance(space)
        if store is not None:
            store.write(space)
        return _modes(space, dim, tolerance)

    return processes.led(product, compute, ContrastiveModes)


class _Run:
    def __init__(
        self,
        multiply: processes.Multiply,
        dtype: Any,
        dim: int,
        width: int,
        progress: Callable[[Progress], None] | None,
        is_nonzero: bool,
    ) -> None:
        self._product, self._dim, self._most = multiply, dim, (_DEPTH + 1) * width
        self._unit, self._is_nonzero = 1.0, is_nonzero
        self._progress, self._products, self._bound = progress, 0, np.inf
        # The mean of all inputs has most of the energy, and other directions about 1 / size of it:
        # a floor that grows with the size would drop them. Sums over tiles round to a few eps.
        self._floor = 4 * float(np.finfo(dtype).eps)

    def begin(self, start: np.ndarray) -> krylov.HostSpace:
        image = self._multiply(start)
        self._unit = unit = krylov.unit_of(image)
        check_size(np.max(np.abs(image)), image.dtype, "the kernel of these inputs")
        if self._is_nonzero and not image.any():
            message = (
                f"the kernel of these inputs is 0 in {image.dtype.name}; multiply the inputs or "
                "the gains by a constant"
            )
            raise InputError(message)
        image = image / unit
        block, norm = krylov.smoothed(_swapped, image), krylov.norm_of(start, image)
        image = self._multiply(block)
        return krylov.begin(block, image, dim=self._dim, floor=self._floor, norm=norm, unit=unit)

    def advance(self, space: krylov.HostSpace) -> krylov.HostSpace:
        self._unit = space.unit
        self._products, size = space.products, np.max(np.abs(space.eigenvalues), initial=0)
        if size > 0:
            self._bound = float(np.max(space.bound) / size)
        proposal = krylov.propose(_swapped, space, self._most)
        del space  # a restart gives its blocks free
        return krylov.absorb(proposal, self._multiply(proposal.block), floor=self._floor)

    def _multiply(self, v: np.ndarray) -> np.ndarray:
        report = self._progress
        if report is None:
            found = self._product(v)
        else:
            state = self._products, self._bound
            found = self._product(v, lambda share: report(Progress(state[0], share, state[1])))
            self._products += 1
        return found / self._unit


def _swapped(v: np.ndarray) -> np.ndarray:
    """Return J v / 2n for v (2n, columns)."""
    return np.roll(v, len(v) // 2, axis=0) / len(v)


def _modes(space: krylov.HostSpace, dim: int, tolerance: float) -> ContrastiveModes:
    rounding = 4 * float(np.finfo(space.bound.dtype).eps) * space.norm  # of energies
    unit = space.unit
    clipped = max(-space.lowest, 0) / (max(space.scale, rounding) or 1)
    check_definite(np.asarray(clipped))
    # J / 2n has norm 1 / 2n: eigenvalues below this are the rounding of products with K
    least = max(krylov.threshold(space, tolerance), rounding / len(space.basis[0]))
    positive = int(np.sum(space.eigenvalues[:dim] > least))
    is_converged = krylov.is_converged(space, tolerance)
    if positive < dim and (is_converged or space.is_exhausted):
        raise too_few(dim, positive, tolerance, space.bound.dtype)
    if not is_converged:
        remedy = "raise products or tolerance, or lower dim"
        if positive < dim and is_loose(tolerance, space.bound.dtype):
            remedy = hidden_by(tolerance)
        raise not_converged(space.products, positive, dim, remedy)
    return ContrastiveModes(
        as_array(space.eigenvalues[:dim] * unit),
        as_array(krylov.vectors(space, dim) / unit**0.5),
        as_array(space.bound * unit),
        rank=as_array(np.asarray(-1, np.int32)),
        steps=as_array(np.asarray(space.products, np.int32)),
        clipped=as_array(np.asarray(clipped, space.bound.dtype)),
    )


def _in_one_dtype(pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
    """Return both views in NumPy and one dtype of at least float32, without copies if possible."""
    first, second = np.asarray(pairs.first), np.asarray(pairs.second)
    dtype = np.dtype(working(first=first[:1], second=second[:1])[0].dtype)
    return first.astype(dtype, copy=False), second.astype(dtype, copy=False)


def _dim(dim: int, n: int) -> int:
    dim = require_count("dim", dim)
    if dim > n:
        message = f"dim is {dim} but {n} pairs have at most {n} positive modes: give more pairs"
        raise InputError(message)
    return dim


def _check_hours(hours: float, most: float, n: int) -> None:
    if hours > most:
        shown = f"{hours:.1f}" if hours >= 0.1 else f"{hours:.1g}"
        message = (
            f"{n:,} pairs would take about {shown} hours here, more than most_hours={most:g}: "
            f"pass most_hours={np.ceil(hours * 1.5):g} and a checkpoint, or take fewer pairs"
        )
        raise InputError(message)


def _spread(view: np.ndarray) -> np.ndarray:
    """Return a few rows from all over a view, not of zeros if possible."""
    some = np.flatnonzero(view.reshape(len(view), -1).any(1))
    some = some if len(some) else np.arange(len(view))
    chosen: np.ndarray = view[some[np.linspace(0, len(some) - 1, _PROBED).astype(int)]]
    return chosen


def _same_everywhere(
    model: Model,
    views: tuple[np.ndarray, np.ndarray],
    kind: str,
    dim: int,
    width: int,
    tile: int | None,
) -> str:
    """Return a digest of the work, and raise where another process was given other work."""
    few = jnp.asarray(np.concatenate([_spread(view) for view in views]))
    probe = np.asarray(kernel_of(model)(few, few)[KINDS.index(kind)], np.float64).ravel()
    digest = hashlib.sha256()
    for view in views:
        digest.update(np.ascontiguousarray(view).data)
    about = (views[0].shape, str(views[0].dtype), kind, dim, width)
    shared = digest.copy()
    shared.update(repr((*about, tile)).encode())
    padded = np.zeros((2 * _PROBED) ** 2)  # of one length for a single pair too
    padded[: len(probe)] = probe
    processes.require_same(shared.digest(), padded)
    digest.update(repr((*about, [f"{k:.4g}" for k in probe])).encode())
    return digest.hexdigest()
