#!/usr/bin/env bash
# jax 0.10.2: a NumPy array of 64 bits that a jitted function closes over is kept in its 32-bit form
# when it is met with 64-bit types off, and taken again in that form inside jax.enable_x64(True).
#
# Behaviour: the cache of converted constants is keyed by the identity of the array alone, while the
#   dtype it is converted to follows the context. The same jitted function, called in float32 and
#   then in a 64-bit context with a float64 argument, returns float64 numbers with the rounding
#   error of float32; another function with the same constant does not compile (ValueError).
# Consequence: a cached quadrature rule or a table of a module makes float64 results wrong by 1e-8
#   once any float32 run in the same process has used it. The order of the calls decides.
# Output seen (largest error of a product with 1.0):
#   float64 first 0.0e+00, float32 first 1.3e-08, other function ValueError
# Fails if this changes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install -q --disable-pip-version-check jax==0.10.2 jaxlib==0.10.2 numpy==2.2.6
JAX_PLATFORMS=cpu "$folder/env/bin/python" - <<'PYTHON'
import jax
import jax.numpy as jnp
import numpy as np


def error(function, table):
    with jax.enable_x64(True):
        found = function(jnp.asarray(1.0, "float64"))
        assert found.dtype == "float64"
        return float(np.abs(np.asarray(found) - table).max())


def product(table):
    return jax.jit(lambda p: jnp.asarray(table) * p)


first, second = np.linspace(0, 1, 24) / 3, np.linspace(0, 1, 24) / 3
clean = error(product(first), first)
kept = product(second)
kept(jnp.float32(1))
rounded = error(kept, second)
try:
    error(jax.jit(lambda p: p * second), second)
    other = "runs"
except ValueError:
    other = "ValueError"
print(f"float64 first {clean:.1e}, float32 first {rounded:.1e}, other function {other}")
assert clean == 0
assert 1e-9 < rounded < 1e-7, "the constant is no longer kept in 32 bits"
assert other == "ValueError", "the other function compiles now"
PYTHON
