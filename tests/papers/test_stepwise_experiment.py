"""Pieces of the experiment that need no full run; `jssl reproduce stepwise` judges the rest."""

import jax.numpy as jnp
import numpy as np
import pytest

from jssl.papers import PAPERS, Settings, run
from jssl.papers.stepwise import linear, starts, variants
from jssl.theory import stepwise


def test_half_times_within_their_own_tolerance_on_separated_modes():
    """The per-mode tolerance is not loose: it is small where modes are apart, large where near."""
    apart = jnp.array([1.0, 0.3, 0.1, 0.03])
    near = jnp.array([1.0, 0.97, 0.1, 0.03])
    projection = 1e-6 * jnp.ones((2, 4))
    start = jnp.full(2, 1e-6)
    tight = linear.half_time_tolerance(projection, apart, start, 0.005)
    loose = linear.half_time_tolerance(projection, near, start, 0.005)
    assert tight.max() < 2e-3
    assert loose.max() > 10 * tight.max()


def test_momentum_claim_holds():
    (claim,) = starts.no_time_under_momentum(Settings()).claims
    assert claim.passed


def test_infonce_claim_fails_for_a_wrong_factor(monkeypatch):
    true_growth = stepwise.infonce_growth
    assert all(c.passed for c in variants.infonce(Settings()).claims)
    module = variants.stepwise

    class Wrong:
        def __getattr__(self, name):
            if name == "infonce_growth":
                return lambda *a, **k: 2 * true_growth(*a, **k)
            return getattr(module, name)

    monkeypatch.setattr(variants, "stepwise", Wrong())
    assert not all(c.passed for c in variants.infonce(Settings()).claims)


def test_lambda_claims_hold():
    assert all(claim.passed for claim in variants.off_diagonal_weight(Settings()).claims)


def test_exact_pairs_have_exact_moments():
    pairs = variants._exact_pairs(jnp.array([1.5, 1.0]), jnp.array([0.5, -0.2]))
    second, cross = stepwise.centred_moments(pairs.first, pairs.second)
    np.testing.assert_allclose(second, jnp.diag(jnp.array([1.5, 1.0])), atol=1e-12)
    np.testing.assert_allclose(cross, jnp.diag(jnp.array([0.5, -0.2])), atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("paper", PAPERS)
def test_every_claim_holds_at_quick(paper):
    outcome = run(paper, Settings(seed=1))
    assert [claim.name for claim in outcome.claims if not claim.passed] == []
