"""The distance from an isotropic Gaussian: exact means, its error, and the library's own loss."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import hyp1f1

import jssl
from jssl.diagnostics import gaussian_distance, uniformity
from jssl.errors import InputError
from jssl.formulas.normality import fitted_mean, fitted_variance, host_distance, null_variance
from jssl.formulas.sliced import host_sigreg
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
    expected = (bhep(scaled, scaled, unbiased=True) - fitted_mean(3, 40, 2 / 3)) / collapsed
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


@pytest.mark.parametrize(("n", "dim"), [(20, 4), (200, 8), (3, 2), (2000, 128)])
def test_the_mean_of_fitted_rows_is_that_of_two_confluent_functions(n, dim):
    b, a, c = 2 / dim, dim / 2, (n - 1) * dim / 2
    near, pull = hyp1f1(a, c, -2.0 * n), hyp1f1(a, c, -(n - 1) / (1 + b))
    expected = near - 2 * (1 + b) ** -a * pull + (1 + 2 * b) ** -a
    np.testing.assert_allclose(fitted_mean(dim, n, b), expected, rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize(("n", "dim", "draws"), [(20, 4, 400), (100, 8, 150)])
def test_fitted_gaussian_rows_have_mean_zero_and_the_projected_variance(n, dim, draws):
    found = [host_distance(3 * z + 1) for z in gaussian(n, dim, draws, seed=2)]
    values = np.array([each.value for each in found])
    assert abs(values.mean()) < 3.9 * values.std() / draws**0.5
    collapsed = 1 - 2 * (1 + 2 / dim) ** (-dim / 2) + (1 + 4 / dim) ** (-dim / 2)
    limit = fitted_variance(dim, 2 / dim) ** 0.5 / n / collapsed
    np.testing.assert_allclose(values.std(), limit, rtol=0.15 + 2 / n)


LAWS = {
    "normal": lambda rng, n, dim: rng.normal(size=(n, dim)),
    "uniform": lambda rng, n, dim: rng.uniform(-1, 1, (n, dim)),
    "heavy": lambda rng, n, dim: rng.standard_t(3, (n, dim)),
    "two groups": lambda rng, n, dim: (
        rng.normal(size=(n, dim)) + 3 * rng.choice([-1, 1], (n, 1)) * np.eye(dim)[0]
    ),
    "rank 2": lambda rng, n, dim: rng.normal(size=(n, 2)) @ np.eye(2, dim),
    "small": lambda rng, n, dim: 0.1 * rng.normal(size=(n, dim)),
}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("measure", [host_distance, host_sigreg])
def test_the_error_is_the_spread_over_batches_for_every_law(law, measure):
    rng = np.random.default_rng(5)
    found = [measure(LAWS[law](rng, 100, 4)) for _ in range(120)]
    spread = np.std([each.value for each in found])
    error = np.mean([each.error**2 for each in found]) ** 0.5
    assert 1 / 1.5 < error / spread < 1.5


def test_constant_rows_have_no_error_and_two_rows_are_not_judged():
    rows = np.full((30, 4), 2.0)
    assert host_distance(rows).value == 1
    assert host_sigreg(rows).error < 1e-6
    for constant in (rows, 0 * rows, rows / 20, -3 * rows):
        expected = (1, 0)  # every draw of a constant is the same
        np.testing.assert_array_equal(host_distance(constant), expected)
        for z in (constant, jnp.asarray(constant)):
            np.testing.assert_array_equal(gaussian_distance(z), expected)
    assert gaussian_distance(rows, standardise=False).error == 0
    assert "is 1.000 ± 0 for the centred" in "".join(jssl.diagnose(np.zeros((5, 4))).summary)
    metric = jssl.diagnose(gaussian(2, 3)[0]).metrics["Gaussian distance"]
    assert np.isnan([metric.value, metric.error]).all()
    assert "not known for two rows" in metric.meaning


@pytest.mark.parametrize("array", [np.asarray, jnp.asarray])
def test_two_rows_have_no_error_and_no_distance_when_they_are_centred_and_scaled(array):
    """Centred and scaled they are +-u with |u|^2 = dim, whatever they were."""
    z = gaussian(2, 4)[0]
    found = gaussian_distance(array(z))
    assert np.isnan([found.value, found.error]).all()
    assert np.isnan(host_distance(z)).all()
    kept = gaussian_distance(array(z), standardise=False)
    assert np.isfinite(kept.value)
    assert np.isnan(kept.error)
    one_pair = uniformity(array(z))
    u = z / np.linalg.norm(z, axis=1, keepdims=True)
    np.testing.assert_allclose(one_pair.value, -2 * ((u[0] - u[1]) ** 2).sum())
    assert np.isnan(one_pair.error)
    text = "\n".join(jssl.diagnose(z).summary)
    assert "nan" not in text
    assert f"Uniformity is {one_pair.value:.3f} on 2 rows" in text
    assert "The distance from an isotropic Gaussian needs at least 3 rows." in text
