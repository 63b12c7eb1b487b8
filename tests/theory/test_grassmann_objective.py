"""The quadratic forms equal the losses they stand for, summed pair by pair."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jssl
from jssl.losses import linear_contrastive, linear_non_contrastive
from jssl.theory import grassmann

RNG = np.random.default_rng(0)


def make_pairs(n=7, d=5, negatives=True):
    views = RNG.normal(size=(3, n, d))
    return jssl.Pairs(*map(jnp.asarray, views[: 2 + negatives]))


def loop_loss(f, pairs):
    """G-1, a sum over samples."""
    total = 0.0
    for i in range(pairs.first.shape[0]):
        anchor, positive = f(pairs.first[i]), f(pairs.second[i])
        total -= anchor @ positive
        if pairs.negative is not None:
            total += anchor @ f(pairs.negative[i])
    return total / pairs.first.shape[0]


@pytest.mark.parametrize("negatives", [True, False])
def test_linear_objective_equals_the_sum_over_pairs(negatives):
    pairs, weight = make_pairs(negatives=negatives), RNG.normal(size=(5, 2))
    c = np.asarray(grassmann.objective_matrix(pairs))
    expected = loop_loss(lambda x: weight.T @ np.asarray(x), pairs)
    np.testing.assert_allclose(np.trace(weight.T @ c @ weight), expected, rtol=1e-12)
    np.testing.assert_allclose(c, c.T, atol=1e-15)


@pytest.mark.parametrize("negatives", [True, False])
def test_pairing_matrix_equals_the_sum_over_pairs_for_any_function(negatives):
    pairs = make_pairs(negatives=negatives)
    hidden, readout = RNG.normal(size=(6, 5)), RNG.normal(size=(2, 6))

    def f(x):
        return readout @ np.tanh(hidden @ np.asarray(x))

    outputs = np.stack([f(x) for x in grassmann.stack_views(pairs)], axis=1)
    m = np.asarray(grassmann.pairing_matrix(7, negatives=negatives))
    np.testing.assert_allclose(np.trace(outputs @ m @ outputs.T), loop_loss(f, pairs), rtol=1e-12)
    np.testing.assert_array_equal(m, m.T)


def test_objective_matrices_belong_to_the_losses_of_the_library():
    pairs, weight = make_pairs(), jnp.asarray(RNG.normal(size=(5, 2)))
    first, second, negative = (view @ weight for view in pairs)
    contrastive = jnp.trace(weight.T @ grassmann.objective_matrix(pairs) @ weight)
    plain = grassmann.objective_matrix(pairs._replace(negative=None))
    np.testing.assert_allclose(
        contrastive, linear_contrastive(first, second, negatives=negative), rtol=1e-12
    )
    np.testing.assert_allclose(
        jnp.trace(weight.T @ plain @ weight), linear_non_contrastive(first, second), rtol=1e-12
    )


def test_kernel_objective_has_the_spectrum_of_the_pairing_times_the_kernel():
    features = RNG.normal(size=(9, 6))
    kernel, pairing = features.T @ features, np.asarray(grassmann.pairing_matrix(3))
    expected = np.sort(np.linalg.eigvals(pairing @ kernel).real)
    seen = np.linalg.eigvalsh(grassmann.kernel_objective(kernel, pairing))
    np.testing.assert_allclose(seen, expected, atol=1e-12)


def test_kernel_root_squares_to_the_kernel_and_inverts_on_its_range():
    features = RNG.normal(size=(4, 6))
    kernel = jnp.asarray(features.T @ features)  # rank 4 of 6
    root = grassmann.kernel_root(kernel)
    inverse = grassmann.kernel_root(kernel, inverse=True)
    np.testing.assert_allclose(root @ root, kernel, atol=1e-12)
    np.testing.assert_allclose(inverse @ kernel @ inverse @ kernel, kernel, atol=1e-11)


def test_views_of_different_shapes_are_refused():
    with pytest.raises(jssl.InputError, match="one shape"):
        grassmann.objective_matrix(jssl.Pairs(jnp.zeros((3, 2)), jnp.zeros((4, 2))))
    with pytest.raises(jssl.InputError, match=r"\(n, d\)"):
        grassmann.objective_matrix(jssl.Pairs(jnp.zeros((3, 2, 2)), jnp.zeros((3, 2, 2))))


def test_objective_matrix_maps_over_data_sets():
    pairs = make_pairs()
    twice = jax.tree.map(lambda view: jnp.stack([view, 2 * view]), pairs)
    batched = jax.jit(jax.vmap(grassmann.objective_matrix))(twice)
    np.testing.assert_allclose(batched[1], 4 * grassmann.objective_matrix(pairs), rtol=1e-12)


def test_objective_of_bytes_is_that_of_the_same_numbers():
    """Differences and products of bytes wrap around."""
    views = np.random.default_rng(0).integers(0, 256, (3, 7, 4))
    for count in (2, 3):
        exact = grassmann.objective_matrix(
            jssl.Pairs(*map(jnp.asarray, views[:count].astype(float)))
        )
        low = jssl.Pairs(*(jnp.asarray(v, jnp.uint8) for v in views[:count]))
        np.testing.assert_allclose(grassmann.objective_matrix(low), exact, rtol=1e-12)
