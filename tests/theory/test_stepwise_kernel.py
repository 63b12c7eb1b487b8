"""The closed form in function space against direct integration, at the views and elsewhere."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import block_diag, null_space

from jssl.errors import InputError
from jssl.kernels.contrastive import contrastive_modes, embed
from jssl.theory import stepwise

PAIRS, DIM = 5, 2
TIMES = np.array([0.0, 1.0, 2.0, 4.0, 9.0])


class Case(NamedTuple):
    """A kernel at 2n views and q queries, with the modes and root of the slow route."""

    gram: np.ndarray
    cross: np.ndarray
    values: np.ndarray
    vectors: np.ndarray
    root: np.ndarray


def kernel(a, b):
    return np.exp(-np.square(a[:, None] - b).sum(-1) / 4)


def swapped(f):
    return np.roll(f, len(f) // 2, axis=0)


def spectrum(gram):
    """K_Gamma by the square root of K, which the code never takes: (values, vectors, root)."""
    w, v = np.linalg.eigh(gram)
    root = (v * np.sqrt(np.maximum(w, 0))) @ v.T
    values, vectors = np.linalg.eigh(root @ swapped(root) / len(gram))
    return values[::-1], vectors[:, ::-1], root


def rbf_case():
    draws = np.random.default_rng(0)
    first = draws.standard_normal((PAIRS, 3)) * np.array([2.0, 1.5, 1.0])
    z = np.concatenate([first, first + 0.3 * draws.standard_normal((PAIRS, 3))])
    gram = kernel(z, z)
    return Case(gram, kernel(draws.standard_normal((3, 3)), z), *spectrum(gram))


CASE = rbf_case()


def integrate(gram, start, cross, start_cross, times, n):
    """F and f at the times from the gradient flow in function space."""
    rows, dim = start.shape
    both = np.concatenate([gram, cross])

    def rate(_, state):
        f = state.reshape(-1, dim)[:rows]
        c = f.T @ swapped(f) / (2 * n)
        return (-2 / n * both @ swapped(f) @ (c - np.eye(dim))).ravel()

    state = np.concatenate([start, start_cross]).ravel()
    run = solve_ivp(rate, (0, times[-1]), state, "DOP853", times, rtol=1e-12, atol=1e-14)
    states = run.y.T.reshape(len(times), -1, dim)
    return states[:, :rows], states[:, rows:]


def aligned_start(case, scales, rotation):
    """F_0 = K^{1/2} V diag(s) U^T and f_0(x) = k(x, Z) K^{-1} F_0."""
    start = case.root @ case.vectors[:, : len(scales)] * scales @ rotation.T
    return start, case.cross @ np.linalg.solve(case.gram, start)


ROTATION = np.array([[0.6, -0.8], [0.8, 0.6]])
SCALES = np.array([0.2, 0.3])


def test_the_flow_in_function_space_is_the_gradient_flow_of_the_loss():
    draws = np.random.default_rng(1)
    features = draws.standard_normal((2 * PAIRS, 4))
    weight = draws.standard_normal((DIM, 4))

    def loss(w):
        f = features @ w.T
        c = f.T @ jnp.roll(f, PAIRS, axis=0) / (2 * PAIRS)
        return jnp.square(c - jnp.eye(DIM)).sum()

    f = features @ weight.T
    c = f.T @ swapped(f) / (2 * PAIRS)
    rate = -2 / PAIRS * features @ features.T @ swapped(f) @ (c - np.eye(DIM))
    np.testing.assert_allclose(features @ -jax.grad(loss)(weight).T, rate, rtol=1e-11)


def test_embedding_follows_the_flow_at_the_views_and_at_unseen_points():
    start, start_cross = aligned_start(CASE, SCALES, ROTATION)
    off_span = np.array([[0.3, -0.1], [0.0, 0.2], [-0.5, 0.4]])
    at_views, unseen = integrate(CASE.gram, start, CASE.cross, start_cross + off_span, TIMES, PAIRS)
    modes = contrastive_modes(jnp.asarray(CASE.gram), DIM)
    found = stepwise.embedding(jnp.asarray(TIMES), modes, CASE.gram, jnp.asarray(start))
    np.testing.assert_allclose(found, at_views, atol=1e-9)
    found = stepwise.embedding(
        jnp.asarray(TIMES),
        modes,
        CASE.gram,
        jnp.asarray(start),
        CASE.cross,
        jnp.asarray(start_cross + off_span),
    )
    np.testing.assert_allclose(found, unseen, atol=1e-9)
    in_span = stepwise.embedding(
        jnp.asarray(TIMES), modes, CASE.gram, jnp.asarray(start), CASE.cross
    )
    np.testing.assert_allclose(in_span, unseen - off_span, atol=1e-9)


def test_alignment_by_coefficients_is_that_by_the_inverse_root():
    start = np.random.default_rng(2).standard_normal((2 * PAIRS, DIM))
    modes = contrastive_modes(jnp.asarray(CASE.gram), DIM)
    rotation, scales = stepwise.align_embedding(jnp.asarray(start), modes)
    q, r = np.linalg.qr(start.T @ np.linalg.solve(CASE.root, CASE.vectors[:, :DIM]))
    np.testing.assert_allclose(scales, np.abs(np.diagonal(r)), rtol=1e-9)
    np.testing.assert_allclose(np.abs(rotation), np.abs(q), atol=1e-10)
    np.testing.assert_allclose(modes.eigenvalues, CASE.values[:DIM], rtol=1e-11)


def test_a_small_generic_start_follows_the_aligned_one():
    """To the order that the gaps of K_Gamma allow, at the views and elsewhere."""
    draws = np.random.default_rng(3).standard_normal((2 * PAIRS, DIM))
    modes = contrastive_modes(jnp.asarray(CASE.gram), DIM)
    errors = []
    for alpha in (1e-4, 1e-8):
        start = alpha * CASE.root @ draws
        start_cross = CASE.cross @ np.linalg.solve(CASE.gram, start)
        scales = stepwise.align_embedding(jnp.asarray(start), modes).start_scales
        last = float(stepwise.critical_time(scales, modes.eigenvalues).max())
        times = np.linspace(0, last + 10, 30)
        flow = integrate(CASE.gram, start, CASE.cross, start_cross, times, PAIRS)[1]
        found = stepwise.embedding(
            jnp.asarray(times), modes, CASE.gram, jnp.asarray(start), CASE.cross
        )
        errors.append(np.abs(found - flow).max())
    exponent = float(stepwise.error_estimate(1e-4, jnp.asarray(CASE.values), DIM).weight_exponent)
    slope = np.log(errors[0] / errors[1]) / np.log(1e4)
    assert abs(slope - exponent) < 0.1


def test_the_end_is_the_known_final_embedding_up_to_the_rotation():
    start, _ = aligned_start(CASE, SCALES, ROTATION)
    modes = contrastive_modes(jnp.asarray(CASE.gram), DIM)
    rotation = stepwise.align_embedding(jnp.asarray(start), modes).rotation
    end = stepwise.embedding(1e6, modes, CASE.gram, jnp.asarray(start), CASE.cross)
    np.testing.assert_allclose(end, embed(modes, CASE.cross) @ rotation.T, atol=1e-10)
    at_views = np.asarray(stepwise.embedding(1e6, modes, CASE.gram, jnp.asarray(start)))
    c = at_views.T @ swapped(at_views) / (2 * PAIRS)
    np.testing.assert_allclose(c, np.eye(DIM), atol=1e-10)


def test_identical_views_are_whitened_kernel_pca():
    x = np.random.default_rng(4).standard_normal((PAIRS, 3))
    gram = kernel(x, x)
    both = np.block([[gram, gram], [gram, gram]])
    values, vectors = np.linalg.eigh(gram / PAIRS)
    modes = contrastive_modes(jnp.asarray(both), DIM)
    np.testing.assert_allclose(modes.eigenvalues, values[::-1][:DIM], rtol=1e-12)
    start = np.tile(1e-3 * gram[:, :DIM], (2, 1))  # in the range of the singular K
    end = np.asarray(stepwise.embedding(1e6, modes, jnp.asarray(both), jnp.asarray(start)))[:PAIRS]
    component = vectors[:, ::-1][:, :DIM] * PAIRS**0.5
    np.testing.assert_allclose(end @ end.T, component @ component.T, atol=1e-9)


def test_what_a_singular_kernel_cannot_reach_stays():
    features = np.random.default_rng(5).standard_normal((2 * PAIRS, 4))
    gram = features @ features.T
    still = null_space(gram)[:, :DIM]
    inside = features[:, :DIM] * 1e-2
    modes = contrastive_modes(jnp.asarray(gram), 1)
    found = stepwise.embedding(3.0, modes, jnp.asarray(gram), jnp.asarray(inside + still))
    found -= stepwise.embedding(3.0, modes, jnp.asarray(gram), jnp.asarray(inside))
    np.testing.assert_allclose(null_space(gram).T @ found, null_space(gram).T @ still, atol=1e-9)


def test_two_networks_have_the_singular_values_of_the_product_of_roots():
    draws = np.random.default_rng(6)
    parts = [kernel(x, x) for x in (draws.standard_normal((PAIRS, s)) for s in (2, 4))]
    roots = [spectrum(part)[2] for part in (block_diag(p, p) for p in parts)]
    product = roots[0][:PAIRS, :PAIRS] @ roots[1][:PAIRS, :PAIRS]
    values = np.linalg.svd(product)[1] / (2 * PAIRS)
    gram = jnp.asarray(block_diag(*parts))
    modes = contrastive_modes(gram, DIM)
    np.testing.assert_allclose(modes.eigenvalues, values[:DIM], rtol=1e-10)
    np.testing.assert_allclose(spectrum(np.asarray(gram))[0][::-1][:DIM], -values[:DIM], rtol=1e-10)

    rows = kernel(draws.standard_normal((2, 2)), draws.standard_normal((PAIRS, 2)))
    cross = np.concatenate([rows, np.zeros_like(rows)], axis=1)  # seen by the first network
    case = Case(np.asarray(gram), cross, *spectrum(np.asarray(gram)))
    start, start_cross = aligned_start(case, SCALES, ROTATION)
    times = 4 * TIMES
    at_views, unseen = integrate(case.gram, start, cross, start_cross, times, PAIRS)
    arguments = jnp.asarray(times), modes, gram, jnp.asarray(start)
    np.testing.assert_allclose(stepwise.embedding(*arguments), at_views, atol=1e-9)
    np.testing.assert_allclose(
        stepwise.embedding(*arguments, jnp.asarray(cross)), unseen, atol=1e-9
    )


def test_a_zero_start_never_moves():
    modes = contrastive_modes(jnp.asarray(CASE.gram), DIM)
    found = stepwise.embedding(1e6, modes, CASE.gram, jnp.zeros((2 * PAIRS, DIM)))
    np.testing.assert_array_equal(found, 0)


def test_embedding_jits_and_differentiates_in_time():
    start, _ = aligned_start(CASE, SCALES, ROTATION)
    modes = contrastive_modes(jnp.asarray(CASE.gram), DIM)
    gram, start = jnp.asarray(CASE.gram), jnp.asarray(start)
    at = jax.jit(lambda t: stepwise.embedding(t, modes, gram, start))
    f, rate = jax.jvp(at, (jnp.array(1.3),), (jnp.array(1.0),))
    f = np.asarray(f)
    c = f.T @ swapped(f) / (2 * PAIRS)
    flow = -2 / PAIRS * CASE.gram @ swapped(f) @ (c - np.eye(DIM))
    np.testing.assert_allclose(rate, flow, atol=1e-10)


def test_shapes_that_do_not_fit_are_refused():
    modes = contrastive_modes(jnp.asarray(CASE.gram), DIM)
    with pytest.raises(InputError, match="start_embedding"):
        stepwise.align_embedding(jnp.ones((2 * PAIRS, 1)), modes)
    with pytest.raises(InputError, match="start_embedding"):
        stepwise.align_embedding(jnp.ones((PAIRS, DIM)), modes)
    with pytest.raises(InputError, match="cross"):
        stepwise.embedding(1.0, modes, CASE.gram, jnp.ones((2 * PAIRS, DIM)), jnp.ones((3, PAIRS)))
