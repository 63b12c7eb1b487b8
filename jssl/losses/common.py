"""Functions that losses share: checks of arguments, a common dtype, and safe unit vectors.

Every loss computes and returns in float32 at least: half-precision embeddings are converted first,
so that sums over a batch neither overflow nor lose accuracy, and their gradients are again in half
precision. A value that is not finite in the embeddings makes the loss not finite.

A hyperparameter has the same meaning in every loss; its allowed range is defined here, by name.
"""

import math
import numbers
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jssl.arithmetic import working
from jssl.errors import InputError, shown, unknown_name
from jssl.host_arithmetic import host_value
from jssl.types import Array

POSITIVE = frozenset(
    {"align_exponent", "exponent", "target_std", "temperature", "uniform_scale", "width"}
)
NON_NEGATIVE = frozenset(
    {
        "covariance",
        "epsilon",
        "hardness",
        "invariance",
        "negative_weight",
        "redundancy",
        "variance",
        "weight",
    }
)
SHARES = frozenset({"trade_off"})


def prepare(za: Any, zb: Any, least: int = 1, **hyperparameters: Any) -> tuple[Array, ...]:
    """Check two embeddings and scalar hyperparameters and return all of them in one dtype.

    The dtype is the wider of the embeddings' and at least float32, JAX's default float for
    integers. Hyperparameters follow it, so that a float64 number on the host or a float32 tracer
    of a sweep never promotes the loss.

    Args:
        za: (n, dim) embeddings of the first views.
        zb: (n, dim) embeddings of the second views.
        least: the smallest n for which the loss is defined.
        **hyperparameters: numbers, checked by `check_number`.

    Raises:
        InputError: on shapes that are not two equal (n, dim) with n >= `least`, on embeddings
            that are not real numbers, or on a hyperparameter out of range.
    """
    za, zb = working(za=za, zb=zb)
    if za.ndim != 2 or za.shape != zb.shape or not za.shape[1]:
        message = (
            "a loss takes two (n, dim) embeddings of equal shape, row i of both from sample i; "
            f"got {za.shape} and {zb.shape}"
        )
        raise InputError(message)
    if za.shape[0] < least:
        pairs = "one pair" if least == 1 else f"{least} pairs"
        message = f"this loss compares samples: pass at least {pairs}; got {za.shape[0]}"
        raise InputError(message)
    for name, value in hyperparameters.items():
        check_number(name, value)
    return za, zb, *(jnp.asarray(value, za.dtype) for value in hyperparameters.values())


def check_number(name: str, value: Any) -> None:
    """Raise unless `value` is a scalar that its name allows; a traced one passes by its shape."""
    if isinstance(value, bool) or getattr(value, "dtype", None) == "bool":
        message = f"{name} must be a number; got {value!r}"
        raise InputError(message)
    if not isinstance(value, numbers.Real):
        if getattr(value, "shape", None) != ():
            message = f"{name} must be one number (vmap the loss over many); got {value!r}"
            raise InputError(message)
        value = host_value(value)
        if value is None:
            return
    number = _real_number(name, value)
    if name in SHARES and not 0 <= number <= 1:
        message = f"{name} must be from 0 to 1; got {value}"
        raise InputError(message)
    if not math.isfinite(number) or number < 0 or (number == 0 and name in POSITIVE):
        allowed = "positive" if name in POSITIVE else ">= 0"
        finite = "" if math.isfinite(number) else " and finite"
        message = f"{name} must be {allowed}{finite}; got {value}"
        raise InputError(message)


def _real_number(name: str, value: Any) -> float:
    """Return a float; a whole number may exceed it, and an array (,) may hold anything."""
    if not (isinstance(value, numbers.Real) or jnp.issubdtype(value.dtype, jnp.number)):
        message = f"{name} must be a number; got {shown(value)}"
        raise InputError(message)
    try:
        return float(value)
    except OverflowError:
        return math.inf
    except TypeError as error:  # a complex number
        message = f"{name} must be a real number; got {shown(value)}"
        raise InputError(message) from error


def check_choice(name: str, value: Any, known: Iterable[str]) -> None:
    """Raise unless `value` is one of the known strings, with the nearest name in the message."""
    if not isinstance(value, str) or value not in known:
        raise unknown_name(name, value, known)


def check_rows(name: str, rows: Array, za: Array, *, paired: bool = False) -> None:
    """Raise unless `rows` is (count, dim) like the embeddings, or of their shape if `paired`."""
    if not hasattr(rows, "ndim") or not hasattr(rows, "astype"):
        message = f"{name} must be an array of embeddings; got {shown(rows)}"
        raise InputError(message)
    if rows.ndim != 2 or rows.shape[1] != za.shape[1] or (paired and rows.shape != za.shape):
        wanted = za.shape if paired else f"(count, {za.shape[1]})"
        message = f"{name} must be embeddings of shape {wanted}; got {rows.shape}"
        raise InputError(message)


def check_predictor(predictor: Any) -> None:
    """Raise unless the predictor is None or a function."""
    if predictor is not None and not callable(predictor):
        message = (
            "predictor must be a function (n, dim) -> (n, dim), such as lambda z: z @ matrix.T; "
            f"got {shown(predictor)}"
        )
        raise InputError(message)


def check_targets(targets: Any) -> tuple[Any, Any]:
    """Return two arrays of target embeddings, or raise."""
    if not isinstance(targets, tuple | list) or len(targets) != 2:
        counted = isinstance(targets, tuple | list) or getattr(targets, "ndim", 0) > 0
        found = len(targets) if counted else shown(targets)
        message = f"targets must be two arrays, (target_a, target_b); got {found}"
        raise InputError(message)
    return targets[0], targets[1]


def entry(params: Any, name: str) -> Any:
    """Return one entry of the parameters of an objective, or say which is missing.

    Example:
        >>> entry({"online": 1}, "predictor")
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: the parameters have no entry 'predictor', only 'online'; ...

    Raises:
        InputError: for parameters that are no dictionary or lack the entry.
    """
    if not isinstance(params, Mapping):
        message = (
            f"the parameters must be a dictionary with the entry {name!r}; got {shown(params)}"
        )
        raise InputError(message)
    if name not in params:
        known = ", ".join(map(repr, params)) or "none"
        message = (
            f"the parameters have no entry {name!r}, only {known}; "
            "jssl.losses.target_model makes them"
        )
        raise InputError(message)
    return params[name]


def unit(z: Array) -> Array:
    """Return rows of norm one; a zero row stays zero, with gradient zero.

    The rows are first divided by their largest entry, which is treated as a constant. As z / |z|
    does not depend on scale, derivatives stay exact, and squares of small or large entries are in
    range. A row with a value that is not finite is NaN throughout.

    Example:
        >>> import jax.numpy as jnp
        >>> unit(jnp.array([[3e-30, 4e-30], [0.0, 0.0]]))
        Array([[0.6, 0.8],
               [0. , 0. ]], dtype=float32)
    """
    largest = jax.lax.stop_gradient(jnp.max(jnp.abs(z), axis=-1, keepdims=True))
    zero = largest == 0  # not `largest > 0`, which is false for NaN as well
    scaled = jnp.where(zero, 1, z) / jnp.where(zero, 1, largest)
    norm = jnp.sqrt(jnp.sum(scaled**2, axis=-1, keepdims=True))
    return jnp.where(zero, 0, scaled / norm)
