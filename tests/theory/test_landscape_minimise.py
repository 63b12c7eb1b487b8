"""The batched minimiser against SciPy and on losses made to break it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize as scipy_minimise
from scipy.optimize import rosen, rosen_der

from jssl.errors import InputError
from jssl.theory import landscape


def rosenbrock(x):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def test_rosenbrock_in_about_as_many_steps_as_scipy():
    start = jnp.array([-1.2, 1.0, -0.5, 0.8])
    found = landscape.minimise(rosenbrock, start, tolerance=1e-10)
    np.testing.assert_allclose(found.point, 1.0, atol=1e-6)
    assert found.converged
    peer = scipy_minimise(rosen, start, jac=rosen_der, method="L-BFGS-B")
    assert found.steps < 3 * peer.nfev


def test_a_start_that_diverges_is_counted_and_costs_its_neighbours_nothing():
    def loss(x):
        return jnp.where(x[0] > 2, -(x[0] ** 4), (x[0] ** 2 - 1) ** 2)

    starts = jnp.array([[0.5], [3.0], [jnp.nan], [-0.3]])
    found = landscape.minimise_all(loss, starts)
    assert found.diverged.tolist() == [False, True, True, False]
    assert found.converged.tolist() == [True, False, False, True]
    np.testing.assert_allclose(found.point[jnp.array([0, 3]), 0], [1.0, -1.0], atol=1e-6)


def test_a_stationary_start_stays_and_matrices_keep_their_shape():
    found = landscape.minimise_all(lambda w: jnp.sum(w**2), jnp.zeros((3, 2, 2)), batch=2)
    assert found.point.shape == (3, 2, 2)
    assert found.converged.all()
    assert (found.steps == 1).all()


def test_thousands_of_starts_reach_the_minimum_of_the_landscape():
    rng = np.random.default_rng(0)
    seen = landscape.from_moments(rng.normal(0.3, 0.6, 8), rng.uniform(0.3, 2, 8), dim=4)
    starts = 0.3 * jax.random.normal(jax.random.key(0), (1000, 4, 8))
    found = landscape.minimise_all(energy, starts, seen.form)
    assert not found.diverged.any()
    assert ((found.value - seen.minima.loss) / -seen.minima.loss).max() < 1e-6


def energy(weight, form):
    return landscape.energy(form, weight)


def test_steps_and_memory_are_whole_numbers():
    with pytest.raises(InputError, match="steps"):
        landscape.minimise(rosenbrock, jnp.ones(2), steps=0)
    with pytest.raises(InputError, match="memory"):
        landscape.minimise(rosenbrock, jnp.ones(2), memory=0)
