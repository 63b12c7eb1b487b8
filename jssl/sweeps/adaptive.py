"""Seeds until an interval is tight: blocks of seeds are added point by point.

    half width = t_{n-1}((1 + level) / 2) s / sqrt(n)

over the n seeds that stayed finite, s their standard deviation. The interval is looked at after
every block, so it covers a little less than its level (by 1-2 % after some ten looks at 95 %): aim
lower than needed where that matters.
"""

import math
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from scipy.special import stdtrit

from jssl.errors import InputError, unknown_name
from jssl.sweeps.arguments import check_store
from jssl.sweeps.checks import check_table
from jssl.sweeps.execute import Progress, execute
from jssl.sweeps.labels import variables_of
from jssl.sweeps.prepare import plan_of, prepare
from jssl.sweeps.schema import Until
from jssl.sweeps.store import Variable
from jssl.sweeps.sweep import make_request, open_result
from jssl.sweeps.tiles import Chunk


class Target(NamedTuple):
    """When a point has seeds enough.

    Attributes:
        observable: name of an observable, read at the last step.
        half_width: wanted half width of the interval of its mean, in its own units, or
        relative: as a share of the mean's size; the larger of the two counts.
        level: of the interval, in (0, 1).
        least: seeds a point gets in any case, at least 2.
        select: name of a dimension of the observable -> index, where it has some of its own.
    """

    observable: str
    half_width: float = 0.0
    relative: float = 0.0
    level: float = 0.95
    least: int = 8
    select: Mapping[str, int] = {}


def sweep_until(
    make_problem: Callable[..., Any],
    axes: Mapping[str, Any],
    target: Target,
    *,
    record_steps: Any,
    store: str | os.PathLike[str] | None = None,
    progress: Callable[[Progress], None] | None = None,
    **options: Any,
) -> xr.Dataset:
    """Add blocks of seeds to every point until its interval is tight, up to `axes["seed"]`.

    Args:
        make_problem: see `jssl.sweep`.
        axes: see `jssl.sweep`; `seed` is the greatest number of seeds.
        target: when a point has enough.
        record_steps: see `jssl.sweep`.
        store: see `jssl.sweep`.
        progress: see `jssl.sweep`.
        **options: further arguments of `jssl.sweep`; `seed_block` is the number of seeds added
            at a time, `target.least` if not given.

    Returns:
        Dataset with all seeds as a dimension; runs that were not needed have `first_bad_step` -2
        and NaN.

    Raises:
        InputError: as `jssl.sweep`, or for a target that cannot be.
    """
    check_target(target)
    if store is not None:
        check_store(store)
    request = make_request(make_problem, axes, record_steps, **in_blocks(target, options))
    prepared = prepare(request)
    found = variables_of(prepared, plan_of(prepared, request), request)
    check_observable(target, found)
    plan, result = open_result(prepared, request, store)
    looked: dict[int, np.ndarray] = {}

    def wanted(chunk: Chunk) -> bool:
        if chunk.block not in looked:
            first = chunk.block * plan.seed_block
            looked[chunk.block] = (first < target.least) | ~tight(result.dataset(), target, first)
        open_points = looked[chunk.block]
        return any(bool(open_points[tile.slices[:-1]].any()) for tile in chunk.tiles)

    execute(prepared, plan, result, root=request.seed, progress=progress, wanted=wanted)
    return result.dataset()


def check_target(target: Target) -> None:
    """Raise unless a target can be reached.

    Example:
        >>> check_target(Target("loss"))
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: give half_width or relative, positive: no interval is tighter than 0
    """
    check_table(Until, target._asdict(), "field of the target", place=" of the target")
    if not max(target.half_width, target.relative) > 0:
        message = "give half_width or relative, positive: no interval is tighter than 0"
        raise InputError(message)


def check_observable(target: Target, found: Mapping[str, Variable]) -> None:
    """Raise unless a target names an observable, and an index for each dimension of its own.

    Args:
        target: what is wanted.
        found: the arrays of the result.
    """
    seen = {name: v for name, v in found.items() if "step" in v.dims}
    if target.observable not in seen:
        raise unknown_name(kind="observable", name=target.observable, known=seen)
    variable = seen[target.observable]
    sizes = dict(zip(variable.dims, variable.shape, strict=True))
    own = set(sizes) - {*found["first_bad_step"].dims, "step"}
    for name, index in target.select.items():
        if name not in own:
            raise unknown_name(kind=f"dimension of '{target.observable}'", name=name, known=own)
        if not -sizes[name] <= index < sizes[name]:
            message = f"select.{name} must be from 0 to {sizes[name] - 1}; got {index}"
            raise InputError(message)
    left = own - {*target.select}
    if left:
        message = f"'{target.observable}' has dimensions {sorted(left)}: select an index of each"
        raise InputError(message)


def in_blocks(target: Target, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a sweep whose points get their seeds a block at a time.

    Example:
        >>> in_blocks(Target("loss", half_width=0.1, least=4), {"seed": 3})
        {'seed': 3, 'point_by_point': True, 'seed_block': 4}
    """
    block = options.get("seed_block") or target.least
    return {**options, "point_by_point": True, "seed_block": block}


def tight(found: xr.Dataset, target: Target, seeds: int) -> np.ndarray:
    """Return for every point whether the interval over its first seeds is tight enough."""
    half, mean = interval(found.isel(seed=slice(0, seeds)), target)
    return half <= np.maximum(target.half_width, target.relative * np.abs(mean))


def interval(found: xr.Dataset, target: Target) -> tuple[np.ndarray, np.ndarray]:
    """Return (half width, mean) of the target's observable at every point; NaN below two seeds."""
    values = found[target.observable].isel({"step": -1, **target.select}).transpose(..., "seed")
    ran = found.first_bad_step.transpose(..., "seed").values == -1
    x = np.where(ran, values.values, np.nan)
    n = ran.sum(-1)
    few = n < 2
    total = np.where(few, 1, n)
    mean = np.nansum(x, -1) / total
    spread = np.sqrt(np.nansum((x - mean[..., None]) ** 2, -1) / np.maximum(n - 1, 1))
    factor = stdtrit(np.maximum(n - 1, 1), (1 + target.level) / 2) / np.sqrt(total)
    return np.where(few, math.inf, factor * spread), np.where(few, np.nan, mean)
