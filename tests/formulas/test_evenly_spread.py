"""The uniformity of evenly spread rows against a quadrature over the angle."""

import numpy as np
import pytest
from scipy.integrate import quad

from jssl.formulas.sphere import evenly_spread_uniformity, host_uniformity


@pytest.mark.parametrize("dim", [2, 3, 16, 200])
@pytest.mark.parametrize("sharpness", [0.5, 2.0, 5.0])
def test_evenly_spread_rows_have_the_mean_over_the_angle(dim, sharpness):
    def weight(angle):
        return np.sin(angle) ** (dim - 2)

    def potential(angle):
        return weight(angle) * np.exp(-2 * sharpness * (1 - np.cos(angle)))

    options = {"epsabs": 0, "epsrel": 1e-11, "limit": 500, "points": [np.pi / 2]}
    mean = quad(potential, 0, np.pi, **options)[0] / quad(weight, 0, np.pi, **options)[0]
    assert evenly_spread_uniformity(dim, sharpness=sharpness) == pytest.approx(np.log(mean))


@pytest.mark.parametrize("dim", [1, 16])
def test_evenly_spread_rows_are_measured_so(dim):
    z = np.random.default_rng(0).standard_normal((3000, dim))
    measured = host_uniformity(z / np.linalg.norm(z, axis=1, keepdims=True))
    assert abs(measured.value - evenly_spread_uniformity(dim)) < 4 * measured.error + 1e-3
