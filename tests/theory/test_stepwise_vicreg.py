import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from jssl.errors import InputError
from jssl.theory.stepwise.spectral import spectral_gram
from jssl.theory.stepwise.vicreg import (
    centred_moments,
    vicreg_final,
    vicreg_growth,
    vicreg_matrix,
    vicreg_scales,
)


def pairs(seed=0, n=60, m=4):
    random = np.random.default_rng(seed)
    common, noise, other = random.normal(size=(3, n, m))
    spread = np.array([1.5, 1.0, 0.8, 0.3])[:m] * (common + 0.2 * common[:, ::-1])
    views = [spread + np.linspace(0.1, 1, m) * z for z in (noise, other)]
    return [view - view.mean(0) for view in views]


def sample_loss(w, first, second, beta):
    """Written from the samples: squared covariance error and mean squared distance."""
    za, zb = first @ w.T, second @ w.T
    both = np.concatenate([za, zb])
    defect = both.T @ both / len(both) - np.eye(len(w))
    return (defect**2).sum() + beta * ((za - zb) ** 2).sum(1).mean()


def sample_gradient(w, first, second, beta):
    x = np.concatenate([first, second])
    z, difference = x @ w.T, first - second
    defect = z.T @ z / len(x) - np.eye(len(w))
    pull = 4 * defect @ (z.T @ x) / len(x)
    return pull + 2 * beta * w @ difference.T @ difference / len(first)


def integrated(start, first, second, beta, t, rtol=1e-11):
    def velocity(_, flat):
        return -sample_gradient(flat.reshape(start.shape), first, second, beta).ravel()

    small = 1e-12 * np.abs(start).max()
    path = solve_ivp(velocity, (0, t), start.ravel(), method="DOP853", rtol=rtol, atol=small)
    return path.y[:, -1].reshape(start.shape)


def test_the_oracle_descends_the_sample_loss():
    first, second = pairs()
    random = np.random.default_rng(1)
    w, nudge = random.normal(size=(2, 2, 4)) * [[[1]], [[1e-6]]]
    rise = sample_loss(w + nudge, first, second, 1.5) - sample_loss(w - nudge, first, second, 1.5)
    slope = (sample_gradient(w, first, second, 1.5) * nudge).sum()
    np.testing.assert_allclose(rise / 2, slope, rtol=1e-6)


@pytest.mark.parametrize("beta", [0.5, 1.0, 3.0])
def test_a_small_start_grows_along_the_eigenvectors_of_m(beta):
    first, second = pairs()
    growth = vicreg_growth(*centred_moments(first, second), beta)
    start = 1e-9 * np.random.default_rng(2).normal(size=(2, 4))
    end = integrated(start, first, second, beta, 0.3)
    expected = start @ growth.eigenvectors.T * np.exp(0.3 * growth.rates)
    np.testing.assert_allclose(end @ growth.eigenvectors.T, expected, rtol=1e-8)
    assert (jnp.diff(growth.rates) < 0).all()


@pytest.mark.parametrize(("beta", "positive"), [(0.5, 3), (1.0, 3), (3.0, 2)])
def test_the_flow_ends_at_the_generalised_eigenproblem(beta, positive):
    first, second = pairs()
    final = vicreg_final(*centred_moments(first, second), beta, dim=3)
    start = 0.1 * np.random.default_rng(3).normal(size=(3, 4))
    end = integrated(start, first, second, beta, 60.0, rtol=1e-8)
    np.testing.assert_allclose(end.T @ end, final.weight.T @ final.weight, atol=1e-6)
    np.testing.assert_allclose(sample_loss(end, first, second, beta), final.loss, atol=1e-8)
    z = np.concatenate([first, second]) @ end.T
    covariance = np.linalg.eigvalsh(z.T @ z / len(z))[::-1]
    np.testing.assert_allclose(covariance, final.eigenvalues, atol=1e-7)
    assert (final.eigenvalues > 0).sum() == positive


@pytest.mark.parametrize("dim", [2, 4, 6])
def test_the_final_loss_is_the_samples_own_and_the_least(dim):
    first, second = pairs(4)
    final = vicreg_final(*centred_moments(first, second), 1.3, dim)
    loss = sample_loss(np.asarray(final.weight), first, second, 1.3)
    np.testing.assert_allclose(loss, final.loss)
    assert np.abs(sample_gradient(np.asarray(final.weight), first, second, 1.3)).max() < 1e-12
    random = np.random.default_rng(5)
    near = final.weight + 0.1 * random.normal(size=(100, dim, 4))
    far = random.normal(size=(100, dim, 4))
    others = [sample_loss(np.asarray(w), first, second, 1.3) for w in (*near, *far)]
    assert min(others) >= loss


def test_directions_without_variance_are_left_out():
    first, second = pairs()
    narrow = vicreg_final(*centred_moments(first, second), 1.0, dim=2)
    still = [np.pad(view, ((0, 0), (0, 2)), constant_values=0.7) for view in (first, second)]
    wide = vicreg_final(*centred_moments(*still), 1.0, dim=2)
    gram = wide.weight.T @ wide.weight
    np.testing.assert_allclose(gram[:4, :4], narrow.weight.T @ narrow.weight, atol=1e-12)
    np.testing.assert_allclose(gram[4:], 0, atol=1e-12)
    np.testing.assert_allclose(wide.loss, narrow.loss)


