"""Equal and close eigenvalues, against the integrated flow."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from jssl.kernels.contrastive import contrastive_modes
from jssl.theory import stepwise
from jssl.theory.stepwise.many_starts import effective_modes_of_starts


def flow(gamma, start, times):
    """Weights (points, dim, m) of the flow with Gamma = diag(gamma)."""
    gamma = np.asarray(gamma)

    def rate(_, w):
        w = w.reshape(start.shape)
        return (-4 * ((w * gamma) @ w.T - np.eye(len(w))) @ (w * gamma)).ravel()

    options = {"rtol": 1e-9, "atol": 1e-13, "t_eval": times}
    run = solve_ivp(rate, (0, times[-1]), start.ravel(), "DOP853", **options)
    return run.y.T.reshape(-1, *start.shape)


def spectra(weights, gamma):
    return np.linalg.eigvalsh((weights * gamma) @ weights.swapaxes(1, 2))[:, ::-1]


def predicted(gamma, start, times):
    found = stepwise.trajectory(jnp.asarray(times), jnp.diag(jnp.asarray(gamma)), start)
    return np.asarray(found.observables["eigenvalues"])


@pytest.mark.parametrize(
    ("gamma", "dim"),
    [
        ([1.0, 0.5, 0.5, 0.1], 3),  # a tie
        ([1.0, 0.5, 0.5, 0.5, 0.1], 2),  # a tie across the last output
        ([1.0, 1.0, 1.0, 1.0], 2),
        ([1.0, 0.5, 0.49, 0.1], 3),  # close
        ([1.0, 0.5, 0.45, 0.4, 0.1], 4),
        ([1.0, 0.95, -0.4], 3),
        ([1.0, 0.9, 0.85], 5),  # more outputs than modes
        (list(np.linspace(1, 0.3, 12)), 5),  # dense
    ],
)
@pytest.mark.parametrize("alpha", [1e-3, 1e-6])
def test_the_spectrum_is_that_of_the_flow_at_any_gap(gamma, dim, alpha):
    start = alpha * np.random.default_rng(1).standard_normal((dim, len(gamma)))
    slowest = min(g for g in gamma[:dim] if g > 0)
    times = np.linspace(0, (-np.log(alpha**2) * 1.2 + 20) / (8 * slowest), 400)
    seen = spectra(flow(gamma, start, times), gamma)
    found = predicted(gamma, jnp.asarray(start), times)
    setting = stepwise.Setting(jnp.diag(jnp.asarray(gamma)), jnp.asarray(start), None)
    estimate = float(stepwise.assess(setting).spectrum)
    assert np.abs(found - seen).max() < estimate + 0.003
    assert estimate < 0.03


def test_half_times_of_a_tie_follow_from_the_singular_values_of_its_block():
    gamma = np.array([1.0, 0.5, 0.5, 0.1])
    start = 1e-6 * np.random.default_rng(1).standard_normal((3, 4))
    first = np.linalg.qr(start[:, :1], mode="complete")[0][:, 1:]
    block = np.linalg.svd(first.T @ start[:, 1:3])[1]
    exact = np.log(1 / (0.5 * block**2) - 1) / 4
    scales = stepwise.effective_modes(jnp.asarray(start), jnp.asarray(gamma))
    np.testing.assert_allclose(stepwise.half_time(*scales)[1:], exact, rtol=1e-3)
    diagonal = stepwise.align(jnp.asarray(start), stepwise.modes(jnp.diag(gamma), 3))
    off = stepwise.half_time(diagonal.start_scales, jnp.asarray(gamma[:3]))[1:]
    assert np.abs(off - exact).max() > 0.02 * exact.max()  # the QR diagonal does not


def test_far_apart_they_are_the_qr_alignment():
    gamma = jnp.array([1.0, 0.3, 0.05, -0.2])
    start = 1e-8 * jnp.asarray(np.random.default_rng(0).standard_normal((4, 4)))
    scales, growth = stepwise.effective_modes(start, gamma)
    aligned = stepwise.qr_alignment(start).start_scales
    np.testing.assert_allclose(scales, aligned, rtol=1e-6)
    np.testing.assert_allclose(growth, gamma, rtol=1e-6)


def test_adapted_modes_give_the_weights_of_the_flow_in_a_tie():
    gamma = np.array([0.5, 0.5, 0.5, -1.0])
    start = 1e-2 * np.random.default_rng(2).standard_normal((2, 4))
    start[:, 3] = 0
    times = np.linspace(0, 6, 60)
    seen = flow(gamma, start, times)
    every = stepwise.modes(jnp.diag(jnp.asarray(gamma)))
    top = stepwise.adapt_modes(jnp.asarray(start), every)
    aligned = stepwise.align(jnp.asarray(start), top)
    found = stepwise.weight(jnp.asarray(times), aligned.start_scales, top, aligned.rotation)
    np.testing.assert_allclose(found, seen, atol=1e-7)
    plain = stepwise.modes(jnp.diag(jnp.asarray(gamma)), 2)
    aligned = stepwise.align(jnp.asarray(start), plain)
    off = stepwise.weight(jnp.asarray(times), aligned.start_scales, plain, aligned.rotation)
    assert np.abs(off - seen).max() > 0.1


def test_a_kernel_with_equal_eigenvalues_follows_the_flow_of_its_features():
    gamma, draws = np.array([0.5, 0.5, 0.5]), np.random.default_rng(4)
    q = np.linalg.qr(draws.standard_normal((12, 3)))[0] * np.sqrt(12)
    x = np.concatenate([q, q]) * np.sqrt(gamma)
    start = 1e-2 * draws.standard_normal((3, 3))
    times = np.linspace(0, 6, 30)
    gram = jnp.asarray(x @ x.T)
    found = stepwise.embedding(
        jnp.asarray(times), contrastive_modes(gram, 3), gram, jnp.asarray(x @ start.T)
    )
    seen = x @ flow(gamma, start, times).swapaxes(1, 2)
    np.testing.assert_allclose(found, seen, atol=1e-6)


@pytest.mark.parametrize("alpha", [1e-30, 1e-3, 3.0])
def test_any_size_of_the_start_is_borne_in_single_precision(alpha):
    start = np.random.default_rng(0).standard_normal((2, 3))
    single = stepwise.effective_modes(
        jnp.asarray(alpha * start, jnp.float32), jnp.array([1.0, 0.5, 0.45], jnp.float32)
    )
    double = stepwise.effective_modes(jnp.asarray(alpha * start), jnp.array([1.0, 0.5, 0.45]))
    assert single.start_scales.dtype == jnp.float32
    np.testing.assert_allclose(single.start_scales, double.start_scales, rtol=2e-3)


def test_a_start_of_lower_rank_learns_as_many_dimensions():
    gamma = jnp.array([1.0, 0.5, 0.5])
    one = 1e-3 * jnp.ones((2, 3))
    assert (stepwise.effective_modes(one, gamma).start_scales > 0).tolist() == [True, False]
    assert (stepwise.effective_modes(0 * one, gamma).start_scales == 0).all()


@pytest.mark.parametrize("seed", range(10))
def test_a_start_of_rank_one_learns_one_dimension_in_any_basis(seed):
    draws = np.random.default_rng(seed)
    start = 1e-3 * np.outer(draws.standard_normal(3), draws.standard_normal(5))
    gamma = np.array([1.0, 0.5, 0.5, 0.2, -0.1])
    for found in (
        stepwise.effective_modes(jnp.asarray(start), jnp.asarray(gamma)).start_scales,
        effective_modes_of_starts(start[None], gamma).start_scales[0],
    ):
        assert (np.asarray(found) > 0).tolist() == [True, False, False]


def test_derivatives_are_those_of_finite_differences():
    gamma = np.array([1.0, 0.5, 0.48, 0.2])
    start = 1e-3 * np.random.default_rng(0).standard_normal((3, 4))
    times = jnp.array([6.0, 7.0, 8.0])

    def total(start, gamma):
        return stepwise.mode_eigenvalues(times, *stepwise.effective_modes(start, gamma)).sum()

    slopes = jax.jit(jax.grad(total, (0, 1)))(jnp.asarray(start), jnp.asarray(gamma))
    for place, size in (((1, 2), 1e-9), ((0, 1), 1e-9)):
        step = np.zeros_like(start)
        step[place] = size
        rise = (total(start + step, gamma) - total(start - step, gamma)) / (2 * size)
        np.testing.assert_allclose(slopes[0][place], rise, rtol=1e-3)
    for j in (1, 2):
        step = 1e-6 * np.eye(4)[j]
        rise = (total(start, gamma + step) - total(start, gamma - step)) / 2e-6
        np.testing.assert_allclose(slopes[1][j], rise, rtol=1e-3)


def test_close_modes_of_a_large_start_are_flagged_with_their_error():
    gamma = jnp.array([1.0, 0.4, 0.1])
    small, large = (stepwise.error_estimate(a, gamma, 2).spectrum for a in (1e-4, 0.3))
    assert small < 0.01
    assert large > 5 * small
    assert stepwise.error_estimate(1e-4, jnp.array([1.0, 0.5, 0.5]), 3).spectrum < 0.01
