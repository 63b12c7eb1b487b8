"""The stabilised Runge-Kutta method, against closed forms and SciPy's Radau."""

import jax.numpy as jnp
import numpy as np
import pytest

from jssl.theory.finite_width import linearised_loss, mode_flow
from jssl.theory.finite_width import stabilised as module
from jssl.theory.finite_width.stabilised import make_stabilised

RATES = np.array([1.0, 30.0, 1e4])


def decay(b, rates):
    return -rates * b


def test_errors_fall_with_the_power_two_thirds_of_the_error_of_a_step():
    """Second order: a step of h errs by h^3, all of them by h^2."""
    follow, errors = make_stabilised(decay), []
    for relative in (1e-4, 1e-6):
        path = follow(np.ones(3), (RATES,), 1.0, relative, 1e-3 * relative)
        errors.append(np.abs(path.values[-1] - np.exp(-RATES)).max())
    assert errors[0] < 1e-3
    assert 0.5 < np.log(errors[0] / errors[1]) / np.log(100) < 0.85


def test_a_stiff_flow_takes_few_evaluations(monkeypatch):
    """An explicit method of fixed stages needs at least last x largest rate / 3 evaluations."""
    seen = []
    original = module._step

    def counted(field, state, length, rate):
        seen.append(1)
        return original(field, state, length, rate)

    monkeypatch.setattr(module, "_step", counted)
    path = make_stabilised(decay)(np.ones(3), (RATES,), 10.0, 1e-4, 1e-6)
    lengths = np.diff(path.times)
    stages = np.ceil(np.sqrt(1 + lengths * 1.2 * RATES.max() / 0.653))
    assert len(seen) == 1  # one program for all steps
    assert stages.sum() < 10 * RATES.max() / 3 / 2


def test_a_path_between_its_steps_is_of_third_order():
    follow = make_stabilised(lambda b, rates: rates * b * (1 - b**2))
    rates, times = np.array([1.0, 2.0]), np.linspace(0, 20, 1001)
    path = follow(np.full(2, 1e-3), (rates,), 20.0, 1e-7, 1e-12)
    exact = 1 / np.sqrt(1 + (1e6 - 1) * np.exp(-2 * rates * times[:, None]))
    np.testing.assert_allclose(path.at(times), exact, atol=1e-4)
    assert path.times[0] == 0
    assert path.times[-1] == 20


def test_growth_without_bound_ends_the_path():
    path = make_stabilised(lambda b: b**3)(np.ones(1), (), 1.0, 1e-5, 1e-7)
    np.testing.assert_allclose(path.times[-1], 0.5, rtol=1e-3)  # b = 1 / sqrt(1 - 2 t)
    assert np.isfinite(path.values).all()


@pytest.mark.parametrize("rate", [0.0, 0.02])
def test_coupled_modes_follow_an_implicit_method(rate):
    from scipy.integrate import solve_ivp

    draws, dim, modes = np.random.default_rng(0), 3, 5
    gamma = np.repeat([3.0, 0.4, 0.3, 0.2, 0.1], dim)
    noise = 0.05 * draws.normal(size=(modes * dim, modes * dim))
    root = np.sqrt(gamma)
    gram = np.diag(gamma) + (noise + noise.T) * root * root[:, None]
    start = 1e-3 * draws.normal(size=(modes, dim))
    times = np.linspace(0, 20, 201)

    def flow(b):
        b = b.reshape(modes, dim)
        return gram @ (4 * b @ (np.eye(dim) - b.T @ b)).ravel()

    def modified(_, b):
        return flow(b - rate / 2 * flow(b))

    exact = solve_ivp(
        modified, (0, 20), start.ravel(), "Radau", t_eval=times, rtol=1e-8, atol=1e-12
    )
    blocks = gram.reshape(modes, dim, modes, dim)
    found = mode_flow(linearised_loss(), blocks, start, times, learning_rate=rate)
    np.testing.assert_allclose(
        found.coordinates.reshape(len(times), -1), exact.y.T, atol=100 * 1e-4
    )
    half = mode_flow(linearised_loss(), blocks.astype(np.float32), start, times, learning_rate=rate)
    np.testing.assert_allclose(half.coordinates, found.coordinates, atol=1e-4)


def test_a_flow_ends_once_all_levels_are_reached():
    gram = np.diag([1.0, 0.5]).reshape(2, 1, 2, 1)
    times = np.linspace(0, 1000, 2001)
    flow = mode_flow(linearised_loss(), gram, np.full((2, 1), 1e-3), times, levels=np.full(1, 0.9))
    assert flow.complete
    assert 2 < flow.times[-1] < 50
    assert float(jnp.square(flow.coordinates[-1]).sum()) > 0.9
