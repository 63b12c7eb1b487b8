"""Exact amplitudes of Gaussian InfoNCE against direct minimisation of each mode."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from landscape_oracles import TABLE, best_of, covariance
from scipy.integrate import solve_ivp
from scipy.optimize import minimize_scalar

from jssl.theory import landscape


@pytest.mark.parametrize("placement", TABLE)
@pytest.mark.parametrize(("temperature", "decay"), [(1.0, 0.0), (0.5, 0.1)])
def test_amplitudes_minimise_the_loss_of_each_mode(placement, temperature, decay):
    f = TABLE[placement][1]
    for a, c in ((1.0, 0.3), (1.0, 1.95), (0.4, 2.5), (2.0, 0.9)):
        both, k, n = {
            "augmented-augmented-augmented": (c, a + c, a + c),
            "clean-augmented-clean": (c / 2, a, a),
            "clean-augmented-augmented": (c / 2, a, a + c),
            "augmented-augmented-clean": (c, a + c, a),
            "augmented-augmented-both_clean": (c, a, a),
        }[placement]

        def loss(x, both=both, k=k, n=n):
            y = x / temperature
            return both * y - np.log1p(n * y) / 2 - k * y / (1 + n * y) / 2 + decay * x

        exact = minimize_scalar(loss, bounds=(0, 60), method="bounded", options={"xatol": 1e-12})
        views = landscape.views([a], c, placement)
        found = landscape.gaussian_amplitudes(
            *(jnp.diag(x) for x in views), temperature=temperature, weight_decay=decay
        )
        np.testing.assert_allclose(found[0], exact.x, rtol=2e-5, atol=1e-5)
        # the threshold is that of the quartic landscape
        assert (found[0] > 0) == ((a - f * c) / temperature > decay)


def test_the_closed_forms_of_the_notes():
    """SimCLR: k = 1/t - 1 with r = c / (a + c); clean anchor, clean negatives: (1/t - 1)/a."""
    a, c = 0.7, 0.4
    views = landscape.views([a], c)
    r = c / (a + c)
    k = 2 / (np.sqrt(1 + 8 * r) - 1) - 1
    found = landscape.gaussian_amplitudes(*(jnp.diag(x) for x in views))
    np.testing.assert_allclose(found[0], k / (a + c), rtol=1e-12)
    views = landscape.views([a], c, "clean-augmented-clean")
    t = (np.sqrt(1 + 4 * c / a) - 1) / 2
    found = landscape.gaussian_amplitudes(*(jnp.diag(x) for x in views))
    np.testing.assert_allclose(found[0], (1 / t - 1) / a, rtol=1e-12)
    nothing = landscape.gaussian_amplitudes(*(jnp.diag(x) for x in landscape.views([a], 0.0)))
    assert np.isinf(nothing[0])


def test_a_wrong_sigma_shows_in_the_amplitude():
    """Row 2 at a = 1, c = 1.95: exact .01705, quartic .01667, and .00192 with Sigma = A0 + C."""
    case = {"placement": "clean-augmented-clean", "dim": 1}
    right = landscape.from_loss("info_nce_euclidean", [1.0], 1.95, **case)
    wrong = landscape.from_moments([1 - 1.95 / 2], [2.95], 0.75, dim=1)
    np.testing.assert_allclose(right.minima.gram, [[0.01667]], atol=5e-6)
    np.testing.assert_allclose(wrong.minima.gram, [[0.00192]], atol=5e-6)
    views = landscape.views([1.0], 1.95, "clean-augmented-clean")
    exact = landscape.gaussian_amplitudes(*(jnp.diag(x) for x in views))
    np.testing.assert_allclose(exact, [0.01705], atol=5e-6)
    assert right.trust == "leading order"
    assert right.rank_trust == "exact for Gaussian data"


def test_the_exact_rank_is_that_of_b_also_where_nothing_commutes():
    rng = np.random.default_rng(1)
    data = covariance(rng, np.array([1.0, 0.6, 0.3]))
    noise = covariance(rng, np.array([2.5, 1.0, 0.3]))
    views = landscape.views(data, noise, "clean-augmented-clean")

    @jax.jit
    def loss(flat):
        return landscape.gaussian_info_nce(flat.reshape(3, 3), views)

    slope = jax.jit(jax.grad(loss))
    starts = rng.standard_normal((4, 9))
    _, point = best_of(lambda x: (float(loss(x)), np.asarray(slope(x))), starts)
    values = np.linalg.svd(point.reshape(3, 3), compute_uv=False)
    positive = int((np.linalg.eigvalsh(data - noise / 2) > 0).sum())
    assert positive == 2
    assert (values > 1e-3).sum() == positive


@pytest.mark.parametrize(("c", "temperature", "decay"), [(0.1, 2.0, 0.0), (0.7, 0.5, 0.2)])
def test_times_are_those_of_the_integrated_flow_of_the_exact_loss(c, temperature, decay):
    views = landscape.views([1.0], c)
    options = {"temperature": temperature, "weight_decay": decay}

    slope = jax.jit(jax.grad(lambda w: landscape.gaussian_info_nce(w[None], views, **options)))
    parts = [jnp.diag(x) for x in views]
    end = float(landscape.gaussian_amplitudes(*parts, **options)[0])
    shares = (0.1, 0.5, 0.9)
    events = [lambda _, w, share=share: w[0] ** 2 - share * end for share in shares]
    run = solve_ivp(
        lambda _, w: -np.asarray(slope(w)), (0, 60), [1e-3], events=events, rtol=1e-9, atol=1e-12
    )
    for share, times in zip(shares, run.t_events, strict=True):
        found = landscape.gaussian_times(jnp.array([1e-6]), share, *parts, **options)
        np.testing.assert_allclose(found, times, rtol=1e-3)
    assert landscape.gaussian_times(jnp.array([2 * end]), 0.5, *parts, **options)[0] == 0
    lost = [jnp.array([x]) for x in (2.0, 1.0, 1.0)]
    assert jnp.isinf(landscape.gaussian_times(jnp.array([1e-6]), 0.5, *lost))[0]


def test_amplitudes_pass_nan_on_and_lost_modes_without_negatives_are_zero():
    found = landscape.gaussian_amplitudes(
        jnp.array([np.nan, 0.0, 1.0, 1.0]), 1.0, jnp.array([1.0, 1.0, 1.0, 0.0])
    )
    np.testing.assert_array_equal(found, [np.nan, np.inf, 0.0, 0.0])
