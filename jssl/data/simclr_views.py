r"""The usual recipe of SimCLR as views: resized crop, flip, colour jitter, grayscale, blur.

As in `jssl.data.views`, a factory returns a pure function `view(key, x) -> x` of one image
(h, w, c). Values are in [0, 1]; colour operations clip to this range, as in the recipe. With one
channel, saturation, hue and grayscale change nothing. Chen et al. 2020, arXiv 2002.05709,
appendix A.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jssl.data.checks import require_range
from jssl.errors import InputError
from jssl.types import Array

View = Callable[[Array, Array], Array]

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the brightness of a pixel (ITU-R BT.601)."""

_RATIO = 4 / 3  # largest ratio of the sides of a crop
_SIGMA = (0.1, 2.0)  # of the blur, in pixels


def resized_crop(min_scale: float = 0.08) -> View:
    """Cut out a random part with a random aspect ratio, and stretch it to full size (bilinear).

    Example:
        >>> image = jnp.ones((4, 4, 3))
        >>> bool(jnp.allclose(resized_crop()(jax.random.key(0), image), image))
        True

    The area is uniform on [min_scale, 1] of the image's, the logarithm of width over height
    uniform on [log 3/4, log 4/3], and the position uniform among those inside. A side that would
    exceed the image is cut to the image; implementations that draw again instead give the same
    parts for small areas.

    Args:
        min_scale: smallest area as a share of the image, in [1e-6, 1]; may be traced.

    Returns:
        `view(key, x)` on x (h, w, c).

    Raises:
        InputError: for min_scale outside the range; at the call for x of another rank.
    """
    require_range("min_scale", min_scale, 1e-6, 1)

    def view(key: Array, x: Array) -> Array:
        require_colours("resized_crop", x, any_channels=True)
        draws = jax.random.uniform(key, (4,), x.dtype)
        height, width = x.shape[:2]
        area = (min_scale + (1 - min_scale) * draws[0]) * height * width
        ratio = _RATIO ** (2 * draws[1] - 1)
        sides = jnp.stack([jnp.sqrt(area / ratio) / height, jnp.sqrt(area * ratio) / width])
        share = jnp.minimum(sides, 1).astype(x.dtype)
        corner = draws[2:] * (1 - share) * jnp.array([height, width], x.dtype)
        return jax.image.scale_and_translate(
            x, x.shape, (0, 1), 1 / share, -corner / share, method="linear"
        )

    return view


def jitter(strength: float = 1.0) -> View:
    """Change brightness, contrast, saturation and hue in random order, with probability 0.8.

    Example:
        >>> image = jnp.full((2, 2, 3), 0.5)
        >>> jitter(0.0)(jax.random.key(0), image).round(6).tolist() == image.tolist()
        True

    The factors of brightness, contrast and saturation are uniform on
    [1 - 0.8 strength, 1 + 0.8 strength], the shift of hue on [-0.2 strength, 0.2 strength] of the
    circle of colours.

    Args:
        strength: in [0, 1.25]; 1 in the recipe for ImageNet, 0.5 for CIFAR-10; may be traced.

    Returns:
        `view(key, x)` on x (h, w, 1 or 3).

    Raises:
        InputError: for a strength out of range; at the call for x of another shape.
    """
    require_range("strength", strength, 0, 1.25)

    def view(key: Array, x: Array) -> Array:
        require_colours("jitter", x)
        chance, order, sizes = jax.random.split(key, 3)
        draws = jax.random.uniform(sizes, (4,), x.dtype, -1, 1)
        factors = (1 + 0.8 * strength * draws[:3]).astype(x.dtype)
        turn = (0.2 * strength * draws[3]).astype(x.dtype)
        operations = [
            lambda x: brightened(x, factors[0]),
            lambda x: contrasted(x, factors[1]),
            lambda x: saturated(x, factors[2]),
            lambda x: turned(x, turn),
        ]

        def apply(x: Array, which: Array) -> tuple[Array, None]:
            return jax.lax.switch(which, operations, x), None

        changed, _ = jax.lax.scan(apply, x, jax.random.permutation(order, 4))
        return jnp.where(jax.random.bernoulli(chance, 0.8), changed, x)

    return view


def grayscale(p: float = 0.2) -> View:
    """Replace the colours by their brightness with probability p.

    Example:
        >>> red = jnp.array([1.0, 0.0, 0.0]).reshape(1, 1, 3)
        >>> print([round(float(x), 3) for x in grayscale(1.0)(jax.random.key(0), red).ravel()])
        [0.299, 0.299, 0.299]

    Args:
        p: probability in [0, 1]; may be traced.

    Returns:
        `view(key, x)` on x (h, w, 1 or 3).

    Raises:
        InputError: for p outside [0, 1]; at the call for x of another shape.
    """
    require_range("p", p, 0, 1)

    def view(key: Array, x: Array) -> Array:
        require_colours("grayscale", x)
        return jnp.where(jax.random.bernoulli(key, p), gray(x), x)

    return view


def blur(p: float = 0.5) -> View:
    """Blur the image with probability p by a Gaussian of a random width.

    Example:
        >>> image = jnp.ones((8, 8, 1))
        >>> bool(jnp.allclose(blur(1.0)(jax.random.key(0), image), image))
        True

    Its standard deviation is uniform on [0.1, 2] pixels. The filter has a side of 10 % of the
    height, made odd, and at least 3 pixels; the image is continued by its mirror image without the
    border pixel, as far as it is large enough.

    Args:
        p: probability in [0, 1]; may be traced.

    Returns:
        `view(key, x)` on x (h, w, c).

    Raises:
        InputError: for p outside [0, 1]; at the call for x of another rank.
    """
    require_range("p", p, 0, 1)

    def view(key: Array, x: Array) -> Array:
        require_colours("blur", x, any_channels=True)
        chance, size = jax.random.split(key)
        sigma = jax.random.uniform(size, (), x.dtype, *_SIGMA)
        return jnp.where(jax.random.bernoulli(chance, p), blurred(x, sigma), x)

    return view


