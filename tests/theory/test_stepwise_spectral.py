import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from jssl.errors import InputError
from jssl.theory.stepwise.spectral import (
    saturation,
    spectral_factor,
    spectral_gram,
    spectral_loss,
    whiten,
)

SPECTRA = {
    "positive": [0.9, 0.7, 0.5, 0.3, 0.2],
    "mixed": [0.9, 0.4, 0.1, -0.2, -0.6],
    "with a zero": [0.8, 0.5, 0.0, -0.1, -0.3],
    "negative": [-0.1, -0.2, -0.3, -0.4, -0.5],
}
TIMES = np.array([0.0, 0.05, 0.4, 1.5, 4.0])


def symmetric(eigenvalues, seed=0):
    basis = np.linalg.qr(np.random.default_rng(seed).normal(size=2 * [len(eigenvalues)]))[0]
    return basis * np.array(eigenvalues) @ basis.T


def integrated(start, cross, times=TIMES):
    """W^T W by integrating the gradient of the loss, whitened inputs."""

    def velocity(_, flat):
        w = flat.reshape(start.shape)
        return -(4 * w @ w.T @ w - 4 * w @ cross).ravel()

    end = (0, times[-1])
    options = {"method": "DOP853", "rtol": 1e-12, "atol": 1e-18, "t_eval": times}
    path = solve_ivp(velocity, end, start.ravel(), **options).y.T.reshape(-1, *start.shape)
    return np.swapaxes(path, 1, 2) @ path


@pytest.mark.parametrize("dim", [1, 3, 7])
@pytest.mark.parametrize("spectrum", SPECTRA.values(), ids=SPECTRA)
def test_any_start_follows_the_integrated_flow(spectrum, dim):
    cross = symmetric(spectrum)
    start = np.random.default_rng(dim).normal(size=(dim, 5))
    found = spectral_gram(TIMES, start, cross)
    np.testing.assert_allclose(found, integrated(start, cross), atol=1e-10)


def test_a_small_start_keeps_its_relative_accuracy():
    cross = symmetric(SPECTRA["mixed"])
    start = 1e-7 * np.random.default_rng(0).normal(size=(3, 5))
    expected = integrated(start, cross)
    error = np.abs(spectral_gram(TIMES, start, cross) - expected).max((1, 2))
    assert (error < 1e-9 * np.abs(expected).max((1, 2))).all()


@pytest.mark.parametrize("dim", [1, 3, 7])
def test_a_start_of_low_rank_or_that_misses_top_modes_needs_no_care(dim):
    # in the eigenbasis exact zeros stay zero for the integrator as well
    cross = np.diag(SPECTRA["mixed"])
    random = np.random.default_rng(dim)
    rank_one = np.outer(random.normal(size=dim), random.normal(size=5))
    missing = random.normal(size=(dim, 5)) * [0.0, 1.0, 0.0, 1.0, 1.0]
    for start in (rank_one, missing, rank_one * [0, 0, 1, 1, 1], np.zeros((dim, 5))):
        found = spectral_gram(TIMES, start, cross)
        np.testing.assert_allclose(found, integrated(start, cross), atol=1e-10)


def test_a_mode_that_the_start_misses_is_never_learned():
    start = 1e-3 * np.array([[0, 1, 1, 0, 0], [0, 1, -2, 0, 0], [0, 0, 0, 0, 0]])
    gram = spectral_gram(1e5, start, np.diag([0.9, 0.5, 0.2, 0.1, 0.1]))
    np.testing.assert_allclose(gram, np.diag([0, 0.5, 0.2, 0, 0]), atol=1e-14)


def test_rounding_of_a_low_rank_start_is_not_learned():
    # in a rotated basis the missing directions hold rounding, which e^{8 t} would bring up
    cross = symmetric(SPECTRA["positive"])
    random = np.random.default_rng(9)
    start = np.outer(random.normal(size=3), random.normal(size=5))
    value, vector = 0.9, np.linalg.eigh(cross)[1][:, -1]
    gram = spectral_gram(1e3, start, cross)
    np.testing.assert_allclose(gram, value * np.outer(vector, vector), atol=1e-12)


