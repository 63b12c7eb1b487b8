"""The steps at which a run is recorded: whole numbers from 0 to 2^31 - 1."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jssl.errors import InputError, shown

MAX_STEP = 2**31 - 1
"""The last step: steps are counted in int32, and step k draws from `fold_in(key, k)`."""


def log_spaced_steps(last: int, points: int, first: int = 1) -> np.ndarray:
    """Return distinct steps from 0 to `last`, log-spaced from `first` on.

    Example:
        >>> print(log_spaced_steps(1000, 4))
        [   0    1   10  100 1000]

    Args:
        last: the last step, at least `first`.
        points: number of log-spaced points before rounding.
        first: the first step after 0, at least 1.

    Raises:
        InputError: for numbers that are out of range, and for steps above 2**31 - 1.
    """
    if not 1 <= first <= last or points < 2:
        message = f"need 1 <= first <= last and points >= 2; got {first=}, {last=}, {points=}"
        raise InputError(message)
    if last > MAX_STEP:
        message = f"steps end at 2**31 - 1 = {MAX_STEP}; got {last=}"
        raise InputError(message)
    spaced = np.round(np.geomspace(first, last, points)).astype(np.int64)
    return np.unique(np.concatenate([[0], spaced]))


def checked_record_steps(
    record_steps: Sequence[int] | np.ndarray, name: str = "record_steps"
) -> np.ndarray:
    """Return the record points as int64, or raise `InputError` under the name of the argument.

    Example:
        >>> checked_record_steps([0, 2**31])
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: record_steps end at step 2**31 - 1 = 2147483647; got 2147483648
    """
    try:
        steps = np.asarray(record_steps)
    except ValueError:  # lists of different lengths
        steps = np.empty(0)
    numbers = steps.ndim == 1 and steps.size and steps.dtype.kind in "iuf"
    whole = numbers and np.isfinite(steps).all() and (steps == np.trunc(steps)).all()
    if not whole or steps[0] < 0 or np.any(steps[1:] <= steps[:-1]):
        message = (
            f"{name} must be a non-empty list of whole numbers, increasing from 0 or more; "
            f"got {shown(record_steps)}"
        )
        raise InputError(message)
    if steps[-1] > MAX_STEP:
        message = f"{name} end at step 2**31 - 1 = {MAX_STEP}; got {steps[-1]:.0f}"
        raise InputError(message)
    return steps.astype(np.int64)


def check_count(steps: Any) -> None:
    """Raise `InputError` for a number of steps that is negative or above 2**31 - 1; tracers pass.

    Example:
        >>> check_count(2**31)
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: steps must be between 0 and 2**31 - 1; got 2147483648
    """
    if isinstance(steps, int | np.integer) and not 0 <= steps <= MAX_STEP:
        message = f"steps must be between 0 and 2**31 - 1; got {steps}"
        raise InputError(message)
