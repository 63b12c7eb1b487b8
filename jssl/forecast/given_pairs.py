"""Check the pairs of the user, and find whether their first views are clean."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jssl.data.array_files import LARGEST, to_numpy
from jssl.data.pairs import check_pairs
from jssl.errors import InputError
from jssl.theory.landscape.dictionary import SIMCLR
from jssl.theory.landscape.pairing import first_is_clean
from jssl.types import Pairs

MOST = 4000
"""Largest number of pairs, which gives a Gram matrix (8000, 8000) of float64, 512 MB."""

_FEWEST = 4  # pairs of a forecast; a shorter list of arrays is one of inputs, not of samples


def two_views(pairs: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return first and second views in float64; integers count as the same real numbers.

    Example:
        >>> two_views((np.eye(3, dtype=np.float32), np.eye(3)))[0].dtype
        dtype('float64')

    Raises:
        InputError: for anything but two finite arrays of real numbers of one shape, too many pairs,
            rows that are all equal, or values whose powers do not fit in float64.
    """
    try:
        first, second = pairs[:2]
    except (TypeError, ValueError, KeyError) as error:
        message = "pairs must be Pairs, or two arrays of first and second views"
        raise InputError(message) from error
    for name, given in (("first", first), ("second", second)):
        if _is_several(given):
            kind = type(given).__name__
            message = (
                f"pairs.{name} is a {kind} of several arrays; pass one array per view (n, ...), "
                "such as the inputs of each sample, flattened and joined by numpy.concatenate"
            )
            raise InputError(message)
    views = [to_numpy(name, v) for name, v in (("first", first), ("second", second))]
    for name, v in zip(("first", "second"), views, strict=True):
        if v.dtype.kind not in "fiu":
            message = f"pairs.{name} must be floating point or integers; got {v.dtype}"
            raise InputError(message)
    if max(len(v) if v.ndim else 0 for v in views) > MOST:
        message = f"at most {MOST:,} pairs, got {len(views[0]):,}; take a random subset"
        raise InputError(message)
    first, second = (v.astype(np.float64) for v in views)
    check_pairs(Pairs(first, second))  # type: ignore[arg-type]
    largest = max(float(np.abs(v).max(initial=0)) for v in (first, second))
    if largest and not 1 / LARGEST <= largest <= LARGEST:
        message = (
            f"the largest value of the pairs is {largest:.2g}: its powers do not fit in float64; "
            "divide by it first"
        )
        raise InputError(message)
    if largest and all((v == first[:1]).all() for v in (first, second)):
        message = "all views are equal: the pairs must contain different samples"
        raise InputError(message)
    return first, second


def _is_several(view: Any) -> bool:
    """Return whether a view is a mapping, or two or three arrays or arrays of different shapes."""
    if isinstance(view, Mapping):
        return True
    if not isinstance(view, tuple | list):
        return False
    shapes = [tuple(x.shape) for x in view if hasattr(x, "shape")]
    if not shapes or len(shapes) < len(view):
        return False
    return len(set(shapes)) > 1 or (len(shapes) < _FEWEST and len(shapes[0]) > 1)


def clean_views(
    first: np.ndarray, second: np.ndarray, placement: str, clean_first: bool | None
) -> bool:
    """Return whether pairs are (clean, augmented): `clean_first`, or an estimate if it is None.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(2, 400, 2))
        >>> clean_views(x[0], x[0] + x[1], "clean-augmented-clean", None)
        True

    Under the placement in which both views of every sample are augmented, the pairs are used
    unchanged: the result is then False unless `clean_first` is given.

    Raises:
        InputError: where the pairs do not determine it.
    """
    if clean_first is not None:
        return bool(clean_first)
    if placement == SIMCLR:
        return False
    return first_is_clean(jnp.asarray(first), jnp.asarray(second))


def channels_last(
    first: np.ndarray, second: np.ndarray, kernel: str, named: bool, notes: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Return images (n, height, width, channels); for conv kernels, of (n, channels, h, w) too.

    Example:
        >>> notes, x = [], np.ones((2, 3, 8, 8))
        >>> channels_last(x, x, "conv", True, notes)[0].shape
        (2, 8, 8, 3)

    Args:
        first: first views.
        second: second views.
        kernel: name of the kernel; others than conv do not depend on the order of the axes.
        named: whether the encoder is that of the kernel.
        notes: a sentence is added where axes were moved.
    """
    if not (named and kernel.startswith("conv")) or first.ndim != 4:
        return first, second
    channels, height, width = first.shape[1:]
    if channels not in (1, 3) or width in (1, 3) or height < 5:
        return first, second
    notes.append(
        f"The samples {first.shape[1:]} were taken as images of {channels} channel"
        f"{'s' if channels > 1 else ''} and {height} x {width} pixels, channels first. If they are "
        "not, pass arrays (n, height, width, channels)."
    )
    return np.moveaxis(first, 1, -1), np.moveaxis(second, 1, -1)
