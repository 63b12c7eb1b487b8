"""The chains lower for every platform, and their default path holds no factorisation."""

import re

import jax
import jax.numpy as jnp
import optax
import pytest
from jax import export

from jssl.manifolds import Grassmann, Stiefel
from jssl.optim import grassmann_adam, stiefel_adam, stiefel_sgd

CHAINS = {
    "sgd": lambda: stiefel_sgd(1e-2),
    "canonical": lambda: stiefel_sgd(1e-2, 0.9, manifold=Stiefel(metric="canonical")),
    "adam": lambda: stiefel_adam(1e-2),
    "grassmann": lambda: grassmann_adam(1e-2),
    "cholesky_qr2": lambda: stiefel_adam(1e-2, method="cholesky_qr2"),
    "exp": lambda: stiefel_adam(1e-2, method="exp"),
    "geodesic": lambda: grassmann_adam(1e-2, method="exp", manifold=Grassmann()),
}


def lower(name):
    """Export a scan of vmapped steps for CPU, CUDA and TPU, and return its text."""
    tx = CHAINS[name]()

    def run(x):
        def step(carry, _):
            x, state = carry
            updates, state = tx.update(x**3, state, x)
            return (optax.apply_updates(x, updates), state), None

        return jax.lax.scan(step, (x, tx.init(x)), None, length=3)[0][0]

    shape = jax.ShapeDtypeStruct((4, 8, 3), jnp.float32)
    exported = export.export(jax.jit(jax.vmap(run)), platforms=("cpu", "cuda", "tpu"))(shape)
    return exported.mlir_module()


@pytest.mark.float32
@pytest.mark.parametrize("name", CHAINS)
def test_a_scan_of_mapped_steps_lowers_for_every_platform_at_full_precision(name):
    text = lower(name)
    products = text.count("stablehlo.dot_general")
    assert products > 0
    assert text.count("precision = [HIGHEST, HIGHEST]") == products
    if name == "cholesky_qr2":
        assert not re.search("geqrf|householder|svd|@Qr", text)
    else:  # products and elementwise operations alone
        assert "custom_call" not in text
        assert "cholesky" not in text
