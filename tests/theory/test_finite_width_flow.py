"""Training in a few modes (F-5), against closed forms, descent of linear networks and real nets."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jssl import losses
from jssl.errors import InputError
from jssl.formulas import steps as formulas
from jssl.models import mlp
from jssl.theory import stepwise
from jssl.theory.finite_width import (
    embedding_loss,
    linearised_loss,
    mode_flow,
    mode_kernel,
    quartic_loss,
)

GAMMA = np.array([1.0, 0.5, 0.3])
RANDOM = np.random.default_rng(0)


def _uncoupled(gamma, dim):
    return np.einsum("ij,kl->ikjl", np.diag(gamma), np.eye(dim))


def crossing_times(times, values, levels):
    return formulas.crossing_times(times, values, levels, np)


def _eigenvalues(coordinates):
    return np.linalg.eigvalsh(np.swapaxes(coordinates, 1, 2) @ coordinates)[:, ::-1]


def test_without_a_leak_the_flow_is_the_closed_form_of_aligned_modes():
    start = 1e-3 * np.eye(3)
    times = np.linspace(0, 12, 25)
    flow = mode_flow(linearised_loss(), _uncoupled(GAMMA, 3), start, times, tolerance=1e-7)
    scales = np.diag(start) / np.sqrt(GAMMA)
    gamma = jnp.asarray(GAMMA)
    expected = stepwise.mode_eigenvalues(jnp.asarray(times), jnp.asarray(scales), gamma)
    np.testing.assert_allclose(
        _eigenvalues(flow.coordinates), np.sort(expected)[:, ::-1], atol=1e-5
    )
    assert flow.complete


def test_a_gram_matrix_with_a_leak_follows_descent_of_the_linear_model_that_has_it():
    """z_k(x) = sum_p theta_p phi_kp(x) with shared parameters, descended in parameter space."""
    n, dim, count = 8, 2, 40
    features = RANDOM.normal(size=(dim, 2 * n, count)) / np.sqrt(count)
    features[1] = 0.2 * features[0] + features[1]  # the outputs share parameters
    theta = 1e-3 * RANDOM.normal(size=count)
    swap = np.kron([[0, 1], [1, 0]], np.eye(n)) / (2 * n)
    kernel = (features[0] @ features[0].T + features[1] @ features[1].T) / 2
    root = np.linalg.cholesky(kernel)
    gamma, basis = np.linalg.eigh(root.T @ swap @ root)
    kept = gamma > 1e-6
    q = root @ basis[:, kept] / np.sqrt(gamma[kept])
    weights = swap @ q
    rate, steps = 0.01, 4000
    blocks = np.einsum("kxp,lyp->kxly", features, features)
    gram = np.einsum("xi,kxly,yj->ikjl", weights, blocks, weights)
    start = weights.T @ np.einsum("kxp,p->xk", features, theta)
    times = rate * np.arange(0, steps + 1, 100)
    flow = mode_flow(linearised_loss(), gram, start, times, learning_rate=rate)
    seen = []
    for step in range(steps + 1):
        z = np.einsum("kxp,p->xk", features, theta)
        c = z.T @ swap @ z
        if step % 100 == 0:
            seen.append(np.linalg.eigvalsh(c)[::-1])
        theta = theta - rate * 4 * np.einsum("kxp,xk->p", features, swap @ z @ (c - np.eye(dim)))
    half = [
        crossing_times(times, x, np.full(2, 0.5))
        for x in (_eigenvalues(flow.coordinates), np.array(seen))
    ]
    # The modes span the positive part of C only: the negative part is damped and changes little.
    np.testing.assert_allclose(half[0], half[1], rtol=0.05)


def test_wrong_factor_of_the_gram_matrix_is_a_wrong_time():
    """The half time is proportional to 1 / G: a factor of 2 in F-5 cannot pass the tests above."""
    times = np.linspace(0, 12, 400)
    start = 1e-3 * np.eye(1)
    halves = [
        crossing_times(
            times,
            _eigenvalues(mode_flow(linearised_loss(), f * np.ones((1, 1, 1, 1)), start, times)[1]),
            np.full(1, 0.5),
        )[0]
        for f in (1.0, 0.5)
    ]
    np.testing.assert_allclose(halves[0], np.log(1e6 - 1) / 8, rtol=1e-3)
    np.testing.assert_allclose(halves[1] / halves[0], 2, rtol=1e-3)


def test_learning_rate_correction_gives_the_steps_of_descent():
    gamma, rate, s = 1.0, 0.025, 1e-3
    times = np.linspace(0, 4, 2000)
    gram, start = gamma * np.ones((1, 1, 1, 1)), np.full((1, 1), s)
    flow = mode_flow(linearised_loss(), gram, start, times, learning_rate=rate, tolerance=1e-7)
    found = crossing_times(times, flow.coordinates[:, :, 0] ** 2, np.full(1, 0.5))[0] / rate
    values = [s]
    while values[-1] ** 2 < 0.5:
        values.append(values[-1] + 4 * rate * gamma * values[-1] * (1 - values[-1] ** 2))
    squares = np.square(values[-2:])
    exact = len(values) - 2 + (0.5 - squares[0]) / (squares[1] - squares[0])
    np.testing.assert_allclose(found, exact, rtol=4e-3)  # (4 rate gamma)^2 / 3 = 3.3e-3
    plain = mode_flow(linearised_loss(), gram, start, times, tolerance=1e-7).coordinates
    uncorrected = crossing_times(times, plain[:, :, 0] ** 2, np.full(1, 0.5))[0] / rate
    assert exact / uncorrected > 1.04


def test_weight_decay_shifts_growth_and_end():
    times, decay = np.linspace(0, 30, 300), 0.5
    gram = _uncoupled(GAMMA[:1], 1)
    flow = mode_flow(linearised_loss(), gram, np.full((1, 1), 1e-3), times, decay=decay)
    end = flow.coordinates[-1, 0, 0] ** 2
    np.testing.assert_allclose(end, 1 - 2 * decay / 4, rtol=1e-3)  # 4 gamma (1 - C) = 2 decay


@pytest.mark.parametrize(
    "name", ["barlow_twins_linearized", "vicreg_squared", "spectral_contrastive"]
)
def test_losses_of_embeddings_equal_their_quartic_forms_up_to_a_constant(name):
    n, modes, dim = 9, 4, 3
    functions = RANDOM.normal(size=(2, n, modes))
    cross = functions[0].T @ functions[1]
    values, basis = np.linalg.eigh((cross + cross.T) / (2 * n))
    kept = values > 0
    functions = functions @ basis[:, kept] / np.sqrt(values[kept])  # C = B^T B
    moment = sum(f.T @ f for f in functions) / (2 * n)
    b = RANDOM.normal(size=(2, kept.sum(), dim))
    reduced = embedding_loss(losses.get(name), *functions)
    closed = linearised_loss()
    if name != "barlow_twins_linearized":
        closed = quartic_loss(2.0, 1.0, 0.0, moment, moment)
    found, expected = ([f(jnp.asarray(x)) for x in b] for f in (reduced, closed))
    np.testing.assert_allclose(found[0] - found[1], expected[0] - expected[1], rtol=1e-9)


def test_quartic_loss_of_whitened_modes_is_linearised_barlow_twins():
    """With Ka = Kn = C, -2 tr C + tr C^2 = ||C - I||^2 - dim."""
    b = jnp.asarray(RANDOM.normal(size=(4, 3)))
    unit = np.eye(4)
    found = quartic_loss(2.0, 0.4, 0.6, unit, unit)(b)
    np.testing.assert_allclose(found, linearised_loss()(b) - 3, rtol=1e-9)


def test_forecast_of_a_trained_network_rejects_the_limit():
    """tanh, width 64: dimension 2 of descent comes where F-5 says, and far before the limit."""
    n, dim, rate, scale = 20, 2, 0.02, 1e-5
    x = np.random.default_rng(3).normal(size=(n, 6)) * np.array([2.0, 0.7, 0.6, 0.5, 0.5, 0.5])
    noise = 0.1 * np.random.default_rng(4).normal(size=(2, n, 6))
    views = jnp.asarray(np.concatenate([x + noise[0], x + noise[1]]))
    model = mlp(6, dim, width=64, depth=2, activation="tanh")
    params = model.init(jax.random.key(0))
    kernel = np.asarray(model.kernel(views, views)[1])
    swap = np.kron([[0, 1], [1, 0]], np.eye(n)) / (2 * n)
    root = np.linalg.cholesky(kernel + 1e-9 * np.eye(2 * n))
    gamma, basis = np.linalg.eigh(root.T @ swap @ root)
    gamma, basis = gamma[::-1][:12], basis[:, ::-1][:, :12]
    weights = swap @ root @ basis / np.sqrt(gamma)
    gram = mode_kernel(model.apply, params, views, jnp.asarray(weights))
    embedded = np.asarray(model.apply(params, views))
    start = scale * weights.T @ embedded
    times = np.linspace(0, 60, 3001)
    half = {}
    for name, matrix in (("finite", gram), ("limit", _uncoupled(gamma, dim))):
        flow = mode_flow(linearised_loss(), matrix, start, times, learning_rate=rate)
        half[name] = crossing_times(times, _eigenvalues(flow.coordinates), np.full(dim, 0.5))
    base = jnp.asarray((1 - scale) * embedded)

    def loss(p):
        z = model.apply(p, views) - base
        return losses.get("barlow_twins_linearized")(z[:n], z[n:])

    @jax.jit
    def descend(p):
        def step(_, p):
            return jax.tree.map(lambda a, g: a - rate * g, p, jax.grad(loss)(p))

        p = jax.lax.fori_loop(0, 10, step, p)
        z = model.apply(p, views) - base
        c = z[:n].T @ z[n:] / n
        return p, jnp.linalg.eigvalsh((c + c.T) / 2)[::-1]

    seen, p = [], params
    for _ in range(300):
        p, values = descend(p)
        seen.append(np.asarray(values))
    trained = crossing_times(rate * 10 * np.arange(1, 301), np.array(seen), np.full(dim, 0.5))
    np.testing.assert_allclose(half["finite"], trained, rtol=0.15)
    assert half["limit"][1] > 1.4 * trained[1]


def _rise(off_diagonal, starts=24, dim=4):
    """Return log half times (starts, dim), and C's largest eigenvalue once all C_ii > .97."""
    gamma = np.array([1.0, 0.7, 0.5, 0.4, 0.3, 0.25, 0.2, 0.15])
    times = np.append(0, np.geomspace(1e-2, 3000, 2000))
    loss, levels = linearised_loss(off_diagonal), np.full(dim, 0.5)
    halves, largest = [], []
    for seed in range(starts):
        start = 1e-3 * np.random.default_rng(seed).normal(size=(len(gamma), dim))
        start *= np.sqrt(gamma)[:, None]
        flow = mode_flow(loss, _uncoupled(gamma, dim), start, times, levels=1.8 * levels)
        values = _eigenvalues(flow.coordinates)
        halves.append(crossing_times(flow.times, values, levels))
        risen = (np.square(flow.coordinates).sum(1) > 0.97).all(1)  # C_ii
        largest.append(values[np.argmax(risen), 0])
    return np.log(halves), np.array(largest)


