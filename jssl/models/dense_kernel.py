"""The infinite-width kernel of a dense network on data: by blocks on the host, or traced.

Arrays on the CPU are taken block by block: NumPy multiplies, and the recursion over the layers is
one compiled program for all blocks, or NumPy as well where that costs less than compilation. Of a
set with itself only the upper half is computed. Under jit, grad and vmap, and for arrays on an
accelerator, the whole kernel is one program.
"""

import math
import numbers
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jssl.arithmetic import unit_of, working
from jssl.devices import cores
from jssl.models.correlation import Directions, directions, gaps, gaps_of_product, unit_rows
from jssl.models.expectations import NUMPY_COST
from jssl.models.layers import flatten
from jssl.models.recursion import Gains, Network, Side, propagate, side
from jssl.models.zonal import HOMOGENEOUS, zonal
from jssl.models.zonal import compiled as compiled_zonal
from jssl.models.zonal import evaluate as evaluate_zonal
from jssl.precision import float64
from jssl.types import Array

KINDS = ("nngp", "ntk")
BLOCK = 512
"""Most rows and columns of a block."""

_PANEL = 2  # rows of blocks in one product: those of single blocks are a third as fast
_NUMPY_STEP = 1.2  # nanoseconds of NumPy for a pair of inputs and a power of a polynomial
_COMPILE = 0.25e9  # nanoseconds of NumPy that a compilation is worth
_COMPILE_POLYNOMIAL = 0.15e9  # the same for polynomials


@dataclass(frozen=True, eq=False)
class DenseKernel:
    """The function `kernel(x1, x2) -> (nngp, ntk)` of a dense network.

    Attributes:
        network: its layers.
        gains: its numbers.
        in_dim: numbers a sample.
    """

    network: Network
    gains: Gains
    in_dim: int

    @property
    def is_homogeneous(self) -> bool:
        """Whether k(c x, c x') = c^2 k(x, x') for c > 0."""
        return self.network.activation in HOMOGENEOUS and not self.network.biased

    def __call__(self, x1: Array, x2: Array) -> tuple[Array, Array]:
        """Return NNGP and NTK, (n1, n2) each, in the dtype of the inputs, at least float32."""
        nngp, ntk = self.of_kinds(x1, x2, KINDS)
        return nngp, ntk

    def of_kinds(
        self, x1: Array, x2: Array | None, kinds: Sequence[str] = KINDS
    ) -> tuple[Array, ...]:
        """Return the kernels of these kinds; x2 is None for those of x1 with itself.

        Example:
            >>> kernel = DenseKernel(Network("relu", 1), Gains(2**0.5), 2)
            >>> ntk, = kernel.of_kinds(np.eye(2), None, ["ntk"])
            >>> np.asarray(ntk, float).round(6).tolist()
            [[2.0, 0.31831], [0.31831, 2.0]]

        Args:
            x1: (n1, ...) inputs.
            x2: (n2, ...) inputs or None.
            kinds: of `KINDS`.

        Raises:
            InputError: a sample does not hold in_dim numbers, or they are not real.
        """
        given = {"x1": x1} if x2 is None else {"x1": x1, "x2": x2}
        inputs = [flatten(x, self.in_dim) for x in working(**given)]
        if self.is_on_host(*inputs):
            first, second = np.asarray(inputs[0]), None if x2 is None else np.asarray(inputs[1])
            return tuple(map(jax.dlpack.from_dlpack, self.on_host(first, second, kinds)))
        return _traced(self.network, tuple(kinds), self.gains, inputs[0], inputs[-1])

    def on_host(
        self, x1: np.ndarray, x2: np.ndarray | None, kinds: Sequence[str] = KINDS
    ) -> tuple[np.ndarray, ...]:
        """Return the kernels of these kinds of (n, in) floating NumPy arrays, in NumPy arrays."""
        return _on_host(self, x1, x2, tuple(KINDS.index(kind) for kind in kinds))

    def is_on_host(self, *inputs: Any) -> bool:
        """Return whether neither gains nor inputs are traced or on an accelerator."""
        if not all(isinstance(gain, numbers.Real | np.ndarray) for gain in self.gains):
            return False
        arrays = [a for a in inputs if isinstance(a, jax.Array)]
        try:
            return all(d.platform == "cpu" for a in arrays for d in a.devices())
        except jax.errors.ConcretizationTypeError:
            return False


