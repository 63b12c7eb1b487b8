"""Pieces of the experiment; `jssl reproduce distillation` judges the rest."""

import jax
import numpy as np
import pytest

from jssl.losses import prediction
from jssl.papers import Settings
from jssl.papers.distillation import ends, isotropic, runs, takeover


def failing(claims):
    return {claim.name.removeprefix("distillation/") for claim in claims if not claim.passed}


def test_crossings_are_interpolated_and_may_be_the_last_one():
    times, values = np.arange(6.0), np.array([0.0, 1.0, 0.0, 0.5, 1.0, 1.0])
    assert runs.crossing(times, values, 0.75) == 0.75
    assert runs.crossing(times, values, 0.75, last=True) == 3.5
    assert runs.fall(times, values, 0.25) == 1.75
    assert np.isnan(runs.crossing(times, values, 2.0))


def test_the_zero_of_three_points_is_that_of_their_parabola():
    x = np.array([1.0, 1.5, 2.0])
    np.testing.assert_allclose(runs.zero_of(x, (x - 1.6) * (x - 9.0)), 1.6)
    np.testing.assert_allclose(runs.zero_of(x, 2 * x - 3.2), 1.6)


def test_a_second_learning_rate_moves_the_predictor_alone():
    moments = runs.diagonal_moments([1.0], [0.8])
    (key,) = Settings().keys(1, 0)
    one, two = (runs.case(moments, key, 0.1, rate_ratio=r, start=0.3) for r in (1.0, 3.0))
    course = runs.train([one, two], [0, 1])
    moved = course.predictor[:, 1] - course.predictor[:, 0]
    np.testing.assert_allclose(moved[1], 3 * moved[0], rtol=1e-10)
    np.testing.assert_allclose(course.encoder[0, 1], course.encoder[1, 1], rtol=1e-12)


def test_sizes_claim_holds_and_fails_with_the_objectives_swapped(monkeypatch):
    assert failing([ends._sizes_claim(Settings(seed=3))]) == set()
    other = {"jepa": "mae", "mae": "jepa"}

    def swapped(cases, record_steps, *, objective="jepa"):
        slow = [case._replace(learning_rate=min(case.learning_rate, 0.1)) for case in cases]
        return runs.train(slow, record_steps, objective=other[objective])

    monkeypatch.setattr(ends, "train", swapped)
    assert failing([ends._sizes_claim(Settings(seed=3))]) == {"end-sizes"}


def test_claims_fail_without_the_stop_gradient(monkeypatch):
    monkeypatch.setattr(prediction.jax.lax, "stop_gradient", lambda x: x)
    assert failing(takeover.takeover(Settings()).claims) == {"takeover-rate", "forgetting"}


def test_isoloss_claims_hold_and_fail_for_the_loss_with_the_predictor(monkeypatch):
    assert failing(isotropic.isotropic(Settings()).claims) == set()
    monkeypatch.setattr(isotropic, "iso_loss", prediction.jepa)
    with np.errstate(all="ignore"):
        assert failing(isotropic.isotropic(Settings()).claims) >= {"iso-loss-starts"}


@pytest.mark.parametrize("seed", [0, 1])
def test_general_moments_are_those_of_two_views(seed):
    moments = ends._general_moments(Settings(seed=seed))
    values = np.linalg.eigvalsh(
        np.block([[moments.context, moments.cross.T], [moments.cross, moments.target]])
    )
    assert values[0] > 0
    assert np.abs(moments.cross - moments.cross.T).max() > 1e-3
    assert jax.config.jax_enable_x64
