"""Ornstein-Uhlenbeck pairs against Gauss-Hermite quadrature, random maps and simulation."""

import itertools

import numpy as np
import pytest
from scipy.linalg import eigh
from scipy.special import ndtr

from jssl.errors import InputError
from jssl.theory.isotropy.identifiability import (
    estimate_error,
    map_statistics,
    nearest_rotation_bound,
    whitened_eigenvalues,
)


def nodes(count=120):
    x, w = np.polynomial.hermite_e.hermegauss(count)
    return x, w / w.sum()


def correlation(h, r):
    """E h(z) h(z') by quadrature in two dimensions."""
    x, w = nodes()
    z, e = np.meshgrid(x, x, indexing="ij")
    return w @ (h(z) * h(r * z + np.sqrt(1 - r**2) * e)) @ w


@pytest.mark.parametrize("r", [0.3, 0.7])
def test_smooth_maps_have_the_correlation_of_quadrature(r):
    cubic, uniform = map_statistics("cubic", r), map_statistics("uniform", r)
    np.testing.assert_allclose(cubic.correlation, correlation(lambda z: z**3 / 15**0.5, r))
    theirs = correlation(lambda z: 12**0.5 * (ndtr(z) - 0.5), r)
    np.testing.assert_allclose(uniform.correlation, theirs, rtol=1e-6)
    x, w = nodes()
    np.testing.assert_allclose(uniform.linear_share, (w @ (12**0.5 * (ndtr(x) - 0.5) * x)) ** 2)


def test_maps_have_the_known_values():
    known = {"cubic": 0.5572, "uniform": 0.682910504, "sign": 0.493633378}
    for name, stated in known.items():
        np.testing.assert_allclose(map_statistics(name, 0.7).correlation, stated, atol=1e-9)
    flip, spiral = map_statistics("flip", 0.7, 1.0), map_statistics("spiral", 0.7, 0.3)
    np.testing.assert_allclose(flip, [0.339435, 0.363011], atol=1e-6)
    np.testing.assert_allclose(spiral, [0.499675582, 0.540657], atol=1e-6)


@pytest.mark.parametrize("name", ["sign", "flip", "spiral"])
def test_maps_that_are_not_smooth_have_the_correlation_of_samples(name):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(400_000, 2))
    other = 0.7 * z + np.sqrt(1 - 0.49) * rng.normal(size=z.shape)

    def spiral(z):
        turn = 0.3 * (z**2).sum(1)
        return np.stack(
            [
                np.cos(turn) * z[:, 0] - np.sin(turn) * z[:, 1],
                np.sin(turn) * z[:, 0] + np.cos(turn) * z[:, 1],
            ],
            1,
        )

    maps = {"sign": np.sign, "flip": lambda z: np.where(np.abs(z) > 1, z, -z), "spiral": spiral}
    products = maps[name](z) * maps[name](other)
    stated = map_statistics(name, 0.7, 0.3 if name == "spiral" else 1.0).correlation
    assert abs(products.mean() - stated) < 4 * products.mean(1).std() / len(z) ** 0.5


def test_whitened_eigenvalues_are_those_of_the_transition_operator():
    values, counts = whitened_eigenvalues(0.6, 2, 4)
    seen = [0.6 ** sum(alpha) for alpha in itertools.product(range(5), repeat=2)]
    for value, count in zip(values, counts, strict=True):
        assert np.isclose(seen, value).sum() == count


def test_every_random_map_is_within_the_bound_of_the_nearest_rotation():
    """Coefficients on h_1, h_2 of two latents; the nearest rotation by the polar factor."""
    rng = np.random.default_rng(1)
    worst = 0.0
    for _ in range(400):
        r = rng.uniform(0.1, 0.9)
        linear = np.linalg.qr(rng.normal(size=(2, 2)))[0] + 0.2 * rng.normal(size=(2, 2))
        quadratic = 0.3 * rng.uniform() * rng.normal(size=(2, 3))
        cov = linear @ linear.T + quadratic @ quadratic.T
        misalignment = 2 * (quadratic**2).sum() * (r - r**2)
        u, _, v = np.linalg.svd(linear)
        distance = ((linear - u @ v) ** 2).sum() + (quadratic**2).sum()
        bound = nearest_rotation_bound(misalignment, r, np.linalg.norm(cov - np.eye(2)))
        worst = max(worst, distance / bound)
    assert 0.3 < worst <= 1


def test_estimates_have_the_known_errors_and_that_of_samples():
    np.testing.assert_allclose([estimate_error(0.5), estimate_error(0.9)], [13.75, 9.806790])
    rng, n, r = np.random.default_rng(2), 8_000, 0.5
    found = []
    for _ in range(250):
        z = rng.normal(size=n)
        other = r * z + np.sqrt(1 - r**2) * rng.normal(size=n)
        f, g = (np.stack([z, (z**2 - 1) / 2**0.5, (z**3 - 3 * z) / 6**0.5]) for z in (z, other))
        f, g = (x - x.mean(1, keepdims=True) for x in (f, g))
        cross, pooled = (f @ g.T + g @ f.T) / (2 * n), (f @ f.T + g @ g.T) / (2 * n)
        best = eigh(cross, pooled)[1][:, -1]
        found.append(n * (best[1:] ** 2).sum() / (best**2).sum())
    error = np.std(found) / len(found) ** 0.5
    assert abs(np.mean(found) - estimate_error(r)) < 4 * error + 0.06 * estimate_error(r)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: estimate_error(1.0), "correlation must be a number"),
        (lambda: map_statistics("cubics", 0.5), "did you mean 'cubic'"),
        (lambda: map_statistics("flip", 0.5, 0.0), "parameter must be a number above 0"),
        (lambda: nearest_rotation_bound(-0.1, 0.5), "misalignment"),
    ],
)
def test_wrong_input_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
