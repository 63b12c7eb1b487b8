"""Where formulas of self-distillation do not hold: starts, signs and ends that are refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from distillation_oracles import integrate_matrices, orthogonal

from jssl.data.moments import Moments, pairs_with_moments
from jssl.data.pairs import fixed
from jssl.errors import InputError
from jssl.losses import jepa, target_objective
from jssl.models import aligned, linear_head, linear_stack
from jssl.optim import gradient_descent
from jssl.theory import distillation
from jssl.types import Problem

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: distillation.averaged_delay(0.8, 0.9, 10.0), r"share x coefficient = 0\.4; got 0"),
        (lambda: distillation.averaged_delay(0.8, 0.6, 10.0), r"share x coefficient = 0\.4; got 0"),
        (lambda: distillation.averaged_delay([0.8, 0.1], 0.3, 10.0), r"= 0\.05; got 0\.3"),
        (lambda: distillation.slow_target_time(1.0, 0.8, 0.6, 1e-4), r"coefficient = 0\.2; got 0"),
        (lambda: distillation.slow_target_time(1.0, 0.8, 0.9, 1e-4), r"coefficient = 0\.2; got 0"),
        (lambda: distillation.slow_target_time(1.0, 0.8, 0.3, 1e-4), r"coefficient = 0\.2; got 0"),
        (lambda: distillation.small_start_time(1.0, 0.8, 2.0), r"end of the layer = 0\.8; got 2"),
        (lambda: distillation.small_start_time(1.0, 3.0, 2.9), "start is not small"),
        (lambda: distillation.takeover_rates([1.0, -1.0], [0.5, -0.8]), "covariances must be posi"),
        (lambda: distillation.takeover_rates([1.0, 0.0], [0.5, 0.8]), "covariances must be posit"),
        (lambda: distillation.takeover_rates([1.0, 1.0], [0.5, 0.0]), "coefficients must be posi"),
        (lambda: distillation.takeover_rates([1.0, np.nan], [0.5, 0.8]), "covariances must be pos"),
        (lambda: distillation.takeover_rates([1.0], [0.5], target_rate=[0.1]), "one number"),
        (lambda: distillation.stable_learning_rate(1.0, 1.0), r"both be \(k,\)"),
        (lambda: distillation.stable_learning_rate([], []), r"both be \(k,\)"),
        (lambda: distillation.stable_learning_rate(np.eye(2) + 1, np.eye(2) + 1), r"both be \(k,"),
        (lambda: distillation.scalar_velocity(0.3, 1.0, 0.0), "must not be 0"),
        (lambda: distillation.scalar_velocity(0.3, 1.0, -0.8), "must have the sign of covariance"),
        (lambda: distillation.scalar_velocity(0.3, -1.0, 0.8), "must have the sign of covariance"),
        (lambda: distillation.rate_without_stop_gradient(1.0, 0.8, -1.0), "at least covariance x"),
        (lambda: distillation.rate_without_stop_gradient(1.0, 0.8, 0.79), "at least covariance x"),
        (lambda: distillation.rate_without_stop_gradient(1.0, -0.8, 1.0), "must have one sign"),
        (
            lambda: distillation.averaged_time(1.0, 0.8, 0.1, 1.0, share=[]),
            "share must be",
        ),
        (lambda: distillation.averaged_time(1.0, 0.8, 0.1, 1.0, share=[0.5, 0.6]), "share must be"),
        (lambda: distillation.unequal_decay_end(1.0, 0.8, 0.0, 0.0), "must be positive"),
    ],
)
def test_what_a_formula_does_not_cover_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_what_is_at_the_edge_of_a_formula_is_covered():
    assert distillation.averaged_delay(0.8, 0.399, 10.0) > 0
    assert distillation.slow_target_time(1.0, 0.8, 0.199, 1e-4) > 0
    assert distillation.rate_without_stop_gradient(1.0, 0.8, 0.8) == 0
    assert distillation.rate_without_stop_gradient(-1.0, -0.8, 0.8) == 0
    assert distillation.scalar_velocity(0.5, -1.0, -0.8) < 0
    assert distillation.takeover_rates([], []).shape == (0, 0)


def test_covariances_that_are_not_positive_say_that_the_mode_is_not_learned_and_why():
    for call in (
        lambda: distillation.takeover_rates([1.0, -1.0], [0.5, 0.8]),
        lambda: distillation.decayed_levels(1.0, -0.8, 0.1),
    ):
        with pytest.raises(InputError, match=r"not learned from an aligned start: its layers and"):
            call()


@pytest.mark.parametrize("depth", [1, 2])
def test_the_gram_matrix_leaves_out_modes_that_the_flow_does_not_learn(depth):
    turn = orthogonal(np.random.default_rng(1), 3)
    context, cross = (turn.T @ np.diag(d) @ turn for d in ([1.0, 2.0, 1.5], [0.6, 0.9, -0.6]))
    cross = cross / 2 + cross.T / 2
    moments = Moments(context, cross)
    with pytest.raises(InputError, match=r"eigenvalue -0\.4, .* is not learned: .* dim=2"):
        distillation.final_gram(moments, depth=depth)
    with pytest.raises(InputError, match="dim=2"):
        distillation.final_gram(moments, depth=depth, dim=3)
    layers, _, _ = integrate_matrices(
        [0.4 * np.eye(3)] * depth, 0.4 * np.eye(3), context, cross, 4000.0
    )
    w = np.linalg.multi_dot([np.eye(3), *layers])
    found = distillation.final_gram(moments, depth=depth, dim=2)
    # the lost mode shrinks as a power of the time
    np.testing.assert_allclose(w.T @ w, found, atol=0.01 if depth > 1 else 1e-5)
    with pytest.raises(InputError, match="no mode is left"):
        distillation.final_gram(Moments(np.eye(2), -0.5 * np.eye(2)))


def test_a_bottleneck_wider_than_what_jepa_learns_is_refused_as_by_the_gram_matrix():
    """The flow from an aligned start keeps one direction of three; the others shrink to zero."""
    moments = Moments(np.diag([1.0, 0.5, 0.4]), np.diag([0.5, -0.3, -0.1]))
    layers, _, _ = integrate_matrices([0.3 * np.eye(3)], 0.3 * np.eye(3), *moments[:2], 4000.0)
    sizes = np.linalg.norm(layers[0], axis=0)
    assert sizes[0] > 0.4
    assert sizes[1:].max() < 0.1
    np.testing.assert_allclose(abs(distillation.selected_subspace(moments, 1)), [[1, 0, 0]])
    for refused in (
        lambda dim: distillation.selected_subspace(moments, dim),
        lambda dim: distillation.final_gram(moments, dim=dim),
    ):
        with pytest.raises(InputError, match=r"eigenvalue -0\.25, .* not learned: .* dim=1"):
            refused(2)
    negative = Moments(np.eye(3), -0.5 * np.eye(3))
    with pytest.raises(InputError, match="no mode is left"):
        distillation.selected_subspace(negative, 2)
    empty = Moments(np.eye(3), np.diag([0.5, 0.0, 0.0]))
    for objective in distillation.OBJECTIVES:
        with pytest.raises(InputError, match="not every direction is learned"):
            distillation.selected_subspace(empty, 2, objective=objective)
    found = distillation.final_gram(empty, dim=2, objective="mae")
    np.testing.assert_allclose(found, np.diag([0.5, 0, 0]), atol=1e-12)


def test_a_masked_autoencoder_does_not_choose_between_directions_of_equal_variance():
    moments = Moments(np.eye(3), np.diag([0.8, 0.5, -0.5]))
    with pytest.raises(InputError, match="equal variance"):
        distillation.selected_subspace(moments, 2, objective="mae")
    found = distillation.selected_subspace(moments, 1, objective="mae")
    np.testing.assert_allclose(abs(found), [[1, 0, 0]], atol=1e-12)


def test_a_masked_autoencoder_learns_modes_of_negative_covariance_from_a_generic_start():
    moments = Moments(np.eye(2), np.diag([0.5, -0.3]))
    rng = np.random.default_rng(0)
    first, v = (0.1 * np.eye(2) + 1e-4 * rng.normal(size=(2, 2)) for _ in range(2))
    layers, _, _ = integrate_matrices([first], v, *moments[:2], 400.0, "mae")
    found = distillation.final_gram(moments, objective="mae")
    np.testing.assert_allclose(layers[0].T @ layers[0], found, atol=1e-2)


def test_amplitudes_of_a_repeated_time_are_repeated():
    start = distillation.CosineModes(np.array([0.2, 0.9]), np.array([0.04, 0.81]))
    for times in ([0.0, 0.0], [1.0, 1.0], [0.5, 1.0, 1.0, 50.0, 500.0, 500.0]):
        found = distillation.cosine_amplitudes(times, tuple(start), 0.25, 0.01)
        alone = [distillation.cosine_amplitudes([t], start, 0.25, 0.01) for t in times]
        for part in range(2):
            expected = np.concatenate([x[part] for x in alone])
            np.testing.assert_allclose(found[part], expected, rtol=1e-8)


def test_two_views_without_a_common_part_are_predicted_to_learn_nothing():
    """With S_yx = 0 every layer obeys dw/dt = -s w^3, so w = w_0 / sqrt(1 + 2 s w_0^2 t)."""
    data = pairs_with_moments(Moments(2 * np.eye(2), np.zeros((2, 2)), np.eye(2)))
    problem = Problem(
        fixed(data), aligned(2, start=0.1), jepa, gradient_descent(0.1),
        target_objective(linear_stack, linear_head, jepa),
    )  # fmt: skip
    at = np.array([0.0, 10.0, 100.0])
    found = distillation.predict(problem, at, jax.random.key(0)).observables
    np.testing.assert_allclose(found["eigenvalues"], 0, atol=1e-12)
    w = 0.1 / np.sqrt(1 + 2 * 2 * 0.1**2 * at)
    np.testing.assert_allclose(found["loss"], 2 * w**4 + w**2, rtol=1e-6)


def test_an_array_is_no_name_of_an_objective():
    with pytest.raises(InputError, match="unknown objective"):
        distillation.critical_time(1.0, 0.5, 0.1, objective=np.array(["jepa", "mae"]))
    assert distillation.critical_time(1.0, 0.5, 0.1, objective=np.str_("jepa")) > 0


@pytest.mark.float32
def test_a_start_that_rounds_to_its_level_is_refused():
    with pytest.raises(InputError, match="start must be below"):
        distillation.averaged_delay(jnp.float32(0.8), 0.4 - 1e-9, 10.0)


@pytest.mark.parametrize("commute", [True, False])
@pytest.mark.parametrize("symmetric", [True, False])
def test_ties_that_rounding_splits_are_refused(commute, symmetric):
    rng = np.random.default_rng(0)
    values = np.diag([0.8, 0.5, 0.5, 0.3])
    for _ in range(25):
        turn = np.linalg.qr(rng.normal(size=(4, 4)))[0]
        other = turn if commute else np.linalg.qr(rng.normal(size=(4, 4)))[0]
        context = other @ np.diag([1.0, 2, 3, 4]) @ other.T
        if symmetric:  # S_yx = R D R^T with R R^T = S_x has the coefficients D
            root = np.linalg.cholesky(context) @ turn
            cross = root @ values @ root.T
            cross = (cross + cross.T) / 2
        else:
            basis = turn + 0.2 * rng.normal(size=(4, 4))
            cross = basis @ values @ np.linalg.inv(basis) @ context
        moments = Moments(context, cross, 100 * np.eye(4))
        for function in (distillation.selected_subspace, distillation.final_gram):
            with pytest.raises(InputError, match="equal real parts"):
                function(moments, dim=2)
            function(moments, dim=1)
            function(moments, dim=3)


@pytest.mark.parametrize("small", [2.0**-14, 2.0**-20, 2.0**-26])
def test_ties_of_explained_variance_are_refused_for_ill_conditioned_contexts(small):
    rng = np.random.default_rng(0)
    sizes, rho = np.array([1.0, small]), np.array([small**0.5, 1.0]) / 2
    for _ in range(20):
        turn = np.linalg.qr(rng.normal(size=(2, 2)))[0]
        context, cross = (turn * sizes) @ turn.T, (turn * (sizes * rho)) @ turn.T
        moments = Moments((context + context.T) / 2, (cross + cross.T) / 2, np.eye(2))
        with pytest.raises(InputError, match="explain equal variance"):
            distillation.selected_subspace(moments, dim=1, objective="mae")
