"""A generic small start: its alignment, its rates, and when the subspace is not identifiable."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from jssl.errors import InputError
from jssl.theory import stepwise

EIGENVALUES = np.array([1.0, 0.5, 0.2, -0.3])
DIRECTION = np.random.default_rng(3).standard_normal((2, 4))


def run(alpha, points=400):
    """Integrated and predicted weights of W(0) = alpha DIRECTION on one time grid."""
    gamma = np.diag(EIGENVALUES)
    start = alpha * DIRECTION
    alignment = stepwise.align(jnp.asarray(start), stepwise.modes(jnp.asarray(gamma), 2))
    last = float(stepwise.critical_time(alignment.start_scales, jnp.array([1.0, 0.5])).max())
    times = np.linspace(0, last + 4, points)

    def rate(_, w):
        w = w.reshape(2, 4)
        return (-4 * (w @ gamma @ w.T - np.eye(2)) @ w @ gamma).ravel()

    flow = solve_ivp(
        rate, (0, times[-1]), start.ravel(), "DOP853", times, rtol=1e-11, atol=1e-13
    ).y.T.reshape(-1, 2, 4)
    modes = stepwise.modes(jnp.asarray(gamma), 2)
    predicted = stepwise.weight(
        jnp.asarray(times), alignment.start_scales, modes, alignment.rotation
    )
    return flow, np.asarray(predicted), gamma


def spectra(w, gamma):
    return np.linalg.eigvalsh(w @ gamma @ w.swapaxes(-1, -2))


def test_alignment_is_the_qr_factorisation_with_a_positive_diagonal():
    modes = stepwise.modes(jnp.diag(jnp.asarray(EIGENVALUES)), 2)
    rotation, scales = stepwise.align(jnp.asarray(DIRECTION), modes)
    triangle = rotation.T @ DIRECTION @ modes.eigenvectors.T
    np.testing.assert_allclose(triangle[1, 0], 0, atol=1e-14)
    np.testing.assert_allclose(np.diagonal(triangle), scales, rtol=1e-13)
    assert (scales > 0).all()
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(2), atol=1e-14)


def test_an_aligned_start_is_its_own_alignment():
    modes = stepwise.modes(jnp.diag(jnp.asarray(EIGENVALUES)), 2)
    rotation = jnp.array([[0.6, -0.8], [0.8, 0.6]])
    start = stepwise.weight(0.0, jnp.array([0.2, 0.3]), modes, rotation)
    found = stepwise.align(start, modes)
    np.testing.assert_allclose(found.rotation, rotation, atol=1e-14)
    np.testing.assert_allclose(found.start_scales, [0.2, 0.3], rtol=1e-14)


def test_alignment_maps_over_seeds_and_serves_more_dimensions_than_features():
    modes = stepwise.modes(jnp.diag(jnp.array([1.0, 0.5])))
    starts = jnp.asarray(np.random.default_rng(0).standard_normal((3, 4, 2)))
    found = jax.vmap(stepwise.align, (0, None))(starts, modes)
    assert found.rotation.shape == (3, 4, 2)
    np.testing.assert_allclose(found.start_scales[1], stepwise.align(starts[1], modes)[1])


def test_errors_shrink_with_the_start_at_the_predicted_rates():
    alphas = np.array([1e-4, 1e-5, 1e-6, 1e-7])
    weight, eigenvalue, leakage = [], [], []
    for alpha in alphas:
        flow, predicted, gamma = run(alpha)
        weight.append(np.linalg.norm(flow - predicted, axis=(1, 2)).max())
        eigenvalue.append(np.abs(spectra(flow, gamma) - spectra(predicted, gamma)).max())
        leakage.append(np.linalg.norm(flow[-1][:, 2]) / np.linalg.norm(flow[-1]))
    estimate = stepwise.error_estimate(1e-6, jnp.asarray(EIGENVALUES), 2)
    exponents = estimate.weight_exponent, estimate.eigenvalue_exponent, estimate.leakage_exponent
    np.testing.assert_allclose(exponents, (0.5, 1.0, 0.6), rtol=1e-12)
    for errors, exponent in zip((weight, eigenvalue, leakage), exponents, strict=True):
        slope = np.polyfit(np.log(alphas), np.log(errors), 1)[0]
        assert abs(slope - exponent) < 0.1


def test_estimates_are_powers_of_the_start():
    estimate = stepwise.error_estimate(1e-4, jnp.asarray(EIGENVALUES), 2)
    np.testing.assert_allclose(estimate.weight, 1e-2, rtol=1e-10)
    np.testing.assert_allclose(estimate.eigenvalue, 1e-4, rtol=1e-10)
    np.testing.assert_allclose(estimate.leakage, 1e-4**0.6, rtol=1e-10)


@pytest.mark.parametrize(
    ("eigenvalues", "dim", "gap", "edge"),
    [
        ([1.0, 0.5, -0.3], 2, 0.5, 1.0),  # a negative younger mode counts as 0
        ([1.0, 0.5, -0.3, -0.4], 3, 0.5, 1.0),  # modes that are never learned do not count
        ([1.0, 0.2], 2, 0.8, 1.0),  # nothing is left outside
        ([1.0, 0.2, 0.2], 2, 0.0, 0.0),  # a tie at the edge
        ([1.0, 1.0, 0.2], 2, 0.0, 0.8),  # a tie inside blurs the modes, not the subspace
        ([1.0, 0.2], 5, 0.8, 1.0),
    ],
)
def test_exponents_follow_the_gaps(eigenvalues, dim, gap, edge):
    estimate = stepwise.error_estimate(1e-3, jnp.array(eigenvalues), dim)
    np.testing.assert_allclose(estimate.weight_exponent, gap, atol=1e-12)
    np.testing.assert_allclose(estimate.leakage_exponent, edge, atol=1e-12)
    assert bool(estimate.identifiable) == (edge > 0.4)


def test_estimates_jit_and_map_over_starts():
    starts = jnp.array([1e-2, 1e-6])
    found = jax.jit(jax.vmap(lambda a: stepwise.error_estimate(a, jnp.asarray(EIGENVALUES), 2)))
    np.testing.assert_allclose(found(starts).weight, [1e-1, 1e-3], rtol=1e-10)


def test_the_explanation_names_the_start_that_would_do():
    blurred = stepwise.error_estimate(1e-6, jnp.array([1.0, 0.9]), 1)
    assert (
        "For a share of 0.1, the start must be 1e-10 of the final amplitude."
        in stepwise.explain(blurred)
    )
    assert "the leakage is about" in stepwise.explain(
        stepwise.error_estimate(1e-6, jnp.array([1.0, 0.1]), 1)
    )


@pytest.mark.parametrize("start_scale", [0.0, -1.0, 2.0, np.nan])
def test_a_start_outside_its_range_is_refused(start_scale):
    with pytest.raises(InputError, match="start_scale"):
        stepwise.error_estimate(start_scale, jnp.asarray(EIGENVALUES), 2)


def test_numpy_arrays_are_estimated_on_the_host():
    on_host = stepwise.error_estimate(1e-3, np.asarray(EIGENVALUES), 2)
    traced = stepwise.error_estimate(1e-3, jnp.asarray(EIGENVALUES), 2)
    assert not any(isinstance(x, jax.Array) for x in on_host)
    np.testing.assert_allclose(on_host, traced, rtol=1e-12)
