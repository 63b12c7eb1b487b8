"""The claims on the leak between outputs reject the rivals that they name."""

import jax.numpy as jnp
import numpy as np
import pytest

from jssl._compat import neural_tangents
from jssl.errors import InputError
from jssl.papers import Settings
from jssl.papers.width import leak, leak_runs
from jssl.types import Pairs

GAMMA = np.array([1.0, 0.2, 0.15])
CASE = leak_runs.Setting(
    Pairs(jnp.zeros((1, 1)), jnp.zeros((1, 1))), GAMMA, np.eye(2, 3), 0.05, jnp.zeros(0)
)
SLOPE = 1 / (8 * GAMMA[1] * CASE.rate)


def test_the_leak_is_studied_without_neural_tangents(monkeypatch):
    """Its networks are dense; whatever takes the kernels of convolutional ones does not stop it."""

    def absent():
        message = "neural-tangents is not installed"
        raise InputError(message)

    def train(case, width, scale):
        assert case.values[0] > 0
        raise StopIteration

    monkeypatch.setattr(neural_tangents, "load", absent)
    monkeypatch.setattr(leak_runs, "train", train)
    with pytest.raises(StopIteration):
        leak.leak_between_outputs(Settings())


def test_the_limit_in_the_place_of_the_forecast_fails():
    trained = np.full((4, 3), 100.0)
    late, right = trained * 1.6, trained * 1.05
    good = leak._forecast_claims(trained, right, late, trained * 1.15)
    assert [claim.passed for claim in good] == [True, True, True]
    assert not leak._forecast_claims(trained, late, late, late)[0].passed
    assert not leak._forecast_claims(trained, right, right, late)[1].passed
    assert not leak._forecast_claims(trained, right, late, right)[2].passed


def test_the_delay_of_the_limit_fails():
    later = 2 * np.log(100) / (8 * GAMMA[1] * CASE.rate)
    large = np.tile([40.0, 150.0, 200.0], (5, 1))
    shift = later * GAMMA[1] / GAMMA[0]
    nothing = leak._start_claims(CASE, large, large + shift)
    assert all(claim.passed for claim in nothing)
    limit = leak._start_claims(CASE, large, large + np.array([shift, later, later]))
    assert not any(claim.passed for claim in limit)


def _runs(slope):
    noise = np.random.default_rng(0).normal(size=(len(leak.WIDTHS), 32))
    return {
        size: leak_runs.Runs(
            np.zeros(1),
            np.zeros(1),
            np.stack([np.full(32, 40.0), 100 + slope * np.log(size) + SLOPE * row / 4], 1),
        )
        for size, row in zip(leak.WIDTHS, noise, strict=True)
    }


def test_steps_that_do_not_depend_on_the_width_fail():
    assert leak._saturation_claim(CASE, _runs(SLOPE)).passed
    assert not leak._saturation_claim(CASE, _runs(0.0)).passed


@pytest.mark.parametrize("exponent", [-0.5, 0.0])
def test_another_exponent_of_the_leak_fails(monkeypatch, exponent):
    def fake(apply, params, x, a, u):
        del params, x, a, u
        size = apply.width ** (exponent / 2)
        return jnp.asarray(size * np.eye(2, 3))

    class Network:
        def __init__(self, width):
            self.apply = type("Apply", (), {"width": width})()

        def init(self, key):
            del key

    monkeypatch.setattr(leak, "leak", fake)
    monkeypatch.setattr(leak_runs, "network", Network)
    case = CASE._replace(weights=np.eye(2, 2))
    claim = leak._size_claim(case, Settings())
    assert claim.measured == pytest.approx(exponent)
    assert not claim.passed


def test_fresh_views_of_a_linear_encoder_delay_a_smaller_start_in_full():
    assert leak._fresh_views_claim(Settings()).passed
