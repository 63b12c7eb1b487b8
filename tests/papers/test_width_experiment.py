"""Pieces of the width study that need no full run; `jssl reproduce width` judges the rest."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jssl.kernels import empirical_ntk
from jssl.models import mlp
from jssl.papers import Settings
from jssl.papers.width import divergence, drift, features, limits, runs
from jssl.theory import grassmann


def test_passage_is_interpolated_in_the_logarithm_and_survives_overflow():
    t = np.arange(4.0)
    values = np.array([[[1e-3, 1e-2, 1e-1, np.nan], [1e-3, 1e-2, 1.0, np.inf]]])
    found = divergence._first_above(t, values, 0.1)
    np.testing.assert_allclose(found, [[2.0, 1.5]])


def test_growth_rate_is_that_of_the_kernel_model_under_the_linear_loss():
    data = runs.digits_in_float32(Settings())
    net = mlp(runs.INPUTS, 1, width=1, depth=1, activation="tanh")
    z = jnp.concatenate([data.first, data.second]).astype(jnp.float64)
    kernel, n, rate = np.asarray(net.kernel(z, z)[1]), runs.COUNT, runs.RATES["dot-product"]
    f, norms = np.random.default_rng(0).standard_normal(2 * n), []
    for _ in range(400):
        za, zb = f[:n], f[n:]
        towards = np.r_[(zb.sum() - zb) / (n - 1) - zb, (za.sum() - za) / (n - 1) - za] / n
        f = f - rate * kernel @ towards
        norms.append(np.log(np.linalg.norm(f)))
    np.testing.assert_allclose(
        (norms[-1] - norms[-101]) / 100 / rate, divergence.growth_rate(data), 1e-3
    )


def test_components_are_the_least_value_of_the_trace_over_orthonormal_readouts():
    random = np.random.default_rng(0)
    phi, pairing = random.standard_normal((8, 20)), np.asarray(grassmann.pairing_matrix(4))
    f = features.components(phi @ phi.T, pairing)
    value = np.trace(f.T @ pairing @ f)
    least = np.linalg.eigvalsh(phi.T @ pairing @ phi)[: features.DIM].sum()
    np.testing.assert_allclose(value, least, rtol=1e-9)


def test_spectra_are_the_eigenvalues_of_the_symmetrised_cross_moment():
    z = np.random.default_rng(0).standard_normal((5, 3 * limits.COUNT, 2))
    za, zb = z[2, : limits.COUNT], z[2, limits.COUNT : 2 * limits.COUNT]
    c = (za.T @ zb + zb.T @ za) / (2 * limits.COUNT)
    np.testing.assert_allclose(limits.spectra(z)[2], np.linalg.eigvalsh(c)[::-1])


def test_rates_fall_as_the_tangent_kernel_of_a_wide_net_grows():
    data = runs.digits_in_float32(Settings())
    views = jnp.concatenate([data.first, data.second])

    def largest(activation):
        net = mlp(runs.INPUTS, 1, width=4096, depth=1, activation=activation, dtype=jnp.float32)
        theta = empirical_ntk(net.apply, net.init(jax.random.key(0)), views)
        return np.linalg.eigvalsh(np.asarray(theta, np.float64))[-1]

    tanh, relu = (runs.rate(runs.Case("vicreg", name), data) for name in ("tanh", "relu"))
    assert tanh == runs.RATES["vicreg"]
    np.testing.assert_allclose(tanh / relu, largest("relu") / largest("tanh"), rtol=0.1)


@pytest.mark.parametrize(("drift_at_64", "order"), [(0.6, 0.6 / np.log(4)), (0.01, 0.1)])
def test_the_next_order_of_a_drift_is_allowed_for_and_no_more(drift_at_64, order):
    values = np.array([[drift_at_64] * 3, [drift_at_64 / 4] * 3])
    claim = drift._claim(runs.Case("barlow-twins", widths=(64, 256)), values)
    np.testing.assert_allclose(claim.measured, -1)
    np.testing.assert_allclose(claim.tolerance, order, rtol=1e-6)


@pytest.mark.slow
def test_drift_of_a_smooth_net_falls_as_one_over_the_width():
    case = runs.Case("barlow-twins", widths=(64, 256))
    data = runs.digits_in_float32(Settings())
    values = runs.drift(case, data, Settings(), 4, [0, 100])[..., -1]
    assert drift._claim(case, values).passed
    assert not drift._claim(case, values**0.5).passed


def test_a_case_that_diverged_is_a_claim_that_fails():
    values = np.array([[0.1, 0.2], [0.01, np.nan]])
    claim = drift._claim(runs.Case("barlow-twins", widths=(64, 256)), values)
    assert not claim.passed
    assert claim.measured == 1
