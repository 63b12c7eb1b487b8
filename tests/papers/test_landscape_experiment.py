"""Parts of the experiment without a full run; `jssl reproduce landscape` tests the rest."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jssl.papers import Settings
from jssl.papers.landscape import classes, common, flow, mixture, normalisation, ranks
from jssl.theory import landscape


def test_the_sampled_loss_is_info_nce_with_separate_anchors():
    rng = np.random.default_rng(0)
    anchor, positive, paired, negatives = rng.standard_normal((4, 6, 3))
    weight = rng.standard_normal((2, 3))
    za, zb, zp, zn = (x @ weight.T for x in (anchor, positive, paired, negatives))
    exact = 0.0
    for i in range(6):
        exact += ((za[i] - zb[i]) ** 2).sum() / 12
        exact += np.log(sum(np.exp(-((zp[i] - z) ** 2).sum() / 2) for z in zn)) / 6
    found = common.sampled_loss(
        *(jnp.asarray(x) for x in (weight, anchor, positive, paired)), jnp.asarray(negatives)
    )
    np.testing.assert_allclose(found, exact, rtol=1e-12)


def test_the_penalty_on_three_nodes_is_the_gaussian_mean():
    rng = np.random.default_rng(1)
    flat, strengths = rng.standard_normal(8), jnp.array([0.5, 0.1, -0.3])
    weight, bias = flat[:6].reshape(2, 3), flat[6:]
    square = weight @ weight.T
    size = np.trace(square) + bias @ bias - 1
    exact = size**2 + 2 * np.sum(square**2) + 4 * bias @ square @ bias
    with_penalty, without = (
        normalisation.penalised(jnp.asarray(flat), strengths, kappa, 1.0) for kappa in (1.0, 0.0)
    )
    np.testing.assert_allclose(with_penalty - without, exact, rtol=1e-12)


def test_the_mixture_loss_is_a_mean_over_samples():
    means, shares, _ = mixture.MIXTURES["squares-that-agree"]
    np.testing.assert_allclose(shares @ means, 0, atol=1e-15)
    np.testing.assert_allclose(shares @ (means[:, 0] * means[:, 1]), 0, atol=1e-15)
    rng = np.random.default_rng(2)
    weight = np.array([[0.5, 0.2], [-0.1, 0.6]])
    values = []
    for _ in range(10):
        draws = [
            means[rng.choice(4, 2000, p=shares)]
            + np.sqrt(mixture.WITHIN) * rng.standard_normal((2000, 2))
            for _ in range(2)
        ]
        za, zn = (x @ weight.T for x in draws)
        apart = ((za[:, None] - zn) ** 2).sum(-1)
        values.append(np.log(np.exp(-apart / 2).mean(1)).mean())
    exact = mixture.mixture_loss(jnp.asarray(weight), jnp.asarray(means), jnp.asarray(shares), 0.7)
    error = np.std(values, ddof=1) / np.sqrt(10)
    np.testing.assert_allclose(
        exact - 0.35 * np.sum(weight**2), np.mean(values), atol=5 * error + 1e-3
    )


def test_the_grid_keeps_its_length_and_stays_away_from_kinks():
    grid = np.geomspace(0.1, 10, 50)
    kinks = np.array([np.inf, 3.0, 0.5, 0.0])
    away = ranks._away(grid, kinks)
    assert len(away) == 50
    assert (np.abs(away[:, None] / kinks[1:3] - 1) > 0.02).all()


@pytest.mark.slow
def test_flow_and_weight_decay_claims_hold():
    assert all(claim.passed for claim in flow.one_by_one(Settings()).claims)
    assert all(claim.passed for claim in ranks.weight_decay(Settings()).claims)


def test_amplitude_claims_fail_for_a_wrong_sigma(monkeypatch):
    """Ranks do not depend on Sigma, squared weights do."""
    assert all(claim.passed for claim in ranks._near_threshold())
    right = landscape.from_loss

    def wrong(*arguments, **options):
        theory = right(*arguments, **options)
        minima = theory.minima._replace(gram=theory.minima.gram / 1.5)
        return theory._replace(minima=minima)

    monkeypatch.setattr(ranks.landscape, "from_loss", wrong, raising=False)
    assert not any(claim.passed for claim in ranks._near_threshold())


@pytest.mark.parametrize("loss", [classes.dot_loss, classes.second_moment_loss])
def test_losses_of_classes_are_those_of_points(loss):
    weight = jax.random.normal(jax.random.key(0), (2, 3))
    shares = jnp.array([0.5, 0.3, 0.2])
    value = loss(weight, jnp.eye(3), shares, 0.1)
    z = np.asarray(weight.T)
    p = np.asarray(shares)
    if loss is classes.dot_loss:
        parts = [p[i] * (np.log(p @ np.exp(z @ z[i])) - z[i] @ z[i]) for i in range(3)]
    else:
        parts = [p[i] * (p @ (z @ z[i]) ** 2 - 2 * z[i] @ z[i]) for i in range(3)]
    np.testing.assert_allclose(value, sum(parts) + 0.1 * np.sum(z**2), rtol=1e-12)
