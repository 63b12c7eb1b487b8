"""Every registered loss: its paper's definition in plain loops, and what holds for all of them."""

import functools
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from loss_definitions import REFERENCES

from jssl.errors import InputError
from jssl.losses.registry import ALIASES, LOSSES, get

N, DIM = 6, 3
EVERY = pytest.mark.parametrize("name", sorted(LOSSES))


def embeddings(seed=0, n=N, dim=DIM):
    rng = np.random.default_rng(seed)
    za = rng.normal(size=(n, dim))
    return za, 0.6 * za + 0.7 * rng.normal(size=(n, dim)) + 0.3


def test_every_loss_has_a_reference():
    assert set(REFERENCES) == set(LOSSES)
    assert set(ALIASES.values()) <= set(LOSSES)


@functools.cache
def compiled(name):
    """Return value and gradients of a loss; one program for all tests of one dtype."""
    return jax.jit(jax.value_and_grad(get(name), argnums=(0, 1)))


def value(name, za, zb):
    return float(compiled(name)(za, zb)[0])


def defaults(name):
    """Return the hyperparameters of a loss that are numbers."""
    words = LOSSES[name].function.__kwdefaults__ or {}
    return {word: default for word, default in words.items() if isinstance(default, float)}


@EVERY
@pytest.mark.parametrize("seed", [0, 1])
def test_value_is_the_papers_definition(name, seed):
    za, zb = embeddings(seed)
    loss, _ = compiled(name)(za, zb)
    assert loss.shape == ()
    assert loss.dtype == "float64"
    np.testing.assert_allclose(loss, REFERENCES[name](za, zb), rtol=1e-12)


@EVERY
def test_vmap_agrees_with_a_loop(name):
    pairs = [embeddings(seed) for seed in range(3)]
    za, zb = (jnp.stack(views) for views in zip(*pairs, strict=True))
    mapped = jax.jit(jax.vmap(compiled(name)))(za, zb)
    looped = jax.tree.map(
        lambda *leaves: jnp.stack(leaves), *(compiled(name)(*pair) for pair in pairs)
    )
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-10, atol=1e-12), mapped, looped
    )


@EVERY
def test_gradient_agrees_with_finite_differences(name):
    pair = embeddings()
    _, gradients = compiled(name)(*pair)
    if LOSSES[name].potential:
        loss = functools.partial(value, name)
    else:  # the vector field is the gradient of the loss with its targets frozen
        loss = jax.jit(get(name, targets=pair))
    for view in (0, 1):
        for way in np.random.default_rng(view).normal(size=(2, N, DIM)):
            step = [1e-5 * way * (view == 0), 1e-5 * way * (view == 1)]
            up = loss(*(z + s for z, s in zip(pair, step, strict=True)))
            down = loss(*(z - s for z, s in zip(pair, step, strict=True)))
            # truncation is 1e-10 times a third derivative, which 1/temperature^3 makes 1e3
            np.testing.assert_allclose(
                np.sum(gradients[view] * way), (up - down) / 2e-5, rtol=1e-6, atol=1e-6
            )


@EVERY
@pytest.mark.float32
def test_gradient_is_finite_where_embeddings_degenerate(name):
    z = np.float32(embeddings()[0])
    first = np.tile(z[:1], (N, 1))
    zero_row = z * (np.arange(N) > 0).astype("float32")[:, None]
    degenerate = {
        "zero": (0 * z, 0 * z),
        "equal views": (z, z),
        "equal samples": (first, first),
        "one sample at zero": (zero_row, z),
        "opposite views": (z, -z),
        "a coordinate that is constant": (z * np.float32([1, 1, 0]), z),
        "small": (np.float32(1e-6) * z, np.float32(1e-6) * z[::-1]),
        "squares underflow": (np.float32(1e-25) * z, np.float32(1e-25) * z[::-1]),
    }
    for case, (za, zb) in degenerate.items():
        loss, gradients = compiled(name)(za, zb)
        assert bool(jnp.isfinite(loss)), case
        assert all(bool(jnp.all(jnp.isfinite(g))) for g in gradients), case


@EVERY
def test_order_of_samples_does_not_matter_but_pairing_does(name):
    za, zb = embeddings()
    order = np.random.default_rng(3).permutation(N)
    here = value(name, za, zb)
    np.testing.assert_allclose(value(name, za[order], zb[order]), here, rtol=1e-12)
    shifted = value(name, za, np.roll(zb, 1, axis=0))
    if LOSSES[name].paired:
        assert abs(shifted - here) > 1e-2
    else:
        np.testing.assert_allclose(shifted, here, rtol=1e-12)


@EVERY
def test_invariances_are_as_flagged(name):
    za, zb = embeddings()
    rotation = np.linalg.qr(np.random.default_rng(7).normal(size=(DIM, DIM)))[0]
    changes = {
        "symmetric": (zb, za),
        "scale_free": (3 * za, 3 * zb),
        "rotation_invariant": (za @ rotation, zb @ rotation),
    }
    here = value(name, za, zb)
    for flag, changed in changes.items():
        difference = abs(value(name, *changed) - here)
        if (name, flag) == ("barlow_twins", "scale_free"):  # but for epsilon
            assert 1e-8 < difference < 1e-3
        elif getattr(LOSSES[name], flag):
            assert difference < 1e-11, flag
        else:
            assert difference > 1e-3, flag


@EVERY
def test_loss_is_bounded_below_as_flagged(name):
    za, _ = embeddings()  # equal views: every alignment is at its best
    assert (value(name, 1e3 * za, 1e3 * za) < -1e3) != LOSSES[name].bounded_below


