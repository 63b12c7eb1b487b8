"""Checks of the inputs of infinite-width kernels, where their values are known."""

from typing import Any

import numpy as np

from jssl.arithmetic import working
from jssl.errors import InputError, shown
from jssl.host_arithmetic import host_value, not_numbers, without_mask
from jssl.types import Model, Pairs

_PIXELS = -64, 320  # range of pixels of 0 to 255 after noise
_ON_AVERAGE = 0.1  # least mean of pixels over their root mean square: few images are darker
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
        **inputs: arrays by their names in the message.

    Raises:
        InputError: see above.
    """
    for name, x in inputs.items():
        if x is None:
            message = f"{name} is None; give an array of inputs"
            raise InputError(message)
        x = without_mask(name, x)
        try:
            shape = np.shape(x)
        except ValueError as error:  # lists of unequal lengths
            raise not_numbers(name, shown(x)) from error
        known = host_value(x)
        if known is not None and (known.dtype.kind in "OSU" or known.dtype.names is not None):
            raise not_numbers(name, shown(x))
        if not shape or not shape[0]:
            message = f"a kernel needs at least one input on either side; {name} is {shape}"
            raise InputError(message)
        if known is None or known.dtype.kind in "biu":
            continue
        finite = np.isfinite(known).reshape(len(known), -1).all(1)
        if not finite.all():
            row = int(np.argmin(finite))
            message = (
                f"{name} has a value that is not finite in row {row}; drop or repair such rows"
            )
            raise InputError(message)


def check_pairs(model: Model, pairs: Pairs) -> None:
    """Raise for pairs that `check_inputs`, `check_views` or `check_scale_of_inputs` refuses.

    Example:
        >>> from jssl.models import mlp
        >>> check_pairs(mlp(2, 1), (np.ones((3, 2)), np.ones((3, 2))))
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: pairs must be jssl.types.Pairs(first, second); got ...
    """
    if not hasattr(pairs, "first") or not hasattr(pairs, "second"):
        message = f"pairs must be jssl.types.Pairs(first, second); got {shown(pairs)}"
        raise InputError(message)
    views = {"first": pairs.first, "second": pairs.second}
    check_inputs(**views)
    check_views(*views.values())
    check_scale_of_inputs(model, **views)


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


def check_scale_of_inputs(model: Model, **inputs: Any) -> None:
    """Raise for inputs that overflow, or pixels of 0 to 255 where a kernel depends on the scale.

    Example:
        >>> from jssl.models import mlp
        >>> check_scale_of_inputs(mlp(2, 1, activation="tanh"), x1=np.array([[255.0, 80.0]]))
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: the values of x1 look like pixels of 0 to 255 ...

    tanh saturates there, and sin oscillates. The kernels of relu, leaky relu and linear networks
    without biases are homogeneous, so that the scale of the inputs changes neither modes nor their
    order: those pass, and so do kernel functions of one's own and traced values.

    Args:
        model: the encoder.
        **inputs: (n, ...) arrays by their names in the message; None passes.

    Raises:
        InputError: see above.
    """
    depends_on_scale = not getattr(model.kernel, "is_homogeneous", True)
    for name, x in inputs.items():
        known = None if x is None else host_value(x)
        if known is not None and known.size:
            _check_overflow(name, known, 4 if depends_on_scale else 2)
            if depends_on_scale:
                _check_pixels(name, known)


def _check_overflow(name: str, known: np.ndarray, power: int) -> None:
    """Raise where this power of the length of an input might overflow."""
    dtype = working(**{name: known[:1]})[0].dtype
    size = max(float(known.max()), -float(known.min()))
    most = float(np.finfo(dtype).max) / len(known)  # of products of the kernel with a vector
    if size > most ** (1 / power) / known[0].size ** 0.5:
        message = (
            f"{name} has values up to {size:.1e}, and the kernel of these inputs overflows "
            f"{dtype}; divide them by a constant"
        )
        raise InputError(message)


def _check_pixels(name: str, known: np.ndarray) -> None:
    squares = (np.sum(np.square(part, dtype=np.float64)) for part in np.array_split(known, 64))
    size = float(np.sqrt(sum(squares) / known.size))
    if size <= _SATURATED or float(known.mean(dtype=np.float64)) <= _ON_AVERAGE * size:
        return
    if known.min() >= _PIXELS[0] and known.max() <= _PIXELS[1]:
        message = (
            f"the values of {name} look like pixels of 0 to 255 (root mean square {size:.3g}), and "
            "this kernel depends on their scale; divide them by 255"
        )
        raise InputError(message)
