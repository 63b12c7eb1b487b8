"""SIGReg over all directions, against the loss with many slices and against exact means."""

import jax
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import hyp1f1

from jssl.formulas.sliced import EXPECTED, host_sigreg, sphere_mean
from jssl.losses import sigreg
from jssl.theory.isotropy import expected_value


@pytest.mark.parametrize("dim", [2, 3, 16, 300])
@pytest.mark.parametrize("s", [0.01, 1.0, 30.0, 2_000.0])
def test_the_mean_over_the_sphere_is_that_of_an_integral(dim, s):
    """With a_1 = sin(x), whose density is proportional to cos(x)^(dim - 2)."""
    most = min(np.pi / 2, 12 / dim**0.5)

    def density(x):
        return np.cos(x) ** (dim - 2)

    top, _ = quad(lambda x: np.exp(-s * np.sin(x) ** 2) * density(x), 0, most, points=[s**-0.5 / 9])
    below, _ = quad(density, 0, most)
    others = np.geomspace(1e-3, 1e6, 7)
    found = sphere_mean(np.array([s, *others]), dim)[0]
    assert found == pytest.approx(top / below, abs=1e-6)


@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0, 3.0])
def test_it_is_the_loss_with_many_slices(scale):
    z = scale * np.random.default_rng(1).normal(size=(60, 5)) + 0.3 * scale
    loss = sigreg(z, z, key=jax.random.key(0), slices=40_000, grid="exact")
    # The mean over 40,000 slices has a relative error of less than 1 / 200 per standard deviation.
    assert float(host_sigreg(z).value) == pytest.approx(float(loss), rel=0.02)


@pytest.mark.parametrize("dim", [1, 3, 24])
def test_its_mean_at_a_standard_normal_law_is_the_exact_one_and_its_error_is_the_spread(dim):
    """Rival: 0, the mean of the unbiased statistic."""
    draws = [host_sigreg(np.random.default_rng(i).normal(size=(80, dim))) for i in range(200)]
    values = np.array([draw.value for draw in draws])
    assert abs(values.mean() - EXPECTED) < 4 * values.std() / 200**0.5 + 1e-3
    assert (2 * np.pi) ** 0.5 * 80 * float(expected_value(np.ones(dim), 80)) == pytest.approx(
        EXPECTED
    )
    errors = np.array([draw.error for draw in draws])
    # counted twice, as a part of the influences too, the pairs would give 1.73
    assert 0.8 < np.mean(errors**2) ** 0.5 / values.std() < 1.25


def test_its_error_away_from_the_target_is_the_spread():
    draws = [host_sigreg(2 * np.random.default_rng(i).normal(size=(200, 4))) for i in range(100)]
    spread = np.std([draw.value for draw in draws])
    assert np.median([draw.error for draw in draws]) == pytest.approx(spread, rel=0.35)


@pytest.mark.parametrize("far", [1e12, 1e200])
def test_rows_far_from_zero_and_apart_are_finite(far):
    z = np.random.default_rng(2).normal(size=(40, 3)) * 1e8 + far
    measured = host_sigreg(z)
    assert np.isfinite([measured.value, measured.error]).all()
    rows = 1 if far == 1e12 else 40  # no two rows are near each other, or all are equal
    alone = (2 * np.pi) ** 0.5 * (rows + 40 / 3**0.5)
    assert float(measured.value) == pytest.approx(alone, rel=1e-3)


@pytest.mark.parametrize("k", [1e4, 1e8, 1e10, 1e50])
def test_outliers_and_far_groups_do_not_change_the_others(k):
    """Against differences of all pairs, and the function itself."""
    base = np.random.default_rng(2).normal(size=(60, 8))
    outlier, groups = base.copy(), base.copy()
    outlier[7] = k
    groups[:, 0] += k * (np.arange(60) % 2 * 2 - 1)
    for z in (outlier, groups):
        gaps = z[:, None] - z
        near = hyp1f1(0.5, 4, -np.minimum((gaps**2).sum(-1) / 2, 1e16))
        pull = hyp1f1(0.5, 4, -np.minimum((z**2).sum(1) / 4, 1e16)) / 2**0.5
        expected = (2 * np.pi) ** 0.5 * 60 * (near.mean() - 2 * pull.mean() + 3**-0.5)
        assert float(host_sigreg(z).value) == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("dim", [1, 2, 3, 8, 31, 33, 512])
def test_the_mean_over_the_sphere_at_large_exponents(dim):
    s = np.array([0.3, 1.0, 30.0, 1e5, 40 * dim, 60 * dim, 1e199, np.inf])
    found = sphere_mean(s, dim)
    exact = np.exp(-s) if dim == 1 else hyp1f1(0.5, dim / 2, -np.minimum(s, 1e5))
    np.testing.assert_allclose(found[:6], exact[:6], atol=2e-6)
    assert found[-1] == 0
    assert found[-2] < 1e-90
