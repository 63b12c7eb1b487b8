"""What is asked for: the arguments of `jssl.sweep` or the keys of a study file, checked.

`make_study` refuses what is of a wrong type or out of range, before anything is traced. Values of
axes are checked when the grid is made, names of observables when the problem is traced.
"""

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple

import jax
import numpy as np
from msgspec import Meta, Struct

from jssl.errors import InputError, shown, unknown_name
from jssl.paths import is_url, store_name
from jssl.record_steps import MAX_STEP, checked_record_steps, log_spaced_steps
from jssl.value_checks import FLOAT_MAX, check_table, check_value

MOST_RECORDS = 1_000_000
"""Greatest number of record points."""
CHUNK_SECONDS = 20.0
"""Default duration of a chunk."""

Count = Annotated[int, Meta(ge=1, le=MAX_STEP)]
NotNegative = Annotated[float, Meta(ge=0, le=FLOAT_MAX)]
Name = Annotated[str, Meta(min_length=1)]


class Layout(Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """How the work is divided; none of these keys changes what a run computes."""

    chunk_seconds: Annotated[
        float,
        Meta(gt=0, le=1e9, description="predicted seconds of a chunk; a crash loses at most one"),
    ] = CHUNK_SECONDS
    memory: Annotated[
        Annotated[float, Meta(gt=0, le=1e18)] | None,
        Meta(
            description="bytes that a device may use; if left out, 80 % of an accelerator's "
            "memory, or half of what is free"
        ),
    ] = None
    seed_block: Annotated[
        Count | None, Meta(description="seeds that are computed and stored together")
    ] = None
    segment: Annotated[
        Count | None, Meta(description="record points between two saved states of a long chunk")
    ] = None


class Until(Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Seeds are added to a point until the interval of a mean is narrow enough."""

    observable: Annotated[
        Name, Meta(description="name of the observable; its value at the last step counts")
    ]
    half_width: Annotated[
        NotNegative,
        Meta(description="wanted half width of the interval, in the units of the observable"),
    ] = 0.0
    relative: Annotated[
        NotNegative,
        Meta(description="wanted half width as a share of the mean; the larger width counts"),
    ] = 0.0
    level: Annotated[float, Meta(gt=0, lt=1, description="confidence level of the interval")] = 0.95
    least: Annotated[
        int, Meta(ge=2, le=MAX_STEP, description="number of seeds that every point gets")
    ] = 8
    select: Annotated[
        dict[str, Annotated[int, Meta(ge=-MAX_STEP, le=MAX_STEP)]],
        Meta(description="index, from 0, along each further dimension of the observable"),
    ] = {}


class Options(Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Arguments that a study file and `jssl.sweep` share, besides the axes."""

    seed: Annotated[
        int, Meta(ge=0, le=2**32 - 1, description="root seed; the key of every run follows from it")
    ] = 0
    parallel: Annotated[
        Literal["seed", "batch"],
        Meta(description="what is split over the devices: the runs, or the batch of every run"),
    ] = "seed"
    zip: Annotated[
        list[list[Name]],
        Meta(description="groups of axes of equal length that run along one dimension"),
    ] = []
    static: Annotated[
        list[Name],
        Meta(
            description="axes of floats that the problem needs as Python numbers; each value is "
            "a program"
        ),
    ] = []


class Target(NamedTuple):
    """When a point has enough seeds.

    Attributes:
        observable: name of an observable; its value at the last step counts.
        half_width: wanted half width of the interval of its mean, in its own units, or
        relative: as a share of the mean's size; the larger of the two counts.
        level: confidence level of the interval, in (0, 1).
        least: number of seeds that every point gets, at least 2.
        select: name of a further dimension of the observable -> index along it.
    """

    observable: str
    half_width: float = 0.0
    relative: float = 0.0
    level: float = 0.95
    least: int = 8
    select: Mapping[str, int] = {}


class Study(NamedTuple):
    """What is asked for; `jssl.sweep` describes the fields.

    Attributes:
        make_problem: a function of named arguments.
        axes: field -> values; `seed` is the number of seeds.
        record_steps: (points,) int64.
        observe: a function, or None.
        seed: root seed.
        points: explicit points, or None.
        zip: groups of axes that run together.
        static: axes of floats that stay Python numbers.
        dims: observable -> names of its further dimensions.
        precision: of matrix products.
        parallel: "seed" or "batch".
        store: folder or URL of the result; None for memory.
        dtype: "float32" or "float64", the precision of the runs.
        until: when a point has enough seeds; None to compute all of them.
        chunk_seconds: predicted seconds of a chunk.
        memory: bytes that a device may use, or None.
        seed_block: seeds that are computed together, or None.
        segment: record points between two saved states, or None.
    """

    make_problem: Callable[..., Any]
    axes: Mapping[str, Any]
    record_steps: np.ndarray
    observe: Any = None
    seed: int = 0
    points: Sequence[Mapping[str, Any]] | None = None
    zip: Sequence[Sequence[str]] = ()
    static: Sequence[str] = ()
    dims: Mapping[str, Sequence[str]] = {}
    precision: str = "highest"
    parallel: str = "seed"
    store: str | None = None
    dtype: str = "float32"
    until: Target | None = None
    chunk_seconds: float = CHUNK_SECONDS
    memory: float | None = None
    seed_block: int | None = None
    segment: int | None = None


def make_study(make_problem: Any, axes: Any, record_steps: Any = None, **options: Any) -> Study:
    """Return the study that some arguments ask for.

    Example:
        >>> make_study(print, {}, [0, 1], seed=-1)
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: seed must be a whole number from 0 to 4294967295; got -1

    Args:
        make_problem: a function of named arguments.
        axes: field -> values.
        record_steps: steps; None for some 20, log-spaced up to 1,000.
        **options: further fields of `Study`; `dtype` is by default that of the caller.

    Raises:
        InputError: for the first argument that cannot be used.
    """
    for name in options:
        if name not in Study._fields:
            raise unknown_name(kind="option", name=name, known=Study._fields)
    check_function("make_problem", make_problem)
    steps = log_spaced_steps(1000, 20) if record_steps is None else _steps(record_steps)
    options.setdefault("dtype", jax.numpy.result_type(float).name)
    study = Study(make_problem, axes, steps, **options)
    if study.observe is not None:
        check_observe(study.observe)
    check_value(dict[str, list[Name]], study.dims, "dims")
    points = study.points
    if points is not None and (isinstance(points, str) or not isinstance(points, Sequence)):
        message = f"points must be a list of tables; got {shown(points)}"
        raise InputError(message)
    for table in (Options, Layout):
        given = {k: getattr(study, k) for k in table.__struct_fields__}
        check_table(table, {k: v for k, v in given.items() if v is not None}, "option")
    _check_precision(study.precision)
    if study.store is not None:
        study = study._replace(store=_store(study.store))
    if study.until is not None:
        check_target(study.until)
        study = study._replace(seed_block=study.seed_block or study.until.least)
    return study


def check_target(target: Target) -> None:
    """Raise unless an interval can meet a target.

    Example:
        >>> check_target(Target("loss"))
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: give half_width or relative, above 0; no interval has width 0
    """
    check_table(Until, target._asdict(), "field of the target", place=" of the target")
    if not max(target.half_width, target.relative) > 0:
        message = "give half_width or relative, above 0; no interval has width 0"
        raise InputError(message)


def check_function(what: str, function: Any) -> None:
    """Raise unless something is a function.

    Example:
        >>> check_function("observe", 3)
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: observe must be a function; got 3
    """
    if not isinstance(function, Callable):  # type: ignore[arg-type]
        message = f"{what} must be a function; got {shown(function)}"
        raise InputError(message)


def check_observe(function: Any) -> None:
    """Raise unless something is a function that can be called with the problem alone.

    Example:
        >>> check_observe(lambda params, pairs: {})
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: observe of a sweep takes the problem and returns a function of ...
    """
    check_function("observe", function)
    try:
        inspect.signature(function).bind(None)
    except ValueError:  # it has no signature
        return
    except TypeError as error:
        message = (
            "observe of a sweep takes the problem and returns a function of (params, pairs); write "
            "observe=lambda problem: f for the function f of jssl.simulate"
        )
        raise InputError(message) from error


def check_shard(shard: Any, store: Any) -> None:
    """Raise unless a shard is (i, n) with 0 <= i < n, and has a store if n is above 1.

    Example:
        >>> check_shard((0, 2), None)
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: shard=(i, n) needs a shared store: pass store=...
    """
    pair = isinstance(shard, list | tuple) and len(shard) == 2
    if not pair or any(isinstance(x, bool) or not isinstance(x, int) for x in shard):
        message = f"shard must be two whole numbers (i, n); got {shown(shard)}"
        raise InputError(message)
    if not 0 <= shard[0] < shard[1]:
        message = f"shard (i, n) needs 0 <= i < n; got {shown(shard)}"
        raise InputError(message)
    if shard[1] > 1 and store is None:
        message = "shard=(i, n) needs a shared store: pass store=..."
        raise InputError(message)


def _steps(given: Any) -> np.ndarray:
    if hasattr(given, "__len__") and len(given) > MOST_RECORDS:
        message = f"record_steps has more than {MOST_RECORDS:,} steps; give fewer"
        raise InputError(message)
    return checked_record_steps(given)


def _check_precision(name: Any) -> None:
    try:
        with jax.default_matmul_precision(name):
            pass
    except (TypeError, ValueError) as error:
        message = (
            "precision is that of matrix products, such as 'highest', 'high' or 'default'; got "
            f"{shown(name)}"
        )
        raise InputError(message) from error


def _store(store: Any) -> str:
    """Return the name of a store with `~` expanded, or raise where none can be there."""
    if not isinstance(store, str | os.PathLike) or not os.fspath(store):
        message = f"store must be the path of a folder, or a URL; got {shown(store)}"
        raise InputError(message)
    text = os.fspath(store)
    if not isinstance(text, str):
        text = os.fsdecode(text)
    path = store_name(text)
    if is_url(path):
        return path
    try:
        os.stat(path)
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        reason = str(getattr(error, "strerror", None) or error).lower()
        message = f"cannot write the store {shown(path)} ({reason}); choose another folder"
        raise InputError(message) from error
    return path
