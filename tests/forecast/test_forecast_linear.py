"""Forecasts of JEPA and LeJEPA against training on the same pairs, closed forms, bad input."""

import json
import time
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jssl
from jssl import losses
from jssl.commands import main as cli
from jssl.data import images
from jssl.data.pairs import fixed
from jssl.errors import InputError
from jssl.forecast.distilled import ModeStart, largest_rate, steps_to
from jssl.forecast.isotropic import isotropic_modes, isotropic_rises
from jssl.forecast.linear_views import linear_modes, principal_views
from jssl.losses import jepa, target_objective
from jssl.models import aligned, linear, linear_head, linear_stack
from jssl.optim import gradient_descent
from jssl.theory import distillation, isotropy
from jssl.types import Pairs, Problem

SEEDS = 8


def gaussian_pairs(variances, noise, n=300, seed=0):
    draws = np.random.default_rng(seed)
    shared = draws.normal(size=(n, len(variances))) * np.sqrt(variances)
    return [shared + noise * draws.normal(size=shared.shape) for _ in range(2)]


def digit_pairs(n=300, noise=0.1):
    draws = np.random.default_rng(1)
    x = images.digits().x.astype(float).reshape(-1, 64)
    x = x[draws.permutation(len(x))[:n]]
    views = [x + noise * draws.normal(size=x.shape) for _ in range(2)]
    mean = np.concatenate(views).mean(0)
    return [view - mean for view in views]


def half_steps(problem, last, keys):
    """Train; return the steps at which each eigenvalue of C first is half of its last value."""
    record = np.unique(np.linspace(0, last, 400).astype(int))
    run = jax.jit(jax.vmap(jssl.run(problem, record)))
    values = np.asarray(run(keys).observables["eigenvalues"])
    found = np.empty((len(values), values.shape[2]))
    for i, j in np.ndindex(found.shape):
        curve, level = values[i, :, j], values[i, -1, j] / 2
        at = int(np.argmax(curve >= level))
        share = (level - curve[at - 1]) / (curve[at] - curve[at - 1]) if at else 0.0
        found[i, j] = record[at - 1] + share * (record[at] - record[at - 1]) if at else 0.0
    return found


def trained_lejepa(pairs, forecast, seeds=SEEDS):
    """Return half steps (seeds, dim) of the loss itself with fresh directions in every step."""
    views = Pairs(*(jnp.asarray(x) for x in pairs))
    model = linear(views.first.shape[1], len(forecast.steps), scale=forecast.scale)
    objective = losses.sliced_objective(model.apply, losses.lejepa, slices=16)
    rate = gradient_descent(forecast.learning_rate)
    problem = Problem(fixed(views), model, losses.get("lejepa"), rate, objective)
    keys = jax.random.split(jax.random.key(3), seeds)
    return half_steps(problem, int(2.2 * forecast.steps.max()), keys)


@pytest.mark.parametrize("data", ["Gaussian", "digits"])
def test_steps_of_lejepa_are_those_of_training_and_not_those_of_barlow_twins(data):
    """The tolerance: 3.9 standard errors of the random starts, and the forecast's own error.

    That error is the growth on these pairs against the theory's (finite sample, knots, embeddings
    that are not Gaussian). It is decided before anything is trained.
    """
    pairs = gaussian_pairs([1.0, 0.6, 0.3, 0.1], 0.3) if data == "Gaussian" else digit_pairs()
    seen = jssl.predict(pairs, loss="lejepa", dim=3)
    trained = trained_lejepa(pairs, seen)
    blur = np.sqrt(np.maximum(((seen.high - seen.steps) / 1.645) ** 2 - seen.start_errors**2, 0))
    tolerance = 3.9 * seen.start_errors * np.sqrt(1 / SEEDS + 1 / 8) + blur + 1
    assert (np.abs(trained.mean(0) - seen.steps) < tolerance).all()
    if data == "digits":
        return  # the first variances are within a factor of 1.4: eight starts do not separate them
    twins = jssl.predict(
        pairs, loss="barlow_twins_linearized", dim=3, kernel="linear", scale=seen.scale
    )
    ratios = np.log(trained[:, -1] / trained[:, 0])
    least = ratios.mean() - 3.9 * ratios.std(ddof=1) / np.sqrt(SEEDS)
    assert least > np.log(twins.steps[-1] / twins.steps[0])


