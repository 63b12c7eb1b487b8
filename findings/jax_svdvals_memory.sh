#!/usr/bin/env bash
# jax 0.10.2 on the CPU: singular values alone of a tall matrix need more memory than the thin
# decomposition with its vectors: the program allocates a square n x n matrix of left vectors.
#
# Behaviour: jnp.linalg.svdvals(x) and svd(x, compute_uv=False) keep the default full_matrices=True,
#   and the compiled program holds the full left factor although no vectors were asked for. For
#   100,000 x 4 in float32 that is 40 GB; svd(x, full_matrices=False, compute_uv=False) takes 3 MB.
# Consequence: ranks of embeddings (RankMe, effective rank) that are written with svdvals run out of
#   memory at row counts at which the data are a few megabytes.
# Output seen (bytes of temporary memory, from the compiler; nothing is run):
#   svdvals 40001600132, full_matrices=False 3200132
# Fails if this changes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install -q --disable-pip-version-check jax==0.10.2 jaxlib==0.10.2 numpy==2.2.6
JAX_PLATFORMS=cpu "$folder/env/bin/python" - <<'PYTHON'
import jax
import jax.numpy as jnp


def temporary(function):
    shape = jax.ShapeDtypeStruct((100_000, 4), "float32")
    return jax.jit(function).lower(shape).compile().memory_analysis().temp_size_in_bytes


default = temporary(jnp.linalg.svdvals)
thin = temporary(lambda x: jnp.linalg.svd(x, full_matrices=False, compute_uv=False))
print(f"svdvals {default}, full_matrices=False {thin}")
assert default > 4 * 100_000**2 * 0.99, "svdvals no longer allocates the square factor"
assert thin < 1e7, "the thin form changed"
PYTHON
