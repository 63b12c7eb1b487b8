"""Block Lanczos in NumPy step by step: restarts, dropped directions, and what is not finite."""

import jax.numpy as jnp
import numpy as np
import pytest

from jssl.errors import InputError
from jssl.kernels import host_krylov, leading_modes
from jssl.models import linear
from jssl.types import Model, Pairs

RNG = np.random.default_rng(3)


def _run(gram, pairing, *, dim, width, most, steps, tolerance=1e-9, floor=1e-15):
    """Return the space at the end and how many columns each step had."""
    start = RNG.standard_normal((len(gram), width)).astype(gram.dtype)
    block = host_krylov.smoothed(lambda v: pairing @ v, gram @ start)
    norm = host_krylov.norm_of(start, gram @ start)
    space = host_krylov.begin(block, gram @ block, dim=dim, floor=floor, norm=norm)
    columns = []
    while host_krylov.is_unfinished(space, tolerance, steps):
        proposal = host_krylov.propose(lambda v: pairing @ v, space, most)
        space = host_krylov.absorb(proposal, gram @ proposal.block, floor=floor)
        columns.append(sum(block.shape[1] for block in space.basis))
    return space, columns


def _slow_problem(size=160, dtype=float):
    """Eigenvalues that lie so close that few blocks do not separate them."""
    root = np.linalg.qr(RNG.standard_normal((size, size)))[0] * np.linspace(1, 0.2, size)
    pairing = np.linalg.qr(RNG.standard_normal((size, size)))[0]
    pairing = (pairing * np.linspace(1, 0.5, size)) @ pairing.T
    exact = np.linalg.eigvalsh(root.T @ pairing @ root)[::-1]
    return (root @ root.T).astype(dtype), pairing.astype(dtype), exact


@pytest.mark.parametrize("most", [18, 30])
def test_a_restarted_space_stays_small_and_finds_the_same_modes(most):
    gram, pairing, exact = _slow_problem()
    space, columns = _run(gram, pairing, dim=3, width=6, most=most, steps=200)
    assert max(columns) <= most < sum(6 for _ in columns)  # it was restarted
    np.testing.assert_allclose(space.eigenvalues[:3], exact[:3], rtol=1e-9)
    c = host_krylov.vectors(space, 3)
    np.testing.assert_allclose(c.T @ gram @ c, np.eye(3), atol=1e-9)
    difference = pairing @ gram @ c - c * space.eigenvalues[:3]
    norms = np.sqrt(np.sum(difference * (gram @ difference), axis=0))
    assert (norms <= space.bound + 1e-10).all()


def test_bounds_hold_in_float32_before_convergence():
    gram, pairing, exact = _slow_problem(dtype=np.float32)
    space, _ = _run(gram, pairing, dim=3, width=6, most=30, steps=6, floor=5e-7)
    assert space.basis[0].dtype == space.eigenvalues.dtype == space.bound.dtype == np.float32
    distance = np.abs(space.eigenvalues[:3, None] - exact).min(1)
    assert (distance <= space.bound + 1e-6).all()
    assert (space.bound > 1e-4).any()


def test_a_space_that_ends_is_exhausted_and_its_values_are_exact():
    gram, pairing, _ = _slow_problem(40)
    gram = gram[:, :7] @ gram[:7]  # of rank 7
    space, _ = _run(gram, pairing, dim=7, width=5, most=None, steps=50)
    left, sizes, _ = np.linalg.svd(gram)
    factor = left[:, :7] * np.sqrt(sizes[:7])
    exact = np.linalg.eigvalsh(factor.T @ pairing @ factor)[::-1]
    np.testing.assert_allclose(space.eigenvalues[:7], exact, rtol=1e-8)
    assert sum(block.shape[1] for block in space.basis) == 7


def test_a_kernel_that_is_not_finite_is_named():
    base = linear(3, 1)

    def broken(a, b):
        product = jnp.asarray(a) @ jnp.asarray(b).T
        return (product.at[0, 0].set(jnp.nan),) * 2

    model = Model(base.init, base.apply, broken)
    with pytest.raises(InputError, match="has values that are not finite"):
        leading_modes(model, Pairs(*RNG.standard_normal((2, 6, 3))), 2)


def test_a_product_that_breaks_on_the_way_ends_the_run():
    gram, pairing, _ = _slow_problem(40)
    block = host_krylov.smoothed(lambda v: pairing @ v, gram @ RNG.standard_normal((40, 4)))
    space = host_krylov.begin(block, gram @ block, dim=2, floor=1e-15, norm=1.0)
    proposal = host_krylov.propose(lambda v: pairing @ v, space)
    space = host_krylov.absorb(proposal, np.nan * proposal.block, floor=1e-15)
    assert np.isnan(space.scale)
    assert not host_krylov.is_unfinished(space, 1e-9, 50)
