"""Every network of the limit study starts along the modes of the infinite-width kernel."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jssl.models import mlp
from jssl.papers.width.mode_start import carry, mode_start, start_from_rows
from jssl.theory import stepwise, width
from jssl.types import Pairs


@pytest.mark.parametrize("neurons", [4, 32])
def test_output_j_starts_along_mode_j_alone_at_every_width(neurons):
    draws = np.random.default_rng(0)
    first, second = (jnp.asarray(draws.normal(size=(6, 3))) for _ in range(2))
    data = Pairs(first, first + 0.1 * second)
    net = mlp(3, 2, width=neurons, depth=1, activation="tanh", dtype=jnp.float64)
    kernel = width.infinite(net, data, 2)
    start = mode_start(kernel, 0.3)
    rows = carry(jnp.concatenate([data.first, data.second]), start)
    began = start_from_rows(net, (3,), 2)
    z = began.apply(began.init(jax.random.key(1)), rows)
    np.testing.assert_allclose(jnp.sqrt(jnp.mean(z**2, 0)), 0.3, rtol=1e-12)
    along = z.T @ kernel.modes.coefficients
    np.testing.assert_allclose(along, jnp.diag(jnp.diag(along)), atol=1e-9)
    scales = stepwise.align_embedding(z, kernel.modes).start_scales
    np.testing.assert_allclose(scales, jnp.abs(jnp.diag(along)), rtol=1e-9)
