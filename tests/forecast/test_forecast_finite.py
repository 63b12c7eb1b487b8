"""Forecasts for networks of finite width, against training; losses of the user; checkpoints."""

import importlib.util
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from own_training import MODEL, RATE, trained

import jssl
from jssl import losses
from jssl.commands import main as cli
from jssl.errors import InputError
from jssl.forecast import exact_loss, finite, simulated
from jssl.forecast.custom_loss import custom_rule
from jssl.forecast.finite import Finite, check_size
from jssl.forecast.given_pairs import channels_last
from jssl.forecast.intervals import Intervals, finite_intervals
from jssl.forecast.rules import RULES
from jssl.models import mlp
from jssl.theory.landscape.dictionary import SIMCLR


def noisy_pairs(n=40, spread=(2.0, 0.8, 0.7, 0.6, 0.5, 0.5), seed=0):
    draws = np.random.default_rng(seed)
    x = draws.normal(size=(n, len(spread))) * np.array(spread)
    return tuple(x + 0.1 * draws.normal(size=x.shape) for _ in range(2))


PAIRS = noisy_pairs()
LINEARISED = {"loss": "barlow_twins_linearized", "dim": 3}


def test_forecast_of_a_width_is_that_of_training_and_the_limit_is_not():
    """F-5 leaves out the kernel's change: 15 %, the bound that is set for it."""
    seen = jssl.predict(
        PAIRS, **LINEARISED, kernel="mlp-tanh-2", width=64, nets=2, simulate=2, scale=1e-5
    )
    assert seen.networks.shape == seen.simulated.shape == (2, 3)
    ratio = seen.networks[:, 1:] / seen.simulated[:, 1:]
    assert np.median(np.abs(np.log(ratio))) < 0.15
    limit = seen.limit_steps[1:] / seen.simulated[:, 1:]
    assert (limit > 1.25).all()
    np.testing.assert_allclose(seen.steps, np.exp(np.median(np.log(seen.networks), 0)), rtol=1e-9)
    assert "2 random networks of width 64" in str(seen)
    assert "Trained (2 runs)" in str(seen)


def test_a_subset_of_the_pairs_gives_the_same_spread(monkeypatch):
    """The deviation of G from its limit is a random quantity of the network, not of the pairs."""
    pairs = noisy_pairs(120)
    given = LINEARISED | {"kernel": "mlp-tanh-1", "width": 64, "nets": 6}
    whole = jssl.predict(pairs, **given)
    monkeypatch.setattr(finite, "WHOLE", 60)
    monkeypatch.setattr(finite, "SUBSET", 60)
    part = jssl.predict(pairs, **given)
    difference = np.log(part.networks / whole.networks)
    spread = np.log(whole.networks).std(0, ddof=1)
    assert (np.abs(difference.mean(0)) < 3 * spread / np.sqrt(6) + 0.1).all()


def test_limit_is_reached_as_the_width_grows():
    given = LINEARISED | {"kernel": "mlp-tanh-1", "nets": 3, "scale": 1e-2}
    narrow, wide = (jssl.predict(PAIRS, **given, width=width) for width in (16, 4096))
    gaps = [np.abs(np.log(f.networks[:, 1] / f.limit_steps[1])).mean() for f in (narrow, wide)]
    assert gaps[1] < gaps[0]
    assert wide.width_errors[1] < narrow.width_errors[1]


def test_a_loss_of_ones_own_has_the_forecast_of_the_same_named_loss():
    def own(za, zb):
        c = za.T @ zb / len(za)
        return jnp.square((c + c.T) / 2 - jnp.eye(za.shape[1])).sum()

    given = {"dim": 2, "kernel": "linear", "scale": 1e-4, "seed": 1}
    named = jssl.predict(PAIRS, loss="barlow_twins_linearized", **given)
    seen = jssl.predict(PAIRS, loss=own, **given)
    np.testing.assert_allclose(seen.stable_rate, named.stable_rate, rtol=0.02)
    np.testing.assert_allclose(seen.times, named.times, rtol=0.01)
    assert seen.settings["loss"] == "own"


@pytest.mark.parametrize("name", ["vicreg_squared", "spectral_contrastive"])
def test_quadratic_form_of_a_loss_is_that_of_its_rule(name):
    rule, pairings = custom_rule(losses.get(name), 12, 3)
    stated = RULES[name]
    np.testing.assert_allclose(
        np.array(pairings.signal), stated.signal / 2 * np.array([0.0, 1.0, 0.0]), atol=1e-6
    )
    assert rule.centred == stated.centred
    assert rule.signal == pytest.approx(stated.signal, rel=1e-6)


