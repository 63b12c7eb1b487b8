import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from jssl.data import views as V
from jssl.errors import InputError

KEYS = jax.random.split(jax.random.key(5), 2000)
IMAGE = np.arange(1.0, 31.0).reshape(5, 6, 1)


def many(view, x=IMAGE, keys=KEYS):
    return np.asarray(jax.jit(jax.vmap(view, (0, None)))(keys, jnp.asarray(x)))


def roll_with_zeros(x, a, b):
    out = np.roll(x, (a, b), (0, 1))
    rows, columns = np.indices(x.shape[:2])
    rows, columns = rows - a, columns - b
    inside = (rows >= 0) & (rows < x.shape[0]) & (columns >= 0) & (columns < x.shape[1])
    return out * inside[..., None]


@pytest.mark.parametrize("reach", [0, 2, 7])
def test_shift_is_a_roll_with_zero_fill_uniform_over_all_displacements(reach):
    steps = range(-reach, reach + 1)
    table = {}
    for a in steps:
        for b in steps:
            table.setdefault(roll_with_zeros(IMAGE, a, b).tobytes(), []).append((a, b))
    counts = dict.fromkeys(table, 0)
    for out in many(V.shift(reach)):
        counts[out.tobytes()] += 1  # a KeyError is an image that no roll makes
    total = len(steps) ** 2
    for made, displacements in table.items():
        p = len(displacements) / total
        assert abs(counts[made] / len(KEYS) - p) <= 5 * np.sqrt(p * (1 - p) / len(KEYS))


def test_crop_of_full_scale_changes_nothing():
    out = many(V.crop(1.0), keys=KEYS[:5])
    np.testing.assert_allclose(out, np.broadcast_to(IMAGE, out.shape), rtol=1e-14)


def test_crop_stretches_a_part_inside_the_image_with_area_uniform():
    # Bilinear sampling reproduces ramps away from the border, which give the part away.
    h, w, low = 40, 30, 0.3
    rows, columns = np.indices((h, w)) + 0.5
    out = many(V.crop(low), np.stack([rows, columns], -1), KEYS[:600])
    side = out[:, 21, 15, 0] - out[:, 20, 15, 0]  # rows of the image per row of the view
    np.testing.assert_allclose(out[:, 20, 16, 1] - out[:, 20, 15, 1], side, atol=1e-10)
    area = side**2
    assert low - 1e-9 <= area.min() < low + 0.02
    assert 0.98 < area.max() <= 1 + 1e-9
    assert abs(area.mean() - (1 + low) / 2) < 5 * (1 - low) / np.sqrt(12 * 600)
    for axis, size in enumerate((h, w)):
        centre = out[:, 20, 15, axis] - 0.5 * side  # where the part's midpoint lies
        share = (centre / size - side / 2) / (1 - side)  # its position among those inside
        assert share.min() > -1e-6
        assert share.max() < 1 + 1e-6
        assert abs(share.mean() - 0.5) < 5 / np.sqrt(12 * 600)


def test_crop_is_bilinear_interpolation():
    x = np.random.default_rng(0).normal(size=(9, 9, 1))
    rows, columns = np.indices((9, 9)) + 0.5
    stack = jnp.asarray(np.concatenate([x, rows[..., None], columns[..., None]], -1))
    out = np.asarray(jax.jit(V.crop(0.3))(KEYS[3], stack))
    inner = (slice(3, 6), slice(3, 6))
    expected = map_coordinates(x[..., 0], [out[..., 1] - 0.5, out[..., 2] - 0.5], order=1)
    np.testing.assert_allclose(out[..., 0][inner], expected[inner], atol=1e-12)


def test_flip_mirrors_left_and_right_with_its_probability():
    out = many(V.flip(0.2))
    mirrored = np.array([np.array_equal(o, IMAGE[:, ::-1]) for o in out])
    same = np.array([np.array_equal(o, IMAGE) for o in out])
    assert (mirrored ^ same).all()
    assert abs(mirrored.mean() - 0.2) < 5 * np.sqrt(0.16 / len(KEYS))


@pytest.mark.parametrize("shape", [(3,), (2, 2, 1)])
def test_noise_is_independent_with_its_standard_deviation(shape):
    added = many(V.noise(0.5), np.full(shape, 2.0)).reshape(len(KEYS), -1) - 2
    moment = added[:, :, None] * added[:, None, :]
    assert np.abs(added.mean(0)).max() < 5 * 0.5 / np.sqrt(len(KEYS))
    error = moment.std(0) / np.sqrt(len(KEYS))
    assert (np.abs(moment.mean(0) - 0.25 * np.eye(added.shape[1])) < 5 * error).all()


def test_brightness_is_one_uniform_factor_an_image():
    factor = many(V.brightness(0.5)) / IMAGE
    np.testing.assert_allclose(np.ptp(factor, (1, 2, 3)), 0, atol=1e-12)
    factor = factor[:, 0, 0, 0]
    assert 0.5 <= factor.min() < 0.51
    assert 1.49 < factor.max() <= 1.5
    assert abs(factor.mean() - 1) < 5 / np.sqrt(12 * len(KEYS))


