"""Checks of the inputs of infinite-width kernels, where their values are known."""

from typing import Any

import numpy as np

from jssl.errors import InputError, shown
from jssl.host_arithmetic import host_value, not_numbers, without_mask
from jssl.models.dense_kernel import DenseKernel
from jssl.models.zonal import HOMOGENEOUS
from jssl.types import Model

_PIXELS = -64, 320  # range of pixels of 0 to 255 after noise
_SATURATED = 16.0  # root mean square of inputs that pixels scaled to [0, 1] never have


def check_inputs(**inputs: Any) -> None:
    """Raise where inputs (n, ...) have no rows, or values that are not finite.

    Example:
        >>> check_inputs(x1=np.array([[1.0], [np.nan]]))
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: x1 has a value that is not finite in row 1; drop or repair such rows

    Traced values pass.

    Args:
        **inputs: arrays by their names in the message; None passes.

    Raises:
        InputError: see above.
    """
    for name, x in inputs.items():
        if x is None:
            continue
        x = without_mask(name, x)
        try:
            shape = np.shape(x)
        except ValueError as error:  # lists of unequal lengths
            raise not_numbers(name, shown(x)) from error
        if not shape or not shape[0]:
            message = f"a kernel needs at least one input on either side; {name} is {shape}"
            raise InputError(message)
        known = host_value(x)
        if known is None or known.dtype.kind in "biu":
            continue
        if known.dtype.kind in "OSU":
            raise not_numbers(name, shown(known))
        finite = np.isfinite(known).reshape(len(known), -1).all(1)
        if not finite.all():
            row = int(np.argmin(finite))
            message = (
                f"{name} has a value that is not finite in row {row}; drop or repair such rows"
            )
            raise InputError(message)


def check_views(first: Any, second: Any) -> None:
    """Raise where the views of pairs differ in shape.

    Example:
        >>> check_views(np.ones((3, 2)), np.ones((4, 2)))
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: the views must match row by row; got (3, 2) and (4, 2)
    """
    if np.shape(first) != np.shape(second):
        message = f"the views must match row by row; got {np.shape(first)} and {np.shape(second)}"
        raise InputError(message)


def check_scale_of_inputs(model: Model, x: Any) -> None:
    """Raise for pixels of 0 to 255 before an activation that saturates or oscillates there.

    Example:
        >>> from jssl.models import mlp
        >>> check_scale_of_inputs(mlp(2, 1, activation="tanh"), np.array([[255.0, 80.0]]))
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: the inputs look like pixels of 0 to 255 ...; divide them by 255

    The kernels of relu, leaky relu and linear networks without biases are homogeneous, so that the
    scale of the inputs changes neither modes nor their order: those pass.

    Args:
        model: the encoder.
        x: (n, ...) inputs.

    Raises:
        InputError: see above.
    """
    kernel, known = model.kernel, host_value(x)
    if known is None or not known.size or not isinstance(kernel, DenseKernel):
        return
    network = kernel.network
    if network.activation in HOMOGENEOUS and not network.biased:
        return
    squares = (np.sum(np.square(part, dtype=np.float64)) for part in np.array_split(known, 64))
    size = float(np.sqrt(sum(squares) / known.size))
    if size > _SATURATED and known.min() >= _PIXELS[0] and known.max() <= _PIXELS[1]:
        message = (
            f"the inputs look like pixels of 0 to 255 (root mean square {size:.3g}), for which "
            f"the kernel of {network.activation} degenerates; divide them by 255"
        )
        raise InputError(message)
