"""Effective modes of many starts in NumPy, against those of one start at a time in JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jssl.theory import stepwise


@pytest.mark.parametrize(
    ("gamma", "dim"),
    [
        ([1.0, 0.5, 0.5, 0.1, -0.3], 3),  # a tie, and a mode that is never learned
        (list(np.linspace(1, 0.3, 12)), 5),  # dense, more modes than outputs
        ([1.0, 0.9, 0.85], 5),  # more outputs than modes
        ([1.0, 0.5, 0.49, 0.0, -0.1], 5),
    ],
)
@pytest.mark.parametrize("alpha", [1e-2, 1e-9])
def test_they_are_those_of_each_start(gamma, dim, alpha):
    draws, gamma = np.random.default_rng(0), np.array(gamma)
    starts = alpha * draws.normal(size=(7, dim, len(gamma)))
    starts[5] = alpha * np.outer(np.ones(dim), draws.normal(size=len(gamma)))  # of rank one
    starts[6] = 0
    found = stepwise.effective_modes_of_starts(starts, gamma)
    one = jax.vmap(lambda start: stepwise.effective_modes(start, jnp.asarray(gamma)))
    expected = one(jnp.asarray(starts))
    assert all(isinstance(seen, np.ndarray) for seen in found)
    rounding = 1e-12 * alpha  # of modes in which a start has no part
    np.testing.assert_allclose(found.start_scales, expected.start_scales, rtol=1e-9, atol=rounding)
    known = np.asarray(expected.start_scales) > rounding
    assert known[:5].all()
    np.testing.assert_allclose(
        found.eigenvalues[known], np.asarray(expected.eigenvalues)[known], rtol=1e-9
    )
