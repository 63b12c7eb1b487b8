"""Views: random augmentations as pure functions of a key and one sample.

A factory such as `shift(1)` returns `view(key, x) -> x`, made for one image (h, w, c);
`batch_view` maps it over a batch, sample i drawing from `fold_in(key, i)`, so that a sample's view
does not depend on how many samples follow it. Views can be jitted, vmapped and differentiated in
x; strengths may be traced, sizes are static. Values are not clipped, because the
theories assume additive noise.
"""

import inspect
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jssl.data import simclr_views
from jssl.data.checks import require_count, require_name, require_range
from jssl.errors import InputError, shown
from jssl.types import Array

View = Callable[[Array, Array], Array]
"""`view(key, x) -> x` of the same shape and dtype."""


def identity() -> View:
    """Return the view that changes nothing.

    Example:
        >>> identity()(jax.random.key(0), jnp.ones(2)).tolist()
        [1.0, 1.0]
    """

    def view(key: Array, x: Array) -> Array:
        del key
        return x

    return view


def shift(max_pixels: int = 1) -> View:
    """Shift the image by whole pixels along each axis, and fill with zeros.

    Example:
        >>> image = jnp.arange(16.0).reshape(4, 4, 1)
        >>> shift(1)(jax.random.key(0), image).shape
        (4, 4, 1)

    out[i, j] = x[i - a, j - b], or 0 outside x, with a, b uniform on {-max_pixels, ...,
    max_pixels}, independent.

    Args:
        max_pixels: greatest shift in pixels, static, >= 0.

    Returns:
        `view(key, x)` on x (h, w, c).

    Raises:
        InputError: for a negative or fractional max_pixels; at the call for x of another rank.
    """
    reach = require_count("max_pixels", max_pixels, low=0)

    def view(key: Array, x: Array) -> Array:
        _require_image("shift", x)
        row, column = jax.random.randint(key, (2,), 0, 2 * reach + 1)
        padded = jnp.pad(x, ((reach, reach), (reach, reach), (0, 0)))
        return jax.lax.dynamic_slice(padded, (row, column, jnp.zeros_like(row)), x.shape)

    return view


def crop(min_scale: float = 0.25) -> View:
    """Cut out a random part of the image and stretch it back to full size (bilinear).

    Example:
        >>> image = jnp.ones((4, 4, 1))
        >>> bool(jnp.allclose(crop(0.5)(jax.random.key(0), image), image))
        True

    The part has the image's aspect ratio, an area uniform on [min_scale, 1] of the image's, and a
    position uniform among those inside the image.

    Args:
        min_scale: smallest area as a share of the image, in [1e-6, 1]; may be traced.

    Returns:
        `view(key, x)` on x (h, w, c).

    Raises:
        InputError: for min_scale outside the range; at the call for x of another rank.
    """
    require_range("min_scale", min_scale, 1e-6, 1)

    def view(key: Array, x: Array) -> Array:
        _require_image("crop", x)
        draws = jax.random.uniform(key, (3,), x.dtype)
        side = jnp.sqrt(min_scale + (1 - min_scale) * draws[0]).astype(x.dtype)
        corner = draws[1:] * (1 - side) * jnp.array(x.shape[:2], x.dtype)
        return jax.image.scale_and_translate(
            x, x.shape, (0, 1), jnp.full(2, 1 / side), -corner / side, method="linear"
        )

    return view


def flip(p: float = 0.5) -> View:
    """Mirror the image left to right with probability p.

    Example:
        >>> flip(1.0)(jax.random.key(0), jnp.arange(3.0).reshape(1, 3, 1)).ravel().tolist()
        [2.0, 1.0, 0.0]

    Args:
        p: probability in [0, 1]; may be traced.

    Returns:
        `view(key, x)` on x (h, w, c).

    Raises:
        InputError: for p outside [0, 1]; at the call for x of another rank.
    """
    require_range("p", p, 0, 1)

    def view(key: Array, x: Array) -> Array:
        _require_image("flip", x)
        return jnp.where(jax.random.bernoulli(key, p), x[:, ::-1], x)

    return view


def noise(std: float = 0.1) -> View:
    """Add independent Gaussian noise to every entry of a sample of any shape.

    Example:
        >>> noise(0.1)(jax.random.key(0), jnp.zeros(3)).shape
        (3,)

    Args:
        std: standard deviation in the units of x, >= 0; may be traced, and may be an array that
            broadcasts against x.

    Returns:
        `view(key, x)` on x of any shape.

    Raises:
        InputError: for a negative std.
    """
    require_range("std", std, 0)

    def view(key: Array, x: Array) -> Array:
        scale = jnp.asarray(std).astype(x.dtype)
        return x + scale * jax.random.normal(key, x.shape, x.dtype)

    return view


