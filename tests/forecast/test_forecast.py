"""`jssl.predict` against descent itself, dense algebra and stated populations; bad input."""

import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jssl
from jssl import losses
from jssl._compat import neural_tangents
from jssl.commands import main as cli
from jssl.data import toy
from jssl.errors import InputError
from jssl.forecast.lost_dimensions import lost_dimensions
from jssl.forecast.rules import rule_of
from jssl.forecast.starts import random_start
from jssl.forecast.summary import count_of
from jssl.types import Pairs

RNG = np.random.default_rng(0)
VARIANCE, SHARED = np.array([2.0, 1.0, 0.5]), np.array([0.9, 0.6, 0.3])


def commuting_pairs(n=60):
    """Return centred pairs with Sigma = diag(VARIANCE), Gamma = diag(VARIANCE * SHARED)."""
    draws = np.random.default_rng(0).normal(size=(n, 6))  # whichever tests ran before
    q = np.linalg.qr(draws - draws.mean(0))[0] * np.sqrt(n)
    first = q[:, :3] * np.sqrt(VARIANCE)
    second = (q[:, :3] * SHARED + q[:, 3:] * np.sqrt(1 - SHARED**2)) * np.sqrt(VARIANCE)
    return first, second


def linear(params, x):
    return x @ params.T


def half_steps(loss, first, second, weight, rate, steps):
    """Descend on a loss from an aligned weight; return where each diagonal^2 is half its last."""
    gradient = jax.grad(lambda w: loss(linear(w, first), linear(w, second)))

    def step(w, _):
        return w - rate * gradient(w), jnp.diagonal(w) ** 2

    squares = np.asarray(jax.jit(lambda w: jax.lax.scan(step, w, length=steps)[1])(weight))
    return (squares < squares[-1] / 2).sum(0)


@pytest.mark.parametrize(
    ("name", "options", "tolerance"),
    [
        ("barlow_twins_linearized", {}, 0.005),
        ("spectral_contrastive", {}, 0.005),
        ("vicreg_squared", {}, 0.005),
        ("info_nce", {"temperature": 2.0}, 0.08),  # its quartic is leading order
    ],
)
def test_steps_are_those_of_descent_on_the_loss_itself(name, options, tolerance):
    first, second = map(jnp.asarray, commuting_pairs())
    weight = 1e-4 * jnp.eye(2, 3)
    seen = jssl.predict(
        (first, second), loss=name, dim=2, apply=linear, params=weight, scale=1.0, **options
    )
    found = half_steps(
        losses.get(name, **options),
        first,
        second,
        weight,
        seen.learning_rate,
        int(1.6 * seen.steps[-1]),
    )
    np.testing.assert_allclose(found, seen.steps, rtol=tolerance, atol=1)


def test_steps_of_a_random_start_are_those_of_many_seeds():
    scales, dim, scale = np.array([1.0, 0.4, 0.1]), 2, 1e-5
    pairs = toy.pairs_with_cross_moment(scales, 120, key=jax.random.key(0))
    seen = jssl.predict(
        pairs, loss="barlow_twins_linearized", dim=dim, kernel="linear", scale=scale
    )
    gamma = np.asarray(pairs.first.T @ pairs.second) / 120
    seeds = 200
    w = scale * RNG.normal(size=(seeds, dim, 3)) / np.sqrt(3)
    times = np.full((seeds, dim), np.inf)
    for step in range(int(2 * seen.steps[-1])):
        c = w @ gamma @ w.mT
        values = np.linalg.eigvalsh(c)[:, ::-1]
        times = np.where((values >= 0.5) & ~np.isfinite(times), step, times)
        w = w - 4 * seen.learning_rate * (c - np.eye(dim)) @ w @ gamma
    error = times.std(0, ddof=1) / np.sqrt(seeds)
    assert (abs(times.mean(0) - seen.steps) < 3.9 * error + 1).all()
    _, spread = random_start(seen.eigenvalues, np.eye(3), dim, np.eye(3))
    predicted = spread / (8 * seen.eigenvalues[:2] * seen.learning_rate)
    np.testing.assert_allclose(times.std(0), predicted, rtol=3.9 * 1.3 / np.sqrt(2 * seeds))


