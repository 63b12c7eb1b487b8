"""Predicted and measured rank of heads trained on features, side by side."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jssl import losses
from jssl.data import toy
from jssl.diagnostics import collapse
from jssl.errors import InputError
from jssl.theory import landscape

DATA, NOISE = np.array([2.0, 1.0, 0.5, 0.3]), np.array([0.1, 0.2, 2.5, 1.5])


def head_loss(weight, anchor, positive, negatives):
    za, zb, zn = (x @ weight.T for x in (anchor, positive, negatives))
    loss = losses.get("info_nce", score="euclidean", negatives=zn, include_positive=False)
    return loss(za, zb)


def test_the_predicted_rank_is_that_of_a_trained_head():
    pairs = toy.gaussian_pairs(jax.random.key(0), 600, DATA, NOISE, placement="second")
    negatives = toy.gaussian(jax.random.key(1), 300, DATA)
    starts = 0.3 * jax.random.normal(jax.random.key(2), (1, 3, 4))
    found = landscape.minimise_all(head_loss, starts, *pairs[:2], negatives)
    z = pairs.first @ found.point[0].T
    seen = collapse(*pairs[:2], z, placement="clean-augmented-clean", clean_first=True)
    assert seen.measured_rank == seen.predicted_rank == seen.certain_rank == 2
    exact = np.sort(DATA - NOISE / 2)[::-1]
    assert (np.abs(seen.eigenvalues - exact) < 5 * seen.errors).all()


def test_the_estimated_matrices_are_those_of_the_population():
    pairs = toy.gaussian_pairs(jax.random.key(3), 20_000, DATA, NOISE)
    for placement, f, h in (
        ("augmented-augmented-augmented", 0.0, 1),
        ("augmented-augmented-both_clean", 1.0, 0),
    ):
        seen = collapse(*pairs[:2], placement=placement, temperature=0.5, weight_decay=0.1)
        np.testing.assert_allclose(seen.signal, 2 * np.diag(DATA - f * NOISE), atol=0.25)
        np.testing.assert_allclose(seen.covariance, np.diag(DATA + h * NOISE), atol=0.15)
        assert seen.predicted_rank == (2 * (DATA - f * NOISE) > 0.1).sum()
        assert seen.certain_rank <= seen.predicted_rank <= seen.possible_rank


def test_few_pairs_leave_the_rank_open():
    pairs = toy.gaussian_pairs(jax.random.key(4), 30, DATA, NOISE)
    seen = collapse(*pairs[:2], placement="augmented-augmented-clean")
    assert seen.certain_rank < seen.possible_rank


def test_bad_input_is_refused():
    x = jnp.ones((8, 2))
    with pytest.raises(InputError, match="unknown placement"):
        collapse(x, x, placement="clean")
    with pytest.raises(InputError, match="weight_decay"):
        collapse(x, x, weight_decay=-1.0)
    with pytest.raises(InputError, match="embeddings must be"):
        collapse(x, x, jnp.ones(3))
