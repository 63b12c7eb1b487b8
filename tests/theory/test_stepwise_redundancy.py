import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from jssl.errors import InputError
from jssl.theory.stepwise.redundancy import plateau, redundancy_staircase

GAMMA = np.array([1.0, 0.5, 0.25, 0.12, 0.05])
HADAMARD = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2


def weights(off_diagonal, dim):
    return off_diagonal + (1 - off_diagonal) * np.eye(dim)


def loss(covariance, off_diagonal):
    dim = covariance.shape[-1]
    return (weights(off_diagonal, dim) * (covariance - np.eye(dim)) ** 2).sum((-2, -1))


def integrated(off_diagonal, start, times):
    """Eigenvalues of C and the loss along the flow for Gamma = diag(GAMMA)."""
    dim = len(start)
    weight = weights(off_diagonal, dim)

    def velocity(_, flat):
        w = flat.reshape(start.shape)
        return -(4 * (weight * (w * GAMMA @ w.T - np.eye(dim))) @ w * GAMMA).ravel()

    end, small = (0, times[-1]), 1e-9 * np.abs(start).max()
    options = {"method": "DOP853", "rtol": 1e-9, "atol": small, "t_eval": times}
    path = solve_ivp(velocity, end, start.ravel(), **options).y.T.reshape(-1, *start.shape)
    covariance = path * GAMMA @ np.swapaxes(path, 1, 2)
    return np.linalg.eigvalsh(covariance)[:, ::-1], loss(covariance, off_diagonal)


def small_start(scale, seed, dim=4):
    start = scale * np.random.default_rng(seed).normal(size=(dim, len(GAMMA)))
    return start, np.abs(np.diag(np.linalg.qr(start[:, :dim])[1]))


@pytest.mark.parametrize("off_diagonal", [0.0051, 0.3, 1.0, 3.0])
@pytest.mark.parametrize("rank", range(5))
def test_a_plateau_is_the_least_loss_of_its_rank(rank, off_diagonal):
    level, least, _ = plateau(rank, 4, off_diagonal)
    random = np.random.default_rng(rank)
    factors = random.normal(size=(2000, 4, rank)) * random.uniform(0.2, 2, (2000, 1, 1))
    tried = loss(factors @ np.swapaxes(factors, 1, 2), off_diagonal)
    assert (tried > least - 1e-12).all()
    basis = HADAMARD if off_diagonal < 1 else np.eye(4)
    # rank two of constant diagonal: any two Hadamard columns
    projector = basis[:, :rank] @ basis[:, :rank].T
    np.testing.assert_allclose(loss(float(level) * projector, off_diagonal), least, atol=1e-12)


@pytest.mark.parametrize("off_diagonal", [0.0051, 0.3, 1.0, 3.0])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_on_a_plateau_only_unlearned_outputs_are_pushed(rank, off_diagonal):
    level, _, growth = plateau(rank, 4, off_diagonal)
    basis = HADAMARD if off_diagonal < 1 else np.eye(4)
    projector = basis[:, :rank] @ basis[:, :rank].T
    push = -weights(off_diagonal, 4) * (float(level) * projector - np.eye(4))
    np.testing.assert_allclose(push, float(growth) * (np.eye(4) - projector), atol=1e-14)


def test_the_known_plateau_of_weight_0051_is_visited():
    level, height, growth = plateau(1, 4, 0.0051)
    np.testing.assert_allclose([level, height], [3.93972, 0.060278], rtol=1e-5)
    np.testing.assert_allclose(8 * 0.5 * growth, 0.08037, rtol=1e-4)
    times = np.linspace(20, 60, 5)
    eigenvalues, losses = integrated(0.0051, small_start(1e-6, 0)[0], np.append(0, times))
    # the plateau bends in proportion to the eigenvalue that leaves it
    small = 3 * eigenvalues[1:, 1]
    assert small.max() < 1e-3
    assert (np.abs(eigenvalues[1:, 0] - level) < small).all()
    assert (np.abs(losses[1:] - height) < small).all()
    rate = np.polyfit(times, np.log(eigenvalues[1:, 1]), 1)[0]
    np.testing.assert_allclose(rate, 8 * 0.5 * growth, rtol=1e-3)


@pytest.mark.parametrize("off_diagonal", [0.1, 3.0])
def test_losses_go_down_the_staircase(off_diagonal):
    start, scales = small_start(1e-8, 1)
    stairs = redundancy_staircase(scales, GAMMA[:4], off_diagonal)
    middles = (stairs.times[:-1] + stairs.times[1:]) / 2
    times = np.concatenate([[0.0], middles, [2 * stairs.times[-1]]])
    eigenvalues, losses = integrated(off_diagonal, start, times)
    np.testing.assert_allclose(losses, stairs.plateaus.loss, atol=2e-3)
    for rank in range(1, 5):
        np.testing.assert_allclose(
            eigenvalues[rank, :rank], np.full(rank, stairs.plateaus.level[rank]), rtol=2e-2
        )


