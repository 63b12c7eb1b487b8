"""The convolutional encoder against loops and against means over starts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jssl.errors import InputError
from jssl.models import conv

IMAGES = np.random.default_rng(0).standard_normal((3, 5, 4, 2))


def _by_hand(params, x, *, gain, bias_gain, stride, readout):
    """3x3 convolutions, zero padding as of `SAME`, written as loops."""
    for layer in params[:-1]:
        weight, bias = np.asarray(layer["weight"]), np.asarray(layer["bias"])
        n, height, width, channels = x.shape
        rows, columns = -(-height // stride), -(-width // stride)
        before = [
            max((count - 1) * stride + 3 - size, 0) // 2
            for count, size in ((rows, height), (columns, width))
        ]
        padded = np.zeros((n, height + 6, width + 6, channels))
        padded[:, before[0] : before[0] + height, before[1] : before[1] + width] = x
        out = np.zeros((n, rows, columns, len(weight)))
        for i in range(rows):
            for j in range(columns):
                patch = padded[:, i * stride : i * stride + 3, j * stride : j * stride + 3]
                out[:, i, j] = np.einsum("nabc,ocab->no", patch, weight)
        x = np.tanh(gain / np.sqrt(9 * channels) * out + bias_gain * bias)
    features = x.mean((1, 2)) if readout == "average" else np.moveaxis(x, 3, 1).reshape(len(x), -1)
    weight, bias = np.asarray(params[-1]["weight"]), np.asarray(params[-1]["bias"])
    return gain / np.sqrt(features.shape[1]) * features @ weight.T + bias_gain * bias


@pytest.mark.parametrize("readout", ["average", "flatten"])
@pytest.mark.parametrize("stride", [1, 2])
def test_apply_is_the_convolution_written_as_loops(readout, stride):
    model = conv(
        (5, 4, 2), 3, channels=6, layers=2, stride=stride, readout=readout, activation="tanh",
        weight_std=1.4, bias_std=0.3,
    )  # fmt: skip
    params = jax.jit(model.init)(jax.random.key(0))
    expected = _by_hand(params, IMAGES, gain=1.4, bias_gain=0.3, stride=stride, readout=readout)
    np.testing.assert_allclose(jax.jit(model.apply)(params, IMAGES), expected, rtol=1e-10)


def _sample(model):
    @jax.jit
    @jax.vmap
    def sample(key):
        params = model.init(key)
        z = model.apply(params, IMAGES)
        rows = jax.jacrev(lambda p: model.apply(p, jnp.asarray(IMAGES))[:, 0])(params)
        flat = jnp.concatenate([leaf.reshape(len(IMAGES), -1) for leaf in jax.tree.leaves(rows)], 1)
        return z @ z.T / z.shape[1], flat @ flat.T

    return sample


@pytest.mark.parametrize("readout", ["average", "flatten"])
def test_kernel_of_one_layer_is_the_mean_over_starts(readout):
    model = conv(
        (5, 4, 2), 2, channels=5, layers=1, readout=readout, bias_std=0.3, output_scale=0.7
    )
    samples = _sample(model)(jax.random.split(jax.random.key(1), 4000))
    # With one convolution the mean over starts is the infinite kernel at every width.
    for measured, expected in zip(samples, model.kernel(IMAGES, IMAGES), strict=True):
        error = np.std(measured, 0) / np.sqrt(len(measured))
        assert np.all(np.abs(np.mean(measured, 0) - expected) < 4.5 * error)


@pytest.mark.slow
def test_kernel_of_two_layers_is_the_mean_over_wide_starts():
    channels = 48
    model = conv((5, 4, 2), 4, channels=channels, layers=2, activation="tanh", bias_std=0.3)
    samples = _sample(model)(jax.random.split(jax.random.key(2), 128))
    for measured, expected in zip(samples, model.kernel(IMAGES, IMAGES), strict=True):
        error = np.std(measured, 0) / np.sqrt(len(measured))
        bias = 2 / channels * np.abs(expected).max()  # finite width, first order
        assert np.all(np.abs(np.mean(measured, 0) - expected) < 4.5 * error + bias)


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="image_shape must be"):
        conv((5, 4), 2)
    with pytest.raises(InputError, match="did you mean 'flatten'"):
        conv((5, 4, 2), 2, readout="flaten")
    model = conv((5, 4, 2), 2, channels=3)
    for call in (
        lambda x: model.apply(model.init(jax.random.key(0)), x),
        lambda x: model.kernel(x, x),
    ):
        with pytest.raises(InputError, match="images; got shape"):
            call(IMAGES[:, :4])
