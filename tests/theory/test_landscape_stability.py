"""The curvature that bounds the learning rate, against the Hessian of the quartic."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jssl.theory.landscape.stability import crosstalk, learned_curvature


def largest(signal, anchor, negative, own, cross, learned):
    """Largest eigenvalue of the Hessian where `learned` modes are, an output each."""

    def loss(w):
        a, n = (w * anchor) @ w.T, (w * negative) @ w.T
        return own * (n * n).sum() + cross * (a * n).sum() - ((w * signal) @ w.T).trace()

    square = signal / (2 * own * negative**2 + 2 * cross * anchor * negative)
    weight = jnp.diag(jnp.sqrt(jnp.where(learned, square, 0)))[np.flatnonzero(learned)]
    size = weight.size
    hessian = jax.hessian(loss)(weight).reshape(size, size)
    return jnp.linalg.eigvalsh(hessian)[-1]


@pytest.mark.parametrize(("own", "cross"), [(1.0, 0.0), (0.25, 0.5), (0.0, 0.5)])
@pytest.mark.parametrize("loud", [0.0, 8.0])
@pytest.mark.parametrize("same", [True, False])
def test_the_bound_is_the_largest_eigenvalue_of_the_hessian(own, cross, loud, same):
    signal = jnp.array([1.0, 0.5, 0.3, 0.0])
    negative = jnp.array([1.2, 0.9, 0.4, loud])
    anchor = negative if same else jnp.array([0.8, 0.8, 0.3, loud / 2])
    learned = np.array([True, True, False, False])
    negative, anchor = (jnp.maximum(x, 1e-6) for x in (negative, anchor))
    exact = largest(signal, anchor, negative, own, cross, learned)
    parts = (signal[:2], anchor[:2], negative[:2], own, cross)
    of = crosstalk(*parts)
    outside = (of.anchor * anchor + of.negative * negative - 2 * signal)[2:].max()
    found = jnp.maximum(learned_curvature(*parts), outside)
    assert found >= exact * (1 - 1e-9)
    np.testing.assert_allclose(found, exact, rtol=1e-6 if same else 0.1)


def test_one_mode_alone_has_four_times_its_signal():
    one = jnp.array([0.7])
    np.testing.assert_allclose(learned_curvature(one, 2 * one, one, 0.25, 0.5), 2.8)
