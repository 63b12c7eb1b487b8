"""Forecasts for views that are drawn anew in every step."""

import jax.numpy as jnp
import numpy as np
import pytest

import jssl
from jssl.commands import main as cli
from jssl.data.views import noise
from jssl.errors import InputError
from jssl.forecast.fresh_views import averaged, drawn_views, expanded, fresh_modes
from jssl.theory.landscape.pairing import CROSS, POOLED

SAMPLES = np.random.default_rng(0).normal(size=(60, 5)) * np.array([2.0, 0.9, 0.7, 0.4, 0.2])
GIVEN = {"loss": "barlow_twins_linearized", "dim": 3}
STD = 0.5


def test_eigenvalues_are_those_of_the_expectation_over_the_views():
    """Views x + noise have the expected cross-moment X^T X / n, whatever the noise."""
    seen = jssl.predict(SAMPLES, **GIVEN, kernel="linear", fresh=noise(STD))
    expected = np.linalg.eigvalsh(SAMPLES.T @ SAMPLES / 60)[::-1][:3]
    error = np.sqrt(2 * STD**2 * expected / (32 * 60))  # of a mean of 32 draws, to first order
    assert (np.abs(seen.eigenvalues[:3] - expected) < 3.9 * error).all()
    assert seen.settings["pairs"] == 60
    assert seen.settings["views"] == "fresh, from 32 draws"
    assert "on these samples" in str(seen)


def test_bias_of_few_draws_is_removed():
    """Noise in many directions makes the eigenvalues of few draws too large."""
    x = np.random.default_rng(1).normal(size=(300, 60)) * np.arange(1, 61) ** -0.7
    expected = np.linalg.eigvalsh(x.T @ x / 300)[::-1][:3]
    (first, second), fresh = drawn_views(x, noise(1.0), 0)
    assert fresh.draws == 6
    both = np.concatenate([first, second])
    modes = fresh_modes(both @ both.T, 3, False, np.random.default_rng(0), CROSS, 6)
    plain = averaged(both @ both.T, 6)
    half = np.zeros_like(plain)
    half[:300, 300:] = half[300:, :300] = np.eye(300) / 600
    biased = np.sort(np.linalg.eigvals(half @ plain).real)[::-1][:3]
    # Sampling errors to first order are .018 for each eigenvalue and hide the bias of a single one.
    assert abs((modes.values - expected).mean()) < 0.5 * (biased - expected).mean()


def test_coefficients_on_all_views_give_the_functions_of_their_means():
    draws = np.random.default_rng(2)
    features = draws.normal(size=(2, 4, 7, 9))  # sides, draws, samples
    rows = features.reshape(-1, 9)
    means = features.mean(1).reshape(-1, 9)
    np.testing.assert_allclose(averaged(rows @ rows.T, 4), means @ means.T, rtol=1e-12)
    vectors = draws.normal(size=(14, 3))
    np.testing.assert_allclose(
        rows.T @ expanded(vectors, 4), means.T @ vectors, rtol=1e-10, atol=1e-12
    )


def test_forecast_is_that_of_training_on_fresh_views_and_that_of_fixed_pairs_is_not():
    """F-5 leaves out the kernel's change: 15 %, the bound that is set for it."""
    given = GIVEN | {"kernel": "mlp-tanh-1", "width": 64, "nets": 2, "simulate": 2}
    view = noise(STD)
    seen = jssl.predict(SAMPLES, **given, fresh=view)
    ratio = seen.networks[:, 1:] / seen.simulated[:, 1:]
    assert np.median(np.abs(np.log(ratio))) < 0.15
    (first, second), fresh = drawn_views(SAMPLES, view, 0)
    fixed = jssl.predict((first[:60], second[:60]), **(given | {"simulate": 0}))
    assert fresh.draws == 32
    in_time = [f.limit_steps[1:] * f.learning_rate for f in (fixed, seen)]
    assert (in_time[0] < in_time[1]).all()  # products of the noise of two views


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"fresh": "nois"}, "unknown view"),
        ({"fresh": 3}, "fresh must name views"),
        ({"fresh": lambda key, x: x[:2]}, "must keep the shape"),
        ({"fresh": lambda key, x: x @ jnp.ones(3)}, "fails for one sample"),
        ({"pairs": (SAMPLES, SAMPLES[:5])}, "in the place of pairs"),
        ({"pairs": np.ones((1001, 2))}, "at most 1,000 samples|must contain different"),
        ({"clean_first": True}, "augment both views"),
    ],
)
def test_bad_input_is_one_line(changes, says):
    given = {"pairs": SAMPLES, "fresh": noise(0.1), "kernel": "linear"} | GIVEN | changes
    with pytest.raises(InputError, match=says) as error:
        jssl.predict(**given)
    assert "\n" not in str(error.value)


def test_losses_that_pair_a_view_with_itself_are_refused():
    with pytest.raises(InputError, match="couples near zero only the two views"):
        fresh_modes(np.eye(8), 1, False, np.random.default_rng(0), POOLED, 2)


def test_the_word_fresh_among_the_views_of_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    given = ["predict", "--images", "digits", "--count", "60", "--kernel", "linear", "--dim", "4"]
    assert cli.run([*given, "--views", "fresh,shift=1,noise=0.1"]) == 0
    assert "on these samples" in capsys.readouterr().out
    assert "fresh, from 32 draws" in (tmp_path / "jssl-predict" / "report.html").read_text()
    assert cli.run([*given, "--views", "fresh", "--overwrite"]) == 2
    assert "name them: fresh,crop,noise" in capsys.readouterr().err
    np.savez("views.npz", first=SAMPLES, second=SAMPLES)
    given = ["predict", "--pairs", "views.npz", "--out", "other"]
    assert cli.run([*given, "--views", "fresh,noise"]) == 2
    assert "pairs in a file are fixed" in capsys.readouterr().err


@pytest.mark.parametrize(("loss", "says"), [("barlow_twins", True), ("vicreg", False)])
def test_noise_of_views_above_the_off_diagonal_weight_is_said_to_be_left_out(loss, says):
    samples = np.random.default_rng(0).normal(size=(40, 6))
    seen = jssl.predict(samples, loss=loss, dim=2, kernel="linear", fresh="noise=0.1")
    assert any("the off-diagonal weight of 0.0051" in line for line in seen.caveats) == says
