"""Gram matrices of infinite-width kernels on data."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jssl.errors import InputError
from jssl.kernels import infinite, leading_modes
from jssl.models import centred, conv, linear, mlp
from jssl.types import Model, Pairs

RNG = np.random.default_rng(0)
PAIRS = Pairs(*RNG.standard_normal((2, 5, 3)))


@pytest.mark.parametrize("kind", infinite.KINDS)
def test_gram_holds_all_views_with_all_views_first_views_first(kind):
    model = mlp(3, 2, width=4, activation="erf")
    gram = np.asarray(infinite.gram(model, PAIRS, kind=kind))
    index = infinite.KINDS.index(kind)
    np.testing.assert_array_equal(gram, gram.T)
    for i, a in enumerate((PAIRS.first, PAIRS.second)):
        for j, b in enumerate((PAIRS.first, PAIRS.second)):
            block = gram[5 * i : 5 * i + 5, 5 * j : 5 * j + 5]
            np.testing.assert_allclose(block, model.kernel(a, b)[index], rtol=1e-12)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_gram_is_positive_definite(activation):
    gram = infinite.gram(mlp(3, 2, width=4, activation=activation), PAIRS)
    assert np.linalg.eigvalsh(gram)[0] > 1e-6


@pytest.mark.parametrize(("activation", "rows"), [("tanh", 3), ("erf", 1), ("erf", 64)])
def test_blocks_of_rows_change_nothing(activation, rows):
    model = mlp(3, 2, width=4, activation=activation)
    whole = infinite.gram(model, PAIRS)
    np.testing.assert_allclose(infinite.gram(model, PAIRS, rows=rows), whole, rtol=1e-12)


def test_blocks_of_image_rows_change_nothing():
    images, others = (RNG.standard_normal((n, 4, 4, 1)) for n in (5, 3))
    model = conv((4, 4, 1), 2, channels=4, layers=1)
    whole = infinite.kernel(model, images, others)
    assert whole.shape == (5, 3)
    blocks = infinite.kernel(model, jnp.asarray(images), jnp.asarray(others), rows=2)
    np.testing.assert_allclose(blocks, whole, rtol=1e-12)


def test_linear_gram_is_the_gram_of_the_data():
    views = np.concatenate(PAIRS[:2])
    np.testing.assert_allclose(infinite.gram(linear(3, 2), PAIRS), views @ views.T, rtol=1e-12)
    nngp = infinite.kernel(linear(3, 2, scale=0.1), views, kind="nngp")
    np.testing.assert_allclose(nngp, 0.01 / 3 * views @ views.T, rtol=1e-12)


def test_kernel_that_does_not_exist_is_refused_with_the_reason():
    with pytest.raises(InputError, match=r"standard parametrisation.*jssl.kernels.empirical"):
        infinite.gram(mlp(3, 2, parametrisation="standard"), PAIRS)
    with pytest.raises(InputError, match="did you mean 'ntk'"):
        infinite.gram(linear(3, 2), PAIRS, kind="nkt")


@pytest.mark.parametrize("rows", [0, -1, 1.5])
def test_rows_that_are_no_count_are_refused(rows):
    for second in (None, PAIRS.second):
        with pytest.raises(InputError, match="rows must be a whole number"):
            infinite.kernel(linear(3, 2), PAIRS.first, second, rows=rows)


@pytest.mark.parametrize("n", [0, 1])
def test_no_input_is_refused_and_one_is_enough(n):
    x, model = PAIRS.first[:n], mlp(3, 2, activation="relu")
    if n:
        assert infinite.kernel(model, x).shape == (1, 1)
        return
    for sides in ((x,), (PAIRS.first, x), (x, PAIRS.first)):
        with pytest.raises(InputError, match="at least one input"):
            infinite.kernel(model, *sides)


@pytest.mark.parametrize("n", [31, 33, 70, 300])
@pytest.mark.parametrize("kind", infinite.KINDS)
def test_upper_half_and_its_mirror_are_the_whole(n, kind):
    x = np.random.default_rng(n).standard_normal((n, 3))
    model = mlp(3, 2, width=4, activation="relu", bias_std=0.2, output_scale=0.5)
    whole = model.kernel(x, x)[infinite.KINDS.index(kind)]
    half = infinite.kernel(model, x, kind=kind)
    np.testing.assert_allclose(half, whole, rtol=1e-7)
    np.testing.assert_array_equal(half, half.T)
    np.testing.assert_array_equal(infinite.kernel(model, x, x, kind=kind), half)


def test_kernels_of_blocks_can_be_differentiated():
    x = jnp.asarray(np.random.default_rng(3).standard_normal((40, 3)))
    model = mlp(3, 2, width=4, activation="erf")
    slope = jax.grad(lambda x: jnp.sum(infinite.kernel(model, x) ** 2))(x)
    whole = jax.grad(lambda x: jnp.sum(model.kernel(x, x)[1] ** 2))(x)
    np.testing.assert_allclose(slope, whole, rtol=1e-8)


@pytest.mark.float32
@pytest.mark.parametrize("dtype", ["uint8", "int8", "float16", "bfloat16"])
@pytest.mark.parametrize("rows", [None, 2])
def test_kernel_of_integers_and_half_precision_is_that_of_the_same_numbers(dtype, rows):
    """The products of bytes, up to 3 * 127^2, fit neither in a byte nor in half precision."""
    x = np.random.default_rng(0).integers(0, 128, (2, 5, 3)).astype(float)
    f = functools.partial(infinite.kernel, rows=rows)
    for model in (linear(3, 1), mlp(3, 1, width=4, activation="relu")):
        low, exact = ([jnp.asarray(z, d) for z in x] for d in (dtype, "float32"))
        for found, expected in (
            (f(model, low[0]), f(model, exact[0])),
            (f(model, *low), f(model, *exact)),
            (model.kernel(*low)[1], model.kernel(*exact)[1]),
        ):
            assert found.dtype == "float32"
            np.testing.assert_allclose(found, expected, rtol=1e-6)
    by_hand = x[0] @ x[1].T
    low = [jnp.asarray(z, dtype) for z in x]
    np.testing.assert_array_equal(infinite.kernel(linear(3, 1), *low), by_hand)


@pytest.mark.parametrize("model", [linear(3, 1), mlp(3, 1, activation="relu")])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_inputs_that_are_not_finite_are_refused_with_their_row(model, bad):
    x = RNG.standard_normal((5, 3))
    broken = x.copy()
    broken[3, 1] = bad
    for sides in ((broken,), (broken, x), (jnp.asarray(broken), x)):
        with pytest.raises(InputError, match="x1 has a value that is not finite in row 3"):
            infinite.kernel(model, *sides)
    with pytest.raises(InputError, match="x2 has a value"):
        infinite.kernel(model, x, broken)


@pytest.mark.parametrize("activation", ["tanh", "gelu", "relu"])
def test_pixels_that_are_not_scaled_are_refused_where_the_scale_matters(activation):
    from jssl.kernels.inputs import check_scale_of_inputs

    pixels = np.random.default_rng(0).integers(0, 256, (20, 3)).astype(float)
    model = mlp(3, 1, activation=activation)
    for fine in (pixels / 255, pixels / 255 - 0.5, 1e4 * pixels, np.ones((4, 3), np.uint8)):
        check_scale_of_inputs(model, x=fine)
    for unscaled in (pixels, pixels.astype(np.uint8), pixels + RNG.standard_normal((20, 3))):
        if activation == "relu":
            check_scale_of_inputs(model, x=unscaled)
            continue
        with pytest.raises(
            InputError, match=r"of x look like pixels of 0 to 255 .* divide them by 255"
        ):
            check_scale_of_inputs(model, x=unscaled)
    with pytest.raises(InputError, match="divide them by 255"):
        check_scale_of_inputs(mlp(3, 1, activation="relu", bias_std=0.1), x=pixels)
    check_scale_of_inputs(model, x=20 * RNG.standard_normal((60, 3)))  # of both signs: no pixels


def test_every_call_on_data_refuses_pixels_that_are_not_scaled():
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 5, 1))
    tanh = conv((5, 5, 1), 1, activation="tanh")
    for model in (
        tanh,
        conv((5, 5, 1), 1, bias_std=0.1),
        centred(tanh),
        mlp(25, 1, activation="erf"),
    ):
        for call in (
            lambda model: infinite.kernel(model, pixels),
            lambda model: infinite.kernel(model, pixels / 255, pixels),
            lambda model: infinite.gram(model, Pairs(pixels, pixels)),
            lambda model: leading_modes(model, Pairs(pixels, pixels), 1),
        ):
            with pytest.raises(
                InputError, match=r"look like pixels of 0 to 255 .*; divide them by 255"
            ):
                call(model)
    own = Model(tanh.init, tanh.apply, lambda a, b: (jnp.ones((len(a), len(b))),) * 2)
    assert infinite.kernel(own, pixels).shape == (4, 4)


def test_missing_tuple_and_too_large_inputs_and_whole_keys_are_refused_in_one_line():
    model, x = mlp(3, 1), np.ones((4, 3))
    for call, message in (
        (lambda: infinite.kernel(model, None), "x1 is None; give an array of inputs"),
        (lambda: infinite.gram(model, (x, x)), "pairs must be jssl.types.Pairs"),
        (lambda: leading_modes(model, (x, x), 1), "pairs must be jssl.types.Pairs"),
        (lambda: leading_modes(model, Pairs(x, x), 1, key=0), "key must be a typed key"),
        (lambda: infinite.kernel(model, 1e200 * x), "overflows float64; divide them"),
        (lambda: infinite.gram(model, Pairs(x, -1e200 * x)), "second has values up to 1.0e\\+200"),
    ):
        with pytest.raises(InputError, match=message):
            call()


@pytest.mark.float32
def test_values_that_overflow_float32_are_refused():
    relu, erf = (mlp(3, 1, activation=name) for name in ("relu", "erf"))
    for model, most in ((relu, 1e18), (erf, 1e9)):
        for large in (1e300, 20 * most):
            with pytest.raises(InputError, match="kernel of these inputs overflows float32"):
                infinite.kernel(model, np.full((4, 3), large))
        assert np.isfinite(infinite.kernel(model, np.full((4, 3), most))).all()
