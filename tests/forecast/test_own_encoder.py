"""Encoders of one's own: which tangent kernels are covered, and which are refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jssl
from jssl.errors import InputError
from jssl.forecast import own_encoder
from jssl.forecast.own_encoder import kernel_deviation
from jssl.models import mlp

Z = np.linalg.qr(np.random.default_rng(0).normal(size=(60, 3)))[0] * np.sqrt(60)


def own(params, x):
    """Every output has a feature of its own."""
    return jnp.stack([params["a"] * x[:, 0], params["b"] * x[:, 1]], 1)


def tied(params, x):
    """Both outputs are copies of each other."""
    return jnp.repeat(params["a"] * x[:, :1] + params["b"] * x[:, 1:2], 2, 1)


def predict(apply, params, **options):
    given = {"loss": "barlow_twins_linearized", "dim": 2, "scale": 1.0} | options
    return jssl.predict((Z, Z + 0), apply=apply, params=params, **given)


def test_outputs_with_kernels_of_their_own_have_the_times_of_each_output():
    """By hand: output k is sqrt(g_k) p_k q_k, so t_k = log(1 / (g_k p_k^2) - 1) / (8 g_k)."""
    gamma, start = np.array([1.0, 0.4]), np.array([1e-3, 2e-3])
    z = Z[:, :2] * np.sqrt(gamma)
    params = {"a": jnp.float32(start[0]), "b": jnp.float32(start[1])}
    seen = jssl.predict(
        (z, z + 0), loss="barlow_twins_linearized", dim=2, scale=1.0, apply=own, params=params,
        learning_rate=1e-3,
    )  # fmt: skip
    expected = np.log(1 / (gamma * start**2) - 1) / (8 * gamma) / 1e-3
    np.testing.assert_allclose(seen.steps, expected, rtol=5e-3)
    assert any("all blocks" in caveat for caveat in seen.caveats)


def test_outputs_that_are_copies_learn_one_dimension_for_ever():
    params = {"a": jnp.float32(1e-3), "b": jnp.float32(2e-3)}
    seen = predict(tied, params, learning_rate=1e-3)
    assert np.isfinite(seen.steps).tolist() == [True, False]


def test_outputs_of_their_own_features_are_seen_on_the_sampled_rows_of_any_draw():
    """Few sampled rows may make two features look alike; the true deviation is 1 here."""
    params = {"a": jnp.ones(()), "b": jnp.ones(())}
    rows = np.unique(np.linspace(0, 119, own_encoder._SAMPLES).astype(int))
    for seed in range(20):
        z = np.linalg.qr(np.random.default_rng(seed).normal(size=(60, 2)))[0]
        x = jnp.asarray(np.concatenate([z, z])[rows])
        assert kernel_deviation(own, params, x, 2).block > 0.5


def test_the_deviation_is_that_of_the_full_kernel():
    """Against the spectral norm of Theta - k I of gradients written out by hand."""
    x = Z[:5]
    gradients = np.zeros((5, 2, 2))
    gradients[:, 0, 0], gradients[:, 1, 1] = x[:, 0], x[:, 1]
    theta = np.einsum("iap,jbp->iajb", gradients, gradients)
    mean = np.einsum("iaja->ij", theta) / 2
    off = theta - np.einsum("ij,ab->iajb", mean, np.eye(2))
    exact = np.linalg.norm(off.reshape(10, 10), 2) / np.linalg.norm(mean, 2)
    params = {"a": jnp.ones(()), "b": jnp.ones(())}
    found = kernel_deviation(own, params, jnp.asarray(x), 2)
    np.testing.assert_allclose(found.whole, exact, rtol=1e-6)
    blocks = [np.linalg.norm(off[:, a, :, b]) for a in range(2) for b in range(2)]
    np.testing.assert_allclose(found.block, max(blocks) / np.linalg.norm(mean), rtol=1e-6)


def test_one_pair_of_equal_outputs_among_many_learns_one_dimension_less():
    draws = np.random.default_rng(0)
    weight = jnp.asarray(1e-3 * draws.normal(size=(2, 3)))
    seen = predict(lambda p, x: (x @ p.T)[:, jnp.array([0, 1, 1])], weight, dim=3)
    assert np.isfinite(seen.steps).tolist() == [True, True, False]


def test_pieces_of_many_outputs_give_the_same_deviation(monkeypatch):
    model = mlp(3, 7, width=16, depth=1)
    params = model.init(jax.random.key(0))
    whole = kernel_deviation(model.apply, params, jnp.asarray(Z[:4]), 7)
    size = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(params))
    monkeypatch.setattr(own_encoder, "_MEMORY", 3 * 8 * size)
    pieces = kernel_deviation(model.apply, params, jnp.asarray(Z[:4]), 7)
    np.testing.assert_allclose(pieces, whole, rtol=1e-5)


def test_a_wide_network_is_covered_with_a_caveat_on_its_outputs():
    deviations = []
    for width in (64, 1024):
        model = mlp(3, 2, width=width, depth=1, parametrisation="ntk")
        params = model.init(jax.random.key(0))
        deviations.append(kernel_deviation(model.apply, params, jnp.asarray(Z[:6]), 2))
    assert deviations[1].whole < deviations[0].whole
    assert deviations[1].block < deviations[0].block < 0.5
    model = mlp(3, 2, width=64, depth=1, parametrisation="ntk")
    seen = predict(model.apply, model.init(jax.random.key(0)), scale=1e-4)
    assert any("tangent kernels differ from one" in caveat for caveat in seen.caveats)
    exact = predict(lambda p, x: x @ p.T, 1e-3 * jnp.eye(2, 3))
    assert not any("tangent kernels differ" in caveat for caveat in exact.caveats)


def test_weight_decay_needs_an_encoder_that_is_linear_in_its_parameters():
    seen = predict(lambda p, x: 3 * x @ p.T, 1e-3 * jnp.eye(2, 3), weight_decay=0.1)
    assert np.isfinite(seen.steps).all()
    model = mlp(3, 2, width=256, depth=1, parametrisation="ntk")
    with pytest.raises(InputError, match="linear in its parameters"):
        predict(model.apply, model.init(jax.random.key(0)), weight_decay=0.1)


def test_a_dimension_that_the_start_does_not_hold_is_never_learned():
    weight = 1e-3 * jnp.array([[1.0, 2.0, 0.5], [2.0, 4.0, 1.0]], jnp.float32)
    seen = predict(lambda p, x: x @ p.T, weight)
    assert np.isfinite(seen.steps).tolist() == [True, False]
    assert seen.summary[0].startswith("Take a dimension of 1: 1 of 2")
    assert any("copies of each other" in caveat for caveat in seen.caveats)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"apply": lambda w, x: x @ w}, "fails for samples"),
        ({"apply": lambda w, x: np.asarray(x) @ w.T}, "fails for samples"),
        ({"apply": lambda w, x: (x @ w.T, 1)}, "it returns tuple"),
        ({"apply": 3}, "apply must be a function"),
        ({"apply": lambda w, x: x @ w.T, "params": None}, "params is missing"),
        ({"apply": None}, "apply is missing"),
        ({"params": None, "kernel": 3}, "kernel must be a name"),
        ({"apply": None, "params": None, "width": 8, "nets": -1}, "nets must be a whole number"),
    ],
)
def test_encoders_that_cannot_be_used_are_refused(given, message):
    first = np.random.default_rng(0).normal(size=(20, 4))
    settings = {"apply": lambda w, x: x @ w.T, "params": jnp.ones((2, 4))} | given
    with pytest.raises(InputError, match=message):
        jssl.predict((first, first + 0.1), loss="barlow_twins_linearized", dim=2, **settings)
