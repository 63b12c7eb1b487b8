"""Run by a test in a process of its own: the kernel over four devices is that of one."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jssl.errors import InputError
from jssl.kernels import empirical_ntk


def network(params, x):
    """Return three outputs."""
    return jnp.sin(jnp.tanh(x @ params[0].T) @ params[1].T)


def compare():
    """Raise where the kernel over four devices is not that of one."""
    keys = jax.random.split(jax.random.key(0), 4)
    params = [jax.random.normal(keys[0], (7, 5)), jax.random.normal(keys[1], (3, 7))]
    x1, x2 = jax.random.normal(keys[2], (9, 5)), jax.random.normal(keys[3], (6, 5))
    mesh = jax.make_mesh((4,), ("block",), axis_types=(jax.sharding.AxisType.Auto,))
    for other, outputs, block in itertools.product((None, x2), ("trace", "full"), (4, 16)):
        # more and fewer pairs of blocks than devices
        one = empirical_ntk(network, params, x1, other, outputs=outputs, block=block)
        four = empirical_ntk(network, params, x1, other, outputs=outputs, block=block, mesh=mesh)
        np.testing.assert_allclose(four, one, rtol=1e-12, atol=1e-13)


def refuse():
    """Raise unless a network that calls LAPACK is refused on four CPU devices."""
    mesh = jax.make_mesh((4,), ("block",), axis_types=(jax.sharding.AxisType.Auto,))

    def orthonormal(weight, x):
        return x @ jnp.linalg.qr(weight)[0]

    x, weight = jnp.ones((9, 5)), jnp.ones((5, 2))
    with pytest.raises(InputError, match="give mesh=None"):
        empirical_ntk(orthonormal, weight, x, mesh=mesh)


if __name__ == "__main__":
    jax.config.update("jax_num_cpu_devices", 4)
    jax.config.update("jax_enable_x64", True)
    compare()
    refuse()
    print("same")
