"""What a forecast refuses, in one line that says what to do."""

import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jssl
from jssl import losses
from jssl.commands import main as cli
from jssl.errors import InputError
from jssl.forecast import finite_steps, simulated_cost
from jssl.forecast.networks import random_networks

DRAWS = np.random.default_rng(0)
SAMPLES = DRAWS.normal(size=(60, 6)) * np.array([2.0, 0.9, 0.7, 0.5, 0.4, 0.3])
PAIRS = tuple(SAMPLES + 0.1 * DRAWS.normal(size=SAMPLES.shape) for _ in range(2))
LOSS = {"loss": "barlow_twins_linearized", "dim": 2}
GRAM = np.concatenate(PAIRS) @ np.concatenate(PAIRS).T


def linear(params, x):
    return x @ params.T


OWN = {"apply": linear, "params": jnp.eye(2, 6)}


@pytest.mark.parametrize("loss", ["barlow_twins", "vicreg", "jepa", lambda a, b: -(a * b).mean()])
def test_a_temperature_is_refused_by_losses_that_have_none(loss):
    assert "temperature" in refusal(loss=loss, temperature=0.1)


def test_a_temperature_is_that_of_simclr():
    given = LOSS | {"loss": "simclr", "kernel": "linear"}
    found = [jssl.predict(PAIRS, **given, temperature=t) for t in (None, 0.5, 0.1)]
    np.testing.assert_array_equal(found[0].steps, found[1].steps)
    assert not np.isclose(found[2].final, found[1].final).any()
    assert any("temperature of the loss is 0.1." in line for line in found[2].caveats)


@pytest.mark.parametrize(
    ("apply", "message"),
    [
        (lambda p, x: jax.lax.stop_gradient(x @ p.T), "do not depend on its parameters"),
        (lambda p, x: x @ p.T + 0j, "are complex"),
        (lambda p, x: x @ p.T + 0 * jnp.sqrt(jnp.abs(p - p).sum()), "parameters is not finite"),
    ],
)
def test_networks_without_a_usable_derivative_are_refused(apply, message):
    assert message in refusal(apply=apply, params=jnp.eye(2, 6))


def not_finite(key, x):
    return x * jnp.nan


def refusal(pairs=PAIRS, **given):
    with pytest.raises(InputError) as error:
        jssl.predict(pairs, **(LOSS | given))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_loss_without_a_term_against_collapse_is_named_as_such():
    for loss in (lambda a, b: jnp.mean((a - b) ** 2), lambda a, b: jnp.mean(a**2 + b**2)):
        assert "add a term that prevents collapse" in refusal(loss=loss, kernel="linear")


@pytest.mark.parametrize(
    ("loss", "says"),
    [("simclr", "pass its name, loss='simclr'"), ("dcl", "pass its name, such as loss='simclr'")],
)
def test_a_loss_that_normalises_is_to_be_passed_by_its_name(loss, says):
    found = refusal(loss=losses.get(loss), kernel="linear")
    assert says in found
    assert "normalise" in found


def test_a_loss_of_the_user_that_normalises_is_said_not_to_be_smooth():
    def own(za, zb):
        za, zb = (z / jnp.sqrt((z**2).sum() + 1e-300) for z in (za, zb))
        return -(za * zb).sum()

    assert "normalise" in refusal(loss=own, kernel="linear")
    assert "normalise" not in refusal(loss=lambda a, b: (a**4).mean(), kernel="linear")


def test_a_loss_of_pytorch_is_told_to_be_written_in_jax():
    torch = pytest.importorskip("torch")
    for loss in (
        torch.nn.MSELoss(),
        torch.nn.functional.mse_loss,
        lambda a, b: torch.mean((a - b) ** 2),
    ):
        assert "write it in JAX, with jax.numpy" in refusal(loss=loss, kernel="linear")


def test_a_loss_of_numpy_is_told_to_be_written_in_jax():
    assert "write it in JAX" in refusal(loss=lambda a, b: np.linalg.norm(np.asarray(a)))


@pytest.mark.parametrize("encoder", [OWN, {"gram": GRAM}])
def test_a_kernel_beside_another_encoder_is_refused(encoder):
    assert "leave it out" in refusal(kernel="linear", **encoder)
    assert jssl.predict(PAIRS, **LOSS, **encoder).settings["kernel"] != "linear"


def test_a_kernel_beside_a_module_is_refused():
    torch = pytest.importorskip("torch")
    assert "leave it out" in refusal(kernel="mlp-relu-3", torch=torch.nn.Linear(6, 2))


@pytest.mark.parametrize(
    ("pairs", "given", "says"),
    [
        (PAIRS, {"fresh": "noise"}, "one array: both views are drawn"),
        (jssl.Pairs(*map(jnp.asarray, PAIRS)), {"fresh": "noise"}, "one array: both views"),
        (SAMPLES, {"fresh": "noise", "gram": GRAM}, "in the place of gram="),
        (SAMPLES, {"fresh": not_finite}, "returns values that are not finite"),
        (SAMPLES, {"fresh": "Fresh"}, "name them: fresh,crop,noise"),
        (dict(zip("ab", PAIRS, strict=True)), {}, "pairs must be Pairs, or two arrays"),
    ],
)
def test_fresh_views_that_cannot_be_drawn_are_refused(pairs, given, says):
    assert says in refusal(pairs, **given)