def _on_host(
    kernel: DenseKernel, x1: np.ndarray, x2: np.ndarray | None, kinds: tuple[int, ...]
) -> tuple[np.ndarray, ...]:
    """Multiply, and then apply the recursion over the layers to blocks, in threads.

    All products come first: BLAS keeps its threads busy for a while after each of them.
    """
    unit, length = unit_rows(x1)
    centre = unit.mean(0) if len(unit) else np.zeros_like(unit, shape=unit.shape[1:])
    first = second = directions(unit, centre), host_side(kernel, length)
    if x2 is not None:
        unit, length = unit_rows(x2)
        second = directions(unit, centre), host_side(kernel, length)
    shape = len(first[0].half), len(second[0].half)
    found = tuple(_aligned(shape, x1.dtype) for _ in kinds)
    entries = math.prod(shape) / (2 if x2 is None else 1)
    evaluate = evaluator(kernel, x1.dtype, kinds, entries=entries)
    steps = [even_step(size, BLOCK) for size in shape]
    for rows in _slices(0, shape[0], _PANEL * steps[0]):
        columns = slice(rows.start if x2 is None else 0, shape[1])
        factors = first[0].offset[rows], second[0].offset[columns].T
        np.matmul(*factors, out=found[0][rows, columns])

    # a setting of JAX, such as 64 bits, holds in one thread alone
    precision = float64 if x1.dtype == np.float64 else nullcontext

    def finish(rows: slice, columns: slice) -> None:
        (at1, side1), (at2, side2) = first, second
        gap = gaps_of_product(
            found[0][rows, columns], part_of_directions(at1, rows), part_of_directions(at2, columns)
        )
        with precision():
            kernels = evaluate(gap, part_of_side(side1, rows), part_of_side(side2, columns))
        for whole, part in zip(found, map(np.asarray, kernels), strict=True):
            whole[rows, columns] = (part + part.T) / 2 if x2 is None and rows == columns else part
            if x2 is None and rows != columns:
                whole[columns, rows] = part.T

    blocks = [
        (rows, columns)
        for rows in _slices(0, shape[0], steps[0])
        for columns in _slices(rows.start if x2 is None else 0, shape[1], steps[1])
    ]
    if len(blocks) == 1:  # a small kernel starts no thread
        finish(*blocks[0])
        return found
    with ThreadPoolExecutor(cores()) as threads:
        for done in [threads.submit(finish, *block) for block in blocks]:
            done.result()
    return found


Evaluate = Callable[[Any, Side, Side], tuple[Any, ...]]
"""`evaluate(gap, first, second)` -> kernels of a block."""


def evaluator(
    kernel: DenseKernel,
    dtype: Any,
    kinds: tuple[int, ...],
    *,
    entries: float,
) -> Evaluate:
    """Return the function of a block's gaps that gives its kernels, as fast as it is known.

    Args:
        kernel: of the network.
        dtype: of the numbers.
        kinds: indices into `KINDS`.
        entries: pairs of inputs that it will serve; it is compiled where they cost more in NumPy.
    """
    network = kernel.network
    polynomials = zonal(network, Gains(*map(float, kernel.gains)), np.dtype(dtype))
    if polynomials is not None:
        cost = _NUMPY_STEP * len(polynomials.near) * len(kinds)
        function = compiled_zonal if entries * cost > _COMPILE_POLYNOMIAL else evaluate_zonal

        def evaluate(gap: Any, first: Side, second: Side) -> tuple[Any, ...]:
            return function(polynomials, gap, first.root[:, None], second.root[None], kinds)

        return evaluate
    cost = NUMPY_COST.get(network.activation, 5000) * max(network.hidden, 1)
    gains = Gains(*(np.asarray(gain, dtype)[()] for gain in kernel.gains))
    general = partial(_compiled if entries * cost > _COMPILE else propagate, network, gains)
    return lambda *block: tuple(general(*block)[kind] for kind in kinds)


def _aligned(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return an empty array that JAX takes without a copy: its address is a multiple of 64."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    raw = np.empty(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size].view(dtype).reshape(shape)


def even_step(size: int, most: int) -> int:
    """Return rows of a block, at most `most`, so that the last block is about as large.

    Example:
        >>> even_step(4000, 512)
        500
    """
    return -(-size // -(-size // most)) if size else 1


def _slices(first: int, last: int, step: int) -> list[slice]:
    return [slice(start, min(start + step, last)) for start in range(first, last, step)]


def part_of_side(whole: Side, at: slice) -> Side:
    """Return what the recursion needs of some of the inputs."""
    return Side(whole.root[at], whole.after[:, at])


def part_of_directions(of: Directions, at: slice) -> Directions:
    """Return the directions of some of the inputs."""
    return Directions(of.offset[at], of.half[at], of.centre)


def host_side(kernel: DenseKernel, length: np.ndarray) -> Side:
    """Return what the recursion needs of inputs of these lengths, (n,), in NumPy."""
    gains = Gains(*(np.asarray(gain, length.dtype)[()] for gain in kernel.gains))
    root = length / np.sqrt(length.dtype.type(kernel.in_dim))
    return side(kernel.network, gains, root)


@partial(jax.jit, static_argnums=0)
def _compiled(
    network: Network, gains: Gains, gap: Array, first: Side, second: Side
) -> tuple[Array, Array]:
    return propagate(network, gains, gap, first, second)


@partial(jax.jit, static_argnums=(0, 1))
def _traced(
    network: Network, kinds: tuple[str, ...], gains: Gains, x1: Array, x2: Array
) -> tuple[Array, ...]:
    gains = Gains(*(jnp.asarray(gain, x1.dtype) for gain in gains))
    (unit1, length1), (unit2, length2) = unit_rows(x1), unit_rows(x2)
    root = jnp.concatenate([length1, length2]) * x1.shape[1] ** -0.5
    units = jnp.ones_like(root)
    if network.activation in HOMOGENEOUS and not network.biased:
        units = jax.lax.stop_gradient(unit_of(root[:, None], 1))  # squares of lengths may overflow
        root = root / units
    whole = side(network, gains, root)  # of both sets at once: fewer operations to compile
    first, second = part_of_side(whole, slice(len(x1))), part_of_side(whole, slice(len(x1), None))
    centre = jax.lax.stop_gradient(jnp.mean(unit1, axis=0))  # any vector gives the same gaps
    gap = gaps(directions(unit1, centre), directions(unit2, centre))
    both = propagate(network, gains, gap, first, second)
    left, right = units[: len(x1), None], units[len(x1) :]
    return tuple(both[KINDS.index(kind)] * left * right for kind in kinds)
