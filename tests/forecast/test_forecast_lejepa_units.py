"""Forecasts of LeJEPA in any unit, at rates up to the stable one, and for opposite views."""

import numpy as np
import pytest
import scipy.optimize

import jssl
from jssl.theory import isotropy


def decaying_pairs():
    draws = np.random.default_rng(0)
    size = 0.6 ** np.arange(6)
    shared = draws.normal(size=(300, 6)) * size
    return [shared + 0.5 * size * draws.normal(size=shared.shape) for _ in range(2)]


@pytest.fixture(scope="module")
def forecast():
    return jssl.predict(decaying_pairs(), loss="lejepa", dim=4)


@pytest.mark.parametrize("unit", [1e-6, 1e3])
def test_the_unit_of_the_views_changes_no_step(forecast, unit):
    scaled = jssl.predict([unit * x for x in decaying_pairs()], loss="lejepa", dim=4)
    assert np.isfinite(forecast.steps).all()
    for name in ("steps", "rises"):
        expected = getattr(forecast, name)
        np.testing.assert_allclose(getattr(scaled, name), expected, rtol=1e-5)
    np.testing.assert_allclose(scaled.stable_rate * unit**2, forecast.stable_rate, rtol=1e-6)


@pytest.mark.parametrize(("factor", "settles"), [(0.9, True), (1.1, False)])
def test_descent_settles_below_the_stable_rate_alone(forecast, factor, settles):
    """Descent of aligned modes: w_j is multiplied by 1 - 2 rate (c_j + strength q_j dR/ds_j)."""
    q, shares, s = (forecast.columns[x] for x in ("view variance", "noise share", "start"))
    strength, unit = (forecast.settings[x] for x in ("strength", "loss factor"))
    rate = factor * forecast.stable_rate * unit
    path = [s]
    for _ in range(400):
        pull = shares + strength * isotropy.slope(path[-1], batch=300)
        path.append(path[-1] * (1 - 2 * rate * q * pull) ** 2)
    ended = forecast.columns["embedding eigenvalue at the end"]
    assert np.allclose(path[-1], ended, atol=1e-3) == settles
    assert np.allclose(path[-2], path[-1], atol=1e-3) == settles


def test_opposite_views_end_where_the_pull_is_twice_the_inverse_strength():
    x = np.random.default_rng(0).normal(size=(300, 4))
    seen = jssl.predict((x, -x), loss="lejepa", dim=4)
    strength = seen.settings["strength"]
    ended = seen.columns["embedding eigenvalue at the end"]

    def excess(s):
        return -isotropy.slope(np.full(4, s), batch=300)[0] - 2 / strength

    np.testing.assert_allclose(seen.columns["noise share"], 2, rtol=1e-12)
    np.testing.assert_allclose(ended, scipy.optimize.brentq(excess, 0.1, 1), rtol=1e-6)
    np.testing.assert_allclose(ended, 0.794, atol=5e-4)