def test_the_word_fresh_is_accepted_from_python_as_well():
    plain, word = (
        jssl.predict(SAMPLES, **LOSS, kernel="linear", fresh=text)
        for text in ("noise=0.1", "FRESH,noise=0.1")
    )
    np.testing.assert_array_equal(plain.steps, word.steps)


SHORT = tuple(x[:, :3] for x in PAIRS)


@pytest.mark.parametrize(
    "pairs",
    [
        (PAIRS, PAIRS),
        ((PAIRS[0], SHORT[0]), (PAIRS[1], SHORT[1])),
        ([PAIRS[0], SHORT[0]], [PAIRS[1], SHORT[1]]),
        tuple({"image": a, "text": b} for a, b in zip(PAIRS, SHORT, strict=True)),
    ],
)
def test_views_of_several_arrays_are_refused(pairs):
    assert "pass one array per view" in refusal(pairs)


def test_a_list_of_samples_is_one_array():
    listed = tuple(list(x) for x in PAIRS)
    given = LOSS | {"kernel": "linear"}
    np.testing.assert_array_equal(
        jssl.predict(listed, **given).steps, jssl.predict(PAIRS, **given).steps
    )


def test_an_unknown_loss_is_told_those_that_are_forecast():
    found = refusal(loss="barlow_twin")
    known = found.split("known: ")[1].split(", ")
    assert {"simclr", "jepa", "lejepa", "vicreg"} <= set(known)
    for name in known:
        depth = {"kernel": "linear"}
        assert len(jssl.predict(PAIRS, loss=name, dim=2, **depth).steps) == 2


def test_no_loss_is_not_a_matter_of_the_placement():
    found = refusal(loss=None)
    assert "loss must be a name" in found
    assert "placement" not in found
    placed = {"placement": "clean-augmented-clean"}
    assert "a placement needs the loss simclr" in refusal(loss=lambda a, b: 0.0, **placed)


def test_the_largest_dimension_of_few_pairs_is_named_and_fits():
    few = tuple(x[:20] for x in PAIRS)
    found = refusal(few, dim=64, kernel="mlp-relu-1")
    assert found.endswith("take dim <= 9")
    assert len(jssl.predict(few, **(LOSS | {"dim": 9}), kernel="mlp-relu-1").steps) == 9
    assert "take dim <= 9" in refusal(few, dim=10, kernel="mlp-relu-1")


def test_a_width_that_fits_in_memory_is_named(monkeypatch):
    from jssl import memory
    from jssl.forecast import networks

    for module in (memory, networks):
        monkeypatch.setattr(module, "free_memory", lambda: 1e9)
    with pytest.raises(InputError, match="a forecast of 8 networks of width 1,000,000 needs") as e:
        random_networks("mlp-relu-3", 1_000_000, 8, (64,), 4, 0)
    most = int(str(e.value).split("at most ")[1].replace(",", ""))
    # By hand: 18 copies of float32, 64 w + 2 w^2 + 4 w numbers each.
    exact = max(w for w in range(1, 9000) if 18 * 4 * (2 * w * w + 68 * w) <= 1e9)
    assert 0.9 * exact < most <= exact


def test_a_simulation_that_is_too_long_is_refused_before_networks_are_followed(monkeypatch):
    def followed(*args, **kwargs):
        raise AssertionError

    monkeypatch.setattr(finite_steps, "finite_forecast", followed)
    given = {"kernel": "mlp-relu-3", "width": 256, "nets": 8, "simulate": 8}
    began = time.monotonic()
    assert "above the limit of 30 min" in refusal(learning_rate=1e-8, **given)
    assert time.monotonic() - began < 60


def test_the_early_estimate_refuses_no_simulation_near_the_limit(monkeypatch):
    """A simulation of 100 s by its trace is not refused under a limit of 10 s: rates are rough."""
    from jssl.forecast import simulated

    given = LOSS | {"kernel": "mlp-tanh-1", "width": 8, "nets": 2, "simulate": 1, "scale": 1e-2}
    real = simulated_cost.predicted_seconds
    monkeypatch.setattr(
        simulated_cost, "predicted_seconds", lambda plan: (0.0, 100.0 + real(plan)[1])
    )
    monkeypatch.setattr(simulated, "LIMIT", 10.0)
    assert np.isfinite(jssl.predict(PAIRS, **given).simulated).all()
    monkeypatch.setattr(simulated_cost, "_MARGIN", 1.0)
    monkeypatch.setattr(simulated_cost.os, "cpu_count", lambda: 2)
    with pytest.raises(InputError, match=r"would take more than 1\.7 min"):
        jssl.predict(PAIRS, **given)


@pytest.mark.parametrize("option", [["--views", "noise"], ["--size", "8"]])
def test_options_of_images_beside_pairs_are_refused(option, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.save("flat.npy", np.stack(PAIRS))
    given = ["predict", "--pairs", "flat.npy", "--dim", "2", "--kernel", "linear"]
    assert cli.run([*given, *option]) == 2
    assert f"leave {option[0]} out" in capsys.readouterr().err
    assert not (tmp_path / "jssl-predict").exists()
    assert cli.run(given) == 0


def test_the_word_fresh_of_the_command_is_accepted_in_any_case(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    given = ["predict", "--images", "digits", "--count", "60", "--kernel", "linear", "--dim", "2"]
    assert cli.run([*given, "--views", "FRESH,noise"]) == 0
    assert "on these samples" in capsys.readouterr().out
