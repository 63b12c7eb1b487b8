"""The recipe of SimCLR against plain NumPy, colorsys and SciPy."""

import colorsys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import correlate1d, map_coordinates

from jssl.data import simclr_views as S
from jssl.data import views as V
from jssl.errors import InputError

KEYS = jax.random.split(jax.random.key(5), 1500)
DRAWS = np.random.default_rng(0)
IMAGE = DRAWS.uniform(size=(6, 5, 3))


def many(view, x=IMAGE, keys=KEYS):
    return np.asarray(jax.jit(jax.vmap(view, (0, None)))(keys, jnp.asarray(x)))


@pytest.mark.parametrize("turn", [-0.2, -0.03, 0.0, 0.11, 0.2, 1.3])
def test_hue_is_that_of_colorsys(turn):
    special = np.array([[[0.0, 0, 0], [1, 1, 1], [1, 0, 0], [0.3, 0.3, 0.9], [0.5, 0.5, 0.1]]])
    for x in (IMAGE, special):
        expected = [
            colorsys.hsv_to_rgb((h + turn) % 1, s, v)
            for h, s, v in (colorsys.rgb_to_hsv(*pixel) for pixel in x.reshape(-1, 3))
        ]
        found = np.asarray(S.turned(jnp.asarray(x), turn)).reshape(-1, 3)
        np.testing.assert_allclose(found, expected, atol=1e-12)


def plain_gray(x):
    brightness = 0.299 * x[..., 0] + 0.587 * x[..., 1] + 0.114 * x[..., 2]
    return np.repeat(brightness[..., None], 3, -1)


@pytest.mark.parametrize("factor", [0.2, 1.0, 1.8])
def test_brightness_contrast_and_saturation_are_mixtures_that_are_clipped(factor):
    x = jnp.asarray(IMAGE)
    mixtures = {
        S.brightened: np.zeros_like(IMAGE),
        S.contrasted: np.full_like(IMAGE, plain_gray(IMAGE).mean()),
        S.saturated: plain_gray(IMAGE),
    }
    for operation, other in mixtures.items():
        expected = np.clip(factor * IMAGE + (1 - factor) * other, 0, 1)
        np.testing.assert_allclose(operation(x, factor), expected, atol=1e-12)


@pytest.mark.parametrize(("shape", "reach"), [((6, 5, 3), 1), ((44, 40, 1), 2), ((64, 50, 3), 3)])
def test_blur_is_a_normalised_gaussian_filter_with_mirrored_borders(shape, reach):
    x, sigma = DRAWS.uniform(size=shape), 1.3
    weights = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    weights /= weights.sum()
    expected = correlate1d(correlate1d(x, weights, 0, mode="mirror"), weights, 1, mode="mirror")
    np.testing.assert_allclose(S.blurred(jnp.asarray(x), sigma), expected, atol=1e-12)


def parts(min_scale, h=48, w=36):
    """Return heights, widths and corners of crops, read from a picture of the coordinates."""
    rows, columns = np.indices((h, w)) + 0.5
    out = many(S.resized_crop(min_scale), np.stack([rows, columns], -1))
    height = out[:, 25, 18, 0] - out[:, 24, 18, 0]
    width = out[:, 24, 19, 1] - out[:, 24, 18, 1]
    top = out[:, 24, 18, 0] - 24.5 * height
    left = out[:, 24, 18, 1] - 18.5 * width
    return height, width, top / h, left / w


def test_resized_crops_have_the_stated_areas_ratios_and_places():
    height, width, top, left = parts(0.2)
    free = (height < 1 - 1e-9) & (width < 1 - 1e-9)  # not cut to the image
    area, ratio = (height * width)[free], (width * 36 / (height * 48))[free]
    assert (height <= 1 + 1e-9).all()
    assert (width <= 1 + 1e-9).all()
    assert area.min() > 0.2 - 1e-9
    assert (np.abs(np.log(ratio)) <= np.log(4 / 3) + 1e-9).all()
    small = area < 0.5  # where no side is cut, whatever the ratio
    logs = np.log(ratio[small])
    error = np.log(4 / 3) / np.sqrt(3 * len(logs))
    assert abs(logs.mean()) < 3.9 * error
    assert abs((area < 0.4).mean() * free.mean() - 0.25) < 3.9 * np.sqrt(0.25 * 0.75 / 1500)
    for corner, side in ((top, height), (left, width)):
        inside = side < 0.95
        place = (corner / np.where(inside, 1 - side, 1))[inside]
        assert place.min() > -1e-6
        assert place.max() < 1 + 1e-6
        assert abs(place.mean() - 0.5) < 3.9 / np.sqrt(12 * inside.sum())


