"""Stationary points of the row objective against roots that scipy finds from many starts."""

import numpy as np
import pytest
import scipy.optimize
from scipy.special import erf, expit

from jssl.errors import InputError
from jssl.theory.learnability import (
    basin_map,
    duplicate_probability,
    largest_decay,
    minimum,
    safe_rate,
    stationary_points,
)

ACTIVATIONS = {"sigmoid": expit, "tanh": np.tanh, "erf": erf}


def objective(point, tau, decay, act):
    """N-2, cell by cell."""
    u, v = point
    cells = [s * u + q * tau * v for s in (-1, 1) for q in (0, 1)]
    return -sum(act(h) ** 2 for h in cells) / 4 + decay * (u * u + v * v)


def gradient(point, tau, decay, act):
    u, v = point
    slope = {
        expit: lambda h: expit(h) * expit(-h),
        np.tanh: lambda h: 1 - np.tanh(h) ** 2,
        erf: lambda h: 2 / np.sqrt(np.pi) * np.exp(-h * h),
    }[act]
    g = 2 * decay * np.array([u, v], float)
    for s in (-1, 1):
        for q in (0, 1):
            h = s * u + q * tau * v
            g -= act(h) * slope(h) / 2 * np.array([s, q * tau])
    return g


def roots(tau, decay, act, starts=400):
    rng = np.random.default_rng(0)
    found = []
    for start in rng.uniform(-8, 8, (starts, 2)) * [1, min(1.5, 4 / tau)]:
        root = scipy.optimize.root(gradient, start, (tau, decay, act), tol=1e-13)
        new = all(np.abs(root.x - other).max() > 1e-5 for other in found)
        if np.abs(root.fun).max() < 1e-11 and new:
            found.append(root.x)
    return np.array(found)


@pytest.mark.parametrize(
    ("tau", "decay", "name"),
    [
        (7.0, 1 / 800, "sigmoid"),
        (0.6, 1 / 900, "sigmoid"),
        (4.4, 1 / 333, "sigmoid"),
        (13.0, 1 / 90, "sigmoid"),
        (6.0, 1 / 700, "tanh"),
        (2.5, 1 / 300, "erf"),
    ],
)
def test_every_root_that_scipy_finds_is_found_to_1e_10(tau, decay, name):
    theirs = roots(tau, decay, ACTIVATIONS[name])
    ours = stationary_points(tau, decay, activation=name)
    apart = np.abs(theirs[:, None] - ours.points).max(2)
    assert len(theirs) == len(ours.points)
    assert apart.min(0).max() < 1e-10
    assert apart.min(1).max() < 1e-10


@pytest.mark.parametrize(("tau", "decay", "name"), [(3.3, 1 / 500, "sigmoid"), (2.0, 0.01, "tanh")])
def test_values_hessians_and_kinds_are_those_of_differences(tau, decay, name):
    act, found = ACTIVATIONS[name], stationary_points(tau, decay, activation=name)
    for point, value, hessian, descents in zip(*found, strict=True):
        np.testing.assert_allclose(value, objective(point, tau, decay, act), rtol=1e-12)
        seen = scipy.optimize.approx_fprime(point, gradient, 1e-7, tau, decay, act)
        np.testing.assert_allclose(hessian, seen, atol=3e-6 * tau**2)
        assert descents == (np.linalg.eigvalsh(seen) < 0).sum()
    assert np.all(np.diff(found.values) >= -1e-12)


@pytest.mark.parametrize(
    ("tau", "decay", "expected"),
    [
        (1, 1 / 800, (2.870, 6.240)),
        (2, 1 / 800, (3.474, 4.022)),
        (10, 1 / 800, (3.839, 1.131)),
        (7, 1 / 400, (3.219, 1.352)),
        (7, 1 / 50, (1.070, 0.831)),
    ],
)
def test_minima_are_those_of_the_page(tau, decay, expected):
    np.testing.assert_allclose(minimum(tau, decay), expected, atol=1.1e-3)


def test_base_case_has_two_minima_and_a_saddle():
    found = stationary_points(7.0, 1 / 800)
    assert found.descents.tolist() == [0, 0, 1]
    np.testing.assert_allclose(
        found.points, [[-3.81620, 1.51986], [3.81620, 1.51986], [0, 1.1178]], atol=5e-5
    )
    np.testing.assert_allclose(
        found.hessians[1], [[0.012245, -0.003784], [-0.003784, 0.029011]], atol=1e-6
    )


def test_tanh_has_minima_that_hold_the_label_feature_alone():
    found = stationary_points(7.0, 1 / 800, activation="tanh")
    wells = found.points[found.descents == 0]
    assert len(wells) == 6
    assert (np.abs(wells[:, 1]) < 1e-9).sum() == 2


def test_edge_of_existence_is_where_the_minimum_meets_the_saddle():
    edge = largest_decay(7.0)
    assert minimum(7.0, 0.995 * edge)[0] > 0
    with pytest.raises(InputError, match=r"no minimum with u > 0 .* for decay up to 0\.028"):
        minimum(7.0, 1.005 * edge)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stationary_points(0.0, 0.01), "tau must be positive"),
        (lambda: stationary_points(7.0, -0.1), "decay must be positive"),
        (lambda: stationary_points(7.0, 0.01, activation="relu"), "relu is homogeneous"),
        (lambda: stationary_points(7.0, 0.01, activation="gelu"), "unknown activation"),
        (lambda: duplicate_probability(0), "rows must be at least 1"),
    ],
)
def test_bad_input_is_one_clear_line(call, message):
    with pytest.raises(InputError, match=message) as error:
        call()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_safe_rate_bounds_the_curvature_everywhere(name):
    tau, decay = 5.0, 0.01
    rng = np.random.default_rng(1)
    largest = 0.0
    for point in rng.normal(size=(300, 2)):
        seen = scipy.optimize.approx_fprime(point, gradient, 1e-6, tau, decay, ACTIVATIONS[name])
        largest = max(largest, np.abs(np.linalg.eigvalsh((seen + seen.T) / 2)).max())
    bound = 1 / safe_rate(tau, decay, activation=name)
    assert largest < bound < 40 * largest


def test_basins_of_the_sigmoid_are_the_sides_of_the_saddle():
    u, v = np.array([-3.0, -0.2, 0.2, 3.0]), np.array([-1.0, 0.5, 2.0])
    basins, found = basin_map(u, v, 4.0, 1 / 200, steps=3000)
    assert basins.shape == (3, 4)
    assert np.array_equal(np.sign(found.points[basins, 0]), np.tile(np.sign(u), (3, 1)))


def test_a_start_on_the_ridge_belongs_to_no_basin():
    basins, _ = basin_map(np.array([0.0]), np.array([1.0]), 4.0, 1 / 200, steps=300)
    assert basins.tolist() == [[-1]]
