"""Compiler settings of programs that run once, and of those of many steps."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np

from jssl import single_use

PROGRAM = """
import os
from jssl import single_use
os.environ["XLA_FLAGS"] = "--xla_cpu_enable_fast_min_max=false"
single_use.compile_cheaply_by_default()
assert os.environ["XLA_FLAGS"].endswith("--xla_cpu_enable_fast_min_max=false")
import jax, jax.numpy as jnp
asked = []
jit = jax.jit
jax.jit = lambda function, **options: asked.append(options) or jit(function, **options)
loop = lambda x: jax.lax.fori_loop(0, 3, lambda _, y: 2 * y, x)
step = single_use.compile_for_many_steps(loop)
other = single_use.compile_for_many_steps(loop, products=True)
options = [single_use.USUAL, single_use.MATRIX_STEPS]
assert asked == [{"compiler_options": each} for each in options], asked
assert step(1.0) == other(1.0)
print(jnp.sin(1.0).item(), step(1.0).item())
"""


def test_cheap_programs_compute_the_same_up_to_rounding():
    x = np.random.default_rng(0).normal(size=(20, 20))

    def function(x):
        return jnp.tanh(x @ x.T / 20).sum(), jnp.linalg.eigvalsh(x + x.T), jnp.exp(x)

    cheap, usual = single_use.compile_cheaply(function)(x), jax.jit(function)(x)
    for found, expected in zip(cheap, usual, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_process_compiles_cheaply_by_default_and_optimises_loops():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    sine, product = map(float, done.stdout.split())
    np.testing.assert_allclose([sine, product], [np.sin(1.0), 8.0], rtol=1e-6)


def test_without_it_programs_of_many_steps_are_compiled_as_usual(monkeypatch):
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    asked = []
    monkeypatch.setattr(jax, "jit", lambda function, **options: asked.append(options))
    single_use.compile_for_many_steps(lambda x: x, static_argnums=0)
    assert asked == [{"compiler_options": None, "static_argnums": 0}]
