"""Distances to a kernel limit and exponents of paired seeds."""

import numpy as np
import pytest

from jssl.diagnostics import distance_to_limit, paired_exponent
from jssl.errors import InputError


def _course(t, delay=0.0, angle=0.0):
    """Two modes that switch on at 2 and 5, at four orthogonal points and one other."""
    size = 1 / (1 + np.exp(-8 * (t[:, None] - np.array([2.0, 5.0]) * (1 + delay))))
    basis = np.eye(2) * np.sqrt(2)
    basis = np.concatenate([basis, basis, [[np.sin(angle), 0.0]]])
    return np.sqrt(size)[:, None, :] * basis


T = np.linspace(0, 10, 401)


def test_a_run_has_no_distance_from_itself():
    found = distance_to_limit(T, _course(T), _course(T), 2)
    assert np.all(found.function == 0)
    np.testing.assert_allclose(found.subspace, 0, atol=1e-7)
    np.testing.assert_array_equal(found.half_times, 0)


def test_half_times_are_signed_relative_delays():
    found = distance_to_limit(T, _course(T, delay=0.1), _course(T), 2)
    np.testing.assert_allclose(found.half_times, 0.1, atol=2e-3)


def test_subspace_is_the_sine_of_the_angle_and_knows_no_rotation():
    z = _course(T)
    turned = z @ np.array([[0.6, -0.8], [0.8, 0.6]])
    np.testing.assert_allclose(distance_to_limit(T, turned, z, 2).subspace[-1], 0, atol=1e-7)
    tilted = _course(T, angle=0.3)[-1:]
    found = distance_to_limit(T[:1], tilted, z[-1:], 2).subspace[0]
    cosine = 2 / np.sqrt(4 + np.sin(0.3) ** 2)  # of the one direction that leaves the plane
    np.testing.assert_allclose(found, np.sqrt((1 - cosine**2) / 2), rtol=1e-9)


def test_function_distance_is_relative():
    found = distance_to_limit(T, 1.5 * _course(T), _course(T), 2)
    np.testing.assert_allclose(found.function, 0.5)


def test_interval_of_the_exponent_covers_the_truth_as_often_as_it_says():
    random = np.random.default_rng(0)
    widths = np.array([64, 256, 1024.0])
    hits = 0
    for _ in range(1000):
        own = np.exp(0.5 * random.standard_normal(8))  # what all widths of a seed share
        noise = np.exp(0.2 * random.standard_normal((3, 8)))
        fit = paired_exponent(widths, own * noise * widths[:, None] ** -0.5)
        hits += abs(fit.exponent + 0.5) <= fit.half_width
    assert abs(hits / 1000 - 0.95) < 0.03


def test_what_is_no_distance_is_refused():
    with pytest.raises(InputError, match="for 3 pairs"):
        distance_to_limit(T, _course(T), _course(T), 3)
    with pytest.raises(InputError, match="positive"):
        paired_exponent([1, 2], [[1.0, -1.0], [1.0, 1.0]])
    with pytest.raises(InputError, match="positive"):
        paired_exponent([1, 2], [[1.0], [1.0]])