def test_centring_of_a_loss_is_found():
    def own(za, zb):
        return losses.get("spectral_contrastive")(za - za.mean(0), zb - zb.mean(0))

    assert custom_rule(own, 12, 2)[0].centred


@pytest.mark.parametrize(
    ("loss", "says"),
    [
        (losses.get("nt_xent"), "no second derivative at zero|vanishes"),
        (lambda za, zb: za - zb, "must return a floating-point scalar"),
        (lambda za, zb: (za**4).mean(), "vanishes"),
        (lambda za, zb: (za[0] * zb[0]).sum(), "treat all samples"),
        (lambda za: 0, "fails for two embeddings"),
        (lambda za, zb: jnp.int32(3), "floating-point scalar; it returns int32"),
        (lambda za, zb: -(za * zb).mean(), "grow without bound"),
        (lambda za, zb: -(za * zb).mean().astype("float32"), "returns float32 for"),
    ],
)
def test_losses_that_are_not_covered_are_refused(loss, says):
    with pytest.raises(InputError, match=says):
        jssl.predict(PAIRS, loss=loss, dim=2, kernel="linear")


def test_forecast_of_the_rest_from_a_checkpoint_is_that_of_going_on():
    """Own network; parameters after 60 steps and their forecast, against training to the end."""
    half, kept = trained(PAIRS, 1200)
    found = jssl.predict(
        PAIRS, loss="barlow_twins_linearized", dim=2, apply=MODEL.apply, params=kept[60], step=60,
        learning_rate=RATE,
    )  # fmt: skip
    assert found.settings["step"] == 60
    np.testing.assert_allclose(found.steps[1], half[1], rtol=0.15, atol=20)


def test_intervals_contain_networks_that_spread_and_widen_with_the_coupling():
    draws = np.random.default_rng(0)
    steps = np.exp(np.log([[100.0, 1000.0]]) + 0.2 * draws.normal(size=(8, 2)))
    limit = Intervals(*np.full((7, 2), 50.0))
    narrow, wide = (
        finite_intervals(Finite(steps, steps / 10, coupling), limit) for coupling in (0.01, 0.3)
    )
    fresh = np.exp(np.log([100.0, 1000.0]) + 0.2 * draws.normal(size=(4000, 2)))
    covered = ((fresh > narrow.low) & (fresh < narrow.high)).mean(0)
    assert (covered > 0.75).all()
    assert (wide.high[1] - wide.low[1]) > (narrow.high[1] - narrow.low[1])


def test_dimensions_that_most_networks_never_learn_are_never_learned():
    steps = np.array([[10.0, np.inf], [12.0, np.inf], [11.0, 500.0]])
    limit = Intervals(*np.full((7, 2), 1.0))
    found = finite_intervals(Finite(steps, steps, 0.1), limit)
    assert np.isfinite(found.steps).tolist() == [True, False]
    assert np.isinf(found.high[1])


def coupled(params, x):
    return (x - x.mean(0)) @ params.T


def stochastic(params, x):
    return x @ params.T + STATE.normal(size=(len(x), 2))


STATE = np.random.default_rng(0)
WEIGHT = jnp.asarray(np.random.default_rng(5).normal(size=(2, 6)))


class Module:
    """Looks like a PyTorch module."""

    state_dict = parameters = dict


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"width": 8}, "the kernel 'linear' has no width"),
        ({"width": 0, "kernel": "mlp-relu-1"}, "width must be"),
        ({"width": 8, "apply": coupled, "params": WEIGHT}, "width belongs to kernel="),
        ({"apply": coupled, "params": WEIGHT}, "couples the rows of a batch"),
        ({"apply": stochastic, "params": WEIGHT}, "two calls of the encoder"),
        ({"apply": Module()}, "pass it as torch=module"),
        ({"torch": 3}, "must be a torch.nn.Module"),
        ({"step": 5}, "pass apply= and params="),
        ({"simulate": 1}, "pass width="),
        ({"simulate": -1}, "simulate must be"),
        ({"loss": "SimCRL"}, "unknown loss"),
    ],
)
def test_bad_input_is_one_line(changes, says):
    given = {"pairs": PAIRS, "loss": "barlow_twins_linearized", "dim": 2, "kernel": "linear"}
    with pytest.raises(InputError, match=says) as error:
        jssl.predict(**(given | changes))
    assert "\n" not in str(error.value)


