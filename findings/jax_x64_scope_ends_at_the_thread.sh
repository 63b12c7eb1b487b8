#!/usr/bin/env bash
# jax 0.10.2: inside `with jax.enable_x64(True)`, a compiled function that a thread pool calls
# computes in 32 bits.
#
# Behaviour: the scope holds in the thread that entered it. The same jitted function, with the same
#   float64 argument, returns float64 in the main thread and float32 in a worker of the same block;
#   with a NumPy argument no warning is given. jax.config.update holds in all threads.
# Consequence: blocks of a float64 matrix that are computed in a pool are wrong by 1e-8.
# Output seen:
#   main thread float64 0.3333333333333333, worker float32 0.3333333432674408
#   worker with a float64 array of JAX: float32
# Fails if this changes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install -q --disable-pip-version-check jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
JAX_PLATFORMS=cpu "$folder/env/bin/python" - <<'PYTHON'
import warnings
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np

third = jax.jit(lambda x: x / 3)
given = np.ones(3)
with jax.enable_x64(True), ThreadPoolExecutor(1) as pool:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        here, there = third(given), pool.submit(third, given).result()
    array = jnp.ones(3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        of_array = pool.submit(third, array).result()
print(f"main thread {here.dtype} {float(here[0])}, worker {there.dtype} {float(there[0])}")
print(f"worker with a {array.dtype} array of JAX: {of_array.dtype}")
assert here.dtype == array.dtype == "float64"
assert there.dtype == of_array.dtype == "float32", "the scope holds in other threads now"
assert abs(float(there[0]) - 1 / 3) > 5e-9
jax.config.update("jax_enable_x64", True)
with ThreadPoolExecutor(1) as pool:
    assert pool.submit(third, given).result().dtype == "float64"
PYTHON
