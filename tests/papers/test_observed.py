"""Quantities recorded while networks train, against values that follow from their definition."""

import numpy as np

from jssl.papers.observed import next_to_half_learned


def test_the_next_eigenvalue_is_compared_when_each_is_half_learned():
    # l_j(t) = 2 exp(t - t_j), capped at 2: half learned when t = t_j - log(2); the next is then
    # exp(t_j - t_(j + 1)) of it.
    times, arrivals = np.linspace(0, 30, 30001), np.array([5.0, 12.0, 15.0])
    values = 2 * np.exp(np.minimum(times[:, None] - arrivals, 0))
    mean = np.exp(-(7.0 + 3.0) / 2)
    np.testing.assert_allclose(next_to_half_learned(values, 2.0), mean, rtol=2e-3)


def test_a_dimension_that_is_never_half_learned_has_no_ratio():
    values = np.array([[0.1, 0.0], [0.4, 0.1]])
    assert np.isnan(next_to_half_learned(values, 1.0))


def test_a_negative_eigenvalue_of_rounding_counts_as_nothing():
    values = np.array([[0.0, -1e-20], [1.0, -1e-20]])
    np.testing.assert_allclose(next_to_half_learned(values, 1.0), 1e-12)
