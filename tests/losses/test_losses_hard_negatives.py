"""Hard negatives: gradients in closed form, limits, and the losses they contain."""

import jax
import numpy as np
import pytest

from jssl.errors import InputError
from jssl.losses.contrastive import info_nce
from jssl.losses.hard_negatives import hard_info_nce


def embeddings(n=6, dim=3, seed=0):
    rng = np.random.default_rng(seed)
    za = rng.normal(size=(n, dim))
    return za, 0.6 * za + 0.7 * rng.normal(size=(n, dim)) + 0.3


def test_without_hardness_and_with_weight_n_minus_one_it_is_info_nce():
    za, zb = embeddings()
    for negatives, count in (("others", 5.0), ("views", 10.0)):
        ours = hard_info_nce(
            za, zb, hardness=0.0, temperature=0.7, negative_weight=count, negatives=negatives
        )
        theirs = info_nce(za, zb, temperature=0.7, score="cosine", negatives=negatives)
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


@pytest.mark.parametrize("through", [True, False])
def test_gradients_with_respect_to_scores_are_the_closed_forms(through):
    """One anchor (1, 0, ...): a negative (s, 0, ...) has score s, so its first entry is a score."""
    beta, temperature, q = 2.3, 0.6, 1.7
    s, positive = np.random.default_rng(1).normal(size=7) * 0.5, 0.4
    anchor, match = np.array([[1.0, 0.0]]), np.array([[positive, 0.0]])

    def loss(s, match):
        rows = jax.numpy.stack([s, 0 * s], 1)
        return hard_info_nce(
            anchor,
            match,
            hardness=beta,
            temperature=temperature,
            negative_weight=q,
            weight_gradient=through,
            negatives=rows,
            score="dot",
        )

    ds, dmatch = jax.grad(loss, (0, 1))(s, match)
    p, pi = (np.exp(c * s) / np.exp(c * s).sum() for c in (beta, beta + 1 / temperature))
    odds = q * (p * np.exp((s - positive) / temperature)).sum()
    share = odds / (1 + odds)
    full = (beta + 1 / temperature) * pi - beta * p
    np.testing.assert_allclose(ds, share * (full if through else pi / temperature), rtol=1e-10)
    np.testing.assert_allclose(dmatch[0, 0], -share / temperature, rtol=1e-10)
    np.testing.assert_allclose(ds.sum(), share / temperature, rtol=1e-10)
    assert (ds.min() < 0) == through  # only then are the easiest negatives attracted


def test_harder_weights_never_lower_the_loss():
    for seed in range(40):
        pair = embeddings(seed=seed)
        values = [float(hard_info_nce(*pair, hardness=float(h))) for h in (0, 1, 4, 16)]
        assert np.all(np.diff(values) >= -1e-14)


def test_a_very_hard_weight_takes_the_nearest_negative_alone():
    za, zb = embeddings()
    unit = [z / np.linalg.norm(z, axis=1, keepdims=True) for z in (za, zb)]
    scores = unit[0] @ unit[1].T
    nearest = np.where(np.eye(6, dtype=bool), -np.inf, scores).max(1)
    expected = np.log1p(np.exp((nearest - np.diagonal(scores)) / 0.5)).mean()
    np.testing.assert_allclose(hard_info_nce(za, zb, hardness=1e4), expected, rtol=1e-6)


def test_weights_may_come_from_other_embeddings():
    za, zb = embeddings()
    other = embeddings(seed=3)
    assert hard_info_nce(za, zb, targets=(za, zb)) == hard_info_nce(za, zb)
    assert abs(hard_info_nce(za, zb, targets=other) - hard_info_nce(za, zb)) > 1e-3
    with pytest.raises(InputError, match="target_a"):
        hard_info_nce(za, zb, targets=(za[:2], zb))


def test_a_start_at_zero_weight_of_negatives_costs_nothing():
    za, zb = embeddings()
    assert hard_info_nce(za, zb, negative_weight=0.0) == 0
