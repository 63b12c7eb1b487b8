"""Nested starts and padding: a narrow net inside a wide one's arrays."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jssl.errors import InputError
from jssl.models import ACTIVATIONS, conv, crop, cut, mlp, nested_normal, nested_normals, pad

NARROW, WIDE = 5, 12
SILENT = sorted(name for name, phi in ACTIVATIONS.items() if phi.zero_at_zero)


def _net(kind, width, wide=None, **options):
    if kind == "conv":
        options = {"channels": width, "max_channels": wide, "activation": "tanh", **options}
        return conv((6, 6, 2), 3, readout="flatten", **options)
    return mlp(6, 3, width=width, max_width=wide, **options)


def _inputs(kind, n=7):
    shape = (n, 6, 6, 2) if kind == "conv" else (n, 6)
    return jax.random.normal(jax.random.key(9), shape)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (20, 32)])
def test_smaller_start_is_the_leading_block_of_a_larger_one(rows, columns):
    key = jax.random.key(3)
    wide = nested_normal(key, 33, 65)
    np.testing.assert_array_equal(nested_normal(key, rows, columns), wide[:rows, :columns])
    last = jax.random.normal(jax.random.fold_in(key, rows - 1), (columns,), jnp.float32)
    np.testing.assert_array_equal(wide[rows - 1, :columns], last)


@pytest.mark.parametrize("first", [3, 400])
def test_starts_drawn_together_are_those_drawn_alone(first):
    """With 400 rows of 9, beside one of 20,000, rows are drawn in classes of like width."""
    shapes = ((first, 9), (1, 20_000), (2, 5))
    keys = list(jax.random.split(jax.random.key(6), 3))
    for key, (rows, columns), together in zip(
        keys, shapes, nested_normals(keys, shapes), strict=True
    ):
        of_rows = [
            jax.random.normal(jax.random.fold_in(key, row), (columns,), jnp.float32)
            for row in (0, rows - 1)
        ]
        # Two programs may round the same draw differently in its last bits.
        np.testing.assert_allclose(
            together[jnp.array([0, rows - 1])], jnp.stack(of_rows), rtol=1e-6, atol=1e-6
        )
        assert together.shape == (rows, columns)


def test_both_precisions_share_one_start():
    key = jax.random.key(4)
    double = nested_normal(key, 6, 9)
    single = nested_normal(key, 6, 9, jnp.float32)
    assert double.dtype == jnp.float64
    assert single.dtype == jnp.float32
    np.testing.assert_array_equal(double, single.astype(jnp.float64))


def test_entries_are_independent_standard_normals():
    draws = np.asarray(nested_normal(jax.random.key(5), 400, 300))
    count = draws.size
    assert abs(draws.mean()) < 4 / np.sqrt(count)
    assert abs((draws**2).mean() - 1) < 4 * np.sqrt(2 / count)
    for product in (draws[1:] * draws[:-1], draws[:, 1:] * draws[:, :-1]):
        assert abs(product.mean()) < 4 / np.sqrt(count)


@pytest.mark.parametrize("key", [jax.random.key(0, impl="rbg"), jax.random.PRNGKey(0), None])
def test_other_keys_are_refused(key):
    with pytest.raises(InputError, match=r"jax.random.key\(0\)"):
        nested_normal(key, 2, 2)


def test_cut_zeros_what_lies_beyond_under_jit_and_vmap():
    whole = jnp.arange(1.0, 13).reshape(3, 4)
    cuts = jax.jit(jax.vmap(lambda size: cut(whole, None, size)))(jnp.arange(5))
    for size in range(5):
        expected = np.array(whole)
        expected[:, size:] = 0
        np.testing.assert_array_equal(cuts[size], expected)
    np.testing.assert_array_equal(cut(whole, 2)[2], np.zeros(4))


_close = functools.partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-6)


def _beyond(large, small):
    """What a wide net's arrays hold outside the narrow net's."""
    return jax.tree.leaves(jax.tree.map(lambda a, b: a - pad(b, a), large, crop(large, small)))


@pytest.mark.parametrize("kind", ["mlp", "conv"])
def test_starts_are_nested_but_for_the_fan_in_and_padding_is_the_start_in_zeros(kind):
    narrow, wide, padded = (
        jax.jit(_net(kind, width, limit).init)(jax.random.key(1))
        for width, limit in ((NARROW, None), (WIDE, None), (NARROW, WIDE))
    )
    jax.tree.map(_close, narrow, crop(wide, narrow))
    jax.tree.map(_close, padded, pad(narrow, wide))
    assert all(np.all(leaf == 0) for leaf in _beyond(padded, narrow))


def _train(net, key, x, target, steps=50):
    """Return the first embedding, its gradient, and the parameters and embedding after AdamW."""
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-2, weight_decay=1e-2))
    slope = jax.grad(lambda params: jnp.mean((net.apply(params, x) - target) ** 2))

    def step(carry, _):
        params, state = carry
        updates, state = optimiser.update(slope(params), state, params)
        return (optax.apply_updates(params, updates), state), None

    first = net.init(key)
    last = jax.lax.scan(step, (first, optimiser.init(first)), None, length=steps)[0][0]
    return net.apply(first, x), slope(first), last, net.apply(last, x)


@pytest.mark.float32
@pytest.mark.parametrize(("kind", "bias_std"), [("mlp", 0.3), ("conv", 0.0)])
def test_padded_net_is_the_same_function_and_stays_so_under_adamw(kind, bias_std):
    x = _inputs(kind)
    data = jax.random.key(1), x, jax.random.normal(jax.random.key(2), (x.shape[0], 3))
    train = jax.jit(_train, static_argnums=0)
    z, gradient, last, after = train(_net(kind, NARROW, bias_std=bias_std), *data)
    padded = train(_net(kind, NARROW, WIDE, bias_std=bias_std), *data)
    same = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)
    same(z, padded[0])
    jax.tree.map(same, pad(gradient, padded[1]), padded[1])
    np.testing.assert_allclose(after, padded[3], atol=1e-5)
    assert all(np.all(leaf == 0) for leaf in _beyond(padded[1], gradient))
    assert all(np.all(leaf == 0) for leaf in _beyond(padded[2], last))
    assert np.abs(after - z).max() > 0.1


@pytest.mark.parametrize("activation", SILENT)
def test_activations_that_may_be_padded_are_silent_at_zero(activation):
    assert float(ACTIVATIONS[activation].function(jnp.zeros(()))) == 0


@pytest.mark.parametrize("activation", sorted(set(ACTIVATIONS) - set(SILENT)))
def test_activations_that_speak_at_zero_may_not_be_padded(activation):
    assert float(ACTIVATIONS[activation].function(jnp.zeros(()))) != 0
    for build in (
        lambda: mlp(3, 2, width=4, activation=activation, max_width=8),
        lambda: conv((4, 4, 1), 2, activation=activation, max_channels=8),
    ):
        with pytest.raises(InputError, match=r"\(0\) is not 0, so width cannot be padding"):
            build()


@pytest.mark.parametrize(("kind", "parametrisation"), [("mlp", "ntk"), ("conv", "standard")])
def test_traced_widths_run_side_by_side_in_one_program(kind, parametrisation):
    key, x = jax.random.key(1), _inputs(kind)
    options = {"parametrisation": parametrisation}

    def embed(key, x, width, wide=None):
        net = _net(kind, width, wide, **options)
        return net.apply(net.init(key), x)

    widths = [2, 12]
    program = jax.jit(jax.vmap(functools.partial(embed, wide=WIDE), (None, None, 0)))
    together = program(key, x, jnp.array(widths))
    for width, z in zip(widths, together, strict=True):
        lone = jax.jit(embed, static_argnums=2)(key, x, width)
        np.testing.assert_allclose(z, lone, rtol=1e-6, atol=1e-7)


def test_width_that_cannot_be_used_is_refused():
    with pytest.raises(InputError, match="traced width needs max_width"):
        jax.jit(lambda width: mlp(3, 2, width=width).init(jax.random.key(0)))(4)
    with pytest.raises(InputError, match="must lie in 1"):
        mlp(3, 2, width=9, max_width=8)
    with pytest.raises(InputError, match="width must be an integer of at least 1"):
        mlp(3, 2, width=0)
