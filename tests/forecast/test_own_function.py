"""Functions and modules of the user: dtypes, leaves that are no arrays, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jssl
from jssl.errors import InputError

LOSS = {"loss": "barlow_twins_linearized", "dim": 2}
DRAWS = np.random.default_rng(0)
BASE = DRAWS.normal(size=(60, 8, 8, 1)) * np.linspace(2, 0.2, 8)[:, None, None]
IMAGES = tuple((BASE + 0.1 * DRAWS.normal(size=BASE.shape)).astype(np.float32) for _ in range(2))
FLAT = tuple(x.reshape(60, 64) for x in IMAGES)


def conv(params, x):
    """Convolutions of JAX take arguments of one dtype alone."""
    names = ("NHWC", "HWIO", "NHWC")
    hidden = jax.lax.conv_general_dilated(
        x, params["kernel"], (2, 2), "SAME", dimension_numbers=names
    )
    return jnp.tanh(hidden).reshape(len(x), -1) @ params["readout"]


def conv_params(dtype):
    draws = np.random.default_rng(1)
    shapes = {"kernel": (3, 3, 1, 4), "readout": (64, 2)}
    return {
        k: jnp.asarray(draws.normal(size=s) / 4, jnp.float32).astype(dtype)
        for k, s in shapes.items()
    }


def test_a_network_that_does_not_mix_dtypes_has_the_forecast_of_its_parameters_in_float64():
    seen = jssl.predict(IMAGES, **LOSS, apply=conv, params=conv_params(jnp.float32))
    exact = jssl.predict(IMAGES, **LOSS, apply=conv, params=conv_params(jnp.float64))
    np.testing.assert_allclose(seen.eigenvalues[:2], exact.eigenvalues[:2], rtol=1e-5)
    np.testing.assert_allclose(seen.steps, exact.steps, rtol=1e-3)


def test_a_network_that_does_not_mix_dtypes_is_trained_as_well():
    seen = jssl.predict(
        IMAGES, **LOSS, apply=conv, params=conv_params(jnp.float32), simulate=1, scale=1e-2
    )
    assert np.isfinite(seen.simulated).all()


def test_a_network_that_takes_float64_is_called_with_it():
    """Float32 parameters and samples in float64 give embeddings in float64, as before."""
    seen = []

    def linear(weight, x):
        seen.append(x.dtype)
        return x @ weight.T

    jssl.predict(FLAT, **LOSS, apply=linear, params=jnp.ones((2, 64), jnp.float32).at[0, 0].set(3))
    assert set(map(str, seen)) == {"float64"}


def test_leaves_that_are_no_arrays_are_held_fixed():
    """Against the same network with its activation and its factor outside of the parameters."""
    weight = jnp.asarray(np.random.default_rng(2).normal(size=(2, 64)) / 8)
    given = {"weight": weight, "activation": jnp.tanh, "factor": 2.0, "name": "net"}
    seen = jssl.predict(
        FLAT, **LOSS, apply=lambda p, x: p["activation"](p["factor"] * x @ p["weight"].T),
        params=given,
    )  # fmt: skip
    plain = jssl.predict(FLAT, **LOSS, apply=lambda w, x: jnp.tanh(2.0 * x @ w.T), params=weight)
    np.testing.assert_allclose(seen.steps, plain.steps, rtol=1e-12)


def test_modules_of_equinox_are_parameters():
    eqx = pytest.importorskip("equinox")
    module = eqx.nn.MLP(64, 2, 16, 1, key=jax.random.key(0))
    seen = jssl.predict(FLAT, **LOSS, apply=lambda m, x: jax.vmap(m)(x), params=module)
    arrays, rest = eqx.partition(module, eqx.is_inexact_array)
    plain = jssl.predict(
        FLAT, **LOSS, apply=lambda m, x: jax.vmap(eqx.combine(m, rest))(x), params=arrays
    )
    np.testing.assert_allclose(seen.steps, plain.steps, rtol=1e-12)


def modules():
    torch = pytest.importorskip("torch")
    nn = torch.nn

    class Two(nn.Linear):
        def forward(self, x, y):
            return x + y

    class Tuple(nn.Linear):
        def forward(self, x):
            return super().forward(x), x

    class InPlace(nn.Linear):
        def forward(self, x):
            z = super().forward(x)
            return z * 1.0 if float(z.sum()) > 0 else z

    convolution = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(72, 2))
    return {
        "convolution": convolution,
        "two": Two(64, 2),
        "tuple": Tuple(64, 2),
        "branch": InPlace(64, 2),
        "three": nn.Linear(64, 3),
    }


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize(
    ("name", "pairs", "says"),
    [
        ("convolution", IMAGES, r"\(120, 8, 8, 1\).*numpy.moveaxis\(x, -1, 1\)"),
        ("convolution", FLAT, r"\(120, 64\).*images \(n, channels, height, width\)"),
        ("two", FLAT, r"\(120, 64\).*forward\(self, x\)"),
        ("tuple", FLAT, r"one tensor \(120, dim = 2\); for views \(120, 64\) it returns tuple"),
        ("branch", FLAT, "cannot differentiate"),
        ("three", FLAT, r"the module must return \(120, dim = 2\); it returns \(120, 3\)"),
    ],
)
def test_modules_that_cannot_be_used_are_one_line(name, pairs, says):
    with pytest.raises(InputError, match=says) as error:
        jssl.predict(pairs, **LOSS, torch=modules()[name])
    assert "\n" not in str(error.value)


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_a_convolution_takes_the_axes_that_the_message_names():
    pairs = tuple(np.moveaxis(x, -1, 1) for x in IMAGES)
    module = modules()["convolution"]
    assert len(jssl.predict(pairs, **LOSS, torch=module).steps) == 2
