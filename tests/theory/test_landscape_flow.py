"""The flow against SciPy's integrator and against gradient descent on the loss itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from landscape_oracles import covariance, quartic
from scipy.integrate import solve_ivp

import jssl
from jssl import losses
from jssl.data import pairs, toy
from jssl.errors import InputError
from jssl.models import linear
from jssl.optim import gradient_descent
from jssl.theory import landscape


@pytest.mark.parametrize("placement", ["clean-augmented-clean", "augmented-augmented-clean"])
@pytest.mark.parametrize("aligned", [True, False])
def test_the_flow_is_that_of_the_loss(placement, aligned):
    rng = np.random.default_rng(0)
    a, c = np.array([1.0, 0.6, 0.3]), np.array([0.2, 0.5, 0.9])
    data, noise = (np.diag(a), np.diag(c)) if aligned else (covariance(rng, a), covariance(rng, c))
    start = np.diag([1e-3, 2e-3, 0.9])[:2] if aligned else 1e-2 * rng.standard_normal((2, 3))
    form = landscape.form("info_nce_euclidean", data, noise, placement=placement, weight_decay=0.05)
    times = np.array([0.0, 1.0, 3.0, 6.0, 20.0])
    function = quartic(
        np.asarray(form.signal) - 0.05 * np.eye(3),
        *(np.asarray(form.anchor), np.asarray(form.negative), form.own, form.cross, 2),
    )
    solved = solve_ivp(
        lambda _, w: -function(w)[1],
        (0, 20),
        start.ravel(),
        "DOP853",
        times,
        rtol=1e-11,
        atol=1e-13,
    )
    exact = solved.y.T.reshape(5, 2, 3)
    path = landscape.trajectory(form, jnp.asarray(start), times)
    np.testing.assert_allclose(path.observables["weight"], exact, atol=1e-7)
    np.testing.assert_allclose(
        path.observables["loss"], [function(w.ravel())[0] for w in exact], atol=1e-7
    )
    values = np.linalg.eigvalsh(exact @ data @ exact.transpose(0, 2, 1))[:, ::-1]
    np.testing.assert_allclose(path.observables["eigenvalues"], values, atol=1e-7)


def test_modes_are_learned_in_the_order_of_b_and_not_of_sigma():
    """Half times 1 / (4 b) log(...): b = (.2, .5) with variances (2, .1)."""
    t = jnp.linspace(0, 40, 4001)[:, None]
    b, q = jnp.array([0.2, 0.5]), 0.75 * jnp.array([2.0, 0.1]) ** 2
    squares = np.asarray(landscape.aligned_squares(t, jnp.full(2, 1e-6), b, q))
    level = np.asarray(b / (2 * q))
    reached = np.asarray(t)[(squares >= level / 2).argmax(0), 0]
    expected = np.log(level / 1e-6 - 1) / (4 * np.asarray(b))
    np.testing.assert_allclose(reached, expected, atol=0.011)
    assert reached[1] < reached[0]
    flat = landscape.aligned_squares(jnp.array([2.0]), 0.1, 0.0, 0.5)
    np.testing.assert_allclose(flat, 0.1 / (1 + 8 * 0.5 * 0.1 * 2), rtol=1e-12)


def test_a_prediction_and_a_simulation_lie_on_each_other():
    data = toy.pairs_with_cross_moment(jnp.array([1.0, 0.5, 0.1]))
    rate = 1e-3
    problem = jssl.Problem(
        pairs=pairs.fixed(data),
        model=linear(3, 2, scale=1e-2, dtype=jnp.float64),
        loss=losses.get("barlow_twins_linearized"),
        optimiser=gradient_descent(rate),
    )
    key = jax.random.key(0)
    simulation = jax.jit(jssl.run(problem, np.arange(0, 4000, 50)))(key)
    start = problem.model.init(jssl.types.start_key(key))["weight"]
    seen = landscape.from_loss("barlow_twins_linearized", pairs.cross_moment(data), dim=2)
    comparison = jssl.compare(seen.trajectory(start, simulation.t), simulation)
    off = comparison.half_times_simulated / comparison.half_times_predicted - 1
    assert (np.abs(off) < 5 * rate).all()
    # a step delays by 2 lr of the time, about .02, while the loss falls at a rate up to 2
    assert comparison.largest["loss"] < 0.02


def test_bad_times_and_starts_are_refused():
    form = landscape.general_form([1.0, 0.5], [1.0, 1.0])
    with pytest.raises(InputError, match="must not decrease"):
        landscape.trajectory(form, jnp.eye(2), [1.0, 0.5])
    with pytest.raises(InputError, match="times must be"):
        landscape.trajectory(form, jnp.eye(2), [-1.0])
    with pytest.raises(InputError, match=r"the start must be \(m, 2\)"):
        landscape.trajectory(form, jnp.eye(3), [1.0])


@pytest.mark.parametrize("start", [[[0.1, 0.2]], [[0.0, 0.2]]])
@pytest.mark.parametrize("signal", [[[1.0, 0.0], [0.0, 0.3]], [[1.0, 0.5], [0.5, 0.0]]])
def test_a_flow_without_a_minimum_is_an_error_and_ends(signal, start):
    """The integrator used to halve its steps for ever once the weight had overflowed."""
    form = landscape.general_form(signal, [1.0, 0.0])
    with pytest.raises(InputError, match="decreases without bound along the input direction"):
        landscape.trajectory(form, jnp.array(start), jnp.array([0.0, 1e4]))


def test_a_flow_that_overflows_or_takes_too_many_steps_ends(monkeypatch):
    form = landscape.general_form([[1.0, 0.5], [0.5, 0.3]], [1.0, 1.0])
    start, times = jnp.array([[0.1, 0.2]]), jnp.array([0.0, 1.0])
    with pytest.raises(InputError, match="could not be integrated beyond t = 0 of 1"):
        landscape.trajectory(form, 1e200 * start, times)
    with pytest.raises(InputError, match="not finite"):
        landscape.trajectory(form, jnp.nan * start, times)
    flow = landscape.flow
    monkeypatch.setattr(flow, "MOST_STEPS", 5)
    flow._integrate.clear_cache()
    with pytest.raises(InputError, match="could not be integrated"):
        landscape.trajectory(form, start, times)
    flow._integrate.clear_cache()
