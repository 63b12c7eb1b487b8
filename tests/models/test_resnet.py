"""Residual networks: published sizes, norms, stages."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jssl.errors import InputError
from jssl.kernels import infinite
from jssl.models import resnet, resnet_with_stages
from jssl.models.patches import convolve
from jssl.models.resnet import NORMS, normalise


def _count(params):
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))


def _shapes(*arguments, **options):
    model = resnet(*arguments, **options)
    params = jax.eval_shape(model.init, jax.random.key(0))
    x = jax.ShapeDtypeStruct((2, *arguments[0]), jnp.float64)
    return params, jax.eval_shape(model.apply, params, x)


@pytest.mark.parametrize(
    ("blocks", "block", "body", "features"),
    [((2, 2, 2, 2), "basic", 11_176_512, 512), ((3, 4, 6, 3), "bottleneck", 23_508_032, 2048)],
)
def test_published_networks_have_their_published_number_of_parameters(
    blocks, block, body, features
):
    """Counts of the networks for 224 x 224 images, without their last layer."""
    options = {"blocks": blocks, "block": block, "stem": "large", "norm": "batch"}
    params, z = _shapes((224, 224, 3), 10, **options)
    assert _count(params) - _count(params["head"]) == body
    assert params["head"]["weight"].shape == (10, features)
    assert z.shape == (2, 10)


@pytest.mark.parametrize("image", [(28, 28, 1), (32, 32, 3)])
def test_resnet_18_takes_small_images(image):
    params, z = _shapes(image, 7)
    # The first convolution has 3 x 3 filters instead of 7 x 7, for these colours.
    assert _count(params) == 11_176_512 - 64 * (3 * 49 - image[2] * 9) + 7 * 512
    assert z.shape == (2, 7)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [1, 3, 7])
def test_convolution_is_that_of_xla(stride, size):
    x = jax.random.normal(jax.random.key(0), (2, 7, 6, 3))
    weight = jax.random.normal(jax.random.key(1), (4, 3, size, size))
    order = ("NHWC", "OIHW", "NHWC")
    theirs = jax.lax.conv_general_dilated(
        x, weight, (stride, stride), "SAME", dimension_numbers=order
    )
    np.testing.assert_allclose(convolve(x, weight, stride), theirs, rtol=1e-12, atol=1e-12)


def test_norms_standardise_over_their_own_axes():
    h = 3 + 2 * jax.random.normal(jax.random.key(0), (4, 3, 3, 6))
    for norm, groups, over in (
        ("batch", 1, (0, 1, 2)),
        ("layer", 1, (1, 2, 3, 4)),
        ("group", 3, (1, 2, 4)),
    ):
        out = normalise(h, norm, 3)
        split = out if norm == "batch" else out.reshape(4, 3, 3, groups, -1)
        np.testing.assert_allclose(np.mean(split, over), 0, atol=1e-12)
        np.testing.assert_allclose(np.var(split, over), 1, rtol=1e-4)


@pytest.mark.parametrize("norm", NORMS)
def test_rows_depend_on_one_another_under_batch_norm_alone(norm):
    model = resnet((6, 6, 1), 2, blocks=(1, 1), channels=4, norm=norm)
    params = model.init(jax.random.key(0))
    x = jax.random.normal(jax.random.key(1), (5, 6, 6, 1))
    apply = jax.jit(model.apply)
    apart = float(jnp.abs(apply(params, x)[:3] - apply(params, x[:3])).max())
    assert (apart > 1e-3) == (norm == "batch")
    assert apart < 1e-12 or norm == "batch"


def test_a_basic_block_is_the_published_one():
    """One stage of one block, written out with scipy-like loops over positions."""
    net = resnet_with_stages((3, 3, 1), 2, blocks=(1,), channels=2, norm="none", activation="tanh")
    params = net.model.init(jax.random.key(0))
    x = np.asarray(jax.random.normal(jax.random.key(1), (1, 3, 3, 1)))

    def filtered(h, layer):
        weight = np.asarray(layer["weight"])
        out = np.zeros((3, 3, len(weight)))
        for i, j, a, b in np.ndindex(3, 3, 3, 3):
            row, column = i + a - 1, j + b - 1
            if 0 <= row < 3 and 0 <= column < 3:
                out[i, j] += weight[:, :, a, b] @ h[row, column]
        return out

    h = np.tanh(filtered(x[0], params["stem"]))
    first, second = params["stages"][0][0]["body"]
    out = np.tanh(h + filtered(np.tanh(filtered(h, first)), second))
    stages = net.stages(params, jnp.asarray(x))
    np.testing.assert_allclose(stages[0][0], h.mean((0, 1)), rtol=1e-10)
    np.testing.assert_allclose(stages[1][0], out.mean((0, 1)), rtol=1e-10)
    z = net.model.apply(params, jnp.asarray(x))
    np.testing.assert_allclose(
        z[0], np.asarray(params["head"]["weight"]) @ out.mean((0, 1)), rtol=1e-10
    )


def test_output_scale_multiplies_the_embedding():
    x = jax.random.normal(jax.random.key(1), (3, 6, 6, 1))
    one, small = (
        resnet((6, 6, 1), 2, blocks=(1,), channels=4, output_scale=scale) for scale in (1.0, 1e-3)
    )
    z, tiny = (m.apply(m.init(jax.random.key(0)), x) for m in (one, small))
    np.testing.assert_allclose(tiny, 1e-3 * z, rtol=1e-10)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"norm": "bach"}, "did you mean 'batch'"),
        ({"block": "basics"}, "did you mean 'basic'"),
        ({"blocks": ()}, "stages"),
        ({"channels": 0}, "channels"),
    ],
)
def test_bad_input_says_what_to_do(change, message):
    with pytest.raises(InputError, match=message):
        resnet((6, 6, 1), 2, **change)


def test_batch_norm_has_no_infinite_width_kernel_and_says_what_to_do():
    model = resnet((6, 6, 1), 2, blocks=(1,), channels=2, norm="batch")
    with pytest.raises(InputError, match=r"depend on one another.*use the NTK of one net"):
        infinite.kernel(model, jnp.ones((2, 6, 6, 1)))
    with pytest.raises(InputError, match=r"x must be \(n, 6, 6, 1\)"):
        model.apply(model.init(jax.random.key(0)), jnp.ones((2, 36)))
