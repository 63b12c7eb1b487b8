"""Which half of a dimension is meant: of the exact loss, of its leading terms, of a checkpoint."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from own_training import EVERY, MODEL, RATE, trained

import jssl
from jssl import losses
from jssl.errors import InputError
from jssl.forecast.finite import Finite
from jssl.forecast.intervals import Intervals, finite_intervals
from jssl.models import mlp
from jssl.types import Trajectory

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 6)) * np.array([2.0, 0.8, 0.7, 0.6, 0.5, 0.5])
PAIRS = tuple(X + 0.1 * RNG.normal(size=X.shape) for _ in range(2))


def test_networks_under_simclr_are_compared_with_the_limit_at_the_same_level():
    """The exact loss ends far above its leading terms, which networks are followed by."""
    given = {"loss": "simclr", "dim": 1, "kernel": "mlp-tanh-1"}
    wide = jssl.predict(PAIRS, **given, width=2048, nets=8, seed=3)
    limit = jssl.predict(PAIRS, **given, seed=3)
    logs = np.log(wide.networks)
    bound = 3 * logs.std(ddof=1)  # one draw of the limit's start against the mean of eight
    assert abs(np.log(wide.limit_steps[0]) - logs.mean()) < bound
    assert np.log(limit.steps[0]) - logs.mean() > bound  # the rival: the level of the exact loss
    assert limit.final[0] > wide.final[0]
    assert any("half of the end of the leading terms" in line for line in wide.caveats)
    early = next(line for line in limit.caveats if "Final values are those of the exact" in line)
    assert f"half of it by step {wide.limit_steps[0]:.3g}" in early


def test_final_values_of_simclr_in_the_limit_are_those_of_the_exact_loss():
    """Orthogonal samples and noise: p = noise and a = n = 1 + noise in the closed form of L-5."""
    noise, n = 0.3, 600
    draws = RNG.normal(size=(n, 6))
    q = np.linalg.qr(draws - draws.mean(0))[0] * np.sqrt(n)
    pairs = (q[:, :2] + noise**0.5 * q[:, 2:4], q[:, :2] + noise**0.5 * q[:, 4:])
    seen = jssl.predict(
        pairs, loss="simclr", dim=2, temperature=1.0, scale=1.0, apply=lambda w, x: x @ w.T,
        params=jnp.asarray(1e-3 * np.eye(2)),
    )  # fmt: skip
    a = 1 + noise
    t = (np.sqrt(a**2 + 8 * a * noise) - a) / (2 * a)
    np.testing.assert_allclose(seen.final, (1 / t - 1) / a, rtol=1e-6)


def test_dimensions_that_a_checkpoint_has_learned_were_learned_before_it(recwarn):
    (first, second), kept = trained(PAIRS, 1600)
    assert first < second
    given = {"loss": "barlow_twins_linearized", "dim": 2, "apply": MODEL.apply}
    given |= {"learning_rate": RATE}
    middle = int((first + second) // (2 * EVERY) * EVERY)
    found = jssl.predict(PAIRS, **given, params=kept[middle], step=middle)
    assert found.low[0] <= first <= found.high[0] == found.steps[0] == middle
    assert found.low[1] <= second <= found.high[1]
    assert found.limit_steps[1] > middle
    assert any(f"before {middle:,}; " in line for line in found.summary)
    z = np.asarray(MODEL.apply(kept[middle], jnp.asarray(np.concatenate(PAIRS))), float)
    c = z[: len(X)].T @ z[len(X) :] / len(X)
    np.testing.assert_allclose(
        found.trajectory(np.array([float(middle)])).observables["eigenvalues"][0],
        np.linalg.eigvalsh((c + c.T) / 2)[::-1],
        rtol=1e-3,
    )
    late = jssl.predict(PAIRS, **given, params=kept[1580], step=1580)
    assert "half-learned before step 1,580, that of the checkpoint" in late.summary[0]
    assert not [w for w in recwarn if issubclass(w.category, RuntimeWarning)]


def test_one_network_has_no_spread_and_few_have_a_wide_one():
    with pytest.raises(InputError, match="nets must be at least 2, since the spread"):
        jssl.predict(PAIRS, loss="vicreg", dim=1, kernel="mlp-tanh-1", width=16, nets=1)
    limit = Intervals(*np.full((7, 1), 50.0))
    inside = []
    for draw in range(400):
        logs = 0.3 * np.random.default_rng(draw).normal(size=(4, 1))
        found = finite_intervals(Finite(100 * np.exp(logs[:3]), np.ones((3, 1)), 0.0), limit)
        inside.append(found.low[0] <= 100 * np.exp(logs[3, 0]) <= found.high[0])
    error = (0.9 * 0.1 / len(inside)) ** 0.5
    assert np.mean(inside) == pytest.approx(0.9, abs=3.3 * error)


def test_a_history_at_another_learning_rate_is_compared_at_the_same_time():
    forecast = jssl.predict(PAIRS, loss="barlow_twins_linearized", dim=2, kernel="linear")
    steps = np.linspace(0, 2 * forecast.steps.max(), 400)
    values = forecast.trajectory(steps).observables
    history = Trajectory(steps / 3, steps * forecast.learning_rate, values)  # 3 times the rate
    seen = jssl.compare(forecast, history)
    np.testing.assert_allclose(seen.half_times_predicted, seen.half_times_simulated, rtol=1e-9)
    assert seen.largest["eigenvalues"] < 1e-9


def test_what_the_intervals_say_of_the_kernels_change_is_that_of_the_given_encoder():
    """Followed for a network of one's own, known for random networks, and not from a matrix."""
    model = mlp(6, 2, width=64, depth=2, activation="tanh")
    params = model.init(jax.random.key(0))
    given = {"loss": "barlow_twins_linearized", "dim": 2}
    own = jssl.predict(PAIRS, **given, apply=model.apply, params=params)
    assert any("the change of its tangent kernel included" in line for line in own.caveats)
    views = np.concatenate(PAIRS)
    start = np.asarray(model.apply(params, jnp.asarray(views)))
    alone = jssl.predict(PAIRS, **given, gram=views @ views.T, start=start)
    assert any("is not known and is not part of the intervals" in line for line in alone.caveats)
    random = jssl.predict(PAIRS, **given, kernel="mlp-tanh-1", width=32, nets=2)
    assert any("by its measured size in relu networks; it is" in line for line in random.caveats)