def test_resized_crop_is_bilinear_interpolation():
    rows, columns = np.indices((20, 16)) + 0.5
    texture = DRAWS.uniform(size=(20, 16))
    x = jnp.asarray(np.stack([rows, columns, texture], -1))
    view = jax.jit(S.resized_crop(0.1))
    out = np.asarray(view(KEYS[3], x))
    expected = map_coordinates(texture, [out[..., 0] - 0.5, out[..., 1] - 0.5], order=1)
    inner = np.s_[2:-2, 2:-2]  # away from the border the coordinates are read exactly
    np.testing.assert_allclose(out[..., 2][inner], expected[inner], atol=1e-10)


def test_probabilities_are_those_of_the_recipe():
    changed = {
        0.8: np.abs(many(S.jitter()) - IMAGE).max((1, 2, 3)) > 1e-9,
        0.2: np.abs(many(S.grayscale()) - IMAGE).max((1, 2, 3)) > 1e-9,
        0.5: np.abs(many(S.blur()) - IMAGE).max((1, 2, 3)) > 1e-12,
    }
    for p, seen in changed.items():
        assert abs(seen.mean() - p) < 3.9 * np.sqrt(p * (1 - p) / len(KEYS)) + 1e-3
    grayed = many(S.grayscale(1.0), keys=KEYS[:1])[0]
    np.testing.assert_allclose(grayed, plain_gray(IMAGE), atol=1e-12)


def test_jitter_applies_the_four_operations_in_every_order():
    """One pixel's operations do not commute: the outcomes match brute force over 24 orders."""
    from itertools import permutations

    x = jnp.asarray(IMAGE)
    seen = set()
    for key in KEYS[:200]:
        chance, _, sizes = jax.random.split(key, 3)
        if not bool(jax.random.bernoulli(chance, 0.8)):
            continue
        draws = jax.random.uniform(sizes, (4,), x.dtype, -1, 1)
        a, b, c = (1 + 0.8 * np.asarray(draws[:3])).tolist()
        operations = [
            lambda y, a=a: S.brightened(y, a),
            lambda y, b=b: S.contrasted(y, b),
            lambda y, c=c: S.saturated(y, c),
            lambda y, t=float(0.2 * draws[3]): S.turned(y, t),
        ]
        found = np.asarray(JITTER(key, x))
        for order in permutations(range(4)):
            y = x
            for which in order:
                y = operations[which](y)
            if np.abs(np.asarray(y) - found).max() < 1e-9:
                seen.add(order)
                break
        else:
            pytest.fail("no order of the four operations gives this view")
        if len(seen) > 8:
            return
    pytest.fail("few orders were drawn")


JITTER = jax.jit(S.jitter())


def test_recipe_is_the_composition_of_its_parts_and_has_a_name():
    parts = V.compose(S.resized_crop(), V.flip(), S.jitter(0.5), S.grayscale(), S.blur())
    x = jnp.asarray(IMAGE)
    recipe, text, jitted = (jax.jit(f) for f in (S.simclr(0.5), V.named("simclr=0.5"), parts))
    for key in KEYS[:5]:
        np.testing.assert_allclose(recipe(key, x), jitted(key, x), atol=1e-12)
        named = jax.random.fold_in(key, 0)  # a text names a composition, here of one view
        np.testing.assert_allclose(text(key, x), jitted(named, x), atol=1e-12)


@pytest.mark.parametrize("name", ["jitter", "grayscale"])
def test_one_channel_has_no_colour(name):
    x = jnp.asarray(IMAGE[..., :1])
    assert getattr(S, name)()(KEYS[0], x).shape == x.shape
    np.testing.assert_array_equal(S.turned(x, 0.3), x)
    np.testing.assert_allclose(S.saturated(x, 0.3), x, rtol=1e-14)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: S.jitter(2.0), "strength"),
        (lambda: S.blur(-1.0), "p must"),
        (lambda: S.resized_crop(0.0), "min_scale"),
        (lambda: S.jitter()(KEYS[0], jnp.ones((3, 3, 4))), "1 or 3 channels"),
        (lambda: S.blur()(KEYS[0], jnp.ones((3, 3))), "one image"),
    ],
)
def test_bad_input_is_one_line(make, says):
    with pytest.raises(InputError, match=says):
        make()
