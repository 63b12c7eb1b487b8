"""The grid of a sweep: which values are arguments of a program, and which need one of their own.

A point is a dictionary of the arguments of `make_problem`. Its **traced** part (axes with a float
among their numbers) is an argument of a program; its **static** part (names, flags, sizes) is a
constant of a program; `width` is static, or a traced number in arrays of `max_width` where the plan
pads it. Seed i of every point starts from

    fold_in(key(root seed), i),

and from nothing else, so that another point or another seed changes neither a run's start nor its
data. A width padded to another size is the same function, summed in another order: it changes a
run's numbers by rounding, 1e-8 to 2e-7 in float32.
"""

import inspect
import itertools
import math
import numbers
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jssl.errors import InputError, shown, unknown_name
from jssl.sweeps.arrays import Dimension
from jssl.sweeps.axes import SEED, WIDTH, dimensions_of, seed_count
from jssl.sweeps.study import Study

MAX_WIDTH = "max_width"
MOST_PROGRAMS = 10_000
"""Greatest number of programs of a sweep: each takes a second or more to compile."""


class Grid(NamedTuple):
    """All runs of a sweep.

    Attributes:
        study: what is asked for.
        dimensions: every dimension but the seeds.
        traced: fields that are numbers inside a program.
        seeds: number of seeds.
        can_pad: whether `make_problem` takes `max_width`, so that `width` may be padding.
    """

    study: Study
    dimensions: tuple[Dimension, ...]
    traced: frozenset[str]
    seeds: int
    can_pad: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the sizes of the dimensions, seeds last."""
        return (*(d.size for d in self.dimensions), self.seeds)

    @property
    def runs(self) -> int:
        """Return the number of runs."""
        return math.prod(self.shape)


class Program(NamedTuple):
    """One program: its constants, its arguments, and the points that it computes.

    Attributes:
        static: (field, value) pairs that are constants of the program.
        traced: fields that are arguments, `width` among them where it is padded.
        positions: for every dimension, the positions whose product gives its points.
    """

    static: tuple[tuple[str, Any], ...]
    traced: tuple[str, ...]
    positions: tuple[tuple[int, ...], ...]

    @property
    def points(self) -> int:
        """Return the number of points."""
        return math.prod(len(p) for p in self.positions)


def make_grid(study: Study) -> Grid:
    """Return the runs of a study.

    Example:
        >>> from jssl.sweeps.study import make_study
        >>> def make_problem(width, learning_rate, loss, max_width=None): ...
        >>> axes = {"width": [8, 16], "learning_rate": [0.1, 1], "loss": ["vicreg"], "seed": 3}
        >>> grid = make_grid(make_study(make_problem, axes))
        >>> print(grid.shape, sorted(grid.traced), grid.can_pad)
        (2, 2, 1, 3) ['learning_rate'] True
        >>> make_grid(make_study(make_problem, axes | {"widht": [4]}))
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: unknown axis 'widht'; did you mean 'width'? known: ...

    An axis with a float among its numbers is traced, any other is static.

    Raises:
        InputError: for an unknown, missing, empty or duplicate field, a name that is taken, or a
            value out of range.
    """
    dimensions = dimensions_of(study)
    seeds = seed_count(study.axes.get(SEED, 1))
    fields = [name for d in dimensions for name in d.fields]
    can_pad = _check_fields(study.make_problem, fields)
    for name in study.static:
        if name not in fields:
            raise unknown_name(kind="static axis", name=name, known=fields)
    traced = frozenset(
        name
        for d in dimensions
        for name, values in d.fields.items()
        if name not in study.static and name != WIDTH and any(isinstance(v, float) for v in values)
        if all(isinstance(v, numbers.Real) and not isinstance(v, bool) for v in values)
    )
    programs = math.prod(len(_groups(d, traced, {}, set())) for d in dimensions)
    if programs > MOST_PROGRAMS:
        message = (
            f"the axes split the sweep into {programs:,} programs, each of which is compiled; the "
            f"limit is {MOST_PROGRAMS:,}: give fewer names and whole numbers, or write numbers "
            "with a decimal point where the problem can take them traced"
        )
        raise InputError(message)
    return Grid(study, dimensions, traced, seeds, can_pad and WIDTH in fields)


def split(grid: Grid, bins: Mapping[int, int] | None = None) -> list[Program]:
    """Return the programs of a grid, widths padded as `bins` says.

    Example:
        >>> from jssl.sweeps.study import make_study
        >>> def make_problem(width, loss, max_width=None): ...
        >>> axes = {"width": [8, 16], "loss": ["vicreg", "simclr"]}
        >>> grid = make_grid(make_study(make_problem, axes))
        >>> print(len(split(grid)), len(split(grid, {8: 16, 16: 16})))
        4 2
        >>> split(grid, {8: 16, 16: 16})[0].static
        (('loss', 'vicreg'), ('max_width', 16))

    Args:
        grid: the runs.
        bins: width -> width of the arrays it is padded to; None for a program per width.
    """
    bins = bins or {}
    shared = {size for size in bins.values() if list(bins.values()).count(size) > 1}
    groups = [_groups(d, grid.traced, bins, shared) for d in grid.dimensions]
    programs = []
    for combination in itertools.product(*(group.items() for group in groups)):
        static = tuple(sorted(pair for key, _ in combination for pair in key))
        padded = any(name == MAX_WIDTH for name, _ in static)
        traced = tuple(sorted(grid.traced | ({WIDTH} if padded else set())))
        programs.append(
            Program(static, traced, tuple(tuple(positions) for _, positions in combination))
        )
    return programs


def values_at(grid: Grid, traced: Sequence[str], index: np.ndarray) -> dict[str, np.ndarray]:
    """Return the traced numbers of some points.

    Args:
        grid: the runs.
        traced: which fields.
        index: (points, dimensions) positions.

    Returns:
        field -> (points,) numbers, integers for a padded width.
    """
    found = {}
    for column, dimension in enumerate(grid.dimensions):
        for name in dimension.fields:
            if name in traced:
                dtype = np.int64 if name == WIDTH else np.float64
                found[name] = np.asarray(dimension.fields[name], dtype)[index[:, column]]
    return found


def widths(grid: Grid) -> list[int]:
    """Return the distinct widths of a grid, ascending."""
    return sorted({w for d in grid.dimensions for w in d.fields.get(WIDTH, ())})


def _groups(
    dimension: Dimension, traced: frozenset[str], bins: Mapping[int, int], shared: set[int]
) -> dict[tuple[tuple[str, Any], ...], list[int]]:
    def pair(name: str, value: Any) -> tuple[str, Any]:
        if name == WIDTH and bins.get(value) in shared:
            return MAX_WIDTH, bins[value]
        return name, value

    names = [name for name in dimension.fields if name not in traced]
    columns = [dimension.fields[name] for name in names]
    if not names:
        return {(): list(range(dimension.size))}
    groups: dict[tuple[tuple[str, Any], ...], list[int]] = {}
    for position, row in enumerate(zip(*columns, strict=True)):
        key = tuple(pair(name, value) for name, value in zip(names, row, strict=True))
        groups.setdefault(key, []).append(position)
    return groups


def _check_fields(make_problem: Callable[..., Any], fields: Sequence[str]) -> bool:
    """Raise unless `make_problem` can be called with the fields; return whether it can pad."""
    try:
        parameters = inspect.signature(make_problem).parameters
    except (TypeError, ValueError) as error:
        message = f"make_problem must be a function of named arguments; got {shown(make_problem)}"
        raise InputError(message) from error
    kinds = inspect.Parameter
    known = [
        n
        for n, p in parameters.items()
        if p.kind in (kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY)
    ]
    if not any(p.kind is kinds.VAR_KEYWORD for p in parameters.values()):
        for name in fields:
            if name not in known:
                raise unknown_name(kind="axis", name=name, known=[*known, SEED])
    for name, p in parameters.items():
        if p.kind is kinds.POSITIONAL_ONLY and p.default is kinds.empty:
            message = f"make_problem must take '{name}' by name; it takes it by position only"
            raise InputError(message)
    for name in known:
        if parameters[name].default is kinds.empty and name not in fields:
            message = f"make_problem needs '{name}': give it as an axis"
            raise InputError(message)
    return MAX_WIDTH in known


def widths_of(grid: Grid, program: Program, axis: int) -> set[Any]:
    """Return the widths of a program along a dimension of the grid; none where it has no width."""
    fields = grid.dimensions[axis].fields
    return {fields[WIDTH][i] for i in program.positions[axis]} if WIDTH in fields else set()


def positions_between(shape: tuple[int, ...], first: int, last: int) -> Iterator[tuple[int, ...]]:
    """Yield the positions `first` to `last` - 1 of an array, in C order; () of a scalar."""
    if not shape:
        yield ()
        return
    for flat in range(first, last):
        yield tuple(int(i) for i in np.unravel_index(flat, shape))
