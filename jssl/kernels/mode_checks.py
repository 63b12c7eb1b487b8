"""Refusals of Gram matrices that have no modes, or fewer than are asked for."""

from typing import Any

import numpy as np

from jssl.data.checks import require_range
from jssl.errors import InputError, shown
from jssl.host_arithmetic import host_value
from jssl.kernels import lanczos
from jssl.types import Array

_INDEFINITE = 1e-3  # no rounding makes a Gram matrix this indefinite


def check_definite(clipped: Array | np.ndarray) -> None:
    """Raise where the most negative energy over the largest is beyond rounding."""
    energy = host_value(clipped)
    if energy is None or energy <= _INDEFINITE:
        return
    message = (
        "the Gram matrix or the pairing, or a product with them, has values that are not finite; "
        "check the inputs, and their scale and that of the gains"
    )
    if energy > 0:
        size = f"an energy is {-float(energy):.1e} of the largest"
        size = size if energy <= 1 else "its negative energies are the largest"
        message = (
            f"the Gram matrix is indefinite: {size}; pass k(Z, Z) of a positive semi-definite "
            "kernel"
        )
    raise InputError(message)


def check_size(largest: Any, dtype: Any, what: str) -> None:
    """Raise where a kernel is so small that its small entries vanish.

    Example:
        >>> check_size(1e-36, np.float32, "the Gram matrix")
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: the Gram matrix is too small for float32, 1e-36 at most; ...

    Args:
        largest: absolute entry; a traced one passes.
        dtype: of the entries.
        what: is small.
    """
    known, limits = host_value(largest), np.finfo(dtype)
    if known is not None and 0 < float(known) < float(limits.tiny) / float(limits.eps):
        message = (
            f"{what} is too small for {np.dtype(dtype).name}, {float(known):.0e} at most; multiply "
            "the inputs by a constant"
        )
        raise InputError(message)


def check_representable(eigenvalues: Array) -> None:
    """Raise where positive eigenvalues overflow their dtype, or vanish in it."""
    known = host_value(eigenvalues)
    if known is not None and (not np.isfinite(known).all() or (known == 0).any()):
        message = (
            f"the eigenvalues of A K are too large or too small for {known.dtype.name}; multiply "
            "the Gram matrix or the pairing by a constant"
        )
        raise InputError(message)


def check_tolerance(tolerance: float) -> None:
    """Raise unless a tolerance is one number from 0 to 0.1; a traced one passes."""
    require_range("tolerance", tolerance, 0, 0.1)
    if np.shape(tolerance):
        message = f"tolerance must be one number; got {shown(tolerance)}"
        raise InputError(message)


def hidden_by(tolerance: float) -> str:
    """Return what to do about modes that a tolerance hides."""
    return f"lower tolerance, since modes below {tolerance:g} of the largest are not counted"


def check_converged(ritz: lanczos.Ritz, dim: int, tolerance: float) -> None:
    """Raise where block Lanczos did not find `dim` positive modes."""
    converged = host_value(ritz.converged)
    if converged is None:
        return
    positive = int(ritz.positive)
    if positive < dim and (bool(converged) or bool(ritz.exhausted)):
        raise too_few(dim, positive, tolerance, ritz.residual.dtype)
    if converged:
        return
    remedy = "raise steps or tolerance, lower dim, or use method='dense'"
    if positive < dim and is_loose(tolerance, ritz.residual.dtype):
        remedy = hidden_by(tolerance)
    raise not_converged(int(ritz.steps), positive, dim, remedy)


def not_converged(products: int, positive: int, dim: int, remedy: str) -> InputError:
    """Return the error for a run that reached its bound on products."""
    return InputError(
        f"no convergence in {products} products with {positive} of {dim} modes above the "
        f"tolerance: {remedy}"
    )


def is_loose(tolerance: float, dtype: Any) -> bool:
    """Return whether a tolerance is above the default of a dtype."""
    return float(tolerance) > 1.01 * float(np.finfo(dtype).eps) ** (2 / 3)


def too_few(dim: int, positive: int, tolerance: float = 0.0, dtype: Any = np.float64) -> InputError:
    """Return the error for fewer positive modes than asked for."""
    hint = f"ask for at most {positive}" if positive else "there is nothing to learn"
    if is_loose(tolerance, dtype):
        return InputError(
            f"dim is {dim} but only {positive} modes are above {tolerance:g} of the largest: "
            "lower tolerance or dim"
        )
    return InputError(f"dim is {dim} but only {positive} modes are positive: {hint}")
