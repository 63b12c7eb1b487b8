"""N-1 and N-4 sample by sample, with the published signs, and what the two objectives want."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jssl.errors import InputError
from jssl.losses import decayed_alignment, decayed_cross_entropy

RNG = np.random.default_rng(0)
ZA, ZB, WEIGHT, HEAD = (RNG.normal(size=shape) for shape in ((5, 2), (5, 2), (2, 3), (2,)))
LABEL = np.array([1, -1, -1, 1, 1])


def test_alignment_is_the_mean_inner_product_and_the_decay_of_the_sum_of_squares():
    expected = -sum(float(a @ b) for a, b in zip(ZA, ZB, strict=True)) / 5
    expected += 0.3 * sum(w * w for w in WEIGHT.ravel())
    np.testing.assert_allclose(decayed_alignment(ZA, ZB, WEIGHT, decay=0.3), expected, rtol=1e-12)


@pytest.mark.parametrize("head_decay", [None, 0.05])
def test_cross_entropy_is_that_of_the_probability_of_label_minus_one(head_decay):
    logits = RNG.normal(size=5)
    expected = 0.2 * np.sum(WEIGHT**2) + (head_decay or 0.2) * np.sum(HEAD**2)
    for logit, label in zip(logits, LABEL, strict=True):
        p = 1 / (1 + math.exp(-logit))
        expected -= math.log(p if label == -1 else 1 - p) / 5
    seen = decayed_cross_entropy(logits, LABEL, WEIGHT, HEAD, decay=0.2, head_decay=head_decay)
    np.testing.assert_allclose(seen, expected, rtol=1e-12)
    column = decayed_cross_entropy(
        logits[:, None], LABEL, WEIGHT, HEAD, decay=0.2, head_decay=head_decay
    )
    assert column == seen


def test_cross_entropy_stays_finite_for_large_logits():
    value, slope = jax.value_and_grad(
        lambda x: decayed_cross_entropy(x, jnp.array([1]), jnp.zeros(1), jnp.zeros(1), decay=0.0)
    )(jnp.array([800.0]))
    assert value == 800
    assert slope == 1


@pytest.mark.float32
def test_traced_decay_keeps_float32():
    run = jax.jit(lambda decay, z, w: decayed_alignment(z, z, w, decay=decay))
    assert run(0.1, jnp.float32(ZA), jnp.float32(WEIGHT)).dtype == "float32"


def test_wrong_shapes_say_what_is_wanted():
    with pytest.raises(InputError, match="one logit a label"):
        decayed_cross_entropy(jnp.zeros((5, 2)), LABEL, WEIGHT, HEAD, decay=0.1)
    with pytest.raises(InputError, match="embeddings of equal shape"):
        decayed_alignment(ZA, ZB[:3], WEIGHT, decay=0.1)
