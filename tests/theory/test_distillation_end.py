"""The matrix flow, its end, what a bottleneck keeps, and the instability of learned modes."""

import itertools

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest
from distillation_oracles import (
    integrate_matrices,
    orthogonal,
    overlap,
    product,
    random_moments,
)

from jssl.data import pairs, views
from jssl.data.moments import Moments, pair_moments
from jssl.errors import InputError
from jssl.theory import distillation
from jssl.theory.distillation import Weights
from jssl.types import Pairs

EVERY = pytest.mark.parametrize("objective", ["jepa", "mae"])


def random_weights(rng, sizes, objective, averaged=False):
    layers = tuple(rng.normal(size=(b, a)) / 2 for a, b in itertools.pairwise(sizes))
    rows = sizes[0] if objective == "mae" else sizes[-1]
    target = tuple(rng.normal(size=x.shape) for x in layers) if averaged else None
    return Weights(layers, rng.normal(size=(rows, sizes[-1])), target)


@EVERY
@pytest.mark.parametrize("averaged", [False, True])
def test_velocity_is_the_gradient_with_the_target_held_constant(objective, averaged):
    rng = np.random.default_rng(3)
    sx, syx, sy = random_moments(rng, 4, symmetric=False)
    root = np.linalg.cholesky(np.block([[sx, syx.T], [syx, sy]]))
    draws = np.linalg.qr(rng.normal(size=(50, 8)))[0] * np.sqrt(50) @ root.T
    x, y = draws[:, :4], draws[:, 4:]  # the sample moments are exactly sx, syx, sy
    weights = random_weights(rng, (4, 3, 5, 2), objective, averaged)

    def loss(layers, v):
        z, seen = x, y
        for layer in layers:
            z = z @ layer.T
        if objective == "jepa":
            for layer in weights.target or layers:
                seen = seen @ layer.T
        return jnp.mean(jnp.sum((z @ v.T - jax.lax.stop_gradient(seen)) ** 2, 1)) / 2

    gradients = jax.grad(loss, (0, 1))(weights.layers, weights.predictor)
    moving = distillation.velocity(
        weights,
        Moments(sx, syx),
        objective=objective,
        rate_ratio=3.0,
        decay=0.1,
        target_rate=0.2,
    )
    for a, layer in enumerate(weights.layers):
        np.testing.assert_allclose(
            moving.layers[a], -gradients[0][a] - 0.1 * layer, rtol=1e-10, atol=1e-12
        )
        if averaged:
            expected = 0.2 * (layer - weights.target[a])
            np.testing.assert_allclose(moving.target[a], expected, rtol=1e-12)
    np.testing.assert_allclose(
        moving.predictor, -3 * gradients[1] - 0.1 * weights.predictor, rtol=1e-10, atol=1e-12
    )


@pytest.mark.parametrize(
    ("objective", "averaged"), [("jepa", False), ("jepa", True), ("mae", False)]
)
def test_balance_shrinks_with_decay_alone(objective, averaged):
    rng = np.random.default_rng(4)
    sx, syx, _ = random_moments(rng, 3, symmetric=False)
    weights = random_weights(rng, (3, 4, 2), objective)
    ratio, decay, time = 2.0, 0.05, 4.0
    beta = 0.3 if averaged else None
    layers, v, _ = integrate_matrices(
        weights.layers, weights.predictor, sx, syx, time, objective, decay, ratio, beta
    )
    before = distillation.balance(weights, rate_ratio=ratio)
    after = distillation.balance(Weights(tuple(layers), v), rate_ratio=ratio)
    for old, new in zip(before, after, strict=True):
        np.testing.assert_allclose(new, old * np.exp(-2 * decay * time), rtol=1e-7, atol=1e-9)


@EVERY
@pytest.mark.parametrize("depth", [1, 2])
def test_the_gram_matrix_at_the_end_of_the_flow_for_moments_that_do_not_commute(objective, depth):
    rng = np.random.default_rng(5 + depth)
    sx, syx, _ = random_moments(rng, 3, symmetric=False)
    turns = [orthogonal(rng, 3) for _ in range(depth)]
    v = 0.5 * (np.eye(3) if objective == "jepa" else product(turns).T)
    layers, v, _ = integrate_matrices([0.5 * u for u in turns], v, sx, syx, 3000.0, objective)
    w = product(layers)
    found = distillation.final_gram(Moments(sx, syx), depth=depth, objective=objective)
    np.testing.assert_allclose(found, w.T @ w, atol=1e-8)
    if objective == "jepa":
        values = [np.sort_complex(np.linalg.eigvals(m)) for m in (v, syx @ np.linalg.inv(sx))]
        np.testing.assert_allclose(*values, atol=1e-8)


