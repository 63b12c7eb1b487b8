#!/usr/bin/env bash
# jax 0.10.2: jnp.asarray of a NumPy array compiles a program for each shape; jax.device_put does not.
#
# Behaviour: without a dtype, jnp.asarray and jnp.array bind a primitive, `stage`, which is compiled
#   for each new shape and dtype. jax.device_put, and jnp.asarray with a dtype, copy.
# Consequence: a program that puts N arrays of different shapes on the CPU compiles N programs, each
#   some 10 ms, where it only copies: a cost that no profile of "my jitted functions" shows.
# Output seen (programs compiled for ten shapes):
#   jnp.asarray 10, jnp.asarray with a dtype 0, jax.device_put 0
# Fails if this changes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install -q --disable-pip-version-check jax==0.10.2 jaxlib==0.10.2 numpy==2.2.6
JAX_PLATFORMS=cpu "$folder/env/bin/python" - <<'PYTHON'
import jax
import jax.numpy as jnp
import numpy as np

compiled = []


def count(event, seconds, **_):
    if event.endswith("backend_compile_duration"):
        compiled.append(seconds)


jax.monitoring.register_event_duration_secs_listener(count)


def programs(function, rows):
    before = len(compiled)
    for columns in range(2, 12):
        jax.block_until_ready(function(np.ones((rows, columns), np.float32)))
    return len(compiled) - before


plain = programs(jnp.asarray, 3)
typed = programs(lambda x: jnp.asarray(x, x.dtype), 4)
put = programs(jax.device_put, 5)
print(f"jnp.asarray {plain}, jnp.asarray with a dtype {typed}, jax.device_put {put}")
assert plain == 10, "jnp.asarray compiles no program for each shape now"
assert typed == put == 0
PYTHON