@EVERY
@pytest.mark.float32
def test_float32_embeddings_give_float32_and_the_papers_value(name):
    za, zb = (jnp.asarray(z, "float32") for z in embeddings())
    loss, gradients = compiled(name)(za, zb)
    assert loss.dtype == gradients[0].dtype == gradients[1].dtype == "float32"
    expected = REFERENCES[name](*(np.asarray(z, np.float64) for z in (za, zb)))
    np.testing.assert_allclose(np.float64(loss), expected, rtol=3e-5, atol=3e-5)


@pytest.mark.parametrize("name", sorted(name for name in LOSSES if defaults(name)))
def test_numbers_may_be_traced_and_do_not_promote(name):
    za, zb = (np.float32(z) for z in embeddings())
    traced = jax.jit(lambda numbers, za, zb: get(name, **numbers)(za, zb))
    numbers = {word: np.float64(number) for word, number in defaults(name).items()}
    default = traced(numbers, za, zb)
    assert default.dtype == "float32"
    changed = {word: 1.7 * number + 0.1 for word, number in numbers.items()}
    on_host = jax.jit(get(name, **{word: float(number) for word, number in changed.items()}))
    np.testing.assert_allclose(traced(changed, za, zb), on_host(za, zb), rtol=1e-5)
    for word in numbers:
        assert abs(traced({**numbers, word: changed[word]}, za, zb) - default) > 1e-3, word


@EVERY
def test_wrong_shapes_say_what_is_wanted(name):
    loss = get(name)
    for za, zb in [((4, 2), (4, 3)), ((4, 2), (3, 2)), ((4,), (4,)), ((2, 4, 3), (2, 4, 3))]:
        with pytest.raises(InputError, match=r"two \(n, dim\) embeddings of equal shape"):
            jax.eval_shape(loss, jnp.zeros(za), jnp.zeros(zb))


@pytest.mark.parametrize(
    "name",
    [
        "align_uniform",
        "barlow_twins",
        "bhep",
        "decoupled_contrastive",
        "hard_info_nce",
        "info_nce",
        "lejepa",
        "linear_contrastive",
        "nt_xent",
        "sigreg",
        "vicreg",
    ],
)
def test_one_pair_cannot_be_compared(name):
    with pytest.raises(InputError, match="at least 2 pairs; got 1"):
        get(name)(jnp.ones((1, 2)), jnp.ones((1, 2)))


@pytest.mark.parametrize(
    ("name", "hyperparameters", "message"),
    [
        ("barlow_twin", {}, "did you mean 'barlow_twins'"),
        ("simcrl", {}, "unknown loss 'simcrl'; did you mean 'simclr'"),
        ("vicreg", {"invarance": 1.0}, "did you mean 'invariance'"),
        ("linear_non_contrastive", {"temperature": 1.0}, "unknown hyperparameter"),
        ("nt_xent", {"temperature": 0.0}, "temperature must be positive; got 0.0"),
        ("simclr", {"temperature": -1}, "temperature must be positive; got -1"),
        ("nt_xent", {"temperature": float("nan")}, "temperature must be positive"),
        ("nt_xent", {"temperature": "low"}, "temperature must be one number"),
        ("info_nce", {"temperature": np.ones(2)}, "vmap the loss"),
        ("barlow_twins", {"redundancy": -0.1}, "redundancy must be >= 0"),
        ("info_nce", {"score": "eucledian"}, "did you mean 'euclidean'"),
        ("info_nce", {"negatives": "other"}, "did you mean 'others'"),
        ("spectral_contrastive", {"negatives": "pool"}, "did you mean 'pooled'"),
        ("sigreg", {"grid": "papers"}, "did you mean 'paper'"),
        ("lejepa", {"trade_off": 1.5}, "trade_off must be from 0 to 1; got 1.5"),
        ("hard_info_nce", {"hardness": -1.0}, "hardness must be >= 0"),
    ],
)
def test_wrong_names_and_numbers_are_refused_by_get(name, hyperparameters, message):
    with pytest.raises(InputError, match=message) as caught:
        get(name, **hyperparameters)
    assert "\n" not in str(caught.value)


def test_wrong_numbers_are_refused_by_the_functions_as_well():
    z = jnp.ones((3, 2))
    for name, word in [("nt_xent", "temperature"), ("vicreg", "target_std")]:
        with pytest.raises(InputError, match=f"{word} must be positive"):
            LOSSES[name].function(z, z, **{word: 0.0})


@pytest.mark.slow
def test_sharded_gradient_is_that_of_one_device():
    script = """
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from jssl.losses.registry import LOSSES, get
mesh = jax.make_mesh((2,), ("batch",), axis_types=(AxisType.Auto,))
split = NamedSharding(mesh, PartitionSpec("batch"))
za, zb = np.random.default_rng(0).normal(size=(2, 8, 3)).astype("float32")
for name in LOSSES:
    loss = jax.jit(jax.value_and_grad(get(name), (0, 1)))
    sharded = loss(jax.device_put(za, split), jax.device_put(zb, split))
    for ours, theirs in zip(jax.tree.leaves(sharded), jax.tree.leaves(loss(za, zb))):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5, err_msg=name)
print("same")
"""
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
    }
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False
    )
    assert run.stdout.strip() == "same", run.stderr


@pytest.mark.parametrize("wrong", [True, np.bool_(1), jnp.array(1, bool)])
@pytest.mark.parametrize(("name", "option"), [("bhep", "width"), ("lejepa", "trade_off")])
def test_a_boolean_is_no_hyperparameter(name, option, wrong):
    z = jax.random.normal(jax.random.key(0), (8, 3))
    with pytest.raises(InputError, match=f"{option} must be a number"):
        get(name, **{option: wrong})(z, z)
