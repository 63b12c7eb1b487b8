"""The distance from an isotropic Gaussian: exact means, its error, and the library's own loss."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jssl
from jssl.diagnostics import gaussian_distance
from jssl.errors import InputError
from jssl.formulas.normality import host_distance, null_variance
from jssl.losses import bhep
from jssl.theory import isotropy


def gaussian(n, dim, count=1, seed=0):
    return np.random.default_rng(seed).normal(size=(count, n, dim))


def test_it_is_the_unbiased_loss_over_its_value_at_collapse():
    z = gaussian(40, 3)[0] * [2.0, 1.0, 0.3]
    collapsed = bhep(0 * z, 0 * z)
    expected = bhep(z, z, unbiased=True) / collapsed
    np.testing.assert_allclose(gaussian_distance(z, standardise=False).value, expected, rtol=1e-9)
    scaled = z - z.mean(0)
    scaled /= np.sqrt((scaled**2).mean())
    expected = bhep(scaled, scaled, unbiased=True) / collapsed
    np.testing.assert_allclose(gaussian_distance(z).value, expected, rtol=1e-9)
    np.testing.assert_allclose(
        host_distance(np.asarray(z)), gaussian_distance(z, block=9), rtol=1e-9
    )


@pytest.mark.parametrize(("n", "dim"), [(12, 3), (60, 8)])
def test_perfect_rows_have_mean_zero_and_the_stated_error_for_every_n(n, dim):
    z = jnp.asarray(gaussian(n, dim, 4000))
    found = gaussian_distance(z, standardise=False)
    values = np.asarray(found.value)
    assert abs(values.mean()) < 4 * values.std() / len(values) ** 0.5
    b = 2 / dim
    collapsed = 1 - 2 * (1 + b) ** (-dim / 2) + (1 + 2 * b) ** (-dim / 2)
    exact = null_variance(dim, n, b) ** 0.5 / n / collapsed
    np.testing.assert_allclose(values.std(), exact, rtol=0.12)
    assert np.asarray(found.error).min() >= exact  # never smaller than at the target


def test_its_mean_away_from_the_target_is_that_of_theory():
    s = np.array([2.5, 0.4, 0.1])
    z = jnp.asarray(gaussian(30, 3, 4000, seed=1) * s**0.5)
    found = gaussian_distance(z, standardise=False)
    values = np.asarray(found.value)
    expected = isotropy.value(s, regulariser="bhep") / isotropy.value(0 * s, regulariser="bhep")
    assert abs(values.mean() - expected) < 4 * values.std() / len(values) ** 0.5
    assert 0.9 < np.mean(np.asarray(found.error)) / values.std() < 1.4


def test_the_null_variance_is_that_of_theory_in_the_limit():
    for dim, width in ((1, 1.0), (6, 0.3)):
        ours = null_variance(dim, 10**9, width)
        np.testing.assert_allclose(ours, isotropy.null_variance(dim, width=width), rtol=1e-6)


def test_it_sees_collapse_spectrum_and_shape():
    z = gaussian(1500, 4)[0]
    values = {
        "perfect": z,
        "moved and scaled": 7 * z + 3,
        "one dimension lost": z * [1, 1, 1, 0],
        "cube": np.sign(z),
        "constant": np.full_like(z, 3.0),
    }
    found = {name: float(gaussian_distance(x).value) for name, x in values.items()}
    assert abs(found["perfect"]) < 0.01
    np.testing.assert_allclose(found["moved and scaled"], found["perfect"], atol=1e-9)
    assert found["one dimension lost"] > 0.02
    assert found["cube"] > 0.02
    np.testing.assert_allclose(found["constant"], 1)


def test_diagnose_reports_it_with_its_error():
    z = gaussian(300, 5, seed=4)[0]
    diagnosis = jssl.diagnose(z)
    metric = diagnosis.metrics["Gaussian distance"]
    np.testing.assert_allclose((metric.value, metric.error), gaussian_distance(z), rtol=1e-9)
    assert any("distance from an isotropic Gaussian is" in line for line in diagnosis.summary)
    assert abs(metric.value) < 4 * metric.error


def test_one_row_is_refused():
    with pytest.raises(InputError, match="n >= 2"):
        gaussian_distance(jnp.ones((1, 3)))
    assert jax.tree.leaves(gaussian_distance(jnp.ones((2, 3))))[0] == 1