def simclr(strength: float = 1.0) -> View:
    """Return the usual recipe: resized crop, flip, colour jitter, grayscale, blur.

    Example:
        >>> view = simclr()
        >>> view(jax.random.key(0), jnp.full((8, 8, 3), 0.5)).shape
        (8, 8, 3)

    Args:
        strength: of the colour jitter, as in `jitter`.

    Returns:
        `view(key, x)` on x (h, w, 1 or 3).

    Raises:
        InputError: as `jitter`.

    References:
        Chen et al. 2020, arXiv 2002.05709, appendix A.
    """
    from jssl.data.views import compose, flip  # they list this recipe among the views

    return compose(resized_crop(), flip(), jitter(strength), grayscale(), blur())


def gray(x: Array) -> Array:
    """Return the brightness of every pixel in all channels.

    Example:
        >>> print(gray(jnp.array([[[0.0, 1.0, 0.0]]])).ravel().round(3))
        [0.587 0.587 0.587]
    """
    if x.shape[-1] == 1:
        return x
    return jnp.broadcast_to((x * jnp.array(LUMA, x.dtype)).sum(-1, keepdims=True), x.shape)


def brightened(x: Array, factor: Any) -> Array:
    """Return the image times a factor, clipped to [0, 1].

    Example:
        >>> brightened(jnp.array([0.25, 0.75]), 2.0).tolist()
        [0.5, 1.0]
    """
    return jnp.clip(factor * x, 0, 1)


def contrasted(x: Array, factor: Any) -> Array:
    """Return the image with its distance from its mean brightness times a factor, clipped.

    Example:
        >>> contrasted(jnp.array([0.25, 0.75]).reshape(1, 2, 1), 0.5).ravel().tolist()
        [0.375, 0.625]
    """
    return jnp.clip(factor * x + (1 - factor) * gray(x).mean(), 0, 1)


def saturated(x: Array, factor: Any) -> Array:
    """Return the image with its distance from gray times a factor, clipped.

    Example:
        >>> red = jnp.array([1.0, 0.0, 0.0]).reshape(1, 1, 3)
        >>> print([round(float(x), 3) for x in saturated(red, 0.0).ravel()])
        [0.299, 0.299, 0.299]
    """
    return jnp.clip(factor * x + (1 - factor) * gray(x), 0, 1)


def turned(x: Array, turn: Any) -> Array:
    """Return the image with all hues shifted by a share of the circle of colours.

    Example:
        >>> turned(jnp.array([1.0, 0.0, 0.0]).reshape(1, 1, 3), 1 / 3).ravel().round(3).tolist()
        [0.0, 1.0, 0.0]

    Args:
        x: (h, w, 1 or 3) in [0, 1]; other values are clipped. One channel has no hue.
        turn: share of the circle.
    """
    if x.shape[-1] == 1:
        return x
    x = jnp.clip(x, 0, 1)
    high, low = x.max(-1), x.min(-1)
    spread = high - low
    red, green, blue = x[..., 0], x[..., 1], x[..., 2]
    # 6 times the hue, times the spread: nothing is divided, so that gradients stay finite.
    sextant = jnp.where(
        red == high,
        green - blue,
        jnp.where(green == high, 2 * spread + blue - red, 4 * spread + red - green),
    )
    circle = jax.lax.stop_gradient(jnp.where(spread > 0, 6 * spread, 1))

    def channel(offset: float) -> Array:
        away = sextant + (6 * turn + offset) * spread
        away = away - 6 * spread * jnp.floor(jax.lax.stop_gradient(away) / circle)
        return high - jnp.clip(jnp.minimum(away, 4 * spread - away), 0, spread)

    return jnp.stack([channel(5.0), channel(3.0), channel(1.0)], -1)


def blurred(x: Array, sigma: Any) -> Array:
    """Return the image under a Gaussian filter of standard deviation sigma in pixels.

    Example:
        >>> point = jnp.zeros((3, 3, 1)).at[1, 1, 0].set(1.0)
        >>> print(round(float(blurred(point, 1.0)[1, 1, 0]), 3))
        0.204
    """
    reach = [min(max(int(0.1 * x.shape[0]) // 2, 1), side - 1) for side in x.shape[:2]]
    for axis, pixels in enumerate(reach):
        offsets = jnp.arange(-pixels, pixels + 1)
        weights = jnp.exp(-jnp.square(offsets / sigma) / 2).astype(x.dtype)
        weights = weights / weights.sum()
        margin = [(0, 0)] * 3
        margin[axis] = (pixels, pixels)
        padded = jnp.pad(x, margin, mode="reflect")
        size = x.shape[axis]
        x = sum(
            weights[i] * jax.lax.slice_in_dim(padded, i, i + size, axis=axis)
            for i in range(2 * pixels + 1)
        )  # type: ignore[assignment]
    return x


def require_colours(name: str, x: Array, *, any_channels: bool = False) -> None:
    """Raise unless x is one image (h, w, c), with one or three channels if colours matter.

    Example:
        >>> require_colours("jitter", jnp.ones((2, 2, 2)))
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: jitter views one image (height, width, 1 or 3 channels); got ...
    """
    if np.ndim(x) == 3 and (any_channels or x.shape[-1] in (1, 3)):
        return
    channels = "channels" if any_channels else "1 or 3 channels"
    message = f"{name} views one image (height, width, {channels}); got shape {np.shape(x)}"
    raise InputError(message)
