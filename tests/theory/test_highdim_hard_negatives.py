"""Bounds, minima and rates of hard negatives against the loss itself and direct minimisation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize
from scipy.stats import binom

from jssl.errors import InputError
from jssl.losses import hard_info_nce
from jssl.theory.highdim import (
    class_frame,
    collision_share,
    critical_hardness,
    frame_loss,
    relaxation_rate,
    supervised_bound,
    unsupervised_bound,
)


def supervised(points, hardness=0.0, temperature=1.0, weight_gradient=False, q=1.0):
    """One point a class: the other rows are the negatives of other classes."""
    return hard_info_nce(
        points,
        points,
        hardness=hardness,
        temperature=temperature,
        negative_weight=q,
        weight_gradient=weight_gradient,
    )


def minimise(classes, dim, loss, seed=0):
    value = jax.jit(jax.value_and_grad(lambda f: loss(f.reshape(classes, dim))))

    def host(f):
        v, g = value(f)
        return float(v), np.asarray(g)

    start = np.random.default_rng(seed).normal(size=classes * dim)
    return minimize(host, start, jac=True, method="BFGS", options={"gtol": 1e-10})


@pytest.mark.parametrize("classes", [2, 5])
def test_the_frame_is_a_simplex(classes):
    frame = class_frame(classes)
    assert frame.shape == (classes, classes - 1)
    expected = np.where(np.eye(classes, dtype=bool), 1, -1 / (classes - 1))
    np.testing.assert_allclose(frame @ frame.T, expected, atol=1e-12)


def test_bounds_have_the_known_values():
    found = [
        supervised_bound(4),
        supervised_bound(4, temperature=0.5),
        supervised_bound(10),
        supervised_bound(10, negative_weight=9.0),
        unsupervised_bound(3, 2),
        unsupervised_bound(4, 1),
        frame_loss(3, 2, hardness=2.0),
    ]
    known = [0.233962525, 0.067175776, 0.284571982, 1.376934920, 0.378624835, 0.348758689]
    np.testing.assert_allclose(found, [*known, 0.653546360], atol=1e-8)


@pytest.mark.parametrize("hardness", [0.0, 5.0])
def test_the_bound_is_the_minimum_where_the_simplex_fits(hardness):
    found = minimise(4, 3, lambda f: supervised(f, hardness))
    np.testing.assert_allclose(found.fun, supervised_bound(4), atol=1e-9)


def test_no_points_are_below_the_bound_and_hardness_never_lowers_the_loss():
    rng = np.random.default_rng(1)
    for _ in range(60):
        f = rng.normal(size=(4, 3))
        plain, hard = (float(supervised(f, h)) for h in (0.0, 3.0))
        assert supervised_bound(4) <= plain <= hard + 1e-14


def test_in_too_few_dimensions_the_square_has_the_known_loss():
    square = np.array([[1.0, 0], [0, 1], [-1, 0], [0, -1]])
    np.testing.assert_allclose(supervised(square), np.log1p((2 / np.e + np.exp(-2)) / 3))
    np.testing.assert_allclose(supervised(square), 0.254924909, atol=1e-9)
    np.testing.assert_allclose(supervised(square, 5.0), 0.312690711, atol=1e-9)
    best = min(minimise(4, 2, supervised, seed).fun for seed in range(3))
    np.testing.assert_allclose(best, supervised(square), atol=1e-9)
    assert supervised(square) > supervised_bound(4)


def test_collisions_are_those_of_drawn_negatives():
    classes, k, hardness = 3, 2, 2.0
    frame = class_frame(classes)
    weights = np.exp(hardness * frame @ frame.T)
    weights /= weights.sum(1, keepdims=True)
    total = 0.0
    for i in range(classes):
        for j in range(classes):
            scores = frame[0] @ frame[[i, j]].T - 1
            total += weights[0, i] * weights[0, j] * np.log1p(np.exp(scores).mean())
    np.testing.assert_allclose(frame_loss(classes, k, hardness=hardness), total, rtol=1e-12)
    assert abs(collision_share(10, 5) - 4 / 49) < 1e-15
    assert binom.pmf(0, k, 1 / 3) < 1


def full_loss(f, hardness, temperature):
    """Infinitely many negatives of any class, weights differentiated, C points of any length."""
    s = f @ f.T
    weights = jax.nn.softmax(hardness * s, axis=1)
    gap = (s - jnp.diagonal(s)[:, None]) / temperature
    return jnp.mean(jnp.log1p(jnp.sum(weights * jnp.exp(gap), 1)))


@pytest.mark.parametrize(
    ("classes", "temperature", "known"),
    [(8, 1.0, 1.251954), (4, 1.0, 0.751967), (3, 0.5, 0.24904)],
)
def test_above_the_critical_hardness_a_smaller_simplex_is_better(classes, temperature, known):
    """In the unit ball: the loss falls as the simplex shrinks, above the threshold alone."""
    critical = critical_hardness(classes, temperature=temperature)
    np.testing.assert_allclose(critical, known, atol=1e-5)
    frame = jnp.asarray(class_frame(classes))
    slope = jax.jit(jax.grad(lambda r, hardness: full_loss(r * frame, hardness, temperature)))
    below, at, above = (float(slope(1.0, factor * critical)) for factor in (0.98, 1.0, 1.02))
    assert below < 0 < above
    assert abs(at) < 1e-9
    value = float(full_loss(frame, critical, temperature))
    share = 1 / (1 + (classes - 1) * np.exp(-critical * classes / (classes - 1)))
    gap = classes / ((classes - 1) * temperature)
    np.testing.assert_allclose(value, np.log1p(share + (1 - share) * np.exp(-gap)), rtol=1e-12)


def test_far_above_the_critical_hardness_the_minimum_is_not_the_simplex():
    def loss(f):
        sizes = jnp.linalg.norm(f, axis=1, keepdims=True)
        return full_loss(f / jnp.maximum(sizes, 1), 2 * critical_hardness(4), 1.0)

    frame = class_frame(4)
    assert minimise(4, 3, loss).fun < float(loss(jnp.asarray(frame))) - 1e-3


@pytest.mark.parametrize(
    ("hardness", "full", "known"),
    [(0.0, False, 0.0556750), (5.0, True, 0.6124254), (5.0, False, 0.3340502)],
)
def test_unequal_angles_relax_at_the_known_rate(hardness, full, known):
    """Linearised flow of free unit vectors: the Jacobian of the force, by differences."""
    classes = 5
    rate = relaxation_rate(classes, hardness=hardness, weight_gradient=full)
    np.testing.assert_allclose(rate, known, atol=1e-7)
    frame = jnp.asarray(class_frame(classes))

    force = jax.jit(jax.grad(lambda f: supervised(f, hardness, weight_gradient=full)))
    # differences, since differentiation would pass over the weights' stop_gradient once more
    ways = 1e-5 * np.eye(frame.size).reshape(-1, *frame.shape)
    jacobian = [np.ravel(force(frame + way) - force(frame - way)) / 2e-5 for way in ways]
    values = np.linalg.eigvals(np.array(jacobian)).real
    count = classes * (classes - 3) // 2
    assert (np.abs(values - rate) < 1e-7).sum() == count


def test_the_unsupervised_bound_is_a_mean_of_integrals_over_collisions():
    """log(1 + x) as the integral of x / (1 + t x) over t in [0, 1]."""
    c, k = 1.5, 3
    expected = unsupervised_bound(3, k)
    sampled = sum(
        binom.pmf(b, k, 1 / 3)
        * quad(
            lambda t, b=b: (
                (b + (k - b) * np.exp(-c)) / k / (1 + t * (b + (k - b) * np.exp(-c)) / k)
            ),
            0,
            1,
        )[0]
        for b in range(k + 1)
    )
    np.testing.assert_allclose(expected, sampled, rtol=1e-10)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: class_frame(1), "classes must be a whole number of at least 2; got 1"),
        (lambda: supervised_bound(3, temperature=0.0), "temperature must be a number above 0"),
        (lambda: unsupervised_bound(3, 0), "negatives must be a whole number"),
        (lambda: relaxation_rate(3), "at least 4 classes"),
        (lambda: collision_share(3, 0), "per_class must be a whole number"),
    ],
)
def test_wrong_input_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