def test_rounding_of_a_missed_mode_is_not_blown_up_by_a_small_one():
    cross = symmetric(SPECTRA["positive"])
    modes = np.linalg.eigh(cross)[1].T[::-1]
    outputs = np.random.default_rng(10).normal(size=(2, 3))
    start = np.outer(outputs[0], modes[1]) + 1e-9 * np.outer(outputs[1], modes[2])
    expected = 0.7 * np.outer(modes[1], modes[1]) + 0.5 * np.outer(modes[2], modes[2])
    np.testing.assert_allclose(spectral_gram(1e3, start, cross), expected, atol=1e-12)


def test_the_aligned_start_is_logistic_mode_by_mode():
    eigenvalues = np.array([0.9, 0.4, 0.1, -0.2, -0.6])
    sizes = np.array([1e-3, 0.5, 2.0, 0.3, 1.0])
    t = 1.5 * TIMES[:, None]
    rises = np.exp(8 * eigenvalues * t)
    expected = sizes**2 * rises / (1 + sizes**2 * (rises - 1) / eigenvalues)
    gram = spectral_gram(t[:, 0], np.diag(sizes), np.diag(eigenvalues))
    np.testing.assert_allclose(np.diagonal(gram, axis1=1, axis2=2), expected, rtol=1e-13)


@pytest.mark.parametrize("seed", range(3))
def test_going_on_from_a_later_start_is_the_same_flow(seed):
    # far beyond what an integrator or the textbook formula bears: e^{8 t} = e^{400}
    cross = symmetric([1.0, 0.7, 0.4, 0.2, -0.3], seed)
    start = 1e-3 * np.random.default_rng(seed).normal(size=(3, 5))
    late = spectral_gram(50.0, start, cross)
    for share in (0.1, 0.5):
        middle = spectral_factor(50.0 * share, start, cross)
        np.testing.assert_allclose(
            spectral_gram(50.0 * (1 - share), middle, cross), late, atol=1e-12
        )


def test_late_times_end_at_the_top_positive_part():
    cross = symmetric(SPECTRA["mixed"])
    start = np.random.default_rng(0).normal(size=(3, 5))
    values, vectors = np.linalg.eigh(cross)
    top = vectors[:, -3:] * values[-3:] @ vectors[:, -3:].T
    for t in (1e3, 1e8, 1e300):
        np.testing.assert_allclose(spectral_gram(t, start, cross), top, atol=1e-13)
    factor = spectral_factor(1e8, start, cross)
    np.testing.assert_allclose(spectral_loss(factor, cross), 3 - (values[-3:] ** 2).sum())


@pytest.mark.parametrize("t", [0.0, 0.3, 50.0, 1e6])
def test_gradients_are_finite_and_right_at_any_time(t):
    cross, start = jnp.asarray(symmetric(SPECTRA["mixed"])), jnp.asarray(0.1 * np.eye(3, 5) + 0.02)
    probe = np.random.default_rng(1).normal(size=(5, 5))

    def value(t, start, cross):
        return (spectral_gram(t, start, cross) * probe).sum()

    slopes = jax.jit(jax.grad(value, (0, 1, 2)))(t, start, cross)
    assert all(jnp.isfinite(slope).all() for slope in slopes)
    gram = spectral_gram(t, start, cross)
    flow = 4 * (gram @ cross + cross @ gram) - 8 * gram @ gram
    np.testing.assert_allclose(slopes[0], (flow * probe).sum(), atol=1e-10)
    if t < 1:
        nudge = 1e-5 * np.random.default_rng(2).normal(size=(3, 5))
        change = value(t, start + nudge, cross) - value(t, start - nudge, cross)
        np.testing.assert_allclose((slopes[1] * nudge).sum(), change / 2, rtol=1e-6)


def test_the_factor_is_the_weight_up_to_a_rotation():
    cross = symmetric(SPECTRA["mixed"])
    start = np.random.default_rng(3).normal(size=(3, 5))
    factor = spectral_factor(TIMES, start, cross)
    np.testing.assert_allclose(factor[0] @ factor[0].T @ factor[0], factor[0] @ (start.T @ start))
    np.testing.assert_allclose(
        np.linalg.eigvalsh(factor[0] @ factor[0].T), np.linalg.eigvalsh(start @ start.T)
    )
    assert factor.shape == (5, 3, 5)
    assert spectral_factor(1.0, start, cross).shape == (3, 5)


