"""Block Lanczos in NumPy against dense eigenvalues."""

import numpy as np
import pytest

from jssl.kernels.host_lanczos import largest_on_host

RNG = np.random.default_rng(0)


def _problem(size, rank, decay=0.8):
    """A positive semi-definite K = B B^T with decaying spectrum, a symmetric A, and B."""
    root = np.linalg.qr(RNG.standard_normal((size, rank)))[0] * decay ** (np.arange(rank) / 2)
    pairing = RNG.standard_normal((size, size))
    return root @ root.T, (pairing + pairing.T) / np.sqrt(size), root


def _exact(root, pairing):
    """The nonzero eigenvalues of A K, descending."""
    return np.linalg.eigvalsh(root.T @ pairing @ root)[::-1]


@pytest.mark.parametrize(("size", "rank"), [(120, 120), (120, 30), (20, 20)])
@pytest.mark.parametrize("dim", [1, 6])
def test_eigenvalues_and_vectors_solve_the_problem(size, rank, dim):
    gram, pairing, root = _problem(size, rank)
    found = largest_on_host(
        lambda v: gram @ v, lambda v: pairing @ v, size, dim=dim, tolerance=1e-10
    )
    np.testing.assert_allclose(found.eigenvalues, _exact(root, pairing)[:dim], rtol=1e-9)
    c = found.vectors
    np.testing.assert_allclose(c.T @ gram @ c, np.eye(dim), atol=1e-9)
    difference = pairing @ gram @ c - c * found.eigenvalues
    norms = np.sqrt(np.maximum(np.sum(difference * (gram @ difference), 0), 0))
    assert (norms <= found.residual + 1e-8).all()


def test_bound_covers_the_distance_to_an_exact_eigenvalue():
    gram, pairing, root = _problem(200, 200, 0.97)
    exact = _exact(root, pairing)
    found = largest_on_host(
        lambda v: gram @ v, lambda v: pairing @ v, 200, dim=4, tolerance=1e-12, products=5
    )
    assert found.products == 5
    distance = np.abs(found.eigenvalues[:, None] - exact).min(1)
    assert (distance <= found.residual).all()
    assert (found.residual > 1e-12).any()


def test_multiple_eigenvalues_are_found():
    values = np.repeat([3.0, 2.0, 1.0], [4, 3, 33])
    basis = np.linalg.qr(RNG.standard_normal((40, 40)))[0]
    gram = (basis * values) @ basis.T
    found = largest_on_host(lambda v: gram @ v, lambda v: v, 40, dim=7, tolerance=1e-9)
    np.testing.assert_allclose(found.eigenvalues, values[:7], rtol=1e-9)


def test_fewer_eigenvalues_than_asked_for_leave_no_number():
    gram = np.zeros((12, 12))
    gram[:2, :2] = [[2, 1], [1, 2]]
    found = largest_on_host(lambda v: gram @ v, lambda v: v, 12, dim=4, tolerance=1e-9)
    np.testing.assert_allclose(found.eigenvalues[:2], [3, 1], rtol=1e-12)
    assert np.isneginf(found.eigenvalues[2:]).all()
    assert not found.vectors[:, 2:].any()
    none = largest_on_host(lambda v: 0 * v, lambda v: v, 12, dim=2, tolerance=1e-9)
    assert np.isneginf(none.eigenvalues).all()


def test_answer_does_not_depend_on_the_seed_or_the_width():
    gram, pairing, _ = _problem(150, 150)
    runs = [
        largest_on_host(
            lambda v: gram @ v, lambda v: pairing @ v, 150, dim=5, tolerance=1e-10, **options
        ).eigenvalues
        for options in ({}, {"seed": 1}, {"width": 5}, {"width": 60})
    ]
    for other in runs[1:]:
        np.testing.assert_allclose(other, runs[0], rtol=1e-10)