@pytest.mark.parametrize(("depth", "data"), [(1, "Gaussian"), (2, "Gaussian"), (1, "digits")])
def test_steps_of_jepa_are_those_of_training_and_not_those_of_a_masked_autoencoder(depth, data):
    """The tolerance: what does not commute, squared (D-17), a step, and 1 % for a finite rate."""
    if data == "digits":
        x, y = digit_pairs(noise=0.05)
        axes = np.linalg.eigh(x.T @ x)[1][:, -6:]
        pairs = [x @ axes, y @ axes]
    else:
        pairs = gaussian_pairs([1.0, 0.5, 0.3], 0.4, n=2000)
    m = pairs[0].shape[1]
    seen = jssl.predict(pairs, loss="jepa", dim=m, kernel="linear" if depth == 1 else "linear-2")
    views = Pairs(*(jnp.asarray(v) for v in pairs))
    model = aligned(m, depth=depth, start=seen.scale)
    objective = target_objective(linear_stack, linear_head, jepa)
    rate = gradient_descent(seen.learning_rate)
    problem = Problem(fixed(views), model, jepa, rate, objective)
    keys = jax.random.split(jax.random.key(0), 1)
    trained = half_steps(problem, int(1.6 * seen.steps.max()), keys)[0]
    blur = np.maximum(seen.high - seen.steps, seen.steps - seen.low)
    order = np.argsort(seen.steps)
    close = np.abs(trained - seen.steps[order]) <= (blur + 0.01 * seen.steps + 1)[order]
    assert close.all()
    columns = seen.columns
    rival = distillation.critical_time(
        columns["covariance"][:m], columns["regression coefficient"][:m], seen.scale, depth=depth,
        objective="mae", share=0.5 ** (1 / (2 * depth)),
    )  # fmt: skip
    apart = np.abs(trained - np.asarray(rival)[order] / seen.learning_rate)
    assert (apart > 5 * (blur + 0.01 * seen.steps + 1)[order]).all()


def test_steps_of_fewer_outputs_are_those_of_the_layers_of_a_mode():
    """Euler steps of first layer, other layers and predictor, one step at a time."""
    lam, rho, rate = np.array([1.0, 0.8]), np.array([0.7, 0.5]), 0.05
    for depth, first in ((1, 0.03), (2, 0.06), (1, 0.1), (2, 0.1)):  # 0.1: all layers start alike
        start = ModeStart(np.full(2, first), 0.1)
        found = steps_to(0.5, start, lam, rho, depth, rate)
        ends = np.sqrt(rho**2 + first**2 - 0.1**2) * rho ** (depth - 1)
        for j in range(2):
            a, w, v, count = first, 0.1, 0.1, 0
            while a * w ** (depth - 1) < np.sqrt(0.5) * ends[j]:
                rest = a * w ** (depth - 1) * (lam[j] - lam[j] / rho[j] * v)
                change = v * w ** (depth - 1), v * a * w ** (depth - 2), a * w ** (depth - 1)
                a, w, v = (x + rate * c * rest for x, c in zip((a, w, v), change, strict=True))
                count += 1
            assert abs(found[j] - count) <= 1 + 1e-3 * count


def test_the_example_of_steps_to_is_the_number_of_steps_of_descent():
    """One layer w and the predictor v, in parameters: w moves along v w (lam - lam / rho v)."""
    lam, rho, start, rate = 1.0, 0.5, 0.1, 0.1
    given = ModeStart(np.full(1, start), start), np.full(1, lam), np.full(1, rho), 1, rate
    squares, w, v = [], start, start
    while w**2 < 0.5 * rho**2:  # the layer ends at w = v = rho
        squares.append(w**2)
        rest = lam - lam / rho * v
        w, v = w + rate * v * w * rest, v + rate * w * w * rest
    share = (0.5 * rho**2 - squares[-1]) / (w**2 - squares[-1])
    np.testing.assert_allclose(steps_to(0.5, *given), len(squares) - 1 + share, rtol=1e-3)