def test_distinguishable_is_the_number_of_modes_that_are_shared():
    draws = np.random.default_rng(0)
    sample = draws.normal(size=(200, 3)) * np.array([1.4, 1.0, 0.0])
    views = [sample + 0.2 * draws.normal(size=sample.shape) for _ in range(2)]
    seen = jssl.predict(views, loss="barlow_twins_linearized", dim=3, kernel="linear")
    assert (seen.distinguishable, seen.all_distinguishable) == (2, False)
    assert str(seen).splitlines() == list(seen.summary)


@pytest.mark.parametrize(
    ("placement", "decay", "surviving", "lost"),
    [
        ("augmented-augmented-augmented", 0.0, 3, 0),
        ("augmented-augmented-clean", 0.0, 2, 1),
        ("augmented-augmented-augmented", 2.0, 1, 2),
    ],
)
def test_dimensions_that_the_augmentation_takes_away_are_counted(placement, decay, surviving, lost):
    pairs = toy.gaussian_pairs(jax.random.key(0), 3000, [4.0, 1.0, 0.5], [0.1, 0.1, 3.0])
    views = map(np.asarray, pairs[:2])
    rule = rule_of("simclr", placement)[1]
    seen = lost_dimensions(*views, rule, 3, weight_decay=decay, placement=placement)
    assert (seen.carried, seen.surviving, seen.lost) == (3, surviving, lost)
    assert seen.rank == surviving
    if lost == 1:
        assert seen.factor < 1 < seen.factors[seen.rank - 1]  # that of the lost one, of the next


def test_a_network_of_ones_own_is_read_at_its_own_start():
    first, second = commuting_pairs()
    weight = jnp.asarray(RNG.normal(size=(2, 3)))
    seen = jssl.predict(
        (first, second), loss="barlow_twins_linearized", dim=2, apply=linear, params=weight
    )
    same = jssl.predict((first, second), loss="barlow_twins_linearized", dim=2, kernel="linear")
    np.testing.assert_allclose(seen.eigenvalues[:3], VARIANCE * SHARED, rtol=1e-6)
    np.testing.assert_allclose(same.eigenvalues[:3], VARIANCE * SHARED, rtol=1e-6)
    assert np.isfinite(seen.steps).all()


def test_barlow_twins_of_small_off_diagonal_weight_is_slower_after_the_first_step():
    pairs = commuting_pairs()
    one = jssl.predict(pairs, loss="barlow_twins_linearized", dim=3, kernel="linear", scale=1e-4)
    real = jssl.predict(pairs, loss="barlow_twins", dim=3, kernel="linear", scale=1e-4)
    assert real.steps[0] == pytest.approx(one.steps[0], rel=0.02)
    assert real.steps[1] > 10 * one.steps[1]
    assert "Batch normalisation" in " ".join(real.caveats)


def test_what_the_theory_does_not_cover_is_a_caveat():
    pairs = commuting_pairs()
    given = {"loss": "barlow_twins_linearized", "dim": 2, "kernel": "linear"}
    stable = jssl.predict(pairs, **given)
    assert stable.stable_rate == pytest.approx(1 / (4 * VARIANCE[0] * SHARED[0]))
    assert stable.learning_rate == pytest.approx(stable.stable_rate / 10)
    fast = jssl.predict(pairs, **given, learning_rate=1.01 * stable.stable_rate)
    assert any("above the largest stable one" in caveat for caveat in fast.caveats)
    large = jssl.predict(pairs, **given, scale=1.0)
    assert any("too large for separate steps" in caveat for caveat in large.caveats)
    few = jssl.predict(pairs, **given | {"dim": 5})
    assert np.isfinite(few.steps).sum() == 3
    shared = few.distinguishable
    assert 1 <= shared <= 3
    assert few.summary[0].startswith(f"Take a dimension of {shared}: {shared} of 5 dimensions")
    assert ("cannot be distinguished from noise" in few.summary[0]) == (shared < 3)
    assert few.summary[0].endswith("The other outputs learn nothing.")
    cosine = jssl.predict(pairs, **given | {"loss": "simclr"})
    assert any("cosine" in caveat for caveat in cosine.caveats)


