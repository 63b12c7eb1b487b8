"""Dtypes, centring and means against exact values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jssl.arithmetic import centred, dot, floating, mean, rows, working
from jssl.errors import InputError
from jssl.host_arithmetic import host_float64

DTYPES = ["bool", "int4", "int8", "uint8", "int32", "float8_e4m3fn", "float16", "bfloat16"]


@pytest.mark.float32
@pytest.mark.parametrize("dtype", DTYPES)
def test_integers_and_half_precision_are_computed_with_in_float32(dtype):
    (x,) = working(x=jnp.ones(3, dtype))
    assert x.dtype == "float32"


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_widest_floating_dtype_decides(dtype):
    a, b = working(a=jnp.ones(3, dtype), b=jnp.ones(3, "float64"))
    assert a.dtype == b.dtype == "float64"
    a, b = working(a=jnp.ones(3, dtype), b=jnp.ones(3, "float32"))
    assert a.dtype == b.dtype == "float32"


def test_floating_leaves_half_precision_alone_and_converts_integers():
    half, whole = floating(half=jnp.ones(2, "bfloat16"), whole=np.array([100, 100], "int8"))
    assert half.dtype == "bfloat16"
    np.testing.assert_array_equal(whole * whole, 10_000.0)


@pytest.mark.parametrize("bad", [1j * np.ones(2), np.array(["a"]), [[1], [2, 3]], None, [object()]])
def test_what_is_no_array_of_real_numbers_is_refused_in_one_line(bad):
    calls = (
        lambda: working(z=bad),
        lambda: floating(z=bad),
        lambda: host_float64("z", bad),
    )
    for call in calls:
        with pytest.raises(InputError, match="z must be an array of real numbers") as caught:
            call()
        assert "\n" not in str(caught.value)


@pytest.mark.float32
def test_a_number_beyond_float32_becomes_infinite_without_a_warning():
    (x,) = working(x=np.array([1e200]))
    assert jnp.isinf(x[0])


def test_rows_of_the_wrong_shape_are_refused():
    for shape in ((3,), (0, 2), (2, 0)):
        with pytest.raises(InputError, match=r"z must be \(n, dim\)"):
            rows("z", jnp.ones(shape))
    with pytest.raises(InputError, match="n >= 2"):
        rows("z", jnp.ones((1, 2)), least=2)


@pytest.mark.float32
def test_centring_keeps_the_digits_of_a_spread_beside_a_large_mean():
    z = np.random.default_rng(0).integers(0, 64, (1000, 3)) / 64 + 2.0**17
    exact = z - z.mean(0)
    np.testing.assert_allclose(centred(jnp.float32(z)), exact, atol=1e-6)
    assert np.abs(np.float32(z) - np.float32(z).mean(0) - exact).max() > 1e-3


@pytest.mark.float32
def test_centred_equal_rows_are_exactly_zero_and_the_gradient_is_that_of_centring():
    z = np.tile(np.float32([[0.1, 1e12, -3e-12]]), (1001, 1))
    assert not centred(z).any()
    weight = np.random.default_rng(0).normal(size=(5, 2)).astype("float32")
    found = jax.grad(lambda z: jnp.sum(centred(z) * weight))(jnp.ones((5, 2)))
    np.testing.assert_allclose(found, weight - weight.mean(0), atol=1e-6)


@pytest.mark.float32
def test_a_mean_does_not_overflow():
    x = np.full((4, 3), 3e38, np.float32)
    np.testing.assert_allclose(mean(x), 3e38, rtol=1e-6)
    np.testing.assert_allclose(mean(x, 0), [3e38] * 3, rtol=1e-6)


def test_products_are_in_full_precision_unless_the_caller_chose_another():
    def lowered(z):
        return str(jax.make_jaxpr(lambda z: dot(z, z))(z))

    z = jnp.ones((2, 2))
    assert "HIGHEST" in lowered(z)
    with jax.default_matmul_precision("bfloat16"):
        assert "HIGHEST" not in lowered(z)
    with jax.default_matmul_precision("highest"):
        assert "HIGHEST" in lowered(z)