@pytest.mark.parametrize(
    ("depth", "entries"),
    [
        (1, (0.3448695764, 0.1649295315, 0.2192183815)),
        (2, (0.1399501523, 0.09269439893, 0.07813361696)),
    ],
)
def test_the_gram_matrix_has_the_known_answers(depth, entries):
    moments = Moments(np.eye(2), np.array([[0.6, 0.2], [0.1, 0.4]]))
    gram = distillation.final_gram(moments, depth=depth)
    np.testing.assert_allclose(gram[[0, 0, 1], [0, 1, 1]], entries, atol=1e-10)


@EVERY
def test_the_gram_matrix_of_commuting_moments_is_that_of_the_modes(objective):
    rng = np.random.default_rng(0)
    basis, rho = orthogonal(rng, 3), np.array([0.9, 0.5, 0.2])
    lam = np.array([1.0, 2.0, 0.3])
    moments = Moments(*(basis.T @ np.diag(d) @ basis for d in (lam / rho, lam)))
    for depth in (1, 2, 5):
        gram = distillation.final_gram(moments, depth=depth, objective=objective)
        encoder = distillation.end_state(lam, rho, depth=depth, objective=objective).encoder
        np.testing.assert_allclose(gram, basis.T @ np.diag(encoder**2) @ basis, atol=1e-11)


@EVERY
@pytest.mark.parametrize(("dim", "depth"), [(1, 1), (2, 1), (2, 2)])
def test_a_bottleneck_ends_in_its_selected_subspace_from_generic_starts(objective, dim, depth):
    rng = np.random.default_rng(10 * dim + depth)
    basis = orthogonal(rng, 4)
    if objective == "jepa":
        rho, lam = np.array([0.8, 0.6, 0.45, 0.3]), np.array([0.5, 0.8, 1.0, 1.2])
    else:
        rho, lam = np.array([0.8, 0.3, 0.6, 0.2]), np.array([0.4, 1.6, 1.4, 0.9])
    sx, syx = (basis.T @ np.diag(d) @ basis for d in (lam / rho, lam))
    sx += 0.02 * np.outer(basis[0], basis[1]) + 0.02 * np.outer(basis[1], basis[0])
    sizes = [4] + [4] * (depth - 1) + [dim]
    layers = [0.3 * rng.normal(size=(b, a)) for a, b in itertools.pairwise(sizes)]
    v = 0.5 * np.eye(dim) if objective == "jepa" else 0.3 * rng.normal(size=(4, dim))
    layers, v, _ = integrate_matrices(layers, v, sx, syx, 3000.0, objective)
    rows = distillation.selected_subspace(Moments(sx, syx), dim, objective=objective)
    assert overlap(product(layers), rows) > 1 - 1e-6
    kept = np.argsort(-rho if objective == "jepa" else -lam * rho)[:dim]
    assert overlap(rows, basis[kept]) > 0.98
    other = "mae" if objective == "jepa" else "jepa"
    assert (
        overlap(rows, distillation.selected_subspace(Moments(sx, syx), dim, objective=other)) < 0.9
    )


@EVERY
@pytest.mark.parametrize("depth", [1, 2])
def test_the_gram_matrix_of_a_bottleneck(objective, depth):
    rng = np.random.default_rng(21)
    sx, syx, _ = random_moments(rng, 4)
    moments = Moments(sx, syx)
    rows = distillation.selected_subspace(moments, 2, objective=objective)
    # from a balanced start: every layer is the same rotation of a partial isometry
    first = 0.5 * rows + 0.02 * rng.normal(size=(2, 4))
    u, s, vt = np.linalg.svd(first, full_matrices=False)
    size = s.mean()
    layers = [size * u @ vt] + [size * orthogonal(rng, 2) for _ in range(depth - 1)]
    whole = product(layers) / size**depth
    v = size * (np.eye(2) if objective == "jepa" else whole.T)
    layers, _, _ = integrate_matrices(layers, v, sx, syx, 4000.0, objective)
    w = product(layers)
    gram = distillation.final_gram(moments, depth=depth, objective=objective, dim=2)
    np.testing.assert_allclose(w.T @ w, gram, atol=1e-7)


def jacobian_of_takeover(lam, rho, depth, objective, beta=None, decay=0.0):
    """Return the largest real part of the spectrum at mode 1 learned, in one output."""
    moments = Moments(jnp.diag(lam / rho), jnp.diag(lam))
    if decay:
        w = float(distillation.decayed_levels(lam[0], rho[0], decay).upper)
    else:
        w = rho[0] if objective == "jepa" else rho[0] ** (1 / (depth + 1))
    layers = [jnp.array([[w, 0.0]])] + [jnp.array([[w]])] * (depth - 1)
    v = jnp.array([[w]]) if objective == "jepa" else jnp.array([[w], [0.0]])
    slow = None if beta is None else tuple(layers)
    weights = Weights(tuple(layers), v, slow)
    flat, unravel = jax.flatten_util.ravel_pytree(weights)

    def rates(y):
        moving = distillation.velocity(
            unravel(y), moments, objective=objective, decay=decay, target_rate=beta or 0.0
        )
        return jax.flatten_util.ravel_pytree(moving)[0]

    return np.linalg.eigvals(jax.jacobian(rates)(flat)).real