def test_every_rule_is_the_dictionary_of_the_landscape():
    from jssl.forecast.rules import RULES
    from jssl.theory.landscape import form

    for name, rule in RULES.items():
        stated = form(rule.landscape, [2.0], 0.5)
        spread = 2.0 if rule.own_spread else 2.5
        assert rule.signal * 2.0 == pytest.approx(float(stated.signal[0, 0])), name
        quartic = float(stated.own * stated.negative[0, 0] ** 2)
        quartic += float(stated.cross * stated.negative[0, 0] * stated.anchor[0, 0])
        assert rule.quartic * spread**2 == pytest.approx(quartic), name


@pytest.mark.parametrize("kernel", ["mlp-relu-1", "conv-relu-1"])
def test_infinite_kernels_are_those_of_the_models(kernel):
    from jssl.forecast.encoders import grams, named_encoder
    from jssl.kernels.infinite import gram

    views = jnp.asarray(RNG.normal(size=(10, 4, 4, 1)))
    model = named_encoder(kernel, (4, 4, 1))
    nngp, ntk = grams(model, views)
    pairs = Pairs(views[:5], views[5:])
    np.testing.assert_allclose(ntk, gram(model, pairs), rtol=1e-10)
    np.testing.assert_allclose(nngp, gram(model, pairs, kind="nngp"), rtol=1e-10)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"loss": "barlow_twin"}, "did you mean 'barlow_twins'"),
        ({"loss": "byol"}, "do not cover byol_regression .jssl.theory.distillation"),
        ({"loss": "vicreg", "placement": "clean-augmented-clean"}, "needs the loss nt_xent"),
        ({"placement": "x-y"}, "unknown placement 'x-y'"),
        ({"kernel": "mlp"[:2]}, "unknown kernel 'ml'; write linear"),
        ({"kernel": "conv-relu-1"}, r"conv needs images|not installed"),
        ({"dim": 0}, "dim must be"),
        ({"dim": 40}, "needs more than 82 pairs"),
        ({"learning_rate": -1.0}, "learning_rate must be"),
        ({"scale": 0.0}, "scale must be"),
        ({"pairs": 3}, "two arrays"),
        ({"pairs": (np.ones((60, 3)), np.ones((59, 3)))}, "match them"),
        ({"pairs": (np.ones((60, 3), int),) * 2}, "all views are equal"),
        ({"pairs": (np.ones((60, 3), bool),) * 2}, "bool"),
        ({"pairs": (np.full((60, 3), np.nan),) * 2}, "not finite"),
        ({"pairs": (np.zeros((60, 3)),) * 2}, "share nothing"),
        ({"pairs": (np.zeros((5000, 1)),) * 2}, "at most 4,000 pairs"),
        ({"apply": lambda p, x: x, "params": ()}, "must return"),
    ],
)
def test_bad_input_is_refused(changes, says):
    given = {"pairs": commuting_pairs(), "loss": "barlow_twins", "dim": 2, "kernel": "linear"}
    with pytest.raises(InputError, match=says):
        jssl.predict(**(given | changes))


def test_only_conv_needs_neural_tangents_and_says_what_to_do(monkeypatch):
    def missing():
        message = f"kernels of convolutional networks need it; run: {neural_tangents.INSTALL}"
        raise InputError(message)

    monkeypatch.setattr(neural_tangents, "load", missing)
    pairs = commuting_pairs()
    images = [np.asarray(x).reshape(len(x), -1, 1, 1) for x in pairs]
    with pytest.raises(InputError, match=r"pip install --no-deps .* or use the kernel mlp-relu-2"):
        jssl.predict(images, loss="barlow_twins", dim=2, kernel="conv")
    assert jssl.predict(pairs, loss="barlow_twins", dim=2).steps.shape == (2,)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for i in range(40):
        grey = (np.outer(np.sin(np.arange(8) + i), np.cos(np.arange(8) * i)) * 120 + 128).astype(
            np.uint8
        )
        Image.fromarray(grey).save(tmp_path / "photos" / f"{i}.png")
    (tmp_path / "photos" / "bad.png").write_bytes(b"not an image")
    (tmp_path / "photos" / "notes.txt").write_text("no image")
    first, second = commuting_pairs()
    np.savez("views.npz", first=first, second=second)
    return tmp_path


