"""Eigenvalues of records: in a program and on the host they are those of the matrix."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

import jssl
from jssl import losses
from jssl.data import pairs
from jssl.eigenvalues import EigenvaluesOf, decompose, decompose_on_host, decomposed_shape
from jssl.models import linear
from jssl.optim import gradient_descent

RNG = np.random.default_rng(0)


def symmetric(*shape, dtype=float):
    a = RNG.normal(size=(*shape, shape[-1])).astype(dtype)
    return a + a.swapaxes(-1, -2)


def expected(matrices):
    flat = matrices.reshape(-1, *matrices.shape[-2:]).astype(float)
    values = np.array([scipy.linalg.eigvalsh(m)[::-1] for m in flat])
    return values.reshape(matrices.shape[:-1])


@pytest.mark.parametrize("shape", [(1,), (5,), (2, 3, 7)])
def test_both_ways_give_the_eigenvalues_of_scipy(shape, monkeypatch):
    monkeypatch.setattr("jssl.eigenvalues.BLOCK", 100)  # so that some are decomposed in pieces
    matrices = symmetric(*shape)
    np.testing.assert_allclose(
        decompose_on_host(EigenvaluesOf(matrices)), expected(matrices), atol=1e-13
    )
    inside = decompose({"found": EigenvaluesOf(jnp.asarray(matrices))})["found"]
    np.testing.assert_allclose(inside, expected(matrices), atol=1e-13)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_the_host_rounds_eigenvalues_of_double_precision_to_the_dtype(dtype):
    matrices = symmetric(2, 4, dtype=jnp.dtype(dtype))
    found = decompose_on_host(EigenvaluesOf(matrices))
    assert found.dtype == jnp.dtype(dtype)
    np.testing.assert_array_equal(found, expected(matrices).astype(found.dtype))


def test_a_hermitian_matrix_has_real_eigenvalues():
    matrix = np.array([[1, 2j], [-2j, 1]], np.complex64)
    found = decompose_on_host(EigenvaluesOf(matrix))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [3, -1], rtol=1e-6)


def test_a_matrix_that_is_not_finite_has_nan_and_leaves_its_neighbours_alone():
    matrices = symmetric(3, 4)
    matrices[1, 2, 3] = np.inf
    found = decompose_on_host(EigenvaluesOf(matrices))
    assert np.isnan(found[1]).all()
    np.testing.assert_allclose(found[[0, 2]], expected(matrices[[0, 2]]), atol=1e-13)


def test_what_is_no_matrix_passes():
    assert decompose_on_host(jnp.arange(3)).tolist() == [0, 1, 2]
    assert decomposed_shape(jax.ShapeDtypeStruct((2,), jnp.int32)).dtype == jnp.int32


def test_a_run_and_a_sweep_record_the_eigenvalues_that_an_observable_asks_for():
    x = jnp.asarray(RNG.normal(size=(16, 5)))

    def problem(learning_rate):
        return jssl.Problem(
            pairs.fixed(jssl.Pairs(x, x)), linear(5, 3), losses.get("vicreg"),
            gradient_descent(learning_rate),
        )  # fmt: skip

    def observe(problem):
        del problem
        return lambda params, pairs: {
            "gram": EigenvaluesOf(params["weight"] @ params["weight"].T),
            "weight": params["weight"],
        }

    found = jssl.sweep(
        problem, {"learning_rate": [0.01], "seed": 2}, record_steps=[0, 5], observe=observe
    ).squeeze("learning_rate")
    weight = found.weight.to_numpy()
    np.testing.assert_allclose(found.gram, expected(weight @ weight.swapaxes(-1, -2)), rtol=1e-12)
    key = jax.random.fold_in(jax.random.key(0), 1)
    alone = jax.jit(jssl.run(problem(0.01), [0, 5], observe(None)))(key)
    np.testing.assert_allclose(alone.observables["gram"], found.gram[1], rtol=1e-10)
