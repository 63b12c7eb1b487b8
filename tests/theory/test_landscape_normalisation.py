"""Water-filling and the three candidates against direct minimisation over weight and bias."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from landscape_oracles import best_of

from jssl.errors import InputError
from jssl.theory import landscape

RNG = np.random.default_rng(0)


def direct(s, dim, quartic, kappa, *, bias, starts=10):
    """Minimise -Tr VSV^T + c4 Tr(VV^T)^2 + kappa E(|Vx + b|^2 - 1)^2, x standard normal."""
    s = np.asarray(s)

    def function(flat):
        v, b = flat[: dim * len(s)].reshape(dim, -1), flat[dim * len(s) :]
        b = b if bias else 0 * b
        k = v @ v.T
        size = np.trace(k) + b @ b - 1
        value = -np.sum(v**2 * s) + quartic * np.sum(k**2)
        value += kappa * (size**2 + 2 * np.sum(k**2) + 4 * b @ k @ b)
        slope = -2 * v * s + 4 * (quartic + 2 * kappa) * k @ v
        slope += kappa * (4 * size * v + 8 * np.outer(b, b @ v))
        on_bias = kappa * (4 * size * b + 8 * k @ b) if bias else 0 * b
        return value, np.concatenate([slope.ravel(), on_bias])

    points = RNG.standard_normal((starts, dim * len(s) + dim)) * 0.5
    value, point = best_of(function, points)
    v, b = point[: dim * len(s)].reshape(dim, -1), point[dim * len(s) :]
    return value, np.sort(np.linalg.eigvalsh(v @ v.T))[::-1], (b @ b) * bias


def test_the_penalty_is_the_gaussian_mean():
    """E(|Vx + b|^2 - 1)^2 = (T + |b|^2 - 1)^2 + 2 Tr K^2 + 4 b^T K b, and the energy's words."""
    q, square = np.array([0.5, 0.2, 0.1]), 0.4
    x = np.random.default_rng(1).standard_normal((400_000, 3)) * np.sqrt(q)
    x[:, 2] += np.sqrt(square)
    values = ((x**2).sum(1) - 1) ** 2
    found = landscape.normalised_energy(
        jnp.asarray(q), square, jnp.zeros(3), quartic=0.0, kappa=1.0
    )
    assert abs(values.mean() - found) < 4 * values.std() / np.sqrt(len(values))


@pytest.mark.parametrize("case", range(6))
def test_water_filling_is_the_minimum_without_a_bias(case):
    rng = np.random.default_rng(case)
    s = rng.normal(0, 1, 4)
    dim, quartic, kappa = int(rng.integers(1, 5)), rng.uniform(0.2, 1), rng.uniform(0.05, 2)
    filled = landscape.soft_normalisation(jnp.asarray(s), dim, quartic=quartic, kappa=kappa)
    value, spectrum, _ = direct(s, dim, quartic, kappa, bias=False, starts=6)
    top = jnp.asarray(np.sort(s)[::-1][:dim])
    energy = landscape.normalised_energy(filled, 0.0, top, quartic=quartic, kappa=kappa)
    np.testing.assert_allclose(energy, value, atol=1e-7)
    np.testing.assert_allclose(np.sort(filled)[::-1], spectrum, atol=1e-4)


def test_normalisation_forbids_complete_collapse_and_moves_modes_both_ways():
    def fill(s, kappa):
        return landscape.soft_normalisation(jnp.array(s), 2, quartic=0.5, kappa=kappa)

    assert fill([-0.5, -0.9], 0.24).sum() == 0
    assert fill([-0.5, -0.9], 0.26).sum() > 0
    assert fill([0.5, -0.1], 0.5)[1] > 0
    assert fill([5.0, 0.2], 0.0)[1] > 0
    assert fill([5.0, 0.2], 0.5)[1] == 0


@pytest.mark.parametrize("case", range(10))
def test_the_lowest_of_three_candidates_is_the_minimum_with_a_bias(case):
    rng = np.random.default_rng(100 + case)
    s = rng.normal(0, 1.2, 3)
    dim, quartic, kappa = int(rng.integers(1, 5)), rng.uniform(0.2, 1), rng.uniform(0.02, 1.5)
    found = landscape.biased_minimum(jnp.asarray(s), dim, quartic=quartic, kappa=kappa)
    value, spectrum, square = direct(s, dim, quartic, kappa, bias=True)
    np.testing.assert_allclose(found.energy, value, atol=1e-7)
    np.testing.assert_allclose(found.bias_square, square, atol=2e-3)
    np.testing.assert_allclose(np.sort(found.variances)[::-1][:3], spectrum[:3], atol=2e-3)


