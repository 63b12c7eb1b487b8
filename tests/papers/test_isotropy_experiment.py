"""Claims on isotropic regularisers and high dimension hold where they should, and can fail."""

import jax.numpy as jnp
import numpy as np
import pytest

from jssl.papers import Settings, run_study
from jssl.papers.highdim import hard, passes
from jssl.papers.isotropy import common, ends, learning, sampled
from jssl.theory import isotropy
from jssl.theory.isotropy import regularisers


def claims(paper, study, seed=0):
    return {claim.name: claim for claim in run_study(paper, study, Settings("quick", seed)).claims}


@pytest.mark.parametrize(
    ("paper", "study"),
    [("isotropy", "plateaus and overshoot"), ("isotropy", "identifiability")],
)
def test_claims_of_a_study_hold_and_reject_a_rival_each(paper, study):
    found = claims(paper, study)
    assert all(claim.passed for claim in found.values())
    assert all(claim.rivals for claim in found.values())


def test_descent_is_that_of_the_trajectory_for_a_small_step():
    q, c = jnp.array([1.0, 0.6]), jnp.array([0.1, 0.05])
    options = {"regulariser": "sigreg", "width": None}
    seen = common.descent(jnp.full(2, 0.01), q, c, 3.0, 1e-3, records=4, every=500, **options)
    theory = isotropy.trajectory([0.5, 1.0, 1.5, 2.0], [0.01, 0.01], q, c, 3.0)
    np.testing.assert_allclose(seen, theory, rtol=0.01)


def test_crossings_are_interpolated():
    times = np.arange(4.0)
    assert common.crossing(times, np.array([0.0, 0.25, 0.75, 1.0])) == 1.5
    assert common.crossing(times, np.zeros(4)) == np.inf


def test_the_flow_of_the_population_fails_the_claim_on_small_batches(monkeypatch):
    """E = 1 in the place of 1 - 1/N."""
    monkeypatch.setitem(sampled.SIZES, "quick", sampled.Sizes(100, 100))
    assert claims("isotropy", "training on small batches")["isotropy/finite-batch-flow"].passed
    monkeypatch.setattr(regularisers, "repulsion_share", lambda batch: 1.0)
    assert not claims("isotropy", "training on small batches")["isotropy/finite-batch-flow"].passed


def test_a_wrong_swap_rate_fails_its_claims(monkeypatch):
    monkeypatch.setattr(ends.isotropy, "swap_rate", lambda *_, **__: 0.8, raising=False)
    monkeypatch.setattr(ends, "_threshold", lambda: 1.12128)
    found = claims("isotropy", "what is kept")
    assert not found["isotropy/swap-sigreg"].passed
    assert not found["isotropy/swap-squared"].passed
    assert found["isotropy/lost-mode"].passed


def test_weights_with_a_gradient_fail_the_claim_on_hard_negatives(monkeypatch):
    plain = hard.hard_info_nce
    monkeypatch.setattr(hard, "hard_info_nce", lambda *a, **k: plain(*a, weight_gradient=True, **k))
    hard._relaxation.clear_cache()
    found = claims("highdim", "hard negatives")
    hard._relaxation.clear_cache()
    assert not found["highdim/hard-negatives"].passed
    assert found["highdim/hard-bound"].passed


def test_unequal_angles_excite_no_slower_mode():
    matrix = hard._unequal_angles(np.random.default_rng(0))
    np.testing.assert_allclose(matrix.sum(0), 0, atol=1e-12)
    np.testing.assert_allclose(matrix, matrix.T)
    np.testing.assert_allclose(np.diag(matrix), 0)


def test_the_rival_spread_without_feedback_differs_from_the_prediction():
    from jssl.theory import highdim

    predicted = highdim.fluctuation([4.0], 0.3, 1.0, passes.BASE)[0, 0, 0] ** 0.5
    assert passes._without_feedback(4.0) > 1.3 * predicted


def test_the_rate_of_the_first_mode_is_as_asked():
    q = np.array([1.0, 0.5])
    strength = learning._strength(q, 3.5, "sigreg", None)
    np.testing.assert_allclose(isotropy.growth_rates(q, 0 * q, strength)[0], 3.5)
