#!/usr/bin/env bash
# neural-tangents 0.6.5 (jax 0.4.30, float64): the tangent kernel of a relu network on a set with
# itself has a diagonal that is wrong by 3e-8, where rounding is 1e-15.
#
# Behaviour: for x with itself the cosine is 1 up to rounding, and the arc-cosine formula turns a
#   rounding error e of the cosine into an angle of sqrt(2 e), 2e-8 in float64. The NTK depends on
#   the angle linearly and is wrong by that share; the NNGP depends on its cube and is right.
# Consequence: an NTK Gram matrix in float64 holds 1e-16 off its diagonal and 1e-8 on it, so that
#   small eigenvalues, near-duplicates and comparisons at 1e-10 fail although both are float64.
# Output seen (relative errors of the diagonal; the exact values are 2 |x|^2 / d and 8 |x|^2 / d):
#   NNGP 1.8e-15, NTK 3.2e-08
# Fails if this changes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
install() { "$folder/env/bin/python" -m pip install -q --disable-pip-version-check "$@"; }
install jax==0.4.30 jaxlib==0.4.30 numpy==1.26.4 scipy==1.13.1
install --no-deps neural-tangents==0.6.5 frozendict==2.4.6
JAX_PLATFORMS=cpu JAX_ENABLE_X64=1 "$folder/env/bin/python" - <<'PYTHON'
import sys
import types

sys.modules["neural_tangents.experimental"] = types.ModuleType("experimental")  # needs TensorFlow
import numpy as np
from neural_tangents import stax

x = np.random.default_rng(0).normal(size=(200, 784))
layer = stax.Dense(1, W_std=2**0.5)
*_, kernel = stax.serial(layer, stax.Relu(), layer, stax.Relu(), layer, stax.Relu(), layer)
exact = (x**2).sum(1) / x.shape[1]
nngp, ntk = (np.diagonal(np.asarray(kernel(x, None, name))) for name in ("nngp", "ntk"))


def error(found, factor):
    return float(np.abs(found / (factor * exact) - 1).max())


print(f"NNGP {error(nngp, 2):.1e}, NTK {error(ntk, 8):.1e}")
assert error(nngp, 2) < 1e-13
assert 1e-9 < error(ntk, 8) < 1e-7, "the diagonal of the NTK changed"
PYTHON
