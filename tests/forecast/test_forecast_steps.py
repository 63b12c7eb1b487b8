"""Steps of a forecast against descent: decay, placement, rank, negative and equal eigenvalues."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import jssl
from jssl import losses
from jssl.commands import main as cli
from jssl.errors import InputError
from jssl.forecast.starts import _factor, random_start
from jssl.theory import landscape


def commuting_pairs(shared, variances, n=160):
    """Return centred pairs of exactly Gamma = diag(shared), Sigma = diag(variances)."""
    shared, variances = np.array(shared), np.array(variances)
    draws = np.random.default_rng(0).normal(size=(n, 2 * len(shared)))
    q = np.linalg.qr(draws - draws.mean(0))[0] * np.sqrt(n)
    rho, m = shared / variances, len(shared)
    second = q[:, :m] * rho + q[:, m:] * np.sqrt(1 - rho**2)
    return q[:, :m] * np.sqrt(variances), second * np.sqrt(variances)


def identical_pairs(shared, n=160):
    first, _ = commuting_pairs(shared, shared, n)
    return first, first + 0


def linear(params, x):
    return x @ params.T


def descend(w, gamma, rate, steps, *, decay=0.0, off_diagonal=1.0):
    """Return the eigenvalues of C along descent on linearised Barlow Twins, (steps, ..., dim)."""
    weight = off_diagonal + (1 - off_diagonal) * np.eye(w.shape[-2])
    seen = []
    for _ in range(steps):
        c = (w * gamma) @ w.swapaxes(-1, -2)
        seen.append(np.linalg.eigvalsh(c)[..., ::-1])
        if np.abs(w).max() > 1e3:
            break
        slope = 4 * (weight * c - np.eye(w.shape[-2])) @ (w * gamma) + 2 * decay * w
        w = w - rate * slope
    return np.array(seen)


def half_steps(seen):
    return (seen > seen[-1] / 2).argmax(0)


def random_weights(seeds, dim, size, scale):
    return scale * np.random.default_rng(1).normal(size=(seeds, dim, size)) / size**0.5


def test_weight_decay_delays_modes_and_holds_back_those_that_it_outweighs():
    gamma, decay, seeds = np.array([1.0, 0.5, 0.1]), 0.5, 100
    seen = jssl.predict(
        identical_pairs(gamma),
        loss="barlow_twins_linearized",
        dim=3,
        kernel="linear",
        weight_decay=decay,
    )
    # 2 gamma > decay, the largest curvature is 4 (2 gamma_1 - decay) and half of it stable
    np.testing.assert_allclose(seen.stable_rate, 2 / (4 * 1.5))
    start = random_weights(seeds, 3, 3, seen.scale)
    path = descend(start, gamma, seen.learning_rate, int(2.5 * seen.steps[1]), decay=decay)
    np.testing.assert_allclose(path[-1].mean(0), [0.75, 0.5, 0.0], atol=0.01)
    steps = half_steps(path)[:, :2]
    error = 3.9 * steps.std(0) / seeds**0.5
    assert (np.abs(steps.mean(0) - seen.steps[:2]) < error + 1).all()
    assert np.isinf(seen.steps[2])
    assert seen.summary[0].startswith("Take a dimension of 2: 2 of 3 dimensions")
    assert "never" in seen.summary[1]
    assert any("an eigenvalue must exceed 0.25" in caveat for caveat in seen.caveats)
    assert (seen.lost.rank, seen.distinguishable) == (2, 2)


def test_fewer_modes_than_outputs_under_barlow_twins():
    gamma, dim, seeds = np.array([1.0, 0.6, 0.4]), 16, 12
    seen = jssl.predict(identical_pairs(gamma), loss="barlow_twins", dim=dim, kernel="linear")
    rate = 0.008
    start = random_weights(seeds, dim, 3, seen.scale)
    path = descend(start, gamma, rate, int(1.7 * seen.times[2] / rate), off_diagonal=0.0051)
    times = rate * half_steps(path[:, :, :3])
    np.testing.assert_allclose(seen.times[:3], times.mean(0), rtol=0.1)
    assert np.isinf(seen.times[3:]).all()
    assert (
        np.abs(times.mean(0) / seen.learning_rate - seen.steps[:3]) < seen.step_errors[:3]
    ).all()


def test_decay_holds_back_more_modes_where_the_off_diagonal_weight_is_small():
    gamma, decay = np.array([1.0, 0.6, 0.4]), 0.3
    pairs = identical_pairs(gamma)
    given = {"dim": 2, "kernel": "linear", "weight_decay": decay}
    seen = jssl.predict(pairs, loss="barlow_twins", **given)
    path = descend(
        random_weights(1, 2, 3, 0.5), gamma, 0.02, 4000, decay=decay, off_diagonal=0.0051
    )
    assert path[-1, 0, 1] < 1e-6 < path[-1, 0, 0]
    assert np.isfinite(seen.steps).tolist() == [True, False]
    assert seen.lost.rank == 1
    both = jssl.predict(pairs, loss="barlow_twins_linearized", **given)
    assert np.isfinite(both.steps).all()


@pytest.mark.parametrize("name", ["vicreg_squared", "spectral_contrastive", "info_nce"])
def test_decay_of_other_losses_is_that_of_descent_on_the_loss_itself(name):
    options = {"temperature": 2.0} if name == "info_nce" else {}
    decay = 0.06 if options else 0.25
    first, second = map(jnp.asarray, commuting_pairs([1.0, 0.5, 0.1], [1.1, 0.7, 0.5]))
    weight = 1e-3 * jnp.asarray(np.random.default_rng(5).normal(size=(3, 3)))
    given = {"dim": 3, "apply": linear, "params": weight, "scale": 1.0}
    seen = jssl.predict((first, second), loss=name, weight_decay=decay, **given, **options)
    loss = losses.get(name, **options)
    sigma = (first.T @ first + second.T @ second) / (2 * len(first))

    def total(w):
        return loss(linear(w, first), linear(w, second)) + decay * (w**2).sum()

    def step(w, _):
        return w - seen.learning_rate * jax.grad(total)(w), jnp.linalg.eigvalsh(w @ sigma @ w.T)

    last = int(2.2 * seen.steps[1])
    path = np.asarray(jax.jit(lambda w: jax.lax.scan(step, w, length=last)[1])(weight))[:, ::-1]
    assert path[-1, 2] < 1e-3 * path[-1, 1]
    assert np.isinf(seen.steps[2])
    np.testing.assert_allclose(half_steps(path)[:2], seen.steps[:2], rtol=0.02, atol=1)


def test_a_loud_negative_mode_lowers_the_stable_rate():
    gamma = np.array([1.0, 0.6, -20.0])
    pairs = commuting_pairs(gamma, np.abs(gamma) * 1.05)
    seen = jssl.predict(pairs, loss="barlow_twins_linearized", dim=2, kernel="linear")
    np.testing.assert_allclose(seen.stable_rate, 1 / (2 * 20.0), rtol=1e-6)
    start = random_weights(1, 2, 3, seen.scale)
    for share, stable in ((0.97, True), (1.03, False)):
        path = descend(start, gamma, share * seen.stable_rate, 300)
        assert (np.abs(path).max() < 2) == stable
    steps = half_steps(descend(start, gamma, seen.learning_rate, 2 * int(seen.steps[1])))
    assert (np.abs(steps - seen.steps) < 3.9 * seen.step_errors).all()


@pytest.mark.parametrize("name", ["vicreg_squared", "info_nce"])
def test_variance_that_the_views_do_not_share_lowers_the_stable_rate(name):
    options = {"temperature": 1.0} if name == "info_nce" else {}
    first, second = map(jnp.asarray, commuting_pairs([0.5, 0.3, 0.0], [0.6, 0.5, 9.0]))
    weight = 1e-3 * jnp.asarray(np.random.default_rng(5).normal(size=(2, 3)))
    given = {"dim": 2, "apply": linear, "params": weight, "scale": 1.0}
    seen = jssl.predict((first, second), loss=name, **given, **options)
    loss = losses.get(name, **options)
    slope = jax.grad(lambda w: loss(linear(w, first), linear(w, second)))

    def largest(rate):
        def step(w, _):
            return w - rate * slope(w), jnp.abs(w).max()

        return jax.lax.scan(step, weight, length=3000)[1]

    stable, beyond = (jax.jit(largest)(share * seen.stable_rate) for share in (0.9, 1.2))
    assert np.ptp(stable[-100:]) < 1e-6
    assert not np.ptp(beyond[-100:]) < 1e-3
    signal = 1 if options else 2
    assert seen.stable_rate < 0.2 / (2 * signal * 0.5)  # a fifth of what the modes would bear


@pytest.mark.parametrize("clean", [True, False])
def test_the_place_of_the_augmentation_decides_on_the_steps(clean):
    # A0 = I, C = diag(.1, 3): B = A0 - C / 2 = diag(.95, -.5)
    noise, n = np.array([0.1, 3.0]), 600
    draws = np.random.default_rng(0).normal(size=(n, 6))
    q = np.linalg.qr(draws - draws.mean(0))[0] * np.sqrt(n)
    x, e, f = q[:, :2], q[:, 2:4] * noise**0.5, q[:, 4:] * noise**0.5
    pairs = (x, x + e) if clean else (x + e, x + f)
    weight = np.diag([1e-4, 1e-4])
    given = {"dim": 2, "placement": "clean-augmented-clean", "temperature": 1.0}
    own = {"apply": linear, "params": jnp.asarray(weight), "scale": 1.0}
    seen = jssl.predict(pairs, loss="simclr", **given, **own)
    views = landscape.views([1.0, 1.0], noise, given["placement"])
    slope = jax.jit(jax.grad(landscape.gaussian_info_nce))

    def rate(_, w):
        return -np.asarray(slope(jnp.asarray(w).reshape(2, 2), views)).ravel()

    times = np.linspace(0, 8 * seen.times[0], 8001)
    path = solve_ivp(rate, (0, times[-1]), weight.ravel(), t_eval=times, rtol=1e-7, atol=1e-11).y
    assert path[3, -1] ** 2 < 1e-8  # mode 2 shrinks
    half = times[(path[0] ** 2 > path[0, -1] ** 2 / 2).argmax()]
    assert seen.times[0] == pytest.approx(half, rel=2e-3)
    assert np.isinf(seen.steps[1])
    assert seen.lost.rank == 1
    np.testing.assert_allclose(seen.eigenvalues, [0.95], rtol=1e-6)
    np.testing.assert_allclose(seen.lost.factors, [20, 2 / 3], rtol=1e-6)
    assert seen.lost.factor == pytest.approx(2 / 3)  # by hand: mode 2 has 1 - 1.5 f
    assert any("would be lost at 20 times" in caveat for caveat in seen.caveats)
    assert any("grow under clean-augmented-clean: 1" in caveat for caveat in seen.caveats)
    assert any("kept below 0.67 times" in sentence for sentence in seen.caveats)
    assert seen.settings["first views"] == ("clean" if clean else "augmented")
    said = jssl.predict(pairs, loss="simclr", clean_first=clean, **given, **own)
    np.testing.assert_array_equal(said.steps, seen.steps)


def test_pairs_that_do_not_show_where_the_augmentation_is_must_be_explained():
    x, e, f = np.random.default_rng(0).normal(size=(3, 100, 2))
    given = {"loss": "simclr", "dim": 1, "kernel": "linear", "placement": "clean-augmented-clean"}
    with pytest.raises(InputError, match="pass clean_first=True or clean_first=False"):
        jssl.predict((x + 0.7 * e, x + f), **given)
    assert jssl.predict((x + 0.2 * e, x + 0.3 * f), **given, clean_first=False).lost.rank == 1


@pytest.mark.parametrize("gamma", [[1.0, 0.5, 0.5], [1.0, 0.5, 0.47], [0.5, 0.5, 0.5]])
def test_equal_and_close_eigenvalues_of_a_given_start(gamma):
    gamma = np.array(gamma)
    weight = 1e-4 * np.random.default_rng(2).normal(size=(3, 3))
    given = {"dim": 3, "apply": linear, "params": jnp.asarray(weight), "scale": 1.0}
    seen = jssl.predict(identical_pairs(gamma), loss="barlow_twins_linearized", **given)
    path = descend(weight, gamma, seen.learning_rate, int(1.5 * max(seen.steps)))
    np.testing.assert_allclose(np.sort(seen.steps), half_steps(path), rtol=0.005, atol=1)


def test_equal_eigenvalues_of_random_starts():
    gamma, seeds = np.full(3, 0.5), 200
    seen = jssl.predict(
        identical_pairs(gamma), loss="barlow_twins_linearized", dim=3, kernel="linear"
    )
    start = random_weights(seeds, 3, 3, seen.scale)
    steps = half_steps(descend(start, gamma, seen.learning_rate, int(2 * seen.steps[2])))
    error = 3.9 * steps.std(0) * (1 / seeds + 1 / 48) ** 0.5
    assert (np.abs(steps.mean(0) - seen.steps) < error + 1).all()
    assert (seen.step_errors > 0.7 * steps.std(0)).all()


def test_the_start_of_correlated_modes_is_that_of_their_cholesky_factor():
    draws = np.random.default_rng(0)
    root = draws.normal(size=(3, 3))
    starts = draws.normal(size=(4000, 2, 3)) @ root
    diagonal = np.abs(np.diagonal(np.linalg.qr(starts[:, :, :2])[1], axis1=1, axis2=2))
    scales, spread = random_start(np.ones(3), np.eye(3), 2, root.T @ root)
    logs = 2 * np.log(diagonal)
    error = 3.9 * logs.std(0) / len(starts) ** 0.5
    assert (np.abs(logs.mean(0) - 2 * np.log(scales)) < error).all()
    np.testing.assert_allclose(logs.std(0), spread, rtol=0.1)
    singular = _factor(np.eye(3), np.diag([2.0, 0.0, 1.0]))
    np.testing.assert_allclose(singular.T @ singular, np.diag([2.0, 0.0, 1.0]), atol=1e-12)


@pytest.mark.parametrize("loss", ["barlow_twins_linearized", "barlow_twins", "vicreg_squared"])
@pytest.mark.parametrize("scale", [1e-250, 1e-20, 1e60])
def test_starts_of_any_size_are_borne(loss, scale):
    seen = jssl.predict(identical_pairs([1.0, 0.5]), loss=loss, dim=2, kernel="linear", scale=scale)
    if scale > 1:
        assert (seen.times == 0).all()
    else:
        np.testing.assert_allclose(seen.times[0], -np.log(scale) / 4, rtol=0.05)


def test_a_mode_that_the_minimum_replaces_is_named():
    pairs = commuting_pairs([1.0, 0.5], [3.0, 0.51])
    seen = jssl.predict(pairs, loss="spectral_contrastive", dim=1, kernel="linear")
    assert any("Dimension 1 is learned but later replaced" in caveat for caveat in seen.caveats)
    both = jssl.predict(pairs, loss="spectral_contrastive", dim=2, kernel="linear")
    assert not any("later replaced" in caveat for caveat in both.caveats)


def test_where_nothing_is_learned_the_summary_and_the_page_say_so(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    first, second = identical_pairs([1.0, 0.5])
    np.savez("views.npz", first=first, second=second)
    given = ["predict", "--pairs", "views.npz", "--loss", "barlow_twins_linearized", "--dim", "2"]
    assert cli.run([*given, "--kernel", "linear", "--weight-decay", "3"]) == 0
    out = capsys.readouterr().out
    assert "No dimension will be learned: the weight decay is too large" in out
    assert "half-learned" not in out
    assert cli.run([*given, "--weight-decay", "3", "--overwrite"]) == 2
    assert "use kernel='linear'" in capsys.readouterr().err


def test_both_views_of_images_are_augmented_and_pairs_may_be_said_to_be_clean(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    x, e = np.random.default_rng(0).normal(size=(2, 60, 2))
    np.savez("views.npz", first=x, second=x + 0.2 * e)
    images = np.random.default_rng(1).uniform(size=(60, 4, 4, 1)).astype(np.float32)
    np.savez("images.npz", x=images)
    given = ["--loss", "simclr", "--dim", "2", "--kernel", "linear"]
    given += ["--placement", "clean-augmented-clean", "--overwrite"]
    assert cli.run(["predict", "--pairs", "views.npz", *given, "--clean-first", "True"]) == 0
    assert cli.run(["predict", "--pairs", "views.npz", *given]) == 2
    assert "pass clean_first=True or clean_first=False" in capsys.readouterr().err
    assert cli.run(["predict", "--images", "images.npz", "--views", "noise=0.1", *given]) == 0


def test_a_forecast_for_another_loss_names_that_loss():
    pairs = identical_pairs([1.0, 0.5])
    for loss, name in (("vicreg", "under vicreg_squared"), ("barlow_twins", "without batch norm")):
        seen = jssl.predict(pairs, loss=loss, dim=2, kernel="linear")
        assert name in seen.summary[0]