def test_the_largest_rate_of_jepa_is_that_of_the_jacobian_at_the_end():
    lam, rho, depth = np.array([1.0, 0.8, -0.2]), np.array([0.5, 0.8, -0.3]), 2
    moments = jssl.data.moments.Moments(np.diag(lam / rho), np.diag(lam))
    layers = np.where(rho > 0, rho, 0)

    def velocity(flat):
        first, second, head = flat.reshape(3, 3, 3)
        moved = distillation.velocity(distillation.Weights((first, second), head), moments)
        return jnp.concatenate([x.ravel() for x in (*moved.layers, moved.predictor)])

    end = jnp.asarray(np.stack([np.diag(layers)] * 3)).ravel()
    values = np.linalg.eigvals(np.asarray(jax.jacobian(velocity)(end)))
    found = largest_rate(lam, rho, 2, depth)
    assert found == pytest.approx(float(-values.real.min()), rel=1e-9)


def test_steps_of_lejepa_are_those_of_descent_on_the_population_loss():
    """Descent with jax.grad of the value of R, at one start of random ones."""
    draws = np.random.default_rng(0)
    views = principal_views(*gaussian_pairs([1.0, 0.6, 0.3], 0.3, n=4000), draws, centred=True)
    found = isotropic_modes(views, 2, 0.05, 4000, 3, draws)
    rate = 0.02
    rises = isotropic_rises(found, 1e-2, 3, rate, draws)
    q, c = jnp.asarray(found.variances), jnp.asarray(found.shares * found.variances)

    def loss(w):
        value = isotropy.value(q * w**2)
        return found.unit * (jnp.sum(c * w**2) + found.strength * value)

    def step(w, _):
        w = w - rate * jax.grad(loss)(w)
        return w, q * w**2

    last = int(1.5 * rises.half[0].max())
    path = np.asarray(jax.lax.scan(step, jnp.sqrt(rises.starts / q), length=last)[1])
    seen = [np.argmax(path[:, j] >= found.levels[j] / 2) for j in range(2)]
    np.testing.assert_allclose(seen, rises.half[0], rtol=0.01, atol=1)


def test_modes_of_wide_views_are_those_of_all_directions():
    draws = np.random.default_rng(0)
    x, y = gaussian_pairs([4.0, 2.0, 1.0], 0.1, n=200)
    turn = np.linalg.qr(draws.normal(size=(700, 3)))[0].T
    wide = principal_views(x @ turn, y @ turn, draws, centred=False)
    found = linear_modes(wide, np.multiply, 3, draws)
    cross = (x.T @ y + y.T @ x) / 400
    np.testing.assert_allclose(found.values, np.linalg.eigvalsh(cross)[::-1], rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kernel": "mlp-relu-3"}, "theory of lejepa covers linear encoders only"),
        ({"kernel": "linear-2"}, "theory of lejepa covers linear encoders only"),
        ({"loss": "jepa", "kernel": "conv-relu-3"}, "theory of jepa covers linear encoders only"),
        ({"loss": "jepa", "kernel": "linear-0"}, "theory of jepa covers linear encoders only"),
        ({"loss": "jepa", "kernel": 3}, "theory of jepa covers linear encoders only"),
        ({"width": 64}, "leave width out"),
        ({"weight_decay": 0.1}, "leave weight_decay out"),
        ({"apply": lambda p, x: x @ p, "params": np.eye(3)}, "leave apply out"),
        ({"simulate": 1}, "leave simulate out"),
        ({"placement": "clean-augmented-clean"}, "leave placement out"),
        ({"trade_off": 1.0}, "trade_off must be a number above 0 and below 1"),
        ({"trade_off": "much"}, "trade_off must be a number"),
        ({"trade_off": 1e-300}, "trade_off must be a number at least 1e-50"),
        ({"scale": 1e160}, "scale must be a number at least 1e-50 and at most"),
        ({"scale": 1e-170}, "scale must be a number at least 1e-50 and at most"),
        ({"learning_rate": 1e-300}, "learning_rate must be a number at least 1e-50"),
        ({"batch": 1}, "batch must be a whole number"),
        ({"dim": 7}, "dim of lejepa must be at most the 3 directions"),
        ({"loss": "jepa", "dim": 7}, "dim of jepa must be at most the 3 input dimensions"),
        ({"loss": "jepa", "trade_off": 0.1}, "belong to the loss lejepa"),
        ({"loss": "vicreg", "batch": 8}, "belong to the loss lejepa"),
        ({"loss": "simsiam"}, "do not cover simsiam"),
    ],
)
def test_what_the_theory_does_not_cover_is_refused_in_one_line(change, message):
    given = {"loss": "lejepa", "dim": 2} | change
    with pytest.raises(InputError, match=message) as refused:
        jssl.predict(gaussian_pairs([1.0, 0.5, 0.3], 0.1, n=40), **given)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("change", [{"scale": 1e-49}, {"scale": 1e49}, {"trade_off": 1e-49}])