def test_the_command_reads_a_folder_of_images_and_names_what_it_cannot(folder, capsys):
    arguments = ["predict", "--images", "photos", "--views", "shift=1,noise=0.05"]
    given = ["--loss", "simclr", "--dim", "4", "--kernel", "linear", "--out", "out"]
    assert cli.run([*arguments, *given]) == 0
    out = capsys.readouterr().out
    assert "no mode is distinguishable from sampling noise. Take more pairs" in out
    assert "4 of 4 dimensions" in out
    assert re.search(r"cannot read photos/bad.png .*; left out", out)
    record = json.loads((folder / "out" / "report.json").read_text())
    assert record["settings"]["pairs"] == 40
    assert len(record["steps"]) == 4
    page = (folder / "out" / "report.html").read_text()
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert page.count("<img") == page.count(' alt="') == 2


def test_the_command_reads_pairs(folder, capsys):
    given = ["--loss", "barlow_twins", "--dim", "2", "--kernel", "linear"]
    assert cli.run(["predict", "--pairs", "views.npz", *given, "--count", "50"]) == 0
    assert "50 of 60 pairs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "pass --pairs FILE, or --images FOLDER"),
        (["--pairs", "absent.npz"], "no file absent.npz"),
        (["--pairs", "three.npz"], "save two arrays"),
        (["--pairs", "flat.npy"], "must be (2, n, ...)"),
        (["--images", "absent"], "no folder absent"),
        (["--images", "empty"], "contains no images"),
        (["--images", "bad"], "none of the 1 images"),
        (["--images", "photos", "--views", "warp"], "unknown view 'warp'"),
        (["--pairs", "views.npz", "--out", "/dev/null/x"], "choose a writable folder"),
        (["--pairs", "views.npz", "--count", "1"], "count must be"),
    ],
)
def test_bad_files_are_one_line_and_status_2(folder, capsys, arguments, says):
    (folder / "empty").mkdir()
    (folder / "bad").mkdir()
    (folder / "bad" / "x.png").write_bytes(b"")
    np.savez("three.npz", a=np.ones(3), b=np.ones(3), c=np.ones(3))
    np.save("flat.npy", np.ones((3, 3)))
    assert cli.run(["predict", *arguments]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_numbers_of_steps_are_shown_with_their_errors():
    assert count_of(1234.5, 80) == "1,230 ± 80"
    assert count_of(np.inf) == "never"
    assert count_of(5.0, np.nan) == "5 ± unknown"
    assert rule_of("simclr")[0] == "nt_xent"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda z: (z, -z), "no eigenvalue is positive"),
        (lambda z: (1e200 * z, 1e200 * z), "do not fit in float64; divide by it first"),
        (lambda z: (1e-200 * z, 1e-200 * z), "do not fit in float64; divide by it first"),
        (lambda z: (0 * z + 1, 0 * z + 1), "all views are equal"),
    ],
)
@pytest.mark.parametrize("dim", [2, 16])
def test_pairs_without_a_mode_are_refused_for_the_right_reason(change, says, dim):
    """Opposite views have eigenvalues of rounding error only, some of them positive."""
    z = np.random.default_rng(0).normal(size=(50, 4))
    with pytest.raises(InputError, match=says):
        jssl.predict(change(z), loss="barlow_twins_linearized", dim=dim, kernel="linear")


def test_the_command_refuses_scalars_and_says_that_a_size_was_not_used(tmp_path, capsys):
    np.savez(tmp_path / "scalars.npz", a=np.float64(1), b=np.float64(1))
    out = ["--out", str(tmp_path / "out"), "--kernel", "linear", "--dim", "2"]
    assert cli.run(["predict", "--pairs", str(tmp_path / "scalars.npz"), *out]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    images = ["--images", "digits", "--count", "60", "--views", "noise=0.1", "--size", "9"]
    assert cli.run(["predict", *images, *out]) == 0
    assert "--size was not used" in capsys.readouterr().out