def test_vmap_over_starts_equals_a_loop():
    cross = symmetric(SPECTRA["mixed"])
    starts = np.random.default_rng(4).normal(size=(2, 3, 5))
    together = jax.vmap(lambda start: spectral_gram(TIMES, start, cross))(starts)
    apart = [spectral_gram(TIMES, start, cross) for start in starts]
    np.testing.assert_allclose(together, apart, atol=1e-12)


def test_the_loss_is_that_of_the_pairs():
    random = np.random.default_rng(5)
    y, noise = random.normal(size=(2, 40, 3))
    views = [y + 0.3 * noise, y - 0.3 * noise]
    sigma = sum(v.T @ v for v in views) / 80
    gamma = (views[0].T @ views[1] + views[1].T @ views[0]) / 80
    whitening = whiten(sigma, gamma)
    first, second = (v @ whitening.inverse_root for v in views)
    w = random.normal(size=(2, 3))
    za, zb = first @ w.T, second @ w.T
    both = np.concatenate([za, zb])
    expected = ((both @ both.T) ** 2).mean() - 2 * (za * zb).sum(1).mean() + 2
    np.testing.assert_allclose(spectral_loss(jnp.asarray(w), whitening.cross), expected)


def test_whitening_solves_the_preconditioned_flow_of_raw_inputs():
    random = np.random.default_rng(6)
    mixing = random.normal(size=(5, 5))
    sigma = mixing @ mixing.T + 0.1 * np.eye(5)
    gamma = symmetric(SPECTRA["mixed"], 7)
    start = 0.1 * random.normal(size=(3, 5))
    inverse = np.linalg.inv(sigma)

    def velocity(_, flat):
        w = flat.reshape(3, 5)
        return ((4 * w @ gamma - 4 * w @ sigma @ w.T @ w @ sigma) @ inverse).ravel()

    end = solve_ivp(velocity, (0, 3), start.ravel(), method="DOP853", rtol=1e-11, atol=1e-14)
    expected = end.y[:, -1].reshape(3, 5)
    cross, root, inverse_root = whiten(sigma, gamma)
    factor = spectral_factor(3.0, start @ root, cross) @ inverse_root
    np.testing.assert_allclose(factor.T @ factor, expected.T @ expected, atol=1e-8)


def test_whitening_drops_directions_without_variance():
    sigma, gamma = np.diag([2.0, 1.0, 0.0]), np.diag([1.0, 0.5, 0.0])
    cross, root, inverse_root = whiten(sigma, gamma)
    np.testing.assert_allclose(cross, np.diag([0.5, 0.5, 0]), atol=1e-15)
    np.testing.assert_allclose(root @ root, sigma, atol=1e-15)
    np.testing.assert_allclose(inverse_root @ root, np.diag([1, 1, 0]), atol=1e-15)


def test_saturation_is_smooth_through_rate_zero():
    rates = np.array([0.0, 1e-9, 9e-6, 1.3e-5, 2.0])
    direct = -np.expm1(-8 * rates[1:]) / rates[1:]
    np.testing.assert_allclose(saturation(1.0, rates), [8, *direct], rtol=1e-14)


@pytest.mark.float32
def test_single_precision_stays_finite_and_close():
    cross = symmetric(SPECTRA["mixed"])
    start = np.random.default_rng(8).normal(size=(3, 5))
    found = spectral_gram(TIMES, jnp.asarray(start), jnp.asarray(cross))
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, integrated(start, cross), atol=1e-4)
    assert jnp.isfinite(spectral_gram(1e30, jnp.asarray(start), jnp.asarray(cross))).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: spectral_gram(1.0, np.ones((2, 3)), np.eye(4)), r"start_weight must be \(d, 4\)"),
        (lambda: spectral_gram(1.0, np.ones((2, 3)), np.ones((3, 4))), "must be square"),
        (lambda: whiten(np.eye(3), np.eye(4)), "must be square"),
    ],
)
def test_bad_shapes_are_refused_in_one_line(call, message):
    with pytest.raises(InputError, match=message) as error:
        call()
    assert "\n" not in str(error.value)
