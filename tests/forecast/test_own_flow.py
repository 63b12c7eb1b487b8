"""Forecasts of one's own network by its gradient flow, against training, from any start."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jssl
from jssl.data import images
from jssl.forecast import own_flow
from jssl.models import mlp

DRAWS = np.random.default_rng(7)
DIGITS = images.load("digits").x[:60].reshape(60, -1)
PAIRS = tuple(
    (DIGITS + 0.15 * DRAWS.normal(size=DIGITS.shape)).astype(np.float32) for _ in range(2)
)


def small_start(sizes, seed=0):
    """The default start of PyTorch: weights and biases uniform below 1 / sqrt(inputs)."""
    params = []
    for i, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        keys, bound = jax.random.split(jax.random.fold_in(jax.random.key(seed), i)), inputs**-0.5
        shapes = (inputs, outputs), (outputs,)
        params.append(
            [
                jax.random.uniform(k, s, jnp.float32, -bound, bound)
                for k, s in zip(keys, shapes, strict=True)
            ]
        )
    return params


def perceptron(phi):
    def apply(p, x):
        for weight, bias in p[:-1]:
            x = phi(x @ weight + bias)
        return x @ p[-1][0] + p[-1][1]

    return apply


RELU, TANH = perceptron(jax.nn.relu), perceptron(jnp.tanh)


@pytest.mark.parametrize(
    ("apply", "loss"),
    [(RELU, "barlow_twins_linearized"), (TANH, "vicreg"), (RELU, "spectral_contrastive")],
)
def test_networks_with_small_weights_learn_when_their_flow_says_and_not_when_their_kernel_says(
    apply, loss
):
    """The rival holds the kernel of the start: later dimensions would come far too late."""
    params = small_start([64, 128, 128, 3])
    seen = jssl.predict(PAIRS, loss=loss, dim=3, apply=apply, params=params, simulate=1)
    trained = seen.simulated[0]
    assert ((trained >= seen.low) & (trained <= seen.high)).all()
    assert (seen.networks[0, 1:] > seen.high[1:]).all()
    assert any("under its own gradient flow" in line for line in seen.summary)


def test_the_predicted_curve_is_that_of_training_from_the_start_to_the_end():
    """Before the rise too, where a logistic curve of the same rise would be nearly 0."""
    params, n = small_start([64, 32, 32, 2]), len(DIGITS)
    forecast = jssl.predict(PAIRS, loss="barlow_twins_linearized", dim=2, apply=RELU, params=params)
    views = jnp.asarray(np.concatenate(PAIRS))
    base = (1 - forecast.scale) * RELU(params, views)
    loss = jssl.losses.get("barlow_twins_linearized")

    def embed(p):
        return RELU(p, views) - base

    @jax.jit
    def descend(p):
        slope = jax.grad(lambda p: loss(embed(p)[:n], embed(p)[n:]))(p)
        return jax.tree.map(lambda a, g: a - jnp.float32(forecast.learning_rate) * g, p, slope)

    steps, values = np.arange(0, int(1.2 * forecast.steps[-1])), []
    for _ in steps:
        z = np.asarray(embed(params), float)
        c = z[:n].T @ z[n:] / n
        values.append(np.linalg.eigvalsh((c + c.T) / 2)[::-1])
        params = descend(params)
    trained = np.array(values)
    rate = forecast.learning_rate
    seen = jssl.compare(forecast, jssl.Trajectory(steps, steps * rate, {"eigenvalues": trained}))
    width = float(np.max(forecast.high / forecast.steps)) - 1  # of the stated intervals
    np.testing.assert_allclose(seen.half_times_predicted, seen.half_times_simulated, rtol=width)
    predicted = forecast.trajectory(steps[:1]).observables["eigenvalues"][0]
    np.testing.assert_allclose(predicted[0], trained[0, 0], rtol=1e-3)


def test_the_rest_of_training_from_a_checkpoint_is_that_of_the_flow():
    given = {"loss": "barlow_twins_linearized", "dim": 3, "apply": TANH, "scale": 1.0}
    params = jax.tree.map(lambda a: 0.5 * a, small_start([64, 64, 3], seed=1))
    whole = jssl.predict(PAIRS, **given, params=params, simulate=1)
    assert ((whole.simulated >= whole.low) & (whole.simulated <= whole.high)).all()
    step = int((whole.simulated[0, 0] + whole.simulated[0, 1]) / 2)
    views, n = jnp.asarray(np.concatenate(PAIRS)), len(DIGITS)

    def value(p):
        z = TANH(p, views)
        return jssl.losses.get("barlow_twins_linearized")(z[:n], z[n:])

    @jax.jit
    def descend(p):
        move = lambda a, g: a - jnp.float32(whole.learning_rate) * g  # noqa: E731
        return jax.lax.fori_loop(0, step, lambda _, p: jax.tree.map(move, p, jax.grad(value)(p)), p)

    given |= {"learning_rate": whole.learning_rate}
    rest = jssl.predict(PAIRS, **given, params=descend(params), step=step)
    assert rest.steps[0] == step
    later = whole.simulated[0, 1:]
    assert ((rest.low[1:] <= later) & (later <= rest.high[1:])).all()


def test_the_default_learning_rate_is_stable_where_the_curvature_rises():
    """A tenth of the largest stable rate of the start diverges here."""
    given = {"loss": "vicreg", "dim": 3, "apply": RELU}
    given |= {"params": small_start([64, 128, 128, 3])}
    seen = jssl.predict(PAIRS, **given, simulate=1)
    assert np.isfinite(seen.simulated).all()
    assert seen.learning_rate < seen.stable_rate / 10
    assert seen.learning_rate * seen.settings["largest curvature"] == pytest.approx(1)
    asked = jssl.predict(PAIRS, **given, learning_rate=seen.stable_rate / 10, simulate=1)
    assert not np.isfinite(asked.simulated).all()
    assert "the largest curvature of the loss rises to" in asked.caveats[0]
    assert not any("the largest curvature" in line for line in seen.caveats)


def test_dimensions_beyond_the_budget_have_the_kernel_of_the_start(monkeypatch):
    given = {"loss": "barlow_twins_linearized", "dim": 3, "apply": TANH, "learning_rate": 0.01}
    given |= {"params": small_start([64, 64, 3])}
    whole = jssl.predict(PAIRS, **given)
    monkeypatch.setattr(own_flow, "MOST", 150)
    part = jssl.predict(PAIRS, **given)
    followed = part.settings["dimensions followed"]
    assert 1 <= followed < 3
    np.testing.assert_allclose(part.steps[:followed], whole.steps[:followed])
    np.testing.assert_allclose(part.steps[followed:], part.networks[0, followed:])
    assert any(f"until {followed} of 3 dimensions" in line for line in part.caveats)
    later = part.low[followed:]
    assert (later > part.steps[followed - 1]).all()
    assert (later <= whole.steps[followed:]).all()
    assert (part.high[followed:] >= whole.steps[followed:]).all()


def test_one_output_is_followed_too():
    """Its kernels are one kernel, but that changes, and an interval has a width."""
    params = jax.tree.map(lambda a: 0.4 * a, small_start([64, 8, 8, 8, 1]))
    given = {"loss": "barlow_twins_linearized", "dim": 1, "apply": TANH, "params": params}
    seen = jssl.predict(PAIRS, **given, simulate=1)
    assert seen.low[0] <= seen.simulated[0, 0] <= seen.high[0]
    assert seen.settings["gradients of the flow"] > 0


def test_copies_of_one_output_take_no_steps_more_than_the_output():
    given = {"loss": "barlow_twins_linearized", "dim": 3, "learning_rate": 1e-3}
    given |= {"params": small_start([64, 32, 3])}
    seen = jssl.predict(
        PAIRS, **given, apply=lambda p, x: jnp.tile(RELU(p, x)[:, :1], 3), simulate=1
    )
    assert seen.low[0] <= seen.simulated[0, 0] <= seen.high[0]
    assert np.isinf(seen.steps[1:]).all()
    assert not any("can lower the loss without them" in line for line in seen.caveats)
    assert "is not computed" in seen.summary[0]


def test_parameters_of_16_bits_are_followed_in_32():
    params = small_start([64, 32, 2])
    rounded = jax.tree.map(lambda a: a.astype(jnp.bfloat16), params)
    given = {"loss": "barlow_twins_linearized", "dim": 2, "apply": TANH}
    few = jssl.predict(PAIRS, **given, params=rounded)
    same = jssl.predict(PAIRS, **given, params=jax.tree.map(lambda a: a.astype("float32"), rounded))
    np.testing.assert_array_equal(few.steps, same.steps)
    assert "16 bits" in few.caveats[0]


def test_a_network_that_breaks_on_the_way_is_said_to():
    params = small_start([64, 32, 2])

    def breaks(p, x):
        far = jnp.sum((p[-1][0] - params[-1][0]) ** 2) > 0.02
        return TANH(p, x) + jnp.where(far, jnp.nan, 0.0)

    seen = jssl.predict(PAIRS, loss="barlow_twins_linearized", dim=2, apply=breaks, params=params)
    assert any("is not finite after step" in line for line in seen.caveats)
    assert "Training ends near step" in seen.summary[0]
    assert np.isinf(seen.steps[1])


def test_the_function_that_is_trained_is_named():
    given = {"loss": "vicreg", "dim": 2, "apply": TANH, "params": small_start([64, 32, 2])}
    small = jssl.predict(PAIRS, **given)
    assert any("train this function, or pass scale=1" in line for line in small.caveats)
    large = jssl.predict(PAIRS, **given, scale=1.25)
    assert any("f(params, x) + 0.25 f(start, x)" in line for line in large.caveats)
    whole = jssl.predict(PAIRS, **given, scale=1.0)
    assert not any("pass scale=1" in line for line in whole.caveats)


def test_more_rows_than_a_block_have_the_same_flow(monkeypatch):
    model = mlp(64, 2, width=32, depth=1, activation="tanh")
    given = {"loss": "vicreg", "dim": 2, "apply": model.apply}
    given |= {"params": model.init(jax.random.key(0))}
    whole = jssl.predict(PAIRS, **given)
    monkeypatch.setattr(own_flow, "_ROWS", 50)
    blocks = jssl.predict(PAIRS, **given)
    np.testing.assert_allclose(blocks.steps, whole.steps, rtol=1e-3)


# PyTorch itself calls functions that it deprecates.
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_a_module_of_pytorch_has_the_flow_of_the_same_function_of_jax(monkeypatch):
    torch = pytest.importorskip("torch")
    from jssl.forecast import torch_flow

    params = small_start([64, 32, 32, 2])
    layers = []
    for weight, bias in params:
        layer = torch.nn.Linear(*weight.shape)
        with torch.no_grad():
            layer.weight.copy_(torch.tensor(np.array(weight.T)))
            layer.bias.copy_(torch.tensor(np.array(bias)))
        layers += [layer, torch.nn.ReLU()]
    module = torch.nn.Sequential(*layers[:-1])
    given = {"loss": "barlow_twins_linearized", "dim": 2}
    of_jax = jssl.predict(PAIRS, **given, apply=RELU, params=params)
    of_torch = jssl.predict(PAIRS, **given, torch=module)
    np.testing.assert_allclose(of_torch.steps, of_jax.steps, rtol=5e-3)
    assert of_torch.settings["gradients of the flow"] > 0
    monkeypatch.setattr(torch_flow, "_ROWS", 50)
    blocks = jssl.predict(PAIRS, **given, torch=module)
    np.testing.assert_allclose(blocks.steps, of_torch.steps, rtol=5e-3)
