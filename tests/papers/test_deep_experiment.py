"""Pieces of the experiment that need no training; `jssl reproduce deep` judges the rest."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jssl.diagnostics import detect_steps
from jssl.kernels import contrastive_modes
from jssl.papers import Settings, deep
from jssl.papers.deep import agreement, staircases, training
from jssl.types import Model, Pairs


def _staircase(delay=0.0):
    """Return steps, embedding eigenvalues rising at 20, 40, 60, and hidden ones after them."""
    step = np.arange(101.0)
    rise = 1 / (1 + np.exp(-(step[:, None] - np.array([20, 40, 60]))))
    late = 1 / (1 + np.exp(-(step[:, None] - np.array([20, 40, 60]) - delay)))
    return step, rise, 0.1 + late


@pytest.mark.parametrize(("delay", "counted"), [(0.0, 3), (5.0, 3), (25.0, 1)])
def test_hidden_dimensions_count_where_they_grow_in_their_own_step(delay, counted):
    step, values, hidden = _staircase(delay)
    seen = staircases.Staircase(detect_steps(step, values), values, hidden)
    assert staircases.hidden_in_step(step, seen) == counted


def test_a_hidden_layer_that_changes_before_the_first_step_is_detected():
    _, values, hidden = _staircase()
    assert staircases.change_before_first_step(values, hidden) < 10
    early = hidden + np.linspace(0, 1, len(hidden))[:, None]
    assert staircases.change_before_first_step(values, early) > 50


def test_chance_is_that_of_gaussian_embeddings():
    m, dim = 30, 3
    mean, spread = agreement.chance(m, dim)
    generator = np.random.default_rng(1)
    drawn = [agreement.agreement(*generator.normal(size=(2, m, dim))) for _ in range(300)]
    assert abs(np.mean(drawn) - mean) < 4 * spread / np.sqrt(300)
    assert abs(np.std(drawn) / spread - 1) < 0.25


def _linear_runs(apply, params):
    return training.Runs(np.arange(2), None, [], params, params, None, apply)


def test_prediction_of_a_linear_network_is_that_of_its_centred_cross_moment():
    """Independent: the top eigenvectors of the centred Gamma, applied to held-out images."""
    n, m = 40, 12
    keys = jax.random.split(jax.random.key(0), 4)
    scale = jnp.array([2.0, 1.5, 1.2, 1.0, 0.4, 0.3, 0.2, 0.1])
    common = 3 + scale * jax.random.normal(keys[0], (n, 8))
    first, second = (common + 0.1 * jax.random.normal(key, (n, 8)) for key in keys[1:3])
    held_out = 3 + scale * jax.random.normal(keys[3], (m, 8))
    data = training.Data(common, None, Pairs(first, second), held_out)
    weight = jnp.ones((training.DIM, 8))
    runs = _linear_runs(lambda w, x: x @ w.T, weight)
    found, moved = agreement.predicted(runs, weight, data)
    mean = (first.mean(0) + second.mean(0)) / 2
    a, b = np.asarray(first - mean), np.asarray(second - mean)
    vectors = np.linalg.eigh(a.T @ b + b.T @ a)[1][:, -training.DIM :]
    np.testing.assert_allclose(agreement.agreement(found, held_out @ vectors), 1, atol=1e-9)
    assert moved < 1e-6


def test_prediction_without_centring_would_find_the_mean():
    """The data above lie around 3: an uncentred kernel spends a dimension on their mean."""
    z = 3 + jax.random.normal(jax.random.key(0), (20, 5))
    centred = z - z.mean(0)
    plain = contrastive_modes(z @ z.T, 1).coefficients[:, 0]
    other = contrastive_modes(centred @ centred.T, 1).coefficients[:, 0]
    assert abs(np.corrcoef(z @ z.T @ plain, z @ z.T @ other)[0, 1]) < 0.99


@pytest.mark.float32
@pytest.mark.parametrize("kind", ["conv net", "ResNet, group norm", "ResNet, batch norm"])
def test_hidden_layers_lead_to_the_embedding(kind):
    """The last hidden layer of a ResNet, pooled, is what its dense layer reads."""
    model, hidden = training.network(kind, (8, 8, 1), "quick").make(1.0)
    assert isinstance(model, Model)
    params = model.init(jax.random.key(0))
    x = jax.random.normal(jax.random.key(1), (3, 8, 8, 1))
    layers = hidden(params, x)
    assert len(layers) == (2 if kind == "conv net" else 3)
    if kind != "conv net":
        z = layers[-1] @ params["head"]["weight"].T
        np.testing.assert_allclose(z, model.apply(params, x), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_parallel_start_belongs_to_cosine_losses_alone(monkeypatch):
    """A run of two steps: from the small start, SimCLR's directions begin within 1e-2."""
    monkeypatch.setattr(training, "DIM", 2)
    data = training.load("digits", Settings())
    small = data._replace(
        x=data.x[:6], recorded=jax.tree.map(lambda a: a[:6], data.recorded), held_out=data.x[:2]
    )
    net = training.network("conv net", (8, 8, 1), "quick")._replace(steps=4)
    runs = training.train(net, small, jax.random.key(0), points=2)
    begin = runs.eigenvalues[:, :, 0]
    assert begin.shape == (3, 2, 2)
    assert (begin[:, 0] < 1e-4).all()  # all three losses, small start
    assert (begin[:, 1, 0] > 1e-3).all()  # and the standard one
    starts = runs.first[-1]["weight"]
    np.testing.assert_allclose(starts[0, 0], starts[2, 0])  # one draw for all losses
    np.testing.assert_allclose(starts[0, 0], training.SMALL * starts[0, 1], rtol=1e-5)


def test_missing_image_sets_are_named(monkeypatch):
    monkeypatch.setattr(deep.images, "find", lambda name: None)
    assert deep.image_sets("large")[0] == ["digits"]
    assert "STL-10 was not found" in deep.image_sets("large")[1][1]


def test_a_run_that_is_not_finite_has_zero_eigenvalues_and_changes_no_other():
    covariances = np.stack([np.diag([1.0, 3.0]), np.full((2, 2), np.nan), np.full((2, 2), np.inf)])
    found = training._spectra(covariances)
    np.testing.assert_allclose(found, [[3, 1], [0, 0], [0, 0]])
