"""A function that was traced in float32 has the same value in float64 as in a new process."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jssl.precision import constant, float64
from jssl.theory import highdim
from jssl.theory.learnability.objective import expected_loss, row_objective

POINT = [3.8162, 1.51986]
ROWS = [[1.0, 0.0], [-1.0, 0.0], [1.0, 7.0], [-1.0, 7.0]]
FUNCTIONS = {
    "row_objective": lambda p: row_objective(p, 7.0, 1 / 800, noise=0.1, nodes=20),
    "expected_loss": lambda p: expected_loss(p, jnp.array(ROWS, p.dtype), noise=0.1, decay=0.01),
}
LAW = highdim.OnePass(highdim.rademacher(2.0), correlation=-0.4)
FUNCTIONS["mean_product"] = lambda p: highdim.mean_product(p[:1] / 10, p[1], LAW)
NEW_PROCESS = """
import sys
sys.path.insert(0, {folder!r})
import jax, jax.numpy as jnp
from jssl.precision import float64
from test_precision import FUNCTIONS, POINT
with float64():
    print(repr(float(jax.jit(FUNCTIONS[{name!r}])(jnp.array(POINT)))))
"""


@pytest.mark.float32
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_value_in_float64_does_not_depend_on_an_earlier_trace_in_float32(name):
    kept = jax.jit(FUNCTIONS[name])
    assert kept(jnp.array(POINT)).dtype == "float32"
    with float64():
        found = float(jax.jit(FUNCTIONS[name])(jnp.array(POINT)))
    folder = __file__.rpartition("/")[0]
    code = NEW_PROCESS.format(folder=folder, name=name)
    alone = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found == pytest.approx(float(alone.stdout), rel=1e-13)


@pytest.mark.float32
def test_a_constant_has_the_dtype_of_the_precision_that_is_on():
    table = np.linspace(0, 1, 5) / 3
    assert constant(table).dtype == "float32"
    assert constant(np.arange(3)).dtype == "int32"
    assert constant(np.arange(3, dtype=np.uint8)).dtype == "uint8"
    with float64():
        assert constant(table) is table
