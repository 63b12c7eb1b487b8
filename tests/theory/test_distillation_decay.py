"""Weight decay, the predictor, averaged targets and the cosine loss against integrated flows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
from distillation_oracles import (
    crossing_time,
    integrate_matrices,
    orthogonal,
    overlap,
    random_moments,
    scalar_time,
)

from jssl.data.moments import Moments
from jssl.errors import InputError
from jssl.theory import distillation
from jssl.theory.distillation.cosine import CosineModes

EVERY = pytest.mark.parametrize("objective", ["jepa", "mae"])


def decayed(objective, lam, rho, depth, eta):
    s = lam / rho
    if objective == "jepa":
        return lambda w: w ** (2 * depth) * (lam - s * w) - eta * w
    return lambda w: w**depth * (lam - s * w ** (depth + 1)) - eta * w


@pytest.mark.parametrize(
    ("objective", "depth", "rho", "value"),
    [
        ("jepa", 1, 0.8, 0.2),
        ("jepa", 2, 0.8, 0.054),
        ("jepa", 2, 0.3, 0.00284765625),
        ("jepa", 3, 0.3, 0.000162760417),
        ("mae", 2, 0.8, 0.4386026607),
        ("mae", 1, 0.8, 1.0),
    ],
)
def test_collapse_thresholds_have_the_known_answers(objective, depth, rho, value):
    found = distillation.collapse_threshold(1.0, rho, depth=depth, objective=objective)
    np.testing.assert_allclose(found, value, rtol=1e-8)


@EVERY
@pytest.mark.parametrize("depth", [1, 2, 3, 7])
def test_the_threshold_is_the_largest_decay_with_a_rest_point(objective, depth):
    lam, rho = 1.4, 0.6
    w = np.linspace(1e-6, 1, 2_000_001)
    largest = np.max(decayed(objective, lam, rho, depth, 0.0)(w) / w)
    found = distillation.collapse_threshold(lam, rho, depth=depth, objective=objective)
    np.testing.assert_allclose(found, largest, rtol=1e-5)


@EVERY
@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("share", [1e-3, 0.5, 0.999])
def test_decayed_levels_are_roots_of_the_flow_with_the_right_stability(objective, depth, share):
    lam, rho = 1.4, 0.6
    threshold = distillation.collapse_threshold(lam, rho, depth=depth, objective=objective)
    eta = share * float(threshold)
    levels = distillation.decayed_levels(lam, rho, eta, depth=depth, objective=objective)
    velocity = decayed(objective, lam, rho, depth, eta)
    upper, lower = float(levels.upper), float(levels.lower)
    assert velocity(upper * (1 - 1e-6)) > 0 > velocity(upper * (1 + 1e-6))
    if objective == "mae" and depth == 1:
        assert lower == 0
        np.testing.assert_allclose(upper**2, (lam - eta) / (lam / rho), rtol=1e-10)
    else:
        assert velocity(lower * (1 - 1e-6)) < 0 < velocity(lower * (1 + 1e-6))
        assert lower < upper
    above = distillation.decayed_levels(
        lam, rho, 1.001 * float(threshold), depth=depth, objective=objective
    )
    assert np.isnan(above.upper)


def test_decayed_levels_of_one_layer_have_the_known_answers():
    np.testing.assert_allclose(
        distillation.decayed_levels(0.5, 0.4, 0.045).upper, 0.2632455532, rtol=1e-9
    )
    np.testing.assert_allclose(
        distillation.decayed_levels(1.0, 0.8, 0.05).lower, 0.05358983849, rtol=1e-9
    )
    edge = distillation.decayed_levels(1.0, 0.8, 5.4e-4, depth=2).lower
    np.testing.assert_allclose(edge, 0.0845, atol=5e-5)


@pytest.mark.parametrize("side", [0.97, 1.03])
def test_a_start_below_the_edge_dies_and_one_above_is_learned(side):
    edge = float(distillation.decayed_levels(1.0, 0.8, 5.4e-4, depth=2).lower)
    start = side * edge
    layers, _, _ = integrate_matrices(
        [np.full((1, 1), start)] * 2,
        np.full((1, 1), start),
        np.full((1, 1), 1.25),
        np.eye(1),
        40000.0,
        decay=5.4e-4,
    )
    assert (layers[0][0, 0] > 0.7) == (side > 1)


@pytest.mark.parametrize(
    ("rho", "start", "end", "eta"),
    [
        (0.8, 0.1, 0.6, 0.05),
        (0.8, 1.5, 0.8, 0.05),
        (0.8, 0.05, 0.001, 0.05),
        (0.8, 0.8, 0.08, 0.2001),
        (0.8, 0.8, 0.08, 0.21),
        (0.3, 0.1, 0.2, 1e-3),
    ],
)
def test_decayed_times_are_the_integral_of_the_flow(rho, start, end, eta):
    found = distillation.decayed_time(1.0, rho, start, end, eta)
    expected = scalar_time(decayed("jepa", 1.0, rho, 1, eta), start, end)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_decayed_times_have_the_known_answers_and_are_undefined_where_nothing_arrives():
    found = distillation.decayed_time(1.0, 0.8, 0.1, 0.6, 0.05)
    np.testing.assert_allclose(found, 19.59386292, rtol=1e-9)
    found = distillation.decayed_time(1.0, 0.8, 0.8, 0.08, 0.2001)
    np.testing.assert_allclose(found, 701.2812028, rtol=1e-9)
    for start, end in ((0.1, 0.75), (0.05, 0.06), (0.1, 0.05), (1.0, 0.04), (0.04, 0.9)):
        assert np.isnan(distillation.decayed_time(1.0, 0.8, start, end, 0.05))
    assert np.isnan(distillation.decayed_time(1.0, 0.8, 0.5, 0.6, 0.21))
    assert distillation.decayed_time(1.0, 0.8, 0.1, 0.1, 0.05) == 0


def test_a_collapse_just_above_the_threshold_lingers():
    for gap in (1e-4, 1e-6):
        found = distillation.lingering_time(1.0, 0.8, 0.2 + gap)
        exact = distillation.decayed_time(1.0, 0.8, 0.8, 0.08, 0.2 + gap)
        np.testing.assert_allclose(found, exact, rtol=np.sqrt(gap))
    assert np.isposinf(distillation.lingering_time(1.0, 0.8, 0.1))


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("averaged", [False, True])
def test_a_ratio_of_learning_rates_is_a_change_of_scale(depth, averaged):
    rng = np.random.default_rng(depth)
    sx, syx, _ = random_moments(rng, 3, symmetric=False)
    layers = [rng.normal(size=(3, 3)) / 3 for _ in range(depth)]
    v = rng.normal(size=(3, 3)) / 3
    ratio, decay, beta, time = 2.5, 0.01, 0.3 if averaged else 0.0, 6.0
    same = distillation.equal_rates(ratio, depth=depth, decay=decay, target_rate=beta)
    target = beta if averaged else None
    _, ours, _ = integrate_matrices(layers, v, sx, syx, time, decay=decay, ratio=ratio, beta=target)
    _, theirs, _ = integrate_matrices(
        [float(same.scale) * x for x in layers],
        v,
        sx,
        syx,
        time * float(same.time),
        decay=float(same.decay),
        beta=float(same.target_rate) if averaged else None,
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(
    ("w", "v", "ratio"), [(0.1, -0.09, 1.0), (0.1, -0.11, 1.0), (0.1, -0.2, 9.0)]
)
def test_a_predictor_of_the_wrong_sign_turns_only_if_it_is_smaller_than_the_layer(w, v, ratio):
    lam, rho = 1.0, 0.6
    end = distillation.unbalanced_end(rho, w, v, ratio)
    layers, last, _ = integrate_matrices(
        [np.full((1, 1), w)], np.full((1, 1), v), np.full((1, 1), lam / rho), np.eye(1), 3000.0,
        ratio=ratio,
    )  # fmt: skip
    assert bool(end.collapses) == (v**2 >= ratio * w**2)
    np.testing.assert_allclose(layers[0][0, 0], end.layer, atol=1e-4)
    np.testing.assert_allclose(last[0, 0], end.predictor, atol=1e-4)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_random_orthogonal_predictor_loses_a_dimension_iff_it_is_a_reflection(sign):
    """D-19 for equal modes: of an orthogonal 4 x 4 matrix with determinant -1 one eigenvalue is -1.

    Rotations turn back to a positive predictor, however near they are to -1 in angle.
    """
    for seed in range(3):
        turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(4, 4)))[0]
        turn[0] *= sign * np.sign(np.linalg.det(turn))
        layers, _, _ = integrate_matrices(
            [0.1 * np.eye(4)], 0.1 * turn, np.eye(4) / 0.6, np.eye(4), 2000.0
        )
        sizes = np.linalg.svd(layers[0], compute_uv=False)
        assert (sizes > 0.3).sum() == (4 if sign > 0 else 3)
        assert sizes[:3].min() > 0.5


@pytest.mark.parametrize(
    ("w", "v", "ratio"),
    [(0.02, 0.2, 3.0), (0.3, 0.1, 1.0), (0.1, 1.0, 50.0), (0.1, 1.0, 70.0), (0.2, 0.2, 1.0)],
)
def test_unbalanced_starts_end_and_pass_where_predicted(w, v, ratio):
    lam, rho = 1.0, 0.6
    sx, syx = np.full((1, 1), lam / rho), np.full((1, 1), lam)
    end = distillation.unbalanced_end(rho, w, v, ratio)
    layers, last, _ = integrate_matrices(
        [np.full((1, 1), w)], np.full((1, 1), v), sx, syx, 800.0, ratio=ratio
    )
    assert bool(end.collapses) == (v**2 > rho**2 + ratio * w**2)
    np.testing.assert_allclose(layers[0][0, 0], end.layer, atol=1e-6)
    np.testing.assert_allclose(last[0, 0], end.predictor, rtol=1e-6)

    def rates(y):
        rest = y[0] * (lam - lam / rho * y[1])
        return [y[1] * rest, ratio * y[0] * rest]

    level = (v + float(end.predictor)) / 2
    time = crossing_time(rates, [w, v], level, index=1)
    found = distillation.unbalanced_time(lam, rho, w, v, level, ratio)
    np.testing.assert_allclose(found, time, rtol=1e-8)


def test_unbalanced_times_are_continuous_where_their_constant_changes_sign():
    balanced = distillation.critical_time(1.0, 0.6, 0.05)
    for factor in (1 - 1e-3, 1 - 1e-7, 1 - 1e-12, 1.0, 1 + 1e-12, 1 + 1e-7, 1 + 1e-3):
        found = distillation.unbalanced_time(1.0, 0.6, 0.05 * factor, 0.05, 0.3)
        np.testing.assert_allclose(found, balanced, rtol=1.5 * abs(factor - 1) + 1e-12)
    known = distillation.unbalanced_time(1.0, 0.6, 0.02, 0.2, 0.5, 3.0)
    np.testing.assert_allclose(known, 18.92605375, rtol=1e-9)
    assert np.isnan(distillation.unbalanced_time(1.0, 0.6, 0.02, 0.2, 0.61, 3.0))
    assert np.isnan(distillation.unbalanced_time(1.0, 0.6, 0.02, 0.2, 0.1, 3.0))


def two_decays(lam, rho, eta_w, eta_v, ratio, start, time):
    def rates(_, y):
        w, v = y
        rest = w * (lam - lam / rho * v)
        return [v * rest - eta_w * w, ratio * w * rest - eta_v * v]

    run = scipy.integrate.solve_ivp(rates, (0, time), start, "LSODA", rtol=1e-11, atol=1e-13)
    return run.y[:, -1]


def test_unequal_decays_end_where_predicted():
    lam, rho, ratio = 1.0, 0.8, 2.0
    end = distillation.unequal_decay_end(lam, rho, 0.05, 0.1, ratio)
    w, v = two_decays(lam, rho, 0.05, 0.1, ratio, [0.8, 0.8], 3000.0)
    np.testing.assert_allclose([w, v], [float(end.layer), float(end.predictor)], rtol=1e-8)
    on_encoder = distillation.unequal_decay_end(lam, rho, 0.01, 0.0)
    assert on_encoder.collapses
    assert two_decays(lam, rho, 0.01, 0.0, 1.0, [0.8, 0.8], 3000.0)[0] < 1e-8
    assert np.isposinf(distillation.unequal_decay_end(lam, rho, 0.0, 0.1).layer)
    w, _ = two_decays(lam, rho, 0.0, 0.01, 1.0, [0.8, 0.8], 2e4)
    np.testing.assert_allclose(w**2, 2 * 0.01 * rho**2 * 2e4, rtol=4e-3)
    assert distillation.unequal_decay_end(lam, rho, 0.3, 0.3).collapses


def optimal_flow(moments, w, time):
    sx, syx = moments.context, moments.cross

    def rates(_, y):
        w = y.reshape(-1, len(sx))
        v = w @ syx @ w.T @ np.linalg.inv(w @ sx @ w.T)
        return (v.T @ (w @ syx - v @ w @ sx)).ravel()

    run = scipy.integrate.solve_ivp(rates, (0, time), w.ravel(), "DOP853", rtol=1e-10, atol=1e-12)
    return run.y[:, -1].reshape(w.shape)


def test_the_optimal_predictor_freezes_a_square_encoder_and_turns_a_wide_one():
    rng = np.random.default_rng(2)
    sx, syx, _ = random_moments(rng, 4)
    moments = Moments(sx, syx)
    w = rng.normal(size=(4, 4))
    v = distillation.optimal_predictor(w, moments)
    rest = w @ syx - v @ w @ sx
    assert np.abs(v.T @ rest).max() < 1e-12
    np.testing.assert_allclose(v, np.linalg.lstsq((w @ sx @ w.T).T, (w @ syx @ w.T).T)[0].T)
    narrow = np.linalg.qr(rng.normal(size=(4, 2)))[0].T
    end = optimal_flow(moments, narrow, 400.0)
    np.testing.assert_allclose(end @ end.T, narrow @ narrow.T, atol=1e-8)
    assert overlap(end, distillation.selected_subspace(moments, 2)) > 1 - 1e-6


def test_direct_prediction_and_isoloss_follow_their_matrix_flows():
    """From a random start on isotropic data, where V and W W^T commute."""
    rng = np.random.default_rng(1)
    w = 0.4 * rng.normal(size=(3, 3))
    variance, time, a, kappa = 1.3, 4.0, 0.7, 1.6

    def power(w):
        values, vectors = np.linalg.eigh(kappa * w @ w.T)
        return (vectors * values**a) @ vectors.T

    for iso in (False, True):

        def rates(_, y, iso=iso):
            w = y.reshape(3, 3)
            rest = w - variance * power(w) @ w
            return (rest if iso else power(w).T @ rest).ravel()

        run = scipy.integrate.solve_ivp(
            rates, (0, time), w.ravel(), "DOP853", rtol=1e-11, atol=1e-13
        )
        values = np.linalg.eigvalsh(power(run.y[:, -1].reshape(3, 3)))
        sizes = np.sort(np.linalg.svd(w)[1])
        if iso:
            found = distillation.iso_loss_amplitude(
                time, 1.0, 1 / variance, (kappa * sizes**2) ** a, exponent=a
            )
            np.testing.assert_allclose(found, values, rtol=1e-8)
        else:
            small = (kappa * sizes**2) ** a < 1 / variance
            found = distillation.direct_predictor_amplitude(
                time, 1.0, 1 / variance, sizes, exponent=a, scale=kappa
            )
            np.testing.assert_allclose(found[small], values[small], rtol=1e-8)
            assert small.sum() >= 2


def test_isotropic_rates_have_the_known_answers():
    found = distillation.direct_predictor_amplitude(5.0, 1.0, 0.7, 0.2, exponent=1.0)
    np.testing.assert_allclose(found, 0.06363228649, rtol=1e-9)
    found = distillation.iso_loss_amplitude(3.0, 1.3, 0.7, 0.05)
    np.testing.assert_allclose(found, 0.5541723902, rtol=1e-9)


def test_without_stop_gradient_a_mode_shrinks_at_least_at_the_given_rate():
    lam, rho, sy = 1.0, 0.8, 1.4

    def rates(_, y):
        w, v = y
        return [-w * (lam / rho * v**2 - 2 * lam * v + sy), -(w**2) * (lam / rho * v - lam)]

    rate = float(distillation.rate_without_stop_gradient(lam, rho, sy))
    for v in (0.1, 0.8, 2.0):
        times = np.linspace(0, 20, 21)
        run = scipy.integrate.solve_ivp(
            rates, (0, 20), [0.5, v], t_eval=times, rtol=1e-10, atol=1e-14
        )
        assert np.all(run.y[0] <= 0.5 * np.exp(-rate * times) * (1 + 1e-6))


@pytest.mark.parametrize(("beta", "time"), [(0.1, 130.8621396), (0.01, 270.6231403)])
def test_times_under_an_averaged_target_have_the_known_answers(beta, time):
    found = distillation.averaged_time(1.0, 0.8, 0.01, beta)
    np.testing.assert_allclose(found, time, rtol=1e-8)


def test_times_under_an_averaged_target_are_those_of_the_matrix_flow():
    lam, rho, start, beta, depth = 0.9, 0.7, 0.2, 0.5, 2
    time = distillation.averaged_time(lam, rho, start, beta, depth=depth)
    one = np.full((1, 1), start)
    layers, v, _ = integrate_matrices(
        [one] * depth, one, np.full((1, 1), lam / rho), np.full((1, 1), lam), time, beta=beta
    )
    np.testing.assert_allclose([layers[0], v], rho / 2, rtol=1e-8)


@pytest.mark.parametrize(("depth", "start"), [(1, 0.01), (2, 0.1)])
def test_a_fast_target_delays_every_mode_alike(depth, start):
    for lam in (1.0, 0.25):
        for beta in (10.0, 100.0):
            flow = float(distillation.critical_time(lam, 0.8, start, depth=depth))
            delay = distillation.averaged_time(lam, 0.8, start, beta, depth=depth) - flow
            found = float(distillation.averaged_delay(0.8, start, beta, depth=depth))
            bound = 0.3 * lam * 0.8 ** (2 * depth - 1) / beta
            np.testing.assert_allclose(delay, found, rtol=bound)


def test_a_momentum_has_the_rate_of_its_mean_lag():
    lr, tau, w0, rho = 0.05, 0.9, 0.05, 0.8
    beta = float(distillation.target_rate(tau, lr))
    np.testing.assert_allclose(beta, (1 - tau) / (tau * lr))
    assert np.isposinf(distillation.target_rate(0.0, lr))

    def steps(tau):
        w = v = u = w0
        count = 0
        while v < rho / 2:
            before = v
            rest = u - w * v / rho
            w, v = w + lr * v * rest, v + lr * w * rest
            u, count = tau * u + (1 - tau) * w, count + 1
        return lr * (count - 1 + (rho / 2 - before) / (v - before))

    delay = steps(tau) - steps(0.0)
    flow = distillation.averaged_time(1.0, rho, w0, beta) - float(
        distillation.critical_time(1.0, rho, w0)
    )
    np.testing.assert_allclose(delay, flow, rtol=0.02)
    assert abs(delay - flow * tau) > 0.08 * flow  # (1 - tau) / lr would be 11 % off


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_the_tail_rate_is_an_eigenvalue_at_the_end(depth):
    lam, rho, beta = 1.2, 0.7, 0.5
    s = lam / rho

    def rates(y):
        w, u = y
        return jnp.array([w**depth * (lam * u**depth - s * w ** (depth + 1)), beta * (w - u)])

    values = -np.linalg.eigvals(jax.jacobian(rates)(jnp.full(2, rho)))
    found = distillation.averaged_tail_rate(lam, rho, beta, depth=depth)
    np.testing.assert_allclose(found, values.real.min(), rtol=1e-10)
    known = distillation.averaged_tail_rate(1.0, 0.8, 0.5)
    np.testing.assert_allclose(known, 0.2118472693, rtol=1e-9)
    tiny = distillation.averaged_tail_rate(lam, rho, 1e-12, depth=depth)
    np.testing.assert_allclose(tiny, 1e-12 / (depth + 1), rtol=1e-9)


def test_a_slow_target_removes_the_order_by_covariance():
    """The error of the time falls with beta: all terms that do not vanish are there."""
    for lam, rho in ((1.0, 0.8), (0.125, 0.8), (1.0, 0.3)):
        rest = []
        for beta in (1e-4, 1e-5):
            exact = distillation.averaged_time(lam, rho, 0.01, beta)
            rest.append(abs(exact - float(distillation.slow_target_time(lam, rho, 0.01, beta))))
        assert rest[1] < 0.2 * rest[0]
        assert rest[0] < 4 * 1e-4 / (lam * 0.01) ** 2
    times = [distillation.averaged_time(lam, 0.8, 0.01, 1e-4) for lam in (1.0, 0.125)]
    assert times[1] / times[0] < 1.13


def test_growth_with_a_held_predictor_is_an_eigenvalue():
    found = distillation.held_predictor_growth(1.0, 0.6, 0.3, 0.2)
    np.testing.assert_allclose(found, 0.07122144504, rtol=1e-9)
    for v in (0.3, 0.7, 1e-9):
        matrix = np.array([[-(v**2) / 0.6, v], [0.2, -0.2]])
        found = float(distillation.held_predictor_growth(1.0, 0.6, v, 0.2))
        np.testing.assert_allclose(
            found, np.linalg.eigvals(matrix).real.max(), rtol=1e-6, atol=1e-15
        )
        assert (found > 0) == (v < 0.6)


def cosine_field(weights, draws, sigma, decay):
    x, first, second = draws

    def loss(w, v):
        z = (x + sigma * first) @ w.T @ v.T
        target = jax.lax.stop_gradient((x + sigma * second) @ w.T)
        norms = jnp.linalg.norm(z, axis=1) * jnp.linalg.norm(target, axis=1)
        return -jnp.mean(jnp.sum(z * target, 1) / norms)

    gradients = jax.grad(loss, (0, 1))(*weights)
    return tuple(-g - decay * x for g, x in zip(gradients, weights, strict=True))


def test_decay_under_a_cosine_changes_norms_and_time_alone():
    rng = np.random.default_rng(0)
    h, sigma, decay, time = 5, 0.5, 0.4, 2.0
    draws = [jnp.asarray(rng.normal(size=(40, h))) for _ in range(3)]
    start = [rng.normal(size=(h, h)) for _ in range(2)]

    def end(decay, time):
        field = jax.jit(
            lambda y: jnp.concatenate(
                [
                    x.ravel()
                    for x in cosine_field(
                        (y[: h * h].reshape(h, h), y[h * h :].reshape(h, h)), draws, sigma, decay
                    )
                ]
            )
        )
        y = np.concatenate([x.ravel() for x in start])
        run = scipy.integrate.solve_ivp(
            lambda _, y: np.asarray(field(y)), (0, time), y, "DOP853", rtol=1e-9, atol=1e-11
        )
        return run.y[:, -1]

    decayed_end = end(decay, time)
    stretched = end(0.0, float(distillation.normalised_time(time, decay)))
    np.testing.assert_allclose(decayed_end, np.exp(-decay * time) * stretched, rtol=1e-6)
    norms = [np.linalg.norm(x) for x in np.split(decayed_end, 2)]
    expected = distillation.cosine_norm(time, jnp.array([np.linalg.norm(x) for x in start]), decay)
    np.testing.assert_allclose(norms, expected, rtol=1e-8)


def test_the_cosine_modes_are_the_mean_gradient_of_wide_networks():
    """Relative error of the gradient falls as 2.8 / h."""
    rng = np.random.default_rng(1)
    errors = []
    for h in (16, 64):
        p, f = rng.uniform(0.3, 1.0, h), rng.uniform(0.5, 1.5, h)
        moving = distillation.cosine_velocity(
            CosineModes(jnp.asarray(p), jnp.asarray(f)), 0.25, 0.1
        )
        n = 40_000
        draws = [jnp.asarray(rng.normal(size=(n, h))) for _ in range(3)]
        w, v = jnp.diag(jnp.sqrt(f)), jnp.diag(p)
        of_w, of_v = cosine_field((w, v), draws, 0.5, 0.1)
        exact = np.concatenate([moving.predictor, moving.encoder])
        seen = np.concatenate([np.diag(of_v), 2 * np.sqrt(f) * np.diag(of_w)])
        decays = np.concatenate([0.1 * p, 0.2 * f])
        errors.append(np.linalg.norm(seen - exact) / np.linalg.norm(exact + decays))
    assert errors[1] < 0.08
    assert errors[1] < 0.6 * errors[0]


def test_the_cosine_modes_become_equal():
    p = np.array([0.2, 0.5, 0.9, 1.3])
    times = np.array([0.0, 40.0, 50.0, 400.0])
    modes = distillation.cosine_amplitudes(times, CosineModes(p, p**2), 0.25)
    np.testing.assert_allclose(modes.predictor[-1], 0.8351646544, rtol=1e-8)
    np.testing.assert_allclose(
        np.linalg.norm(modes.predictor, axis=1), np.linalg.norm(p), rtol=1e-8
    )
    spread = modes.predictor[1:3].std(1)
    rate = -np.log(spread[1] / spread[0]) / 10
    np.testing.assert_allclose(rate, 1 / (1.25 * np.sum(p**2)), rtol=5e-3)
    np.testing.assert_allclose(1 / (1.25 * np.sum(p**2)), 0.2867383513, rtol=1e-9)
    direct = scipy.integrate.solve_ivp(
        lambda _, y: np.concatenate(
            distillation.cosine_velocity(CosineModes(*jnp.split(jnp.asarray(y), 2)), 0.25, 0.08)
        ),
        (0, 3.0),
        np.concatenate([p, p**2]),
        rtol=1e-9,
        atol=1e-12,
    )
    decayed_modes = distillation.cosine_amplitudes(
        np.array([3.0]), CosineModes(p, p**2), 0.25, 0.08
    )
    np.testing.assert_allclose(
        np.concatenate([decayed_modes.predictor[0], decayed_modes.encoder[0]]),
        direct.y[:, -1],
        rtol=1e-7,
    )


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (distillation.target_rate, (1.0, 0.1), r"momentum must lie in \[0, 1\)"),
        (distillation.target_rate, (-0.1, 0.1), r"momentum must lie in \[0, 1\)"),
        (distillation.target_rate, (0.9, 0.0), "learning_rate must be positive"),
        (distillation.averaged_time, (1.0, 0.8, 0.5, 0.1), "start must be below"),
        (distillation.averaged_delay, (0.8, 0.1, 0.0), "rate must be positive"),
        (distillation.decayed_levels, (1.0, 0.8, 0.0), "decay must be positive"),
        (distillation.decayed_levels, (-1.0, 0.8, 0.1), "is not learned from an aligned start"),
        (distillation.unbalanced_end, (0.8, 0.1, jnp.nan), "predictor_start must be a number"),
        (distillation.equal_rates, (0.0,), "rate_ratio must be positive"),
        (distillation.cosine_norm, (1.0, 1.0, -0.1), "decay must be a number"),
        (distillation.iso_loss_amplitude, (1.0, 0.0, 0.5, 0.1), "covariance must be positive"),
        (distillation.stable_learning_rate, (np.ones(1), -np.ones(1)), "coefficients must be pos"),
    ],
)
def test_numbers_out_of_range_are_refused_in_one_line(function, arguments, message):
    with pytest.raises(InputError, match=message) as caught:
        function(*arguments)
    assert "\n" not in str(caught.value)


def test_moments_of_an_optimal_predictor_are_checked():
    with pytest.raises(InputError, match="cross must be"):
        distillation.optimal_predictor(
            orthogonal(np.random.default_rng(0), 2), Moments(np.eye(2), np.eye(3))
        )


@pytest.mark.parametrize(
    "settings",
    [
        {"covariance": 1e308},
        {"covariance": 1e300},
        {"covariance": 1e100},
        {"rate": 1e308},
        {"rate": 1e-308},
        {"coefficient": 1e308},
        {"start": 1e-300},
        {"depth": 256},
    ],
)
def test_an_averaged_time_that_cannot_be_integrated_is_refused_at_once(settings):
    given = {"covariance": 1.0, "coefficient": 0.8, "start": 0.01, "rate": 0.1} | settings
    with pytest.raises(InputError, match="the integration does not end"):
        distillation.averaged_time(**given)


def test_an_averaged_time_depends_on_the_units_of_time_alone():
    one = distillation.averaged_time(1.0, 0.8, 0.01, 0.1)
    np.testing.assert_allclose(distillation.averaged_time(1e20, 0.8, 0.01, 1e19), one / 1e20)


@pytest.mark.parametrize(
    ("times", "settings", "message"),
    [
        ([0.0, 1.0], {"decay": np.inf}, "decay must be a number at least 0; got inf"),
        ([0.0, 1.0], {"decay": 1e308}, "decay x time must be below 300"),
        ([0.0, 100.0], {"decay": 800.0}, "decay x time must be below 300"),
        ([0.0, np.inf], {}, "times must be finite"),
        ([1.0, 0.0], {}, "increase"),
        ([[1.0], [1.0, 2.0]], {}, "real numbers"),
        ([0.0, 1.0], {"noise": np.inf}, "noise must be a number at least 0"),
        ([0.0, 1.0], {"start": (np.array([1e200, 1.0]), np.array([1e200, 1.0]))}, "does not end"),
    ],
)
def test_cosine_amplitudes_that_cannot_be_integrated_are_refused_at_once(times, settings, message):
    start = settings.pop("start", (np.array([0.2, 0.9]), np.ones(2)))
    given = {"start": distillation.CosineModes(*start), "noise": 0.25} | settings
    with pytest.raises(InputError, match=message):
        distillation.cosine_amplitudes(times, **given)


def test_cosine_amplitudes_rest_at_late_times():
    """P sum of squares is conserved without decay, so the end is |V| / sqrt(k)."""
    start = distillation.CosineModes(np.array([0.2, 0.9]), np.array([0.04, 0.81]))
    late = distillation.cosine_amplitudes(np.array([0.0, 1e3, 1e308]), start, 0.25)
    norm = np.sqrt((0.2**2 + 0.9**2) / 2)
    np.testing.assert_allclose(late.predictor[1:], norm, rtol=1e-9)
    decayed = distillation.cosine_amplitudes(np.array([29.0]), start, 0.25, 10.0)
    np.testing.assert_allclose(decayed.predictor, norm * np.exp(-290.0), rtol=1e-9)


@pytest.mark.parametrize("decay", [0.001, 0.05, 0.19])
def test_levels_under_decay_have_the_slopes_of_the_closed_form(decay):
    """The derivative of (1 +- sqrt(1 - 4 s eta)) / (2 s), s = 1.25, is -+1 / sqrt(1 - 4 s eta)."""
    slope = 1 / np.sqrt(1 - 5 * decay)
    curvature = 2 * 1.25 * slope**3

    def levels(x):
        return jnp.array(distillation.decayed_levels(1.0, 0.8, x))

    for slopes in (jax.jacfwd(levels), jax.jacrev(levels)):
        np.testing.assert_allclose(slopes(decay), [-slope, slope], rtol=1e-9)
    curved = jax.jacfwd(jax.jacfwd(levels))(decay)
    np.testing.assert_allclose(curved, [-curvature, curvature], rtol=1e-8)


@EVERY
@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("argument", [0, 1, 2])
def test_slopes_of_levels_and_thresholds_are_difference_quotients(objective, depth, argument):
    setting = {"depth": depth, "objective": objective}
    eta = 0.4 * float(distillation.collapse_threshold(1.1, 0.8, **setting))
    at = np.array([1.1, 0.8, eta])

    def every(x):
        levels = distillation.decayed_levels(*x, **setting)
        return jnp.array([*levels, distillation.collapse_threshold(x[0], x[1], **setting)])

    step = np.zeros(3)
    step[argument] = 1e-5 * at[argument]
    quotient = (every(at + step) - every(at - step)) / (2 * step[argument])
    for slopes in (jax.jacfwd(every), jax.jacrev(every)):
        found = slopes(jnp.asarray(at))[:, argument]
        np.testing.assert_allclose(found, quotient, rtol=1e-7, atol=1e-9)


def test_the_slope_of_levels_above_the_threshold_leaves_the_others_finite():
    decays = jnp.array([0.02, 0.3])  # the second is above the threshold

    def total(x):
        upper, lower = distillation.decayed_levels(1.0, 0.8, x, depth=2)
        return jnp.nansum(upper) + jnp.nansum(lower)

    assert jnp.isfinite(jax.grad(total)(decays)).all()


def test_the_slope_of_the_normalised_time_without_decay_is_the_time_squared():
    assert jax.grad(lambda x: distillation.normalised_time(3.0, x))(0.0) == 9
