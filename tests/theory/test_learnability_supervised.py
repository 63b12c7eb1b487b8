"""The supervised objective and its minima against differences, brute force and the page."""

import numpy as np
import pytest
import scipy.optimize

from jssl.errors import InputError
from jssl.theory.learnability import supervised_minima, supervised_objective


def loss(params, tau, decay, head_decay):
    """N-4 cell by cell: the published label of s = -1 is 1."""
    weight, head = params[:4].reshape(2, 2), params[4:]
    total = decay * np.sum(weight**2) + head_decay * np.sum(head**2)
    for s in (-1, 1):
        for q in (0, 1):
            z = 1 / (1 + np.exp(-(weight @ [s, q * tau])))
            p = 1 / (1 + np.exp(-(head @ z)))
            total -= np.log(p if s == -1 else 1 - p) / 4
    return total


def test_value_and_gradient_are_those_of_the_definition():
    params = np.random.default_rng(0).normal(size=6)
    value, gradient = supervised_objective(params, 3.0, 0.01, 0.02)
    assert value == pytest.approx(loss(params, 3.0, 0.01, 0.02), rel=1e-12)
    seen = scipy.optimize.approx_fprime(params, loss, 1e-7, 3.0, 0.01, 0.02)
    np.testing.assert_allclose(gradient, seen, atol=1e-6)


def test_population_optimum_holds_nothing_of_the_hidden_feature():
    found = supervised_minima(7.0, 1 / 800)
    np.testing.assert_allclose(found.weight[0], [[2.62791, 0], [-2.62791, 0]], atol=1e-5)
    np.testing.assert_allclose(found.head[0], [-4.25399, 4.25399], atol=1e-5)
    assert found.loss[0] == pytest.approx(0.087395, abs=1e-6)
    np.testing.assert_allclose(found.weight[1], [[3.696, -0.232]] * 2, atol=1e-3)
    np.testing.assert_allclose(found.head[1], [-2.107] * 2, atol=1e-3)
    assert found.loss[1] == pytest.approx(0.4175, abs=1e-4)


def test_minima_are_stationary_and_convex_at_their_slowest_rate():
    found = supervised_minima(3.0, 0.004, 0.002, starts=15)
    for weight, head, value, slowest in zip(*found[:4], strict=True):
        params = np.r_[weight.ravel(), head]
        seen, gradient = supervised_objective(params, 3.0, 0.004, 0.002)
        assert value == pytest.approx(seen)
        assert np.abs(gradient).max() < 1e-9
        hessian = [
            scipy.optimize.approx_fprime(
                params, lambda p, i=i: supervised_objective(p, 3.0, 0.004, 0.002)[1][i], 1e-6
            )
            for i in range(6)
        ]
        assert np.linalg.eigvalsh(hessian)[0] == pytest.approx(slowest, abs=1e-5)
        assert slowest > 0


def test_minima_of_other_starts_are_the_same():
    one, two = (supervised_minima(5.0, 1 / 500, starts=12, seed=seed) for seed in (1, 2))
    np.testing.assert_allclose(one.weight[0], two.weight[0], atol=1e-7)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((7.0, 0.0), "decay must be positive"), ((-1.0, 0.1), "tau must be positive")],
)
def test_bad_input_is_one_clear_line(arguments, message):
    with pytest.raises(InputError, match=message):
        supervised_minima(*arguments)
    with pytest.raises(InputError, match="rows and starts"):
        supervised_minima(7.0, 0.1, rows=0)