@pytest.mark.parametrize("off_diagonal", [0.1, 3.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_time_errors_are_of_the_stated_size_however_small_the_start(off_diagonal, seed):
    errors = []
    for scale in (1e-4, 1e-8):
        start, scales = small_start(scale, seed)
        stairs = redundancy_staircase(scales, GAMMA[:4], off_diagonal)
        times = np.linspace(0, stairs.times[-1] + stairs.blur[-1], 8000)
        eigenvalues, _ = integrated(off_diagonal, start, times)
        risen = eigenvalues[:, :4] > np.asarray(stairs.plateaus.level[1:]) / 2
        seen = times[risen.argmax(0)]
        errors.append((seen - stairs.times) / stairs.blur)
        assert risen.any(0).all()
    assert np.abs(errors).max() < 1
    # four decades of start move the last steps by several blurs, their errors by less than a tenth
    assert np.abs(np.subtract(*errors)).max() < 0.1


def test_at_weight_one_the_times_are_those_of_independent_modes():
    scales = np.array([1e-3, 2e-3, 5e-4, 1e-3])
    stairs = redundancy_staircase(scales, GAMMA[:4], 1.0)
    np.testing.assert_allclose(stairs.times, -np.log(GAMMA[:4] * scales**2) / (8 * GAMMA[:4]))
    np.testing.assert_allclose(stairs.plateaus.loss, [4, 3, 2, 1, 0])
    np.testing.assert_allclose(stairs.plateaus.growth, np.ones(5))


def test_a_lighter_weight_stretches_the_waits_by_the_growth_factor():
    scales = np.full(4, 1e-3)
    one, light = (redundancy_staircase(scales, GAMMA[:4], w) for w in (1.0, 0.01))
    stretch = np.diff(light.times) / np.diff(one.times)
    kappa = np.arange(1, 4) / 4
    np.testing.assert_allclose(stretch, (kappa + 0.01 * (1 - kappa)) / 0.01)
    assert light.times[0] == one.times[0]


def test_modes_come_up_in_the_order_of_their_clocks():
    stairs = redundancy_staircase(jnp.array([1e-9, 1e-2]), jnp.array([1.0, 0.8]), 0.5)
    assert stairs.order.tolist() == [1, 0]
    assert (jnp.diff(stairs.times) > 0).all()


def test_modes_without_growth_or_start_are_never_learned():
    scales, gamma = jnp.array([1e-3, 1e-3, 0.0, 1e-3]), jnp.array([0.9, 0.5, 0.3, -0.2])
    stairs = redundancy_staircase(scales, gamma, 0.1)
    assert jnp.isfinite(stairs.times).tolist() == [True, True, False, False]
    assert jnp.isinf(stairs.blur[2:]).all()


def test_a_mode_that_starts_learned_is_there_at_once():
    stairs = redundancy_staircase(jnp.array([2.0, 1e-3]), jnp.array([1.0, 0.5]), 0.1)
    assert stairs.times[0] == 0


def test_the_weight_may_be_traced_mapped_and_differentiated():
    def last(weight, gamma):
        return redundancy_staircase(jnp.full(4, 1e-3), gamma, weight).times[2]

    gamma = jnp.array([1.0, 0.5, 0.25, -0.1])
    sweep = jax.jit(jax.vmap(last, (0, None)))(jnp.array([0.1, 0.5, 2.0]), gamma)
    assert (jnp.diff(sweep) < 0).all()
    slopes = jax.jit(jax.grad(last, (0, 1)))(0.1, gamma)
    assert slopes[0] < 0
    assert jnp.isfinite(slopes[1]).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plateau(5, 4, 0.5), r"rank must be a number in \[0, 4\]; got 5"),
        (lambda: plateau(1, 0, 0.5), "dim must be a whole number"),
        (lambda: plateau(1, 4, 0.0), "off_diagonal must be positive; got 0.0"),
        (lambda: redundancy_staircase(jnp.ones(3), jnp.ones(2), 0.5), r"must both be \(d,\)"),
    ],
)
def test_bad_input_is_refused_in_one_line(call, message):
    with pytest.raises(InputError, match=message) as error:
        call()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("dim", [3, 16])
def test_waits_depend_on_the_number_of_outputs_and_not_of_modes(dim):
    gamma, start = jnp.array([1.0, 0.6, 0.4]), jnp.full(3, 1e-3)
    stairs = redundancy_staircase(start, gamma, 0.0051, dim=dim)
    clock = -np.log(gamma * 1e-6) / (8 * gamma)
    kappa = np.arange(1, 3) / dim
    waits = np.diff(clock) * (kappa + 0.0051 * (1 - kappa)) / 0.0051
    np.testing.assert_allclose(np.diff(stairs.times), waits, rtol=1e-9)
    assert len(stairs.plateaus.level) == dim + 1
    with pytest.raises(InputError, match="dim must be"):
        redundancy_staircase(start, gamma, 0.5, dim=2)


def test_starts_too_small_to_be_squared_are_borne():
    tiny = redundancy_staircase(jnp.array([1e-200]), jnp.ones(1), 0.5)
    np.testing.assert_allclose(tiny.times, [200 * np.log(10) / 4])
