r"""Is a Gram matrix positive semi-definite, and what does it take to make it so?

A kernel computed in float32 has eigenvalues of either sign at the size of its rounding error,
n eps times the largest; square roots and Cholesky factors of it fail. The nearest positive
semi-definite matrix in Frobenius norm drops the negative eigenvalues (Higham 1988):

    K = V diag(l) V^T  ->  V diag(max(l, 0)) V^T,    moved by ||min(l, 0)||.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl.arithmetic import working
from jssl.data.checks import require_range
from jssl.errors import InputError
from jssl.host_arithmetic import host_value
from jssl.types import Array


class Repaired(NamedTuple):
    """A positive semi-definite kernel, and what was done to get it.

    Attributes:
        kernel: (n, n) symmetric.
        lowest: () the lowest eigenvalue before.
        largest: () the largest eigenvalue before.
        negative: () number of eigenvalues that were below zero.
        moved: () Frobenius norm of the change over that of the kernel; 0 where nothing was.
    """

    kernel: Array
    lowest: Array
    largest: Array
    negative: Array
    moved: Array

    def statement(self) -> str:
        """Return one line that says what was done; for values that are known, outside jit."""
        if not int(self.negative):
            return f"positive semi-definite: lowest eigenvalue {float(self.lowest):.2g}"
        return (
            f"{int(self.negative)} of {len(self.kernel)} eigenvalues below zero, the lowest "
            f"{float(self.lowest):.2g} beside a largest of {float(self.largest):.2g}, set to zero: "
            f"a relative change of {float(self.moved):.1g}"
        )


def repair_psd(kernel: Array, *, tolerance: float = 1e-3) -> Repaired:
    """Return the nearest positive semi-definite matrix, and how far it is.

    Example:
        >>> repaired = repair_psd(jnp.array([[1.0, 0.0], [0.0, -1e-6]]))
        >>> print(repaired.kernel[1, 1], repaired.statement()[:32])
        0.0 1 of 2 eigenvalues below zero, t

    The kernel is symmetrised first; where nothing is below zero it is returned as it is. One dense
    eigendecomposition; can be jitted, and then judges nothing.

    Args:
        kernel: (n, n) a Gram matrix.
        tolerance: the most negative eigenvalue that rounding may explain, as a share of the
            largest.

    Returns:
        Repaired(kernel, lowest, largest, negative, moved).

    Raises:
        InputError: for a matrix that is not square or not finite, or indefinite beyond the
            tolerance: then it is no kernel, and repairing it would hide that.

    References:
        Higham, Linear Algebra Appl. 103 (1988) 103, theorem 2.1.
    """
    (kernel,) = working(kernel=kernel)
    if kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1] or not kernel.size:
        message = f"a kernel must be square, of at least one row; got shape {kernel.shape}"
        raise InputError(message)
    require_range("tolerance", tolerance, 0)
    repaired = _clip(kernel)
    bounds = host_value(jnp.stack([repaired.lowest, repaired.largest]))
    if bounds is not None and not np.isfinite(bounds).all():
        message = "the kernel holds values that are not finite; drop or repair those inputs"
        raise InputError(message)
    if bounds is not None and not bounds[0] >= -tolerance * abs(bounds[1]):
        message = (
            f"the kernel is not positive semi-definite: its eigenvalues run from {bounds[0]:.3g} "
            f"to {bounds[1]:.3g}, beyond rounding; compute it in float64, or pass k(Z, Z) of a "
            "kernel"
        )
        raise InputError(message)
    return repaired


@jax.jit
def _clip(kernel: Array) -> Repaired:
    kernel = (kernel + kernel.T) / 2
    values, vectors = jnp.linalg.eigh(kernel)
    below = values < 0
    kept = jnp.matmul(vectors * jnp.maximum(values, 0), vectors.T, precision="highest")
    moved = jnp.linalg.norm(jnp.minimum(values, 0)) / jnp.linalg.norm(values)
    return Repaired(
        jnp.where(below.any(), (kept + kept.T) / 2, kernel),
        values[0],
        values[-1],
        below.sum(),
        jnp.where(below.any(), moved, 0),
    )
