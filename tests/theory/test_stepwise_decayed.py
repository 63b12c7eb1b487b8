"""Barlow Twins with weight decay and any number of outputs, against descent and minimisation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from jssl.errors import InputError
from jssl.theory import stepwise

GAMMA = np.array([1.0, 0.6, 0.4])


def weights(off_diagonal, dim):
    return off_diagonal + (1 - off_diagonal) * np.eye(dim)


def velocity(w, gamma, off_diagonal, decay):
    dim = w.shape[-2]
    c = (w * gamma) @ w.swapaxes(-1, -2)
    return -4 * (weights(off_diagonal, dim) * c - np.eye(dim)) @ (w * gamma) - 2 * decay * w


def descend(gamma, dim, off_diagonal, decay, *, scale, seeds, rate, time):
    """Half times and last eigenvalues of many random starts, and their scales."""
    w = scale * np.random.default_rng(1).normal(size=(seeds, dim, len(gamma)))
    count = min(dim, len(gamma))
    scales = np.abs(np.diagonal(np.linalg.qr(w[:, :, :count])[1], axis1=1, axis2=2))
    seen = []
    for step in range(round(time / rate)):
        if step % 10 == 0:
            c = (w * gamma) @ w.swapaxes(1, 2)
            seen.append(np.linalg.eigvalsh(c)[:, ::-1][:, :count])
        w = w + rate * velocity(w, gamma, off_diagonal, decay)
    seen = np.array(seen)
    last = seen[-1]
    half = 10 * rate * (seen > last / 2).argmax(0)
    return np.where(last > 0.05, half, np.inf), last, scales


@pytest.mark.parametrize(
    ("dim", "off_diagonal", "decay"),
    [
        (3, 1.0, 0.0),
        (3, 1.0, 0.7),
        (4, 0.3, 0.2),
        (6, 0.05, 0.05),
        (2, 0.1, 0.05),
        (1, 0.0051, 0.5),
    ],
)
def test_the_levels_are_those_of_the_least_loss(dim, off_diagonal, decay):
    def loss(flat):
        w = flat.reshape(dim, 3)
        defect = (w * GAMMA) @ w.T - np.eye(dim)
        return (weights(off_diagonal, dim) * defect**2).sum() + decay * (w**2).sum()

    def slope(flat):
        # d/dC of the weighted square is weights * (C - 1), whose off-diagonal part is lambda C
        w = flat.reshape(dim, 3)
        return -velocity(w, GAMMA, off_diagonal, decay).ravel()

    draws = np.random.default_rng(0)
    runs = [
        scipy.optimize.minimize(loss, draws.normal(size=3 * dim), jac=slope, tol=1e-12)
        for _ in range(8)
    ]
    w = min(runs, key=lambda run: run.fun).x.reshape(dim, 3)
    seen = np.sort(np.linalg.eigvalsh((w * GAMMA) @ w.T))[::-1]
    found = stepwise.decayed_levels(jnp.asarray(GAMMA), dim, off_diagonal, decay)
    expected = np.zeros(max(dim, 3))
    expected[:3] = found.eigenvalues
    np.testing.assert_allclose(expected[:dim], seen, atol=2e-4)


@pytest.mark.parametrize(
    ("dim", "off_diagonal", "decay", "time", "tolerance"),
    [
        (5, 1.0, 0.0, 14, 0.01),
        (3, 1.0, 0.5, 35, 0.01),
        (16, 0.0051, 0.0, 110, 0.08),
        (4, 0.3, 0.2, 40, 0.06),
        (2, 0.1, 0.05, 40, 0.1),
        (1, 0.0051, 0.3, 8, 0.01),
    ],
)
def test_half_times_are_those_of_descent_from_random_starts(
    dim, off_diagonal, decay, time, tolerance
):
    given = {"scale": 2e-4, "seeds": 12, "rate": 0.01, "time": time}
    seen, last, scales = descend(GAMMA, dim, off_diagonal, decay, **given)
    gamma = jnp.asarray(GAMMA[: scales.shape[1]])

    def times(start):
        return stepwise.mode_times(
            start, gamma, dim, off_diagonal, weight_decay=decay, learning_rate=0.01
        )

    found = jax.vmap(times)(jnp.asarray(scales))
    np.testing.assert_array_equal(np.isinf(found.times), np.isinf(seen))
    known = np.isfinite(seen)
    off = np.abs(np.where(known, found.times, 0) - np.where(known, seen, 0)).mean(0)
    assert (off < tolerance * np.where(known, seen, 1).mean(0) + 0.1).all()
    if off_diagonal < 1:
        assert (off < 2 * np.where(known, found.blur, 1).mean(0) + 0.1).all()
    level = stepwise.decayed_levels(jnp.asarray(GAMMA), dim, off_diagonal, decay).eigenvalues
    spread = 0.1 * float(level.max()) if off_diagonal < 1 else 1e-3  # the diagonal still turns
    np.testing.assert_allclose(last.mean(0), level[: last.shape[1]], atol=spread)


def test_at_weight_one_a_mode_is_learned_if_twice_its_eigenvalue_exceeds_the_decay():
    gamma = jnp.array([1.0, 0.26, 0.24, -0.5])
    found = stepwise.mode_times(jnp.full(4, 1e-3), gamma, 4, weight_decay=0.5)
    assert jnp.isfinite(found.times).tolist() == [True, True, False, False]
    assert (found.blur[:2] == 0).all()


def test_without_decay_half_times_are_those_of_independent_modes():
    start, gamma = jnp.array([1e-3, 2e-3, 0.3]), jnp.array([1.0, 0.5, 0.25])
    found = stepwise.mode_times(start, gamma, 3).times
    np.testing.assert_allclose(found, stepwise.half_time(start, gamma), rtol=1e-12)


def test_levels_without_decay_are_the_plateaus():
    for dim in (3, 8):
        level = stepwise.decayed_levels(jnp.asarray(GAMMA), dim, 0.0051)
        plateau = stepwise.plateau(3, dim, 0.0051)
        np.testing.assert_allclose(level.eigenvalues, np.full(3, plateau.level), rtol=1e-12)
        np.testing.assert_allclose(level.push, plateau.growth, rtol=1e-9)


@pytest.mark.parametrize(
    ("dim", "off_diagonal", "decay", "rate"),
    [(3, 1.0, 0.0, 0.0), (3, 0.0051, 0.1, 0.01), (2, 0.3, 0.0, 0.05), (8, 0.3, 0.2, 0.0)],
)
def test_numpy_arrays_are_computed_on_the_host(dim, off_diagonal, decay, rate):
    start, gamma = np.array([1e-3, 2e-3, 0.0, 1e-3, 0.5]), np.array([1.0, 0.7, 0.5, -0.3, 0.05])
    given = {"weight_decay": decay, "learning_rate": rate}
    on_host = stepwise.mode_times(start, gamma, dim, off_diagonal, **given)
    traced = stepwise.mode_times(jnp.asarray(start), jnp.asarray(gamma), dim, off_diagonal, **given)
    levels = stepwise.decayed_levels(gamma, dim, off_diagonal, decay)
    known = stepwise.decayed_levels(jnp.asarray(gamma), dim, off_diagonal, decay)
    for seen, expected in zip((*on_host, *levels), (*traced, *known), strict=True):
        assert not isinstance(seen, jax.Array)
        np.testing.assert_allclose(seen, expected, rtol=1e-12)


def test_starts_of_any_size_are_borne():
    for tiny in (1e-200, 1e-30):
        found = stepwise.mode_times(jnp.array([tiny]), jnp.ones(1), 1)
        np.testing.assert_allclose(found.times, -np.log(tiny) / 4, rtol=1e-12)
    there = stepwise.mode_times(jnp.array([2.0, 1e-3]), jnp.array([1.0, 0.5]), 2)
    assert there.times[0] == 0
    assert jnp.isinf(stepwise.mode_times(jnp.zeros(1), jnp.ones(1), 1).times).all()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: stepwise.decayed_levels(jnp.ones(1), 1, 2.0), r"off_diagonal must be in \(0, 1\]"),
        (lambda: stepwise.decayed_levels(jnp.ones(1), 0), "dim must be"),
        (lambda: stepwise.decayed_levels(jnp.ones(1), 1, weight_decay=-1.0), "weight_decay must"),
        (lambda: stepwise.mode_times(jnp.ones(2), jnp.ones(1), 1), r"must both be \(k,\)"),
    ],
)
def test_bad_input_is_refused_in_one_line(call, says):
    with pytest.raises(InputError, match=says):
        call()
