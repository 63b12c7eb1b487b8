"""Integration of a few ordinary differential equations by SciPy, which always ends."""

import itertools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.integrate

from jssl.errors import InputError

EVALUATIONS = 50_000
"""Evaluations of the velocity after which an integration is given up; most take hundreds."""


def integrate(
    rates: Callable[[Any, Any], Any],
    span: tuple[float, float],
    start: Any,
    *,
    evaluations: int = EVALUATIONS,
    **options: Any,
) -> Any:
    """Return the result of `scipy.integrate.solve_ivp`, complete and finite.

    Example:
        >>> solved = integrate(lambda t, y: -y, (0, 1), [1.0], t_eval=[1.0], rtol=1e-8)
        >>> print(solved.y.round(5))
        [[0.36788]]
        >>> integrate(lambda t, y: y**2, (0, 2), [1.0])
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: the integration does not end: arguments or times are too many...

    Args:
        rates: `rates(t, y)`.
        span: first and last time.
        start: (n,) the state at the first time.
        evaluations: of the velocity, after which the integration is given up.
        **options: of `solve_ivp`.

    Raises:
        InputError: if the solver gives up, if it needs more evaluations, or if
            the path leaves the range of float64.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # LSODA's; what it warns of is found below
        solved = scipy.integrate.solve_ivp(at_most(rates, evaluations), span, start, **options)
    if not solved.success or not np.isfinite(solved.y).all():
        raise too_far_apart()
    return solved


def path(
    rates: Callable[[Any, Any], Any], times: np.ndarray, start: np.ndarray, **options: Any
) -> np.ndarray:
    """Return the states (T, n) at times >= 0, from the state at time 0.

    Example:
        >>> print(path(lambda t, y: -y, np.array([0.0, 1.0]), np.array([1.0]), rtol=1e-8).round(5))
        [[1.     ]
         [0.36788]]

    Where nothing moves by more than 1e-12 of itself, and velocities do not either, the path is a
    line to float64. No solver is asked for it then: its steps would be below its own rounding.

    Args:
        rates: `rates(t, y)`.
        times: (T,) increasing, >= 0.
        start: (n,) the state at time 0.
        **options: of `integrate`.

    Raises:
        InputError: as `integrate`.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        velocity = np.asarray(rates(0.0, start))
        line = start + times[:, None] * velocity
        still = np.abs(line[-1] - start) <= 1e-12 * np.abs(start)
        if (still | (start == 0)).all():
            later = np.asarray(rates(times[-1], line[-1]))
            if (np.abs(later - velocity) <= 1e-9 * np.abs(velocity)).all():
                return np.asarray(line)
    return np.asarray(integrate(rates, (0.0, times[-1]), start, t_eval=times, **options).y.T)


def at_most(
    rates: Callable[[Any, Any], Any], calls: int = EVALUATIONS
) -> Callable[[Any, Any], Any]:
    """Return the velocity for a solver, which raises once it was asked for too often.

    Example:
        >>> at_most(lambda t, y: -y, calls=1)(0.0, 2.0)
        -2.0

    Args:
        rates: `rates(t, y)`.
        calls: number of calls that are answered.

    Raises:
        InputError: after that many calls, from the function that is returned.
    """
    count = itertools.count(1)

    def counted(t: Any, y: Any) -> Any:
        if next(count) > calls:
            raise too_far_apart()
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            return rates(t, y)

    return counted


def too_far_apart() -> InputError:
    """Return the error for an integration that does not end.

    Example:
        >>> print(too_far_apart())
        the integration does not end: arguments or times are too many orders of magnitude apart
    """
    return InputError(
        "the integration does not end: arguments or times are too many orders of magnitude apart"
    )
