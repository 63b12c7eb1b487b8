"""The arguments of `jssl.sweep`, checked before anything else looks at them.

A study file passes through the same checks: its keys become these arguments.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax

from jssl.errors import InputError, shown
from jssl.record_steps import checked_record_steps
from jssl.sweeps.checks import check_table, check_value
from jssl.sweeps.schema import MOST_RECORDS, Layout, Name, Options

SHARED = ("seed", "parallel", "zip", "static")
LAYOUT = ("chunk_seconds", "memory", "seed_block", "segment")


def check_arguments(
    make_problem: Any,
    record_steps: Any,
    observe: Any,
    dims: Any,
    precision: Any,
    points: Any,
    given: Mapping[str, Any],
) -> None:
    """Raise unless the arguments of a sweep are of their types and in their ranges.

    Example:
        >>> check_arguments(print, [0, 1], None, {}, "highest", None, {"seed": -1})
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: seed must be a whole number from 0 to 4294967295; got -1

    Args:
        make_problem: see `jssl.sweep`, as are all others.
        record_steps: steps at which observables are kept.
        observe: a function, or None.
        dims: observable -> names.
        precision: of matrix products.
        points: a list of tables, or None.
        given: `seed`, `parallel`, `zip`, `static` and the keys of the layout, those that are None
            left out.

    Raises:
        InputError: for the first argument that cannot be used.
    """
    check_function("make_problem", make_problem)
    check_records(record_steps)
    if observe is not None:
        check_function("observe", observe)
    check_value(dict[str, list[Name]], dims, "dims")
    if points is not None and (isinstance(points, str) or not isinstance(points, Sequence)):
        message = f"points must be a list of tables; got {shown(points)}"
        raise InputError(message)
    check_table(Options, {k: v for k, v in given.items() if k in SHARED}, "option")
    check_table(Layout, {k: v for k, v in given.items() if k in LAYOUT}, "option")
    check_precision(precision)


def check_records(record_steps: Any) -> None:
    """Raise unless record points are a list of numbers that a run can count.

    Example:
        >>> check_records(range(10**9))
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: record_steps holds more than 1,000,000 steps; give fewer
    """
    if hasattr(record_steps, "__len__") and len(record_steps) > MOST_RECORDS:
        message = f"record_steps holds more than {MOST_RECORDS:,} steps; give fewer"
        raise InputError(message)
    checked_record_steps(record_steps)


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


def check_precision(name: Any) -> None:
    """Raise unless JAX knows a precision of matrix products.

    Example:
        >>> check_precision("highest")
    """
    try:
        with jax.default_matmul_precision(name):
            pass
    except (TypeError, ValueError) as error:
        message = (
            f"precision is that of matrix products, such as 'highest', 'high' or 'default'; got "
            f"{shown(name)}"
        )
        raise InputError(message) from error


def check_store(store: Any) -> None:
    """Raise unless a store may be where it is said to be.

    Example:
        >>> check_store("")
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: store must be the path of a folder; got ''
    """
    if not isinstance(store, str | os.PathLike) or not os.fspath(store):
        message = f"store must be the path of a folder; got {shown(store)}"
        raise InputError(message)
    try:
        os.stat(store)
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        reason = str(getattr(error, "strerror", None) or error).lower()
        message = f"cannot write the store {shown(str(store))} ({reason}); choose another folder"
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