def brightness(strength: float = 0.4) -> View:
    """Multiply a sample of any shape by one factor uniform on [1 - strength, 1 + strength].

    Example:
        >>> x = brightness(0.5)(jax.random.key(0), jnp.ones(3))
        >>> bool((x == x[0]).all() & (0.5 <= x[0]) & (x[0] <= 1.5))
        True

    Args:
        strength: half width of the factor's range, in [0, 1]; may be traced.

    Returns:
        `view(key, x)` on x of any shape.

    Raises:
        InputError: for a strength outside [0, 1].
    """
    require_range("strength", strength, 0, 1)

    def view(key: Array, x: Array) -> Array:
        offset = strength * jax.random.uniform(key, (), x.dtype, -1, 1)
        return x * (1 + offset).astype(x.dtype)

    return view


def cutout(size: int = 4) -> View:
    """Set a square of the image to zero, its position uniform among those inside the image.

    Example:
        >>> cutout(2)(jax.random.key(0), jnp.ones((4, 4, 1))).sum().item()
        12.0

    Args:
        size: side of the square in pixels, static, >= 0 and at most the image's sides.

    Returns:
        `view(key, x)` on x (h, w, c).

    Raises:
        InputError: for a size out of range; at the call for a smaller image or another
            rank.
    """
    side = require_count("size", size, low=0)

    def view(key: Array, x: Array) -> Array:
        _require_image("cutout", x)
        require_count("cutout size", side, low=0, high=min(x.shape[:2]))
        last = jnp.array(x.shape[:2]) - side
        row, column = jax.random.randint(key, (2,), 0, last + 1)
        hole = jnp.zeros((side, side, x.shape[2]), x.dtype)
        return jax.lax.dynamic_update_slice(x, hole, (row, column, jnp.zeros_like(row)))

    return view


def compose(*views: View) -> View:
    """Apply views one after the other, the first one first, view i drawing from fold_in(key, i).

    Example:
        >>> image = jnp.arange(3.0).reshape(1, 3, 1)
        >>> compose(flip(1.0), flip(1.0))(jax.random.key(0), image).ravel().tolist()
        [0.0, 1.0, 2.0]
    """

    def view(key: Array, x: Array) -> Array:
        for index, part in enumerate(views):
            x = part(jax.random.fold_in(key, index), x)
        return x

    return view


def batch_view(view: View) -> View:
    """Map a view over the leading axis, sample i drawing from fold_in(key, i).

    The view of a sample does not depend on the number of samples after it.

    Example:
        >>> batch, key = jnp.zeros((5, 3)), jax.random.key(0)
        >>> views = batch_view(noise(1.0))
        >>> bool((views(key, batch)[:2] == views(key, batch[:2])).all())
        True
    """

    def batched(key: Array, x: Array) -> Array:
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(len(x)))
        return jax.vmap(view)(keys, x)

    return batched


VIEWS: MappingProxyType[str, Callable[..., View]] = MappingProxyType(
    {
        "blur": simclr_views.blur,
        "brightness": brightness,
        "crop": crop,
        "cutout": cutout,
        "flip": flip,
        "grayscale": simclr_views.grayscale,
        "identity": identity,
        "jitter": simclr_views.jitter,
        "noise": noise,
        "resized_crop": simclr_views.resized_crop,
        "shift": shift,
        "simclr": simclr_views.simclr,
    }
)
"""The factories by name; each takes at most one number."""


def named(text: str) -> View:
    """Return the composition that a text such as `"crop=0.5,flip,noise=0.1"` names.

    Example:
        >>> view = named("shift=1, noise=0.1")
        >>> view(jax.random.key(0), jnp.zeros((4, 4, 1))).shape
        (4, 4, 1)

    Args:
        text: names of `VIEWS` separated by commas, each with `=number` or with its default.

    Raises:
        InputError: for an unknown name, or a number that is invalid or out of range.
    """
    return compose(*(_parse(part.strip()) for part in text.split(",")))


def _parse(part: str) -> View:
    name, equals, value = (piece.strip() for piece in part.partition("="))
    require_name("view", name, VIEWS)
    if not equals:
        return VIEWS[name]()
    if not inspect.signature(VIEWS[name]).parameters:
        message = f"view '{name}' takes no number; write '{name}' for '{part}'"
        raise InputError(message)
    try:
        number: Any = int(value) if value.lstrip("+-").isdecimal() else float(value)
    except ValueError:
        message = f"view {shown(part)} needs a number after '=', such as '{name}=1'"
        raise InputError(message) from None
    return VIEWS[name](number)


def _require_image(name: str, x: Array) -> None:
    if np.ndim(x) != 3:
        message = (
            f"{name} views one image (height, width, channels); got shape {np.shape(x)}: "
            "use batch_view for a batch"
        )
        raise InputError(message)
