"""Repairing a kernel that rounding made indefinite."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from jssl.errors import InputError
from jssl.kernels import repair_psd


def _low_rank(n=40, rank=5):
    factor = np.random.default_rng(0).normal(size=(n, rank))
    return jnp.asarray(factor @ factor.T)


@pytest.mark.float32
def test_single_precision_kernel_becomes_positive_semi_definite_with_a_statement():
    kernel = _low_rank().astype(jnp.float32)
    assert np.linalg.eigvalsh(np.asarray(kernel, np.float64)).min() < 0
    repaired = repair_psd(kernel)
    exact = np.linalg.eigvalsh(np.asarray(repaired.kernel, np.float64))
    eps = np.finfo(np.float32).eps
    assert exact.min() > -len(kernel) * eps * exact.max()
    assert int(repaired.negative) > 0
    assert float(repaired.moved) < len(kernel) * eps
    assert "eigenvalues below zero" in repaired.statement()
    np.testing.assert_allclose(repaired.kernel, kernel, atol=1e-4)


def test_repair_is_the_nearest_positive_semi_definite_matrix():
    """Against a direct search over factors B, K = B B^T."""
    values, vectors = (
        np.array([-0.4, 0.5, 2.0]),
        np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0],
    )
    matrix = (vectors * values) @ vectors.T
    repaired = repair_psd(jnp.asarray(matrix), tolerance=1.0)

    def distance(flat):
        b = flat.reshape(3, 3)
        return np.sum((b @ b.T - matrix) ** 2)

    found = scipy.optimize.minimize(distance, np.eye(3).ravel(), tol=1e-12)
    b = found.x.reshape(3, 3)
    np.testing.assert_allclose(repaired.kernel, b @ b.T, atol=1e-4)
    np.testing.assert_allclose(
        repaired.moved, np.sqrt(found.fun) / np.linalg.norm(matrix), rtol=1e-6
    )
    assert (int(repaired.negative), round(float(repaired.lowest), 6)) == (1, -0.4)


def test_definite_kernel_is_left_alone():
    kernel = _low_rank() + jnp.eye(40)
    repaired = jax.jit(repair_psd)(kernel)
    np.testing.assert_array_equal(repaired.kernel, kernel)
    assert float(repaired.moved) == 0
    assert repaired.statement().startswith("positive semi-definite")


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (jnp.diag(jnp.array([1.0, -0.1])), "not positive semi-definite: .* float64"),
        (jnp.full((2, 2), jnp.nan), "not finite"),
        (jnp.ones((0, 0)), "at least one row"),
        (jnp.ones((2, 3)), "must be square"),
    ],
)
def test_what_is_no_kernel_is_refused(kernel, message):
    with pytest.raises(InputError, match=message):
        repair_psd(kernel)


def test_kernel_of_integers_does_not_wrap_around():
    kernel = np.array([[200, 100], [100, 220]], np.uint8)
    repaired = repair_psd(kernel)
    np.testing.assert_array_equal(repaired.kernel, kernel.astype(float))


@pytest.mark.float32
@pytest.mark.parametrize("dtype", ["int8", "float16", "bfloat16"])
def test_integers_and_half_precision_are_repaired_in_float32(dtype):
    repaired = repair_psd(jnp.array([[100, 100], [100, 100]], dtype))
    assert repaired.kernel.dtype == "float32"
    np.testing.assert_allclose(repaired.largest, 200, rtol=1e-6)