@EVERY
@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("lam2", [0.5, 0.2])
def test_takeover_rates_are_eigenvalues_of_the_flow_at_a_learned_mode(objective, depth, lam2):
    lam, rho = np.array([1.0, lam2]), np.array([0.3, 0.8])
    rate = distillation.takeover_rates(lam, rho, depth=depth, objective=objective)[0, 1]
    values = jacobian_of_takeover(lam, rho, depth, objective)
    assert np.abs(values - rate).min() < 1e-12
    if rate > 0:
        np.testing.assert_allclose(values.max(), rate, rtol=1e-10)


def test_takeover_rates_have_the_known_answers():
    for pair, depth, value in (
        (((1.0, 0.5), (0.4, 0.8)), 1, 0.1),
        (((1.0, 0.5), (0.4, 0.8)), 2, 0.016),
        (((1.0, 0.6), (0.7, 0.9)), 2, 0.04573333333),
    ):
        rates = distillation.takeover_rates(*map(jnp.asarray, pair), depth=depth)
        np.testing.assert_allclose(rates[0, 1], value, rtol=1e-9)
        assert rates[1, 0] < 0


def test_takeover_with_decay_or_an_averaged_target():
    lam, rho = np.array([1.0, 0.5]), np.array([0.4, 0.8])
    rate = distillation.takeover_rates(lam, rho, decay=0.03)[0, 1]
    np.testing.assert_allclose(jacobian_of_takeover(lam, rho, 1, "jepa", decay=0.03).max(), rate)
    rate = distillation.takeover_rates(lam, rho, target_rate=0.2)[0, 1]
    np.testing.assert_allclose(jacobian_of_takeover(lam, rho, 1, "jepa", beta=0.2).max(), rate)
    with pytest.raises(InputError, match="depth 1 only"):
        distillation.takeover_rates(lam, rho, depth=2, decay=0.03)
    with pytest.raises(InputError, match=r"both be \(k,\)"):
        distillation.takeover_rates(lam, rho[:1])


def test_descent_is_stable_below_the_predicted_rate_and_not_above():
    rho, lam = np.array([0.9, 0.5]), np.array([1.0, 1.5])
    limit = float(distillation.stable_learning_rate(lam, rho))
    moments = Moments(np.diag(lam / rho), np.diag(lam))
    eye = np.diag(rho)
    rng = np.random.default_rng(0)
    for factor, stable in ((0.97, True), (1.03, False)):
        weights = Weights((eye + 1e-6 * rng.normal(size=(2, 2)),), eye)
        for _ in range(3000):
            moving = distillation.velocity(weights, moments)
            layer = np.asarray(weights.layers[0] + factor * limit * moving.layers[0])
            weights = Weights(
                (layer,), np.asarray(weights.predictor + factor * limit * moving.predictor)
            )
        assert (np.abs(weights.layers[0] - eye).max() < 1e-3) == stable


def test_modes_of_noisy_pairs_have_their_regression_coefficient():
    data = np.random.default_rng(0).normal(size=(400, 3)) * [3.0, 2.0, 1.0]
    made = pairs.make_pairs(jax.random.key(0), jnp.asarray(data), views.noise(0.5))
    moments = pair_moments(made)
    modes = distillation.regression_modes(moments)
    np.testing.assert_allclose(modes.covariances, [9, 4, 1], rtol=0.2)
    np.testing.assert_allclose(modes.coefficients, [9 / 9.25, 4 / 4.25, 1 / 1.25], rtol=0.05)
    assert modes.caveats == ()
    np.testing.assert_allclose(moments.cross, pairs.cross_moment(made), atol=1e-12)


def test_modes_say_what_their_formulas_neglect():
    turned = np.array([[0.8, 0.6], [-0.6, 0.8]])
    sx, syx = np.diag([3.0, 1.0]), np.diag([1.0, -0.4])
    quiet = distillation.regression_modes(Moments(sx, syx))
    assert len(quiet.caveats) == 1
    assert "Mode 2 is not learned" in quiet.caveats[0]
    loud = distillation.regression_modes(Moments(sx, turned @ syx @ turned.T))
    assert "do not commute" in loud.caveats[0]
    skewed = distillation.regression_modes(Moments(sx, np.array([[1.0, 0.3], [0.0, 0.5]])))
    assert any("not symmetric" in line for line in skewed.caveats)


