import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jssl._compat import neural_tangents
from jssl.errors import InputError
from jssl.kernels import block_for, empirical_ntk, gradients, peak_bytes

HIDDEN, OUTPUTS = 7, 3


def _params(seed=0):
    generator = np.random.default_rng(seed)
    return {
        "in": jnp.asarray(generator.normal(size=(HIDDEN, 4))),
        "bias": jnp.asarray(generator.normal(size=HIDDEN)),
        "out": jnp.asarray(generator.normal(size=(OUTPUTS, HIDDEN))),
        "depth": jnp.asarray(2),
    }


def _apply(params, x):
    """A net on images (n, 2, 2), with an integer among its parameters.

    A linear last layer would make its full kernel symmetric in the two outputs.
    """
    x = x.reshape(len(x), -1)
    hidden = jnp.tanh(x @ params["in"].T + params["bias"])
    return jnp.sin(hidden @ params["out"].T / params["depth"])


def _samples(n, seed=1):
    return jnp.asarray(np.random.default_rng(seed).normal(size=(n, 2, 2)))


def _jacobian(params, x):
    """All derivatives at once, (n, dim, parameters), by forward mode."""
    fixed = {"depth": params["depth"]}
    moving = {name: leaf for name, leaf in params.items() if name != "depth"}
    leaves = jax.tree.leaves(jax.jacfwd(lambda p: _apply({**p, **fixed}, x))(moving))
    return np.concatenate([np.reshape(leaf, (len(x), OUTPUTS, -1)) for leaf in leaves], axis=-1)


@pytest.mark.parametrize("block", [1, 4, 64])
def test_full_kernel_is_the_product_of_jacobians(block):
    params, x1, x2 = _params(), _samples(9), _samples(6, seed=2)
    expected = np.einsum("ikp,jlp->ijkl", _jacobian(params, x1), _jacobian(params, x2))
    found = empirical_ntk(_apply, params, x1, x2, outputs="full", block=block)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("block", [1, 4, 64])
def test_trace_kernel_is_the_mean_over_outputs(block):
    params, x1, x2 = _params(), _samples(9), _samples(6, seed=2)
    expected = np.einsum("ikp,jkp->ij", _jacobian(params, x1), _jacobian(params, x2)) / OUTPUTS
    found = empirical_ntk(_apply, params, x1, x2, block=block)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("outputs", ["trace", "full"])
def test_kernel_of_one_set_is_that_of_the_set_with_itself(outputs):
    params, x = _params(), _samples(9)
    half = empirical_ntk(_apply, params, x, outputs=outputs, block=4)
    whole = empirical_ntk(_apply, params, x, x, outputs=outputs, block=4)
    np.testing.assert_allclose(half, whole, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("outputs", ["trace", "full"])
@pytest.mark.parametrize(("n", "block"), [(9, 1), (9, 2), (9, 8), (9, 9), (9, 10), (1, 1), (1, 4)])
def test_blocks_of_every_size_give_the_products_of_jacobians(n, block, outputs):
    """A block of one sample has no upper half to mirror."""
    params, x = _params(), _samples(n)
    jacobian = _jacobian(params, x)
    expected = np.einsum("ikp,jlp->ijkl", jacobian, jacobian)
    if outputs == "trace":
        expected = np.trace(expected, axis1=2, axis2=3) / OUTPUTS
    found = empirical_ntk(_apply, params, x, outputs=outputs, block=block)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)


def test_networks_so_large_that_one_sample_fits_the_memory_have_a_kernel():
    params, x = _params(), _samples(5)
    memory = peak_bytes(params, 1)
    assert block_for(params, memory) == 1
    small = empirical_ntk(_apply, params, x, memory_bytes=memory)
    np.testing.assert_allclose(small, empirical_ntk(_apply, params, x), rtol=1e-12, atol=1e-13)