def test_the_kernel_of_an_encoder_that_is_linear_in_its_parameters_is_said_not_to_change():
    def own(p, x):  # the second output has features of its own
        return jnp.stack([x[:, :3] @ p["a"], x[:, 3:] @ p["b"]], 1)

    params = {"a": 1e-3 * jnp.ones(3), "b": 2e-3 * jnp.ones(3)}
    given = {"loss": "barlow_twins_linearized", "dim": 2, "scale": 1.0}
    seen = jssl.predict(PAIRS, **given, apply=own, params=params)
    assert any("linear in its parameters: its tangent kernel" in line for line in seen.caveats)
    assert "gradients of the flow" not in seen.settings


@pytest.mark.parametrize("name", ["barlow_twins_linearized", "spectral_contrastive"])
def test_a_factor_of_a_loss_changes_the_rate_and_neither_the_end_nor_the_steps(name):
    loss = losses.get(name)
    given = {"dim": 2, "kernel": "mlp-tanh-1", "width": 64, "nets": 2, "scale": 1e-3}
    plain, tripled = (
        jssl.predict(PAIRS, loss=lambda a, b, c=c: c * loss(a, b), learning_rate=1e-3 / c, **given)
        for c in (1.0, 3.0)
    )
    for field in ("final", "steps", "limit_steps", "eigenvalues", "low", "high"):
        np.testing.assert_allclose(getattr(tripled, field), getattr(plain, field), rtol=1e-5)
    np.testing.assert_allclose(3 * tripled.stable_rate, plain.stable_rate, rtol=1e-6)
    named = jssl.predict(PAIRS, loss=name, learning_rate=1e-3, **given)
    np.testing.assert_allclose(tripled.final[0], named.final[0], rtol=1e-3)