def test_a_forecast_of_lejepa_far_out_is_made_without_a_warning(change):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        seen = jssl.predict(
            gaussian_pairs([1.0, 0.5, 0.3], 0.1, n=40), loss="lejepa", dim=2, **change
        )
    assert not np.isnan(seen.steps).any()


def test_views_of_opposite_sign_are_not_learned_by_jepa():
    x, _ = gaussian_pairs([1.0, 0.5], 0.1, n=40)
    with pytest.raises(InputError, match="nothing is learned"):
        jssl.predict((x, -x), loss="jepa", dim=2)
    half = jssl.predict((x, x * np.array([1.0, -1.0])), loss="jepa", dim=2)
    assert np.isfinite(half.steps).tolist() == [True, False]
    assert "are not learned" in " ".join(half.caveats)


def test_a_mode_of_too_much_noise_is_lost_under_a_small_trade_off():
    draws = np.random.default_rng(0)
    shared = draws.normal(size=(400, 2))
    views = [shared + draws.normal(size=(400, 2)) * np.array([0.05, 1.5]) for _ in range(2)]
    weak = jssl.predict(views, loss="lejepa", dim=2, trade_off=0.0005)
    strong = jssl.predict(views, loss="lejepa", dim=2, trade_off=0.5)
    assert (np.isfinite(weak.steps).sum(), np.isfinite(strong.steps).sum()) == (1, 2)
    assert weak.lost.rank == 1
    assert "A larger trade-off or batch keeps them" in " ".join(weak.caveats)


def test_nothing_is_learned_where_noise_exceeds_the_pull(tmp_path):
    draws = np.random.default_rng(0)
    shared = 0.1 * draws.normal(size=(400, 2))
    views = [shared + draws.normal(size=(400, 2)) for _ in range(2)]
    seen = jssl.predict(views, loss="lejepa", dim=2, trade_off=1e-6, batch=8)
    assert str(seen).startswith("No dimension will be learned: the noise of the views exceeds")
    assert not np.isfinite(seen.steps).any()
    assert seen.write(tmp_path).is_file()


def test_views_with_a_mean_are_told_to_be_centred():
    first, second = gaussian_pairs([1.0, 0.5], 0.1, n=100)
    seen = jssl.predict((first + 3, second + 3), loss="lejepa", dim=2)
    assert "subtract it before training" in seen.caveats[0]
    same = jssl.predict((first, second), loss="lejepa", dim=2)
    np.testing.assert_allclose(seen.steps, same.steps, rtol=1e-6)