def test_a_small_off_diagonal_weight_lets_all_outputs_learn_the_same_first():
    """In the limit of infinite width, so that it is the loss and no leak.

    At weight 1 the loss does not depend on the axes of the outputs, and no eigenvalue of C exceeds
    1 (here by more than the 3 % of the threshold). At weight w << 1 every C_ii rises by itself, up
    to C = 1 1^T with its eigenvalue dim, and what is left is undone at rates of order w: the later
    steps come after 1 / w, and the share of modes in the first rise, which is random, sets them.
    """
    (usual, below), (slow, above) = _rise(1.0), _rise(0.0051)
    assert below.max() < 1.03
    assert np.median(above) > 3.5
    assert np.median(slow[:, 2:] - usual[:, 2:]) > np.log(10)
    np.testing.assert_allclose(slow[:, 0], usual[:, 0], atol=0.2)
    assert slow[:, 1].std() > 5 * usual[:, 1].std()


def test_crossing_of_a_level_that_is_met_at_once_is_the_first_time():
    times = np.array([0.0, 1.0])
    assert crossing_times(times, np.ones((2, 1)), np.full(1, 0.5))[0] == 0


@pytest.mark.parametrize(
    ("gram", "start", "message"),
    [
        (np.ones((1, 1, 1, 2)), np.ones((1, 1)), "gram must be"),
        (np.ones((1, 1, 1, 1)), np.zeros((1, 1)), "not zero"),
    ],
)
def test_wrong_shapes_and_a_start_of_zero_are_refused(gram, start, message):
    with pytest.raises(InputError, match=message):
        mode_flow(linearised_loss(), gram, start, np.array([0.0, 1.0]))