def test_cutout_is_one_square_inside_uniform_over_positions():
    counts = np.zeros((4, 5))
    for out in many(V.cutout(2)):
        rows, columns = np.nonzero(out[..., 0] == 0)
        assert len(rows) == 4
        assert np.ptp(rows) == np.ptp(columns) == 1
        np.testing.assert_array_equal(out[out != 0], IMAGE[out != 0])
        counts[rows.min(), columns.min()] += 1
    assert np.abs(counts / len(KEYS) - 0.05).max() < 5 * np.sqrt(0.05 * 0.95 / len(KEYS))
    assert (many(V.cutout(0), keys=KEYS[:3]) == IMAGE).all()
    assert (V.cutout(5)(KEYS[0], jnp.asarray(IMAGE)) == 0).sum() == 25


def test_composition_applies_the_first_view_first_with_keys_of_their_own():
    x = jnp.ones(3)
    both = V.compose(V.noise(1.0), V.brightness(0.5))(KEYS[0], x)
    noisy = V.noise(1.0)(jax.random.fold_in(KEYS[0], 0), x)
    np.testing.assert_allclose(both, V.brightness(0.5)(jax.random.fold_in(KEYS[0], 1), noisy))
    twice = V.compose(V.noise(1.0), V.noise(1.0))(KEYS[0], x) - x
    assert (jnp.abs(twice / 2 - (noisy - x)) > 1e-6).all()  # two draws, not one twice
    np.testing.assert_array_equal(V.compose()(KEYS[0], x), x)


@pytest.mark.parametrize("name", V.VIEWS)
def test_every_view_is_deterministic_keeps_shape_and_dtype_and_maps(name):
    view = V.VIEWS[name]()
    x = jax.random.uniform(jax.random.key(1), (6, 8, 8, 3), jnp.float32)
    batched = jax.jit(V.batch_view(view))
    out = batched(KEYS[0], x)
    assert (out.shape, out.dtype) == (x.shape, x.dtype)
    np.testing.assert_array_equal(out, batched(KEYS[0], x))
    np.testing.assert_allclose(out[:3], batched(KEYS[0], x[:3]), atol=1e-6)
    if name != "identity":
        assert (np.asarray(out) != np.asarray(batched(KEYS[1], x))).any()
    gradient = jax.jit(jax.grad(lambda x: V.batch_view(view)(KEYS[0], x).sum()))(x)
    assert np.isfinite(gradient).all()


def test_samples_of_a_batch_are_viewed_independently():
    out = V.batch_view(V.noise(1.0))(KEYS[0], jnp.zeros((4, 5)))
    assert len(np.unique(out)) == 20


def test_strengths_may_be_traced():
    x, key = jnp.asarray(IMAGE), KEYS[0]
    for factory, value in [(V.noise, 0.3), (V.brightness, 0.3), (V.crop, 0.3), (V.flip, 0.3)]:
        traced = jax.jit(lambda v, factory=factory: factory(v)(key, x))(value)
        np.testing.assert_allclose(traced, jax.jit(factory(value))(key, x), rtol=1e-10)


def test_named_views_are_the_composition_of_their_factories():
    x = jnp.asarray(IMAGE)
    written = V.named("crop = 0.5, flip,shift=2,noise=1e-1,identity")
    built = V.compose(V.crop(0.5), V.flip(), V.shift(2), V.noise(0.1), V.identity())
    np.testing.assert_array_equal(jax.jit(written)(KEYS[0], x), jax.jit(built)(KEYS[0], x))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("nois", "did you mean 'noise'"),
        ("", "unknown view ''"),
        ("crop,,noise", "unknown view ''"),
        ("noise=", "needs a number"),
        ("noise=loud", "needs a number"),
        ("shift=1.5", "whole number"),
        ("noise=-1", "std"),
        ("noise=nan", "std"),
        ("crop=2", "min_scale"),
        ("identity=1", "takes no number"),
    ],
)
def test_names_that_say_nothing_are_refused(text, reason):
    with pytest.raises(InputError, match=reason) as error:
        V.named(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "call",
    [
        lambda: V.shift(-1),
        lambda: V.shift(True),
        lambda: V.crop(0.0),
        lambda: V.flip(1.5),
        lambda: V.flip("often"),
        lambda: V.noise(-0.1),
        lambda: V.brightness(2.0),
        lambda: V.cutout(1.5),
        lambda: V.cutout(6)(KEYS[0], jnp.asarray(IMAGE)),
        lambda: V.shift(1)(KEYS[0], jnp.ones((2, 3, 4, 1))),
        lambda: V.flip()(KEYS[0], jnp.ones(3)),
        lambda: jax.jit(lambda n: V.shift(n)(KEYS[0], jnp.asarray(IMAGE)))(1),
    ],
)
def test_bad_hyperparameters_are_refused_in_one_line(call):
    with pytest.raises(InputError) as error:
        call()
    assert "\n" not in str(error.value)
