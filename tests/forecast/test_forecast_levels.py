"""Which half of a dimension is meant: of the exact loss, of its leading terms, of a checkpoint."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

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
EIGHT = np.arange(8)


def test_networks_under_simclr_are_compared_with_the_limit_at_the_same_level():
    """The exact loss ends far above its leading terms, which networks are followed by."""
    given = {"loss": "simclr", "dim": 1, "kernel": "mlp-tanh-1"}
    wide = jssl.predict(PAIRS, **given, width=2048, nets=8, seed=3)
    limit = jssl.predict(PAIRS, **given, seed=3)
    spread = np.log(wide.networks).std(ddof=1)
    apart = abs(np.log(wide.limit_steps[0]) - np.log(wide.networks).mean())
    assert apart < 3 * spread  # one draw of the limit's start against the mean of eight
    assert limit.steps[0] > 1.5 * wide.limit_steps[0]
    assert limit.final[0] > 2 * wide.final[0]
    assert any("half of the end of the leading terms" in line for line in wide.caveats)
    early = next(line for line in limit.caveats if "Final values are those of the exact" in line)
    assert f"half of it by step {wide.limit_steps[0]:.3g}" in early


def test_final_values_and_steps_of_simclr_are_those_of_one_descent():
    """A linear encoder on the exact loss: half of the final value is passed at the stated step."""
    noise, n = 0.3, 600
    q = np.linalg.qr(RNG.normal(size=(n, 6)) - 0)[0] * np.sqrt(n)
    q = q - q.mean(0)
    pairs = (q[:, :2] + noise**0.5 * q[:, 2:4], q[:, :2] + noise**0.5 * q[:, 4:])
    weight = jnp.asarray(1e-3 * np.eye(2))
    seen = jssl.predict(
        pairs, loss="simclr", dim=2, temperature=1.0, scale=1.0, params=weight,
        apply=lambda w, x: x @ w.T,
    )  # fmt: skip
    # p = a - b = noise, a = n = 1 + noise: t = (sqrt(n^2 + 8 a p) - n) / (2 a), w^2 = (1/t - 1) / n
    a = 1 + noise
    t = (np.sqrt(a**2 + 8 * a * noise) - a) / (2 * a)
    np.testing.assert_allclose(seen.final, (1 / t - 1) / a * seen.eigenvalues, rtol=0.05)


def test_dimensions_that_a_checkpoint_has_learned_were_learned_before_it(recwarn):
    views = jnp.asarray(np.concatenate(PAIRS))
    n, rate = len(X), 0.02
    model = mlp(6, 2, width=128, depth=1, activation="tanh", output_scale=0.05)
    loss = losses.get("barlow_twins_linearized")

    def value(p):
        z = model.apply(p, views)
        return loss(z[:n], z[n:])

    @jax.jit
    def descend(p):
        return jax.lax.fori_loop(
            0, 20, lambda _, p: jax.tree.map(lambda a, g: a - rate * g, p, jax.grad(value)(p)), p
        )

    params, kept, seen = model.init(jax.random.key(0)), {}, []
    for step in range(0, 1600, 20):
        z = np.asarray(model.apply(params, views))
        c = z[:n].T @ z[n:] / n
        seen.append(np.linalg.eigvalsh((c + c.T) / 2)[::-1])
        kept[step] = params
        params = descend(params)
    first, second = 20 * np.argmax(np.array(seen) > 0.5, 0)
    assert 0 < first < second
    given = {"loss": "barlow_twins_linearized", "dim": 2, "apply": model.apply}
    given |= {"learning_rate": rate}
    middle = int((first + second) // 40 * 20)
    found = jssl.predict(PAIRS, **given, params=kept[middle], step=middle)
    assert found.low[0] <= first <= found.high[0] == found.steps[0] == middle
    assert found.low[1] <= second <= found.high[1]
    assert found.limit_steps[1] > middle
    assert any(f"before {middle:,}; " in line for line in found.summary)
    np.testing.assert_array_equal(
        found.trajectory(np.array([float(middle)])).observables["eigenvalues"][0, 0], found.final[0]
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
    # 90 % of 400: standard error 1.5 %
    assert np.mean(inside) == pytest.approx(0.9, abs=0.05)


def test_a_history_at_another_learning_rate_is_compared_at_the_same_time():
    forecast = jssl.predict(PAIRS, loss="barlow_twins_linearized", dim=2, kernel="linear")
    steps = np.linspace(0, 2 * forecast.steps.max(), 400)
    values = forecast.trajectory(steps).observables
    history = Trajectory(steps / 3, steps * forecast.learning_rate, values)  # 3 times the rate
    seen = jssl.compare(forecast, history)
    np.testing.assert_allclose(seen.half_times_predicted, seen.half_times_simulated, rtol=1e-9)
    assert seen.largest["eigenvalues"] < 1e-9


def test_what_the_intervals_say_of_the_kernels_change_is_that_of_the_given_encoder():
    """Known for random networks, larger from the weights of PyTorch, and not from a matrix."""
    model = mlp(6, 2, width=64, depth=2, activation="tanh")
    params = model.init(jax.random.key(0))
    given = {"loss": "barlow_twins_linearized", "dim": 2}
    own = jssl.predict(PAIRS, **given, apply=model.apply, params=params)
    assert any("such as the default ones of PyTorch and Equinox" in line for line in own.caveats)
    views = np.concatenate(PAIRS)
    start = np.asarray(model.apply(params, jnp.asarray(views)))
    alone = jssl.predict(PAIRS, **given, gram=views @ views.T, start=start)
    assert any("is not known and is not part of the intervals" in line for line in alone.caveats)
    random = jssl.predict(PAIRS, **given, kernel="mlp-tanh-1", width=32, nets=2)
    assert any("by its measured size in relu networks; it is" in line for line in random.caveats)
