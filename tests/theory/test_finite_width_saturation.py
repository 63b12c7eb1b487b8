"""F-4, F-6 and F-7, against random networks, the mode-space flow and simulated noise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jssl.formulas import steps as formulas
from jssl.models import mlp
from jssl.theory.finite_width import (
    batch_slowdown,
    effective_start,
    leak_variance,
    leaked_noise,
    leaked_times,
    linearised_loss,
    mode_flow,
    mode_kernel,
)

X = np.random.default_rng(0).normal(size=(10, 4))
WEIGHTS = np.random.default_rng(1).normal(size=(10, 3)) / 5


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_variance_of_the_blocks_of_one_hidden_layer_is_the_four_point_function(activation):
    width, nets = 64, 400
    model = mlp(4, 2, width=width, depth=1, activation=activation)
    gain = 2**0.5 if activation == "relu" else 1.0
    phi = {"relu": jax.nn.relu, "tanh": jnp.tanh}[activation]
    slope = jax.vmap(jax.grad(phi))
    predicted = leak_variance(
        lambda h: slope(h), jnp.asarray(X), jnp.asarray(WEIGHTS), jax.random.key(5),
        weight_std=gain, neurons=20_000,
    )  # fmt: skip

    @jax.jit
    def block(key):
        params = model.init(key)
        x = jnp.asarray(X)
        jacobian = jax.jacrev(lambda p: WEIGHTS.T @ model.apply(p, x))(params)
        flat = jnp.concatenate([j.reshape(3, 2, -1) for j in jax.tree.leaves(jacobian)], axis=2)
        return flat[:, 0] @ flat[:, 1].T

    blocks = np.asarray(jax.lax.map(block, jax.random.split(jax.random.key(0), nets)))
    seen = width * np.square(blocks)
    error = seen.std(0) / np.sqrt(nets)
    np.testing.assert_array_less(np.abs(seen.mean(0) - predicted), 4.5 * error)
    assert (error < 0.25 * seen.mean(0)).all()  # the test would notice a factor of 2


def test_the_mean_of_the_blocks_is_zero_and_their_size_falls_with_the_width():
    squares = []
    for width in (32, 512):
        model = mlp(4, 2, width=width, depth=2, activation="relu")
        grams = [
            mode_kernel(
                model.apply, model.init(jax.random.key(s)), jnp.asarray(X), jnp.asarray(WEIGHTS)
            )
            for s in range(24)
        ]
        off = np.array([g[:, 0, :, 1] for g in grams])
        error = off.std(0) / np.sqrt(len(off))
        assert (np.abs(off.mean(0)) < 4.5 * error).all()
        squares.append(np.square(off).mean())
    assert 7 < squares[0] / squares[1] < 37  # 16, from 24 nets of 9 correlated numbers each


def crossing_times(times, values, levels):
    return formulas.crossing_times(times, values, levels, np)


def _two_modes(leak):
    """G of modes 1 and 2 and outputs u and k, where output u moves mode 2 of output k."""
    gamma = np.array([1.0, 0.1])
    gram = np.einsum("ij,kl->ikjl", np.diag(gamma), np.eye(2))
    gram[1, 1, 0, 0] = gram[0, 0, 1, 1] = leak
    return gamma, gram


@pytest.mark.parametrize("leak", [1e-2, 1e-3])
@pytest.mark.parametrize("start", [1e-3, 1e-5, 1e-8])
def test_later_times_are_those_of_the_larger_of_start_and_leak(start, leak):
    gamma, gram = _two_modes(leak)
    begin = np.diag([start, start])
    times = np.linspace(0, 60, 6001)
    coordinates = mode_flow(linearised_loss(), gram, begin, times, tolerance=1e-6).coordinates
    values = np.linalg.eigvalsh(np.swapaxes(coordinates, 1, 2) @ coordinates)[:, ::-1]
    first, second = crossing_times(times, values, np.full(2, 0.5))
    found = leaked_times(
        jnp.asarray(first),
        jnp.array([start**2]),
        jnp.asarray(gamma[1:]),
        jnp.array([(leak / gamma[0]) ** 2]),
    )
    # Start and leak may add or cancel, which moves the log by up to log 2 where they are equal.
    grown = start * np.exp(4 * gamma[1] * first)
    ratio = min(grown, leak) / max(grown, leak)
    slack = 2 * np.log1p(ratio) / (8 * gamma[1])
    np.testing.assert_allclose(found[0], second, atol=slack + 0.05 * second)


def test_a_smaller_start_does_not_delay_the_second_mode_and_in_the_limit_it_does():
    second = {}
    for leak in (1e-3, 0.0):
        _, gram = _two_modes(leak)
        times = np.linspace(0, 120, 6001)
        for start in (1e-5, 1e-8):
            flow = mode_flow(linearised_loss(), gram, np.diag([start, start]), times)
            values = np.linalg.eigvalsh(np.swapaxes(flow[1], 1, 2) @ flow[1])[:, ::-1]
            second[leak, start] = crossing_times(times, values, np.full(2, 0.5))
    shift = second[1e-3, 1e-8] - second[1e-3, 1e-5]
    np.testing.assert_allclose(shift[1], shift[0], atol=0.3)
    limit = second[0.0, 1e-8] - second[0.0, 1e-5]
    np.testing.assert_allclose(limit[1], 2 * np.log(1e3) / 0.8, rtol=1e-2)


def test_where_the_leak_is_already_one_the_time_is_the_first_time():
    found = leaked_times(jnp.asarray(2.0), jnp.array([0.0]), jnp.array([0.5]), jnp.array([3.0]))
    assert found[0] == 2.0


def test_additive_noise_acts_as_its_variance_over_twice_the_growth():
    gamma, noise, start, rate = 0.25, 1e-6, 1e-4, 1e-2
    draws = np.random.default_rng(0)
    b = np.full(40_000, start)
    steps = 800
    for _ in range(steps):
        b = b * np.exp(4 * gamma * rate) + np.sqrt(noise * rate) * draws.normal(size=b.shape)
    seen = np.mean(np.square(b * np.exp(-4 * gamma * rate * steps)))
    expected = float(effective_start(jnp.asarray(start**2), jnp.asarray(noise), jnp.asarray(gamma)))
    # A step of 4 gamma rate = .01 moves the sum of a geometric series by as much.
    np.testing.assert_allclose(seen, expected, rtol=0.01 + 4.5 * np.sqrt(2 / len(b)))
    assert expected > 40 * start**2  # without the noise the test would fail


def test_fresh_views_give_no_floor_at_infinite_width():
    """A linear encoder: outputs share no parameter, and a smaller start delays dimension 2."""
    gamma, rate, n = np.array([1.0, 0.3]), 0.02, 16
    halves = []
    for start in (1e-4, 1e-9, 0.0):
        draws = np.random.default_rng(0)
        w = np.array([[1e-2, 0.0], [0.0, start]])
        second = []
        for _ in range(6000):
            x = draws.normal(size=(n, 2)) * np.sqrt(gamma)
            views = [x + 0.3 * draws.normal(size=x.shape) * np.sqrt(gamma) for _ in range(2)]
            moment = (views[0].T @ views[1] + views[1].T @ views[0]) / (2 * n)
            w = w - rate * 4 * (w @ moment @ w.T - np.eye(2)) @ w @ moment
            second.append(np.linalg.eigvalsh((w * gamma) @ w.T)[0])
        halves.append(int(np.argmax(np.array(second) > 0.3)) if max(second) > 0.3 else np.inf)
        if not start:
            assert (w[1] == 0).all()  # the second output never moves, in any batch
    assert halves[1] - halves[0] > 0.5 * np.log(1e5) / (4 * gamma[1] * rate)
    assert halves[2] == np.inf


def test_noise_of_one_output_moves_the_others_through_the_blocks_between_them():
    gram = np.random.default_rng(3).normal(size=(2, 3, 2, 3))
    variance = np.array([0.5, 2.0])
    found = leaked_noise(jnp.asarray(gram), jnp.asarray(variance), 1)
    draws = np.random.default_rng(0).normal(size=(200_000, 2)) * np.sqrt(variance)
    seen = np.einsum("jki,ti->tjk", gram[:, :, :, 1], draws).var(0)
    np.testing.assert_allclose(np.asarray(found)[:, [0, 2]], seen[:, [0, 2]], rtol=0.03)
    assert (np.asarray(found)[:, 1] == 0).all()


def test_batches_slow_small_modes_by_the_stated_share():
    """Descent on fresh Gaussian batches: two learned outputs and one that is small, 400 runs."""
    gamma, rho, batch, rate, runs = np.array([1.0, 0.8, 0.3]), 1.3, 12, 1e-3, 400
    draws = np.random.default_rng(6)
    w = np.zeros((runs, 3, 3))
    w[:, 0, 0], w[:, 1, 1] = 1.0, 0.8**-0.5
    w[:, 2, 2] = 1e-9
    logs = []
    for step in range(700):
        shared = draws.normal(size=(runs, batch, 3))
        a, b = (
            (shared + np.sqrt(rho - 1) * draws.normal(size=shared.shape)) * np.sqrt(gamma)
            for _ in range(2)
        )
        m = (np.swapaxes(a, 1, 2) @ b + np.swapaxes(b, 1, 2) @ a) / (2 * batch)
        w = w - 4 * rate * (w @ m @ np.swapaxes(w, 1, 2) - np.eye(3)) @ w @ m
        if step in (300, 699):  # the learned outputs have reached their shrunk scale by then
            logs.append(np.log(np.abs(w[:, 2, 2])))
    growth = (logs[1] - logs[0]) / (399 * 4 * rate * 0.3)
    share = float(batch_slowdown(jnp.array(rho), jnp.array([rho, rho]), batch))
    error = growth.std(ddof=1) / np.sqrt(runs)
    assert abs(growth.mean() - (1 - share)) < 3.9 * error + share**2  # of second order
    assert growth.mean() + 3.9 * error + share**2 < 1
