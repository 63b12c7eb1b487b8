"""Replacement of learned directions by ones with less noise, against the Hessian and descent."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jssl
from jssl.forecast.isotropic import isotropic_modes
from jssl.forecast.linear_views import principal_views
from jssl.forecast.replacements import long_run
from jssl.theory import isotropy


def noisy_pairs(n=4000, *, turned=False):
    """Five directions; the two of largest variance have the largest shares of noise."""
    draws = np.random.default_rng(0)
    shared = draws.normal(size=(n, 5)) * np.sqrt([1.0, 0.7, 0.3, 0.25, 0.2])
    noise = np.sqrt([0.5, 0.3, 0.06, 0.02, 0.1])
    views = [shared + noise * draws.normal(size=shared.shape) for _ in range(2)]
    turn = draws.normal(size=(5, 5)) if turned else np.eye(5)
    views = [x @ turn for x in views]
    mean = np.concatenate(views).mean(0)
    return [x - mean for x in views]


def moments(first, second):
    covariance = (first.T @ first + second.T @ second) / (2 * len(first))
    return covariance, (first - second).T @ (first - second) / (2 * len(first))


def listed(sentence):
    """Return the eigenvalues of C that a sentence lists."""
    return [float(x) for x in sentence.split("end at ")[1].split(". The final")[0].split(", ")]


def exact_pairs(variances, shares, n=200):
    """Centred pairs with exactly these moments."""
    dim = len(variances)
    draws = np.random.default_rng(3).normal(size=(n, 2 * dim + 1))
    draws[:, 0] = 1.0
    columns = np.sqrt(n) * np.linalg.qr(draws)[0][:, 1:]
    variances, shares = np.array(variances), np.array(shares)
    common = columns[:, :dim] * np.sqrt(variances * (1 - shares / 2))
    apart = columns[:, dim:] * np.sqrt(variances * shares / 2)
    return [common + apart, common - apart]


def population_loss(strength, unit, covariance, noise, batch=None):
    def loss(w):
        spread = jnp.linalg.eigvalsh(w @ covariance @ w.T)
        cost = jnp.trace(w @ noise @ w.T)
        finite = batch is not None
        value = isotropy.expected_value(spread, batch) if finite else isotropy.value(spread)
        return unit * (cost + strength * value)

    return loss


def descended(pairs, seen, batch, *, scale, steps):
    """Return the eigenvalues of C after descent of the population loss, descending."""
    covariance, noise = moments(*pairs)
    strength, unit = seen.settings["strength"], seen.settings["loss factor"]
    loss = population_loss(strength, unit, covariance, noise, batch=batch)
    shape = len(seen.steps), pairs[0].shape[1]
    w = jnp.asarray(scale * np.random.default_rng(1).normal(size=shape))
    step = jax.jit(lambda w, _: (w - seen.learning_rate * jax.grad(loss)(w), None))
    w = jax.lax.scan(step, w, length=steps)[0]
    return np.linalg.eigvalsh(w @ (covariance - noise) @ w.T)[::-1]


def long_run_sentence(seen):
    return next(line for line in seen.caveats if line.startswith("In the long run"))


@pytest.mark.parametrize("turned", [False, True])
def test_the_rate_of_replacement_is_that_of_the_hessian(turned):
    draws = np.random.default_rng(0)
    views = principal_views(*noisy_pairs(turned=turned), draws, centred=True)
    of = isotropic_modes(views, 2, 0.05, 4000, 2, draws)
    covariance, noise = moments(views.first, views.second)
    # the point where two generalised eigenvectors are held, those nearest to the modes
    roots, vectors = np.linalg.eigh(covariance)
    half = (vectors / np.sqrt(roots)) @ vectors.T
    shares, turn = np.linalg.eigh(half @ noise @ half)
    fits = np.abs(of.modes.vectors[:2] @ covariance @ half @ turn).sum(0)
    held = np.sort(np.argsort(fits)[-2:])
    levels = isotropy.end_state(shares[held], of.strength).eigenvalues
    w = np.sqrt(levels)[:, None] * (half @ turn)[:, held].T
    loss = population_loss(of.strength, of.unit, covariance, noise)
    assert np.abs(jax.grad(loss)(w)).max() < 1e-9
    hessian = jax.hessian(lambda flat: loss(flat.reshape(w.shape)))(w.ravel())
    exact = -2 * float(np.linalg.eigvalsh(hessian)[0])  # of an eigenvalue, twice that of a weight
    found = long_run(of, views, np.ones(2), 1.0).rate
    assert exact > 0.01
    assert 0.8 * exact < found < 1.02 * exact


def test_final_values_in_the_long_run_are_those_of_descent():
    pairs = noisy_pairs()
    seen = jssl.predict(pairs, loss="lejepa", dim=2, batch=64)
    told = listed(long_run_sentence(seen))
    ended = descended(pairs, seen, 64, scale=1e-2, steps=20_000)
    np.testing.assert_allclose(np.sort(told)[::-1], ended, rtol=0.02)
    assert np.abs(np.sort(seen.final)[::-1] - ended).max() > 0.03


def test_nothing_is_said_where_the_modes_of_least_noise_are_learned_first():
    draws = np.random.default_rng(0)
    shared = draws.normal(size=(400, 3)) * np.array([1.0, 0.6, 0.3])
    pairs = [shared + 0.1 * draws.normal(size=shared.shape) for _ in range(2)]
    seen = jssl.predict(pairs, loss="lejepa", dim=2)
    assert not any("In the long run" in line for line in seen.caveats)


@pytest.mark.parametrize("noise", [0.5, 1.5])
def test_the_answer_names_no_dimension_where_views_differ_more_than_they_agree(noise):
    draws = np.random.default_rng(0)
    shared = draws.normal(size=(200, 4))
    pairs = [shared + noise * draws.normal(size=shared.shape) for _ in range(2)]
    first = str(jssl.predict(pairs, loss="lejepa", dim=2)).splitlines()[0]
    assert first.startswith("These 200 pairs do not show" if noise > 1 else "Take a dimension of 2")


@pytest.mark.parametrize(
    ("variances", "shares", "dim", "options"),
    [
        (
            [1, 0.9, 0.8, 0.7, 0.6, 0.1, 0.1],
            [0.1, 0.15, 0.45, 0.5, 0.55, 0.05, 0.08],
            4,
            {"batch": 8},
        ),
        ([1, 1, 0.1], [0.05, 0.5, 0.06], 2, {"batch": 32, "trade_off": 0.0058}),
        ([1, 1, 0.1], [0.1, 0.5, 0.05], 2, {"batch": 32, "trade_off": 0.0058}),
    ],
)  # fmt: skip
def test_outputs_that_learn_nothing_at_first_are_filled_later(variances, shares, dim, options):
    pairs = exact_pairs(variances, shares)
    seen = jssl.predict(pairs, loss="lejepa", dim=dim, **options)
    learned = int(np.isfinite(seen.steps).sum())
    assert 0 < learned < dim
    assert f"at first; in the long run {dim} dimensions are kept" in str(seen)
    sentence = long_run_sentence(seen)
    ended = descended(pairs, seen, options["batch"], scale=1e-3, steps=30_000)
    np.testing.assert_allclose(listed(sentence), ended, rtol=0.02)
    # the fastest row grows as an empty one, at 4 unit rate q (T - n)
    levels = np.sort(seen.columns["embedding eigenvalue at the end"])[::-1]
    strength, unit = seen.settings["strength"], seen.settings["loss factor"]
    pull = -strength * isotropy.slope(levels, batch=options["batch"])[-1]
    held = np.sort(seen.columns["noise share"][np.isfinite(seen.steps)])
    free = [(q, n) for q, n in zip(variances, shares, strict=True) if np.abs(held - n).min() > 1e-6]
    rate = max(4 * unit * seen.learning_rate * q * (pull - n) for q, n in free)
    wait = float(sentence.split("in at most ")[1].split(" steps")[0].replace(",", ""))
    assert wait == pytest.approx(1 / rate, rel=0.02)


@pytest.mark.parametrize(
    ("variances", "shares", "dim", "options"),
    [
        ([1, 1], [0.05, 0.9], 2, {"batch": 64, "trade_off": 0.05}),
        ([1, 0.7, 0.5], [0.3, 0.1, 0.02], 3, {"batch": 32, "trade_off": 0.05}),
    ],
)
def test_correlated_modes_end_at_the_smallest_shares_too(variances, shares, dim, options):
    turn = np.linalg.qr(np.random.default_rng(5).normal(size=(len(shares), len(shares))))[0]
    turn = turn * np.linspace(0.5, 1.5, len(shares))
    pairs = [x @ turn for x in exact_pairs(variances, shares)]
    seen = jssl.predict(pairs, loss="lejepa", dim=dim, **options)
    ended = descended(pairs, seen, options["batch"], scale=1e-2, steps=60_000)
    told = listed(long_run_sentence(seen))
    np.testing.assert_allclose(told, ended, rtol=0.02, atol=0.002)
    assert np.abs(np.sort(seen.final)[::-1] - ended).max() > 0.03