def test_every_candidate_wins_somewhere_and_along_satisfies_its_equations():
    rng = np.random.default_rng(0)
    s = jnp.asarray(rng.normal(0.5, 1.5, (2000, 3)))
    quartic, kappa = rng.uniform(0.05, 1, 2000), 10 ** rng.uniform(-3, 1, 2000)
    found = jax.vmap(lambda s, q, k: landscape.biased_minima(s, 2, quartic=q, kappa=k))(
        s, quartic, kappa
    )
    winner = np.asarray(found.energy).argmin(1)
    assert (np.bincount(winner) > 10).all()
    along = winner == 2
    q, square = np.asarray(found.variances)[along, 2], np.asarray(found.bias_square)[along, 2]
    last = np.sort(s)[along, 1]
    np.testing.assert_allclose(square, 1 - q.sum(1) - 2 * q[:, 1], atol=1e-12)
    left = 2 * quartic[along] * q[:, 1] + 4 * kappa[along] * square
    np.testing.assert_allclose(left, last, atol=1e-12)
    for case in np.flatnonzero(along)[:2]:
        exact, _, _ = direct(s[case], 2, quartic[case], kappa[case], bias=True, starts=16)
        np.testing.assert_allclose(found.energy[case].min(), exact, atol=1e-8)


def test_hard_normalisation_loses_the_direction_of_the_bias_and_the_scale():
    """Against cosine scores of normalised embeddings: 1 - cos averaged over pairs, small W."""
    rng = np.random.default_rng(2)
    x = [rng.standard_normal((500, 3)) * [1.0, 0.6, 0.3] for _ in range(3)]
    weight, bias = rng.standard_normal((3, 3)), np.array([1.0, -0.5, 2.0])

    def unit(v, size):
        z = size * v @ weight.T + bias
        return z / np.linalg.norm(z, axis=1, keepdims=True)

    def half(a, b):
        return (((a - b) ** 2).sum(-1) / 2).mean()

    signal = sum(sign * np.cov((x[0] - y).T, bias=True) / 2 for sign, y in ((1, x[2]), (-1, x[1])))
    signal += sum(
        sign * np.outer((x[0] - y).mean(0), (x[0] - y).mean(0)) / 2
        for sign, y in ((1, x[2]), (-1, x[1]))
    )
    size = 1e-4
    za, zp, zn = (unit(v, size) for v in x)
    seen = (half(za, zp) - half(za, zn)) / size**2
    found = landscape.hard_normalised_loss(
        jnp.asarray(weight), jnp.asarray(bias), jnp.asarray(signal), temperature=0.5
    )
    np.testing.assert_allclose(found, seen / 0.5, rtol=2e-2, atol=1e-3)


def test_it_can_be_mapped_and_bad_numbers_are_refused():
    kappas = jnp.array([0.1, 1.0])
    found = jax.vmap(
        lambda k: landscape.biased_minimum(jnp.array([0.5, -0.2]), 2, quartic=0.5, kappa=k)
    )(kappas)
    assert found.energy.shape == (2,)
    with pytest.raises(InputError, match="kappa"):
        landscape.soft_normalisation(jnp.ones(2), 2, quartic=0.5, kappa=-1.0)
    with pytest.raises(InputError, match="dim"):
        landscape.soft_normalisation(jnp.ones(2), 0, quartic=0.5, kappa=1.0)


@pytest.mark.parametrize("function", [landscape.soft_normalisation, landscape.biased_minimum])
def test_strengths_that_are_not_finite_are_refused_or_passed_on(function):
    """A comparison drops NaN: all modes came out as lost."""
    for bad in ([1.0, np.nan], [1.0, np.inf], []):
        with pytest.raises(InputError, match="strengths must be"):
            function(jnp.array(bad), 2, quartic=0.5, kappa=0.1)
    traced = jax.jit(lambda s: function(s, 2, quartic=0.5, kappa=0.1))(jnp.array([1.0, np.nan]))
    assert np.isnan(jax.tree.leaves(traced)[0]).any()
    for quartic in (0.0, -1.0, np.nan):
        with pytest.raises(InputError, match="quartic must be"):
            function(jnp.ones(2), 2, quartic=quartic, kappa=0.1)