def test_parameters_of_size_zero_have_no_gradient():
    x, weight = jnp.ones((1, 3)), jnp.ones((3, 2))
    found = empirical_ntk(lambda p, x: x @ p[0], (weight, jnp.zeros((0, 4))), x)
    np.testing.assert_allclose(found, [[3.0]])


def test_kernel_is_symmetric_and_positive_semi_definite():
    params, x = _params(), _samples(9)
    trace = np.asarray(empirical_ntk(_apply, params, x, block=4))
    full = np.asarray(empirical_ntk(_apply, params, x, outputs="full", block=4))
    matrix = full.transpose(0, 2, 1, 3).reshape(9 * OUTPUTS, -1)
    for gram in (trace, matrix):
        np.testing.assert_array_equal(gram, gram.T)
        assert np.linalg.eigvalsh(gram).min() > -1e-12 * np.linalg.eigvalsh(gram).max()
    np.testing.assert_allclose(trace, np.trace(full, axis1=2, axis2=3) / OUTPUTS, rtol=1e-12)


@pytest.mark.filterwarnings("ignore:size requires ndarray:DeprecationWarning")  # theirs
@pytest.mark.parametrize("implementation", [1, 2])
def test_neural_tangents_computes_the_same_kernel(implementation):
    tangents = neural_tangents.load()
    init, apply, _ = tangents.stax.serial(
        tangents.stax.Dense(16), tangents.stax.Erf(), tangents.stax.Dense(OUTPUTS)
    )
    x1, x2 = _samples(6).reshape(6, 4), _samples(5, seed=2).reshape(5, 4)
    _, params = init(jax.random.key(0), x1.shape)
    for axes, outputs in (((-1,), "trace"), ((), "full")):
        kernel = tangents.empirical_ntk_fn(apply, trace_axes=axes, implementation=implementation)
        ours = empirical_ntk(apply, params, x1, x2, outputs=outputs, block=4)
        np.testing.assert_allclose(ours, kernel(x1, x2, params), rtol=1e-12, atol=1e-13)


def test_wide_net_is_near_its_infinite_width_kernel():
    """Per output, as the limit is: without the division by dim it would be off by a factor 3."""
    width, features = 4096, 4
    x = np.random.default_rng(0).normal(size=(6, features))
    generator = np.random.default_rng(1)
    params = [jnp.asarray(generator.normal(size=s)) for s in ((width, features), (OUTPUTS, width))]

    def apply(params, x):
        hidden = jax.nn.relu(x @ params[0].T / features**0.5)
        return hidden @ params[1].T * (2 / width) ** 0.5

    norms = np.linalg.norm(x, axis=1)
    cosine = np.clip(x @ x.T / np.outer(norms, norms), -1, 1)
    angle = np.pi - np.arccos(cosine)
    nngp = np.outer(norms, norms) * (np.sqrt(1 - cosine**2) + angle * cosine) / np.pi / features
    limit = nngp + x @ x.T / features * angle / np.pi
    # Standard deviation of a mean over 4096 neurons, at most 3 times the size of an entry: 5 sigma.
    allowed = 5 * 3 * np.outer(norms, norms) / features / width**0.5
    assert np.all(np.abs(empirical_ntk(apply, params, jnp.asarray(x)) - limit) < allowed)


