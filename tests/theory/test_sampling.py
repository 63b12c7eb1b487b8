"""How far modes move with the number of pairs, against every subset of a few pairs."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from jssl.theory import sampling
from jssl.theory.sampling import Energies, Sample

N, DIM, TAKEN = 7, 5, 3
BLOCKS = ((0, 1), (1, 3))


def pairs():
    draws = np.random.default_rng(3)
    first = draws.normal(size=(N, DIM)) * np.array([3.0, 1.5, 1.2, 0.5, 0.3])
    return first, first + 0.3 * draws.normal(size=(N, DIM))


def moment(first, second):
    gamma = first.T @ second / len(first)
    return (gamma + gamma.T) / 2


def reference(kept=DIM):
    first, second = pairs()
    values, vectors = np.linalg.eigh(moment(first, second))
    values, vectors = values[::-1], vectors[:, ::-1]
    energies = Energies((first**2).sum(1), (first * second).sum(1), (second**2).sum(1))
    arrays = values[:kept], first @ vectors[:, :kept], second @ vectors[:, :kept]
    return jax.tree.map(jnp.asarray, Sample(*arrays, energies)), vectors


def deviations():
    """Return Gamma_S - Gamma of every subset."""
    first, second = pairs()
    whole = moment(first, second)
    subsets = [list(rows) for rows in itertools.combinations(range(N), TAKEN)]
    return whole, np.array([moment(first[rows], second[rows]) - whole for rows in subsets])


def moved(scale):
    """Return sums of eigenvalues and rotations of blocks, Gamma + scale (Gamma_S - Gamma)."""
    whole, changes = deviations()
    _, modes = reference()
    values, vectors = np.linalg.eigh(whole + scale * changes)
    values, vectors = values[:, ::-1], vectors[:, :, ::-1]
    sums = np.stack([values[:, slice(*block)].sum(1) for block in BLOCKS], 1)
    overlaps = np.square(modes.T @ vectors)
    turned = [
        block[1] - block[0] - overlaps[:, slice(*block), slice(*block)].sum((1, 2))
        for block in BLOCKS
    ]
    return sums, np.stack(turned, 1)


M = sampling.effective_pairs(TAKEN, N)


def test_entries_over_all_subsets_have_the_predicted_variances():
    sample, modes = reference()
    _, changes = deviations()
    entries = modes.T @ changes @ modes
    np.testing.assert_allclose((entries**2).mean(0), sampling.entry_variances(sample, DIM) / M)


def test_sums_of_eigenvalues_have_the_predicted_variances_to_first_order():
    sample, _ = reference()
    _, changes = deviations()
    _, modes = reference()
    diagonal = np.einsum("aj,sab,bj->sj", modes, changes, modes)
    exact = [np.var(diagonal[:, slice(*block)].sum(1)) for block in BLOCKS]
    found = sampling.fluctuations(sample, BLOCKS)
    np.testing.assert_allclose(found.variances / M, exact)
    step = 1e-5
    slopes = (moved(step)[0] - moved(-step)[0]) / (2 * step)
    np.testing.assert_allclose(found.variances / M, slopes.var(0), rtol=1e-6)


def test_shifts_are_the_mean_second_derivatives_of_the_eigenvalues():
    sample, _ = reference()
    step = 1e-3
    second = (moved(step)[0] + moved(-step)[0] - 2 * moved(0.0)[0]).mean(0) / step**2
    found = sampling.fluctuations(sample, BLOCKS)
    np.testing.assert_allclose(found.shifts / M, second / 2, rtol=1e-4)


def test_rotations_are_the_mean_second_derivatives_of_the_overlaps():
    sample, _ = reference()
    step = 1e-3
    turned = (moved(step)[1] + moved(-step)[1]).mean(0) / 2 / step**2
    found = sampling.fluctuations(sample, BLOCKS)
    np.testing.assert_allclose(found.rotations / M, turned, rtol=1e-4)


def test_the_traces_replace_modes_that_are_left_out():
    whole, _ = reference()
    exact = sampling.fluctuations(whole, BLOCKS)
    assert np.abs(exact.shifts_by_tail / exact.shifts).max() < 1e-10  # no mode is left out
    cut, _ = reference(kept=3)
    first, second = pairs()
    stacked = jnp.asarray(np.concatenate([first, second]))
    signs = jax.random.rademacher(jax.random.key(0), (N, 4000)).astype(float)
    images = stacked @ (stacked.T @ sampling.tail_columns(cut, signs, 3))
    levels = sampling.tail_levels(cut, signs, images, 3)
    entries = sampling.entry_variances(whole, 3)[:, 3:]
    expected = entries @ whole.eigenvalues[3:] / entries.sum(1)
    np.testing.assert_allclose(levels, expected, rtol=0.1)
    found = sampling.fluctuations(cut._replace(levels=levels), BLOCKS)
    bare = sampling.fluctuations(cut, BLOCKS)
    for name in ("shifts", "rotations"):
        expected = getattr(exact, name)
        error, plain = (abs(getattr(x, name) / expected - 1).max() for x in (found, bare))
        assert error < 0.01
        assert error < 0.25 * plain


def test_gap_variances_are_those_of_the_differences_over_all_subsets():
    sample, modes = reference()
    _, changes = deviations()
    diagonal = np.einsum("aj,sab,bj->sj", modes, changes, modes)
    exact = np.var(-np.diff(diagonal, axis=1), axis=0)
    np.testing.assert_allclose(sampling.gap_fluctuations(sample, DIM).variances / M, exact)


def test_gaps_shift_by_the_modes_outside_the_two():
    """The mean second derivative of the Schur complement on two modes, by hand."""
    sample, modes = reference()
    _, changes = deviations()
    squares = ((modes.T @ changes @ modes) ** 2).mean(0)
    values = np.asarray(sample.eigenvalues)
    expected = [
        sum(
            squares[j, k] / (values[j] - values[k])
            - squares[j + 1, k] / (values[j + 1] - values[k])
            for k in range(DIM)
            if k not in (j, j + 1)
        )
        for j in range(2)
    ]
    np.testing.assert_allclose(sampling.gap_fluctuations(sample, 3).shifts / M, expected)


def test_energies_are_the_inner_products_within_pairs():
    first, second = pairs()
    views = jnp.asarray(np.concatenate([first, second]))
    found = sampling.pair_energies(views @ views.T)
    for computed, expected in zip(found, reference()[0].energies, strict=True):
        np.testing.assert_allclose(computed, expected)


@pytest.mark.parametrize("scale", [0.3, 1.0])
def test_two_modes_are_exchanged_with_the_predicted_probability(scale):
    """Symmetric 2 x 2 matrices with independent Gaussian entries."""
    draws = np.random.default_rng(0)
    noise = scale * draws.normal(size=(20_000, 2, 2))
    noise = noise + noise.swapaxes(1, 2)
    vectors = np.linalg.eigh(np.diag([1.0, 0.0]) + noise)[1][:, :, ::-1]
    exchanged = np.square(vectors[:, 0, 0]) < 0.5
    values, gaps = jnp.array([1.0, 0.0]), jnp.array([8 * scale**2])
    predicted = sampling.swap_probabilities(values, gaps, 1.0)[0]
    np.testing.assert_allclose(predicted, norm.cdf(-1 / (8**0.5 * scale)))
    assert abs(exchanged.mean() - predicted) < 3.9 * 0.5 / len(noise) ** 0.5


def test_modes_are_resolved_up_to_the_first_gap_within_its_error():
    values, gaps = jnp.array([8.0, 4.0, 3.0, 1.0]), jnp.array([1.0, 1.0, 1.0])
    counts = [int(sampling.resolved_modes(values, gaps, m)) for m in (0.2, 1.1, 4.1)]
    assert counts == [0, 1, 3]


def test_all_pairs_of_the_reference_leave_no_error():
    assert np.isinf(sampling.effective_pairs(jnp.array(9.0), 9.0))
    assert sampling.effective_pairs(50.0) == 50


def test_fluctuations_compile():
    sample, _ = reference(kept=3)
    found = jax.jit(sampling.fluctuations, static_argnames="blocks")(sample, BLOCKS)
    jax.tree.map(np.testing.assert_allclose, found, sampling.fluctuations(sample, BLOCKS))
