"""What every registered encoder must bear: jit, vmap, grad, both precisions, any platform."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jssl.errors import InputError
from jssl.models import MODELS, get

SIZES = dict.fromkeys(("conv", "resnet"), ((6, 6, 2), 3)) | dict.fromkeys(
    ("deep_linear", "linear", "mlp", "one_layer", "residual"), (8, 3)
)
WIDE = ("deep_linear", "mlp", "residual")
SMALL = {"conv": {"channels": 4}} | dict.fromkeys(WIDE, {"width": 4})  # noqa: RUF024
SMALL["resnet"] = {"channels": 4, "blocks": (1, 1), "norm": "batch"}


def _model(name, **options):
    return get(name, *SIZES[name], **SMALL.get(name, {}), **options)


def _inputs(name, dtype=None):
    shape = SIZES[name][0] if name in ("conv", "resnet") else (8,)
    return jax.random.normal(jax.random.key(1), (5, *shape), dtype)


def _loss(model):
    return lambda params, x: jnp.sum(model.apply(params, x) ** 2)


def test_every_model_is_tested_here():
    assert sorted(SIZES) == sorted(MODELS)


@pytest.mark.parametrize("name", sorted(MODELS))
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_dtype_of_parameters_embedding_and_gradient_is_the_one_asked_for(name, dtype):
    model, x = _model(name, dtype=dtype), _inputs(name, dtype)
    params = jax.eval_shape(model.init, jax.random.key(0))
    z = jax.eval_shape(model.apply, params, x)
    gradient = jax.eval_shape(jax.grad(_loss(model)), params, x)
    assert z.shape == (5, 3)
    assert {a.dtype for a in jax.tree.leaves((params, z, gradient))} == {jnp.dtype(dtype)}


@pytest.mark.parametrize("name", sorted(MODELS))
def test_seeds_under_vmap_are_the_lone_runs(name):
    model, x = _model(name), _inputs(name)
    keys = jax.random.split(jax.random.key(2), 3)
    together = jax.jit(jax.vmap(lambda key: model.apply(model.init(key), x)))(keys)
    lone = jax.jit(lambda key: model.apply(model.init(key), x))
    for key, z in zip(keys, together, strict=True):
        np.testing.assert_allclose(z, lone(key), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_gradient_is_that_of_finite_differences(name):
    model, x = _model(name), _inputs(name)
    if name in ("conv", "resnet"):
        model = _model(name, activation="tanh")
    params, step = (jax.jit(model.init)(jax.random.key(seed)) for seed in (0, 1))
    gradient = jax.jit(jax.grad(_loss(model)))(params, x)
    pairs = zip(jax.tree.leaves(gradient), jax.tree.leaves(step), strict=True)
    slope = sum(np.vdot(a, b) for a, b in pairs)

    @jax.jit
    def along(h):
        return _loss(model)(jax.tree.map(lambda p, s: p + h * s, params, step), x)

    np.testing.assert_allclose((along(1e-5) - along(-1e-5)) / 2e-5, slope, rtol=1e-6)


@pytest.mark.float32
@pytest.mark.parametrize("name", sorted(MODELS))
def test_start_and_gradient_lower_for_every_platform(name):
    model, x = _model(name), _inputs(name)

    def work(key, x):
        return jax.value_and_grad(_loss(model))(model.init(key), x)

    platforms = ("cpu", "cuda", "tpu")
    exported = jax.export.export(jax.jit(work), platforms=platforms)(jax.random.key(0), x)
    assert exported.platforms == platforms


def test_unknown_model_names_the_nearest():
    with pytest.raises(InputError, match="did you mean 'deep_linear'"):
        get("deep-linear", 3, 2)


@pytest.mark.parametrize("name", sorted(MODELS))
@pytest.mark.parametrize("dtype", [np.uint8, bool])
def test_embedding_of_integers_is_that_of_the_same_numbers(name, dtype):
    """Raw images are uint8."""
    model = _model(name)
    x = (40 * np.abs(np.asarray(_inputs(name)))).astype(dtype)
    params = jax.jit(model.init)(jax.random.key(0))
    for whole in (x, jnp.asarray(x)):
        z = model.apply(params, whole)
        assert z.dtype == jax.tree.leaves(params)[0].dtype
        np.testing.assert_allclose(z, model.apply(params, jnp.asarray(x, float)), rtol=1e-12)


@pytest.mark.float32
@pytest.mark.parametrize("name", sorted(MODELS))
@pytest.mark.parametrize("dtype", ["uint8", "float16"])
def test_inputs_that_are_integers_or_half_precision_are_taken_as_the_numbers_they_are(name, dtype):
    model = _model(name)
    params = model.init(jax.random.key(0))
    x = jnp.round(jnp.abs(40 * _inputs(name)))
    found = model.apply(params, x.astype(dtype))
    assert found.dtype == "float32"
    np.testing.assert_allclose(found, model.apply(params, x), rtol=1e-5, atol=1e-5)