def test_number_of_traces_does_not_grow_with_the_number_of_blocks():
    counts = []

    def counted(params, x):
        counts[-1] += 1
        return _apply(params, x)

    for n in (5, 23):
        counts.append(0)
        empirical_ntk(counted, _params(), _samples(n), block=4)
    assert counts[1] <= counts[0]
    counts.append(0)
    empirical_ntk(counted, _params(seed=1), _samples(23, seed=5), block=4)
    assert counts[2] <= 1  # the shape of the output


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("half", [False, True])
def test_memory_stays_within_what_is_stated(half, outputs):
    """XLA's own account of temporary memory, where the whole Jacobian would take 16 times more."""
    width, block, n = 3000, 8, 64
    params = {"in": jnp.ones((width, 16)), "out": jnp.ones((OUTPUTS, width))}

    def apply(params, x):
        return jnp.tanh(x @ params["in"].T) @ params["out"].T

    x, unit, total = (
        jnp.ones((n // block, block, 16)),
        jnp.eye(outputs, OUTPUTS)[None],
        (1, block, block),
    )
    task = (*np.zeros((2, 1), int), unit, unit, jnp.zeros(total))
    compiled = gradients._add.lower(apply, half, None, params, x, x, *task).compile()
    used = compiled.memory_analysis().temp_size_in_bytes
    activations = 8 * 8 * block * width * outputs  # a few copies of a hidden layer
    assert used < peak_bytes(params, block, outputs) + activations + 4 * 8 * n**2


@pytest.mark.parametrize("outputs", [1, 2])
def test_outputs_taken_at_once_change_nothing(outputs):
    params, x = _params(), _samples(9)
    memory = peak_bytes(params, 4, outputs)
    few = empirical_ntk(_apply, params, x, block=4, memory_bytes=memory)
    np.testing.assert_allclose(few, empirical_ntk(_apply, params, x), rtol=1e-12, atol=1e-13)


def test_block_fits_the_memory_it_was_chosen_for():
    params = _params()
    parameters = 7 * 4 + 7 + 3 * 7  # the integer has no gradient
    assert peak_bytes(params, block=5) == 2 * 5 * parameters * 8
    assert block_for(params, peak_bytes(params, 5)) == 5
    assert block_for(params, peak_bytes(params, 5) - 1) == 4
    with pytest.raises(InputError, match="are too few"):
        block_for(params, 100)


def test_kernel_can_be_jitted_mapped_and_differentiated():
    x = _samples(5)
    seeds = [_params(seed) for seed in range(2)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *seeds)
    mapped = jax.jit(jax.vmap(lambda p: empirical_ntk(_apply, p, x, block=2)))(stacked)
    for params, kernel in zip(seeds, mapped, strict=True):
        np.testing.assert_allclose(kernel, empirical_ntk(_apply, params, x, block=2), rtol=1e-12)

    def linear(scale, x):
        return scale**2 * x

    gradient = jax.grad(lambda s: empirical_ntk(linear, s, jnp.ones((3, 1))).sum())(3.0)
    np.testing.assert_allclose(gradient, 9 * 8 * 3.0)  # kernel entries are (2 s)^2


@pytest.mark.float32
def test_dtype_follows_the_parameters():
    params = jax.tree.map(lambda a: a.astype(jnp.float32), {**_params(), "depth": jnp.ones(())})
    assert empirical_ntk(_apply, params, _samples(3)).dtype == jnp.float32


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"outputs": "traces"}, "did you mean 'trace'"),
        ({"block": 0}, "block must be a whole number .* got 0"),
        ({"x2": jnp.ones((3, 5))}, "samples of one shape"),
        ({"x1": jnp.ones((0, 4)), "x2": jnp.ones((2, 4))}, "at least one sample"),
        ({"x1": jnp.ones((0, 4))}, "at least one sample"),
        ({"block": 1.5}, "block must be a whole number .* got 1.5"),
        ({"params": jnp.ones((), int)}, "no floating-point array"),
        ({"apply": lambda p, x: x.sum(1)}, r"apply must return \(n, dim\)"),
        ({"apply": lambda p, x: x[:, None]}, r"it returns \(1, 1, 4\) for one"),
        ({"apply": lambda p, x: x.sum(0, keepdims=True).T}, r"it returns \(4, 1\) for one"),
    ],
)
def test_bad_input_says_what_to_do(change, message):
    arguments = {"apply": lambda p, x: p * x, "params": jnp.ones(()), "x1": jnp.ones((2, 4))}
    with pytest.raises(InputError, match=message):
        empirical_ntk(**{**arguments, **change})


def test_kernel_over_devices_is_that_of_one():
    script = pathlib.Path(__file__).with_name("sharded_kernel.py")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "same", done.stderr[-2000:]