@pytest.mark.parametrize("loss", ["jepa", "LeJEPA"])
def test_the_command_writes_page_and_numbers(loss, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.savez("views.npz", *gaussian_pairs([1.0, 0.5, 0.2], 0.1, n=60))
    assert cli.run(["predict", "--pairs", "views.npz", "--loss", loss, "--dim", "2"]) == 0
    line = capsys.readouterr().out.splitlines()[0]
    assert line.startswith(f"Take a dimension of 2 or more under {loss.lower()} with a linear enc")
    record = json.loads((tmp_path / "jssl-predict" / "report.json").read_text())
    assert len(record["steps"]) == 2
    assert record["columns"]
    assert "linear" in (tmp_path / "jssl-predict" / "report.html").read_text()


def test_a_forecast_of_lejepa_is_a_curve_that_rises_above_its_end():
    seen = jssl.predict(gaussian_pairs([1.0, 0.1, 0.05], 0.05), loss="lejepa", dim=3)
    values = np.asarray(seen.trajectory().observables["eigenvalues"])
    assert values[:, 0].max() > 1.1 * seen.final.max()
    assert seen.plot().get_ylabel() == "dimensions learned"


def test_nets_without_a_width_are_refused():
    with pytest.raises(InputError, match="nets is the number of networks of a width"):
        jssl.predict(gaussian_pairs([1.0, 0.5], 0.1), loss="barlow_twins_linearized", dim=2, nets=3)


def test_a_refusal_with_a_width_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.savez("views.npz", *gaussian_pairs([1.0, 0.5, 0.2], 0.1, n=60))
    given = ["predict", "--pairs", "views.npz", "--width", "32", "--dim", "2"]
    for more in (["--kernel", "linear"], ["--loss", "lejepa"], ["--nets", "0"]):
        assert cli.run([*given, *more]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_report_in_the_folder_names_the_argument_of_python(tmp_path):
    seen = jssl.predict(gaussian_pairs([1.0, 0.5], 0.1), loss="jepa", dim=2)
    seen.write(tmp_path)
    with pytest.raises(InputError, match="overwrite=True"):
        seen.write(tmp_path)
    seen.write(tmp_path, overwrite=True)


@pytest.mark.parametrize("loss", ["jepa", "lejepa", "barlow_twins_linearized"])
@pytest.mark.parametrize("factor", [1.0, 30.0, 1e9])
def test_above_the_stable_rate_no_step_is_predicted_and_nothing_says_otherwise(loss, factor):
    given = {"loss": loss, "dim": 3, "kernel": "linear"}
    pairs = gaussian_pairs([1.0, 0.5, 0.3], 0.1, n=100)
    stable = jssl.predict(pairs, **given)
    begun = time.process_time()
    seen = jssl.predict(pairs, **given, learning_rate=factor * stable.stable_rate)
    assert time.process_time() - begun < 8  # the solver alone took longer, or forever, before
    assert seen.learning_rate == factor * stable.stable_rate
    for name in ("times", "steps", "low", "high", "limit_steps", "rises", "final"):
        assert np.isnan(getattr(seen, name)).all()
    assert seen.summary[0].startswith("At learning rate ")
    assert "diverges" in seen.summary[0]
    assert "no step is predicted" in seen.summary[0]
    said = " ".join((*seen.summary[1:], *seen.caveats))
    for word in ("half-learned", " in 0 steps", "factor of e", "as many steps", "never"):
        assert word not in said
    np.testing.assert_array_equal(seen.eigenvalues, stable.eigenvalues)
    assert "learned" not in seen.metrics() or np.isnan(seen.metrics()["learned"])
    with pytest.raises(InputError, match="no step is predicted"):
        seen.plot()
    with pytest.raises(InputError, match="no step is predicted"):
        seen.trajectory()


@pytest.mark.parametrize(
    ("loss", "what"), [("jepa", "diverges"), ("lejepa", "diverges or does not settle")]
)
def test_the_command_says_that_training_diverges_in_its_first_sentence(
    loss, what, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    np.savez("views.npz", *gaussian_pairs([1.0, 0.5, 0.2], 0.1, n=60))
    given = ["predict", "--pairs", "views.npz", "--loss", loss, "--dim", "2"]
    assert cli.run([*given, "--learning-rate", "1e7"]) == 0
    assert f"{what}, so no step is predicted" in capsys.readouterr().out.splitlines()[0]
    assert "not predicted" in (tmp_path / "jssl-predict" / "report.html").read_text()


@pytest.mark.parametrize("loss", ["jepa", "lejepa"])
def test_one_dimension_is_spoken_of_in_the_singular(loss):
    said = str(jssl.predict(gaussian_pairs([1.0], 0.1, n=200), loss=loss, dim=1))
    assert "the one dimension is learned and is distinguishable" in said
    assert "all 1 dimensions" not in said
    assert "coefficients" not in said
    assert "eigenvalues" not in said
    assert " to 0." not in said.splitlines()[-1]


def test_one_dimension_that_is_not_stable_is_spoken_of_in_the_singular():
    """Moments that commute exactly: context variances 2.5 and .625, covariances 1 and .5."""
    x = np.linalg.qr(np.random.default_rng(1).normal(size=(400, 2)))[0] * 20
    seen = jssl.predict(
        (x * np.sqrt([2.5, 0.625]), x * [1.0, 0.5] / np.sqrt([2.5, 0.625])), loss="jepa", dim=2
    )
    said = " ".join(seen.caveats)
    assert "Of all dimensions that the outputs learn, 1 is not stable" in said
    assert "sampling noise" not in said
    assert "in 0 steps" not in said


def test_refused_losses_are_told_of_every_loss_that_is_forecast():
    with pytest.raises(InputError, match=r"use one of .*jepa, lejepa.*spectral_contrastive"):
        jssl.predict(gaussian_pairs([1.0, 0.5], 0.1), loss="sigreg", dim=2)