def test_what_grows_first_is_not_what_is_kept():
    # a strong direction that augmentations destroy against a weak one that they spare
    sigma, gamma = jnp.diag(jnp.array([4.0, 0.5])), jnp.diag(jnp.array([1.2, 0.45]))
    growth, final = vicreg_growth(sigma, gamma, 1.0), vicreg_final(sigma, gamma, 1.0, dim=1)
    assert abs(growth.eigenvectors[0]).argmax() == 0
    assert abs(final.weight[0]).argmax() == 1


@pytest.mark.parametrize("beta", [0.0, 0.7, 1.0, 4.0])
def test_commuting_moments_have_a_closed_form(beta):
    basis = np.linalg.qr(np.random.default_rng(6).normal(size=(4, 4)))[0]
    sigma, gamma = np.array([2.0, 1.0, 0.8, 0.5]), np.array([1.5, 0.75, -0.2, 0.1])
    # four pairs whose moments are exactly these: x = sqrt(n sigma) v, mixed for the second view
    both = [np.sqrt(sigma + sign * gamma) for sign in (1, -1)]
    symmetric, odd = (np.diag(size) @ basis for size in both)
    first = np.concatenate([symmetric + odd, -symmetric - odd]) * np.sqrt(2)
    second = np.concatenate([symmetric - odd, odd - symmetric]) * np.sqrt(2)
    moments = centred_moments(first, second)
    np.testing.assert_allclose(moments.second, basis.T * sigma @ basis, atol=1e-12)
    np.testing.assert_allclose(moments.cross, basis.T * gamma @ basis, atol=1e-12)

    rotation = np.linalg.qr(np.random.default_rng(7).normal(size=(4, 4)))[0]
    scales = np.array([0.3, 1e-3, 0.5, 2.0])
    growth = (1 - beta) * sigma + beta * gamma
    for t in (0.3, 2.0):
        expected = rotation * np.asarray(vicreg_scales(t, scales, sigma, growth)) @ basis
        end = integrated(rotation * scales @ basis, first, second, beta, t)
        np.testing.assert_allclose(end, expected, atol=2e-9)


def test_whitened_scales_are_those_of_the_riccati_solution():
    growth, scales = np.array([0.6, 0.2, -0.4]), np.array([1e-3, 0.2, 1.0])
    t = np.array([0.1, 4.0, 30.0])
    gram = spectral_gram(t, np.diag(scales), np.diag(growth))
    expected = np.sqrt(np.diagonal(gram, axis1=1, axis2=2))
    np.testing.assert_allclose(vicreg_scales(t, scales, np.ones(3), growth), expected, rtol=1e-12)


def test_scales_end_where_theory_says_and_never_overflow():
    sigma, growth = jnp.array([2.0, 2.0, 2.0, 2.0]), jnp.array([1.0, 0.0, -1.0, 1.0])
    scales = jnp.array([1e-3, 0.5, 5.0, 0.0])
    late = vicreg_scales(jnp.array([0.0, 1e3, 1e100]), scales, sigma, growth)
    np.testing.assert_allclose(late[0], scales)
    # sqrt(mu) / sigma; (s_0^-2 + 8 sigma^2 t)^-1/2; 0; a start of zero stays
    np.testing.assert_allclose(late[1], [0.5, (4 + 32e3) ** -0.5, 0, 0], atol=1e-14)
    np.testing.assert_allclose(late[2], [0.5, 0, 0, 0], atol=1e-14)
    slope = jax.jit(jax.grad(lambda *a: vicreg_scales(*a).sum(), (0, 1, 2, 3)))
    for t in (0.0, 1.0, 1e100):
        slopes = slope(t, scales, sigma, growth)
        assert all(jnp.isfinite(slope).all() for slope in slopes)


def test_moments_are_centred_view_by_view():
    random = np.random.default_rng(8)
    first, second = random.normal(size=(2, 30, 3)) + np.array([1.0, -2.0])[:, None, None]
    sigma, gamma = centred_moments(first, second)
    covariance = np.cov(np.concatenate([first, second], 1).T, bias=True)
    np.testing.assert_allclose(sigma, (covariance[:3, :3] + covariance[3:, 3:]) / 2)
    np.testing.assert_allclose(gamma, (covariance[:3, 3:] + covariance[3:, :3]) / 2)


def test_beta_may_be_traced_and_mapped():
    moments = centred_moments(*pairs())
    betas = jnp.array([0.5, 1.0, 3.0])
    losses = jax.jit(jax.vmap(lambda beta: vicreg_final(*moments, beta, 2).loss))(betas)
    apart = [vicreg_final(*moments, beta, 2).loss for beta in betas]
    np.testing.assert_allclose(losses, apart, rtol=1e-12)
    np.testing.assert_allclose(vicreg_matrix(*moments, 1.0), moments.cross)
    np.testing.assert_allclose(vicreg_matrix(*moments, 0.0), moments.second)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: vicreg_final(jnp.eye(3), jnp.eye(3), 1.0, 0), "dim must be a whole number"),
        (lambda: vicreg_final(jnp.ones((3, 2)), jnp.ones((3, 2)), 1.0, 1), "must be square"),
        (lambda: centred_moments(jnp.ones((3, 2)), jnp.ones((4, 2))), r"must be \(n, m\) of one"),
    ],
)
def test_bad_input_is_refused_in_one_line(call, message):
    with pytest.raises(InputError, match=message) as error:
        call()
    assert "\n" not in str(error.value)