@pytest.mark.parametrize(
    ("moments", "message"),
    [
        (Moments(-np.eye(2), np.eye(2)), "context must be positive semi-definite"),
        (Moments(np.eye(2), np.eye(3)), r"cross must be \(2, 2\) like context"),
        (Moments(np.eye(2), np.eye(2) * np.nan), "cross has values that are not finite"),
        (Moments(np.diag([1.0, 0.0]), np.eye(2)), "not of the same views"),
        (Moments(np.eye(2), np.eye(2), np.eye(3)), "target is 3-dimensional"),
        (Moments(np.eye(2), 2 * np.eye(2), np.eye(2)), "the joint moment of both views must be"),
        (Moments(np.array([[1.0, 0.5], [0.0, 1.0]]), np.eye(2)), "context must be symmetric"),
    ],
)
def test_moments_that_do_not_fit_are_refused_in_one_line(moments, message):
    for use in (
        distillation.regression_modes,
        distillation.final_gram,
        lambda m: distillation.selected_subspace(m, 1),
    ):
        with pytest.raises(InputError, match=message) as caught:
            use(moments)
        assert "\n" not in str(caught.value)


def test_ends_that_are_not_determined_are_refused():
    turn = np.array([[0.5, 0.3], [-0.3, 0.5]])
    with pytest.raises(InputError, match="separates eigenvalues"):
        distillation.selected_subspace(Moments(np.eye(2), turn), 1)
    with pytest.raises(InputError, match="full rank"):
        distillation.final_gram(Moments(np.diag([1.0, 0.0]), np.diag([0.5, 0.0])))
    with pytest.raises(InputError, match="pass dim"):
        distillation.final_gram(Moments(np.eye(2), np.diag([0.5, 0.0])))
    with pytest.raises(InputError, match=r"dim must be a whole number in \[1, 2\]"):
        distillation.selected_subspace(Moments(np.eye(2), np.eye(2)), 3)


def test_pairs_that_do_not_match_are_refused():
    with pytest.raises(InputError, match="match them"):
        pair_moments(Pairs(np.ones((3, 2)), np.ones((3, 3))))


@pytest.mark.parametrize(
    ("moments", "message"),
    [
        ((np.eye(2), np.eye(2)), "moments must be"),
        (Moments(np.eye(2) + 1j, np.eye(2)), "context must be an array of real numbers"),
        (Moments(np.eye(2), "a"), "cross must be an array of real numbers"),
    ],
)
def test_what_are_no_real_moments_is_refused(moments, message):
    with pytest.raises(InputError, match=message):
        distillation.final_gram(moments)


@pytest.mark.float32
def test_moments_keep_float64_outside_float64():
    """An eigenvalue of 1e-8 of the largest is lost in float32; diagonal ends are rho^2 (D-6)."""
    turn = orthogonal(np.random.default_rng(0), 4)
    rho = np.array([0.9, 0.5, 0.3, 0.7])
    variances = np.array([1.0, 0.5, 0.1, 1e-8])

    def turned(values):
        matrix = (turn * values) @ turn.T
        return (matrix + matrix.T) / 2

    moments = Moments(turned(variances), turned(variances * rho), turned(variances))
    assert {x.dtype for x in distillation.check_moments(moments)} == {np.dtype(float)}
    ends = np.linalg.eigvalsh(distillation.final_gram(moments))
    np.testing.assert_allclose(ends, np.sort(rho**2), atol=2e-8)
    found = distillation.regression_modes(moments).coefficients
    np.testing.assert_allclose(found, rho, atol=2e-8)
    predictor = distillation.optimal_predictor(np.eye(4), moments)
    np.testing.assert_allclose(predictor, turned(rho), atol=2e-7)


def test_moments_near_the_largest_number_have_the_ends_of_their_ratio():
    moments = Moments(*(np.diag(d) * 1e308 for d in ([1.0, 0.5], [0.5, 0.4], [1.0, 0.5])))
    np.testing.assert_allclose(distillation.final_gram(moments), np.diag([0.25, 0.64]), rtol=1e-12)
    modes = distillation.regression_modes(moments)
    np.testing.assert_allclose(modes.coefficients, [0.5, 0.8], rtol=1e-12)
    assert modes.caveats == ()


@pytest.mark.parametrize("seed", range(10))
def test_a_cross_moment_of_rank_two_has_two_modes_in_any_basis(seed):
    basis = np.linalg.qr(np.random.default_rng(seed).standard_normal((7, 7)))[0]
    moments = Moments(np.eye(7), (basis[:, :2] * [0.8, 0.3]) @ basis[:, :2].T)
    found = distillation.regression_modes(moments)
    assert (found.covariances > 0).tolist() == 2 * [True] + 5 * [False]
    assert sum("is not learned" in caveat for caveat in found.caveats) == 5