def test_more_modes_than_fit_name_the_number_that_fits():
    with pytest.raises(InputError, match="take dim <= 52") as error:
        check_size(150, 100)
    largest = int(str(error.value).split()[-1])
    check_size(largest + largest // 2, largest)
    with pytest.raises(InputError):
        check_size(largest + 1 + (largest + 1) // 2, largest + 1)


def test_names_of_losses_are_read_in_any_case():
    given = {"dim": 2, "kernel": "linear"}
    one, other = (jssl.predict(PAIRS, loss=name, **given) for name in ("SimCLR", "simclr"))
    np.testing.assert_array_equal(one.steps, other.steps)


def test_images_with_channels_first_are_said_to_be_taken_so():
    notes = []
    x = np.ones((2, 3, 8, 8))
    assert channels_last(x, x, "conv-relu-1", True, notes)[0].shape == (2, 8, 8, 3)
    assert "channels first" in notes[0]
    for last in (np.ones((2, 8, 8, 3)), np.ones((2, 8, 8, 8))):
        assert channels_last(last, last, "conv-relu-1", True, notes)[0].shape == last.shape
    assert len(notes) == 1


def _train(limit, steps):
    pairs = jnp.asarray(np.concatenate(PAIRS))
    model = mlp(6, 2, width=8, depth=1)
    networks = jssl.forecast.networks.Networks(model.apply, (model.init(jax.random.key(0)),), 8)
    rule = RULES["barlow_twins_linearized"]
    pairings = jssl.forecast.steps.loss_pairings(rule, SIMCLR, False)
    modes = types.SimpleNamespace(values=np.ones(3))
    reduction = finite.Reduction(np.eye(80), modes, rule, pairings, None, pairs)
    ends = jssl.forecast.steps.Ends(np.ones(3), np.ones(3, bool), np.ones(3), 0.0, (), 1.0)
    return simulated.train(
        networks, reduction, ends, count=1, scale=1e-3, rate=1e-3, steps=steps, limit=limit
    )


def test_a_simulation_that_would_take_hours_is_refused_before_it_starts():
    with pytest.raises(InputError, match=r"would take about .*, above the limit of 30 min"):
        _train(1800.0, 2_000_000_000)


@pytest.mark.parametrize(
    ("name", "score"),
    [("barlow_twins_linearized", None), ("vicreg_squared", None), ("info_nce", "dot")],
)
def test_losses_that_are_trained_are_those_of_the_forecast(name, score):
    za, zb = np.random.default_rng(0).normal(size=(2, 9, 3))
    del score
    found = exact_loss.training_loss(RULES[name])(jnp.asarray(za), jnp.asarray(zb))
    expected = losses.get(name)(jnp.asarray(za), jnp.asarray(zb))
    difference = float(found - expected)
    zero = jnp.zeros((9, 3))
    constant = float(
        exact_loss.training_loss(RULES[name])(zero, zero) - losses.get(name)(zero, zero)
    )
    np.testing.assert_allclose(difference, constant, atol=1e-9)


def test_the_first_line_names_a_dimension_and_no_other_line_names_another():
    draws = np.random.default_rng(0)
    shared = draws.normal(size=(300, 12)) * np.array([2.0, 1.5, 1.0] + [0.0] * 9)
    views = [shared + 0.3 * draws.normal(size=shared.shape) for _ in range(2)]
    seen = jssl.predict(views, loss="barlow_twins_linearized", dim=8, kernel="linear")
    assert seen.summary[0].startswith("Take a dimension of 3: 3 of ")
    few = jssl.predict(
        [v[:30] for v in noisy_pairs(30, (0.01,) * 6)],
        loss="barlow_twins_linearized", dim=4, kernel="linear",
    )  # fmt: skip
    assert few.summary[0].startswith("These 30 pairs do not show which dimension to take")
    for forecast in (seen, few):
        named = [line for line in forecast.summary if "ake a dimension" in line]
        assert len(named) <= 1
        assert "survive" not in str(forecast)


def test_what_is_no_error_on_these_pairs_is_apart():
    seen = jssl.predict(noisy_pairs(300), **LINEARISED, kernel="linear")
    np.testing.assert_allclose(seen.high - seen.steps, 1.645 * seen.start_errors, rtol=1e-6)
    np.testing.assert_allclose(seen.low * seen.high, seen.steps**2, rtol=1e-6)
    assert (seen.new_data_errors > 0).all()
    assert (seen.width_errors == 0).all()
    np.testing.assert_array_equal(seen.steps, seen.limit_steps)


def test_the_command_forecasts_and_trains_a_width(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.savez("views.npz", first=PAIRS[0], second=PAIRS[1])
    given = ["predict", "--pairs", "views.npz", "--dim", "2", "--kernel", "mlp-tanh-1"]
    assert cli.run([*given, "--width", "32", "--nets", "2", "--simulate", "1"]) == 0
    out = capsys.readouterr().out
    assert "2 random networks of width 32" in out
    assert "Trained (1 run)" in out
    page = (tmp_path / "jssl-predict" / "report.html").read_text()
    assert "limit of infinite width" in page
    assert cli.run([*given, "--kernel", "linear", "--width", "32", "--overwrite"]) == 2
    assert "has no width" in capsys.readouterr().err


def test_a_folder_with_few_images_says_how_many(tmp_path, monkeypatch, capsys):
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    (tmp_path / "mixed").mkdir()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "mixed" / "one.png")
    for i in range(9):
        (tmp_path / "mixed" / f"{i}.txt").write_text("text")
    assert cli.run(["predict", "--images", "mixed", "--kernel", "linear", "--dim", "2"]) == 2
    assert "only 1 of the 10 files in mixed are images" in capsys.readouterr().err


def test_a_forecast_is_compared_with_a_run():
    data = tuple(jnp.asarray(x) for x in noisy_pairs(60))
    weight = 1e-4 * jnp.asarray(np.random.default_rng(2).normal(size=(2, 6)))
    seen = jssl.predict(
        data, loss="barlow_twins_linearized", dim=2, scale=1.0, params=weight,
        apply=lambda p, x: x @ p.T,
    )  # fmt: skip
    problem = jssl.Problem(
        lambda key: jssl.Pairs(*data),
        jssl.Model(lambda key: weight, lambda p, x: x @ p.T),
        losses.get("barlow_twins_linearized"),
        jssl.optim.gradient_descent(seen.learning_rate),
    )
    steps = np.arange(0, int(1.5 * seen.steps[-1]), 5)
    run = jax.jit(jssl.run(problem, steps))(jax.random.key(0))
    found = jssl.compare(seen, run)
    np.testing.assert_allclose(found.half_times_predicted, found.half_times_simulated, rtol=0.02)
    np.testing.assert_allclose(seen.final, [1, 1], rtol=1e-6)


def test_a_forecast_can_be_written_and_drawn(tmp_path):
    import matplotlib.pyplot as plt

    seen = jssl.predict(PAIRS, **LINEARISED, kernel="linear")
    page = seen.write(tmp_path / "out")
    assert ">90 % interval on these pairs</th>" in page.read_text()
    axes = seen.plot()
    assert axes.get_ylabel() == "dimensions learned"
    plt.close(axes.figure)


# PyTorch itself calls functions that it deprecates.
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs PyTorch")
def test_a_pytorch_module_has_the_forecast_of_the_same_jax_network():
    import torch

    weights = (
        np.random.default_rng(7).normal(size=(16, 6)),
        np.random.default_rng(8).normal(size=(2, 16)),
    )
    module = torch.nn.Sequential(
        torch.nn.Linear(6, 16, bias=False), torch.nn.Tanh(), torch.nn.Linear(16, 2, bias=False)
    ).double()
    with torch.no_grad():
        module[0].weight.copy_(torch.tensor(weights[0] / 2))
        module[2].weight.copy_(torch.tensor(weights[1] / 4))

    def apply(params, x):
        return jnp.tanh(x @ params[0].T) @ params[1].T

    params = (jnp.asarray(weights[0] / 2), jnp.asarray(weights[1] / 4))
    given = {"loss": "barlow_twins_linearized", "dim": 2, "scale": 1e-3}
    expected = jssl.predict(PAIRS, **given, apply=apply, params=params)
    found = jssl.predict(PAIRS, **given, torch=module)
    np.testing.assert_allclose(found.steps, expected.steps, rtol=1e-4)
    np.testing.assert_allclose(found.eigenvalues, expected.eigenvalues, rtol=1e-6)
    with pytest.raises(InputError, match="couples the rows"):
        jssl.predict(
            PAIRS, **given, torch=torch.nn.Sequential(module, torch.nn.BatchNorm1d(2).double())
        )


@pytest.mark.parametrize("steps", [[], [-1.0], [np.nan], 3.0, [[1.0, 2.0]]])
def test_steps_of_a_trajectory_are_numbers_in_a_row(steps):
    forecast = jssl.predict(PAIRS, loss="barlow_twins_linearized", dim=2, kernel="linear")
    with pytest.raises(InputError, match="steps must be"):
        forecast.trajectory(steps)
