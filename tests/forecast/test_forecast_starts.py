"""Starts of JEPA that are too large or too small are named as the reason (D-25)."""

import re

import numpy as np
import pytest

import jssl
from jssl.commands import main as cli
from jssl.errors import InputError
from jssl.forecast.distilled import ModeStart, collapses, final_amplitudes, steps_to
from jssl.forecast.summary import count_of
from jssl.theory import distillation

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")


def views(n=400, inputs=6):
    x = np.random.default_rng(0).normal(size=(n, inputs)) * np.linspace(2, 1, inputs)
    return x, 0.5 * x + 0.01 * np.random.default_rng(1).normal(size=x.shape)


@pytest.mark.parametrize(("first", "rest"), [(0.3, 0.5), (0.3, 0.7), (0.69, 0.7), (0.7, 0.7)])
@pytest.mark.parametrize("depth", [1, 2])
def test_modes_collapse_iff_their_equations_do(first, rest, depth):
    """Euler steps of first layer a, other layers w and predictor v of one mode."""
    lam, rho, a, w, v = 1.0, 0.5, first, rest, rest
    for _ in range(40_000):
        change = 0.02 * a * w ** (depth - 1) * (lam - lam / rho * v)
        up = v * w ** (depth - 1), v * a * w ** (depth - 2), a * w ** (depth - 1)
        a, w, v = (x + change * c for x, c in zip((a, w, v), up, strict=True))
    start = ModeStart(np.array([first]), rest)
    assert collapses(start, np.array([rho])).tolist() == [abs(a) < 1e-3]
    ends = final_amplitudes(start, np.array([rho]), depth)
    np.testing.assert_allclose(ends, a * w ** (depth - 1), atol=2e-2)


@pytest.mark.parametrize("kernel", ["linear", "linear-3"])
@pytest.mark.parametrize("scale", [0.8, 2.0, 5.0, 1e200])
def test_a_start_that_is_too_large_is_the_reason_why_nothing_is_learned(kernel, scale):
    seen = jssl.predict(views(), loss="jepa", dim=2, kernel=kernel, scale=scale)
    assert "positive covariance" not in seen.summary[0]
    assert seen.summary[0].startswith("No dimension will be learned: the predictor starts too lar")
    assert "2 modes shrink to zero" in seen.summary[0]
    assert not any("The start is" in line or "half as large" in line for line in seen.caveats)
    most = float(re.search(r"below (\d+\.\d+)", seen.summary[0])[1])
    below = jssl.predict(views(), loss="jepa", dim=2, kernel=kernel, scale=most)
    assert np.isfinite(below.steps).all()
    assert not any("too large, at" in line for line in below.summary)
    above = jssl.predict(views(), loss="jepa", dim=2, kernel=kernel, scale=1.3 * most)
    assert not np.isfinite(above.steps).all()
    assert "shrink" in " ".join(above.summary)


def test_as_many_outputs_as_inputs_are_learned_from_a_large_start():
    seen = jssl.predict(views(), loss="jepa", dim=6, scale=5.0)
    assert np.isfinite(seen.steps).all()
    assert "shrink" not in " ".join((*seen.summary, *seen.caveats))


def test_a_mode_that_only_some_random_starts_lose_is_a_caveat():
    probes = np.linspace(0.45, 0.8, 15)
    told = [jssl.predict(views(), loss="jepa", dim=2, scale=x) for x in probes]
    some = [x for x in told if "of the random starts mode" in " ".join(x.caveats)]
    assert some
    lost = [np.isinf(x.high) & np.isfinite(x.steps) for x in some]
    assert np.any(lost)
    for seen, mode in zip(some, lost, strict=True):
        assert np.all(seen.low <= seen.steps)
        assert np.isnan(seen.start_errors[mode]).all()
    text = " ".join(" ".join(x.caveats) for x in some)
    assert "mode 1 in less than 1%" in text
    assert "in 0%" not in text


@pytest.mark.parametrize(
    ("kernel", "scale"), [("linear", 1e-300), ("linear-3", 1e-70), ("linear-64", 1e-50)]
)
@pytest.mark.parametrize("dim", [2, 6])
def test_a_start_that_is_too_small_is_the_reason_why_nothing_is_learned(kernel, scale, dim):
    seen = jssl.predict(views(), loss="jepa", dim=dim, kernel=kernel, scale=scale)
    assert seen.summary[0].startswith("No dimension will be learned: the layers start so small")
    assert f"{dim} modes take more than 1e+290 steps" in seen.summary[0]


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("scale", [1e-2, 1e-20, 1e-45])
def test_steps_from_tiny_starts_are_those_of_the_balanced_flow(depth, scale):
    """A first layer that is smaller by 1e-9 hides nothing; the steps go as scale^(1 - 2L)."""
    given = np.ones(1), np.array([0.5]), depth, 0.1
    found = steps_to(0.5, ModeStart(np.array([scale * (1 - 1e-9)]), scale), *given)
    share = 0.5 ** (1 / (2 * depth))
    flow = distillation.descent_critical_time(1.0, 0.5, scale, 0.1, depth=depth, share=share)
    np.testing.assert_allclose(found * 0.1, flow, rtol=1e-6)


@pytest.mark.parametrize("kernel", ["linear", "linear-3"])
@pytest.mark.parametrize("dim", [2, 6])
def test_steps_of_many_digits_are_powers_of_ten(kernel, dim, tmp_path):
    seen = jssl.predict(views(), loss="jepa", dim=dim, kernel=kernel, scale=1e-50)
    assert np.isfinite(seen.steps).all()
    assert np.all(seen.low <= seen.steps)
    assert np.isfinite(seen.high).all()
    written = seen.write(tmp_path).read_text()
    for text in (str(seen), *seen.caveats, re.sub(r"data:[^\"]*|<svg.*?</svg>", "", written)):
        assert not re.search(r"\d{1,3}(,\d{3}){6}", text)


def test_counts_of_many_digits_are_powers_of_ten_with_their_error():
    assert (count_of(2.5e15), count_of(2.5e15, 3.14e14)) == ("2.5e+15", "2.5e+15 ± 3.1e+14")
    assert count_of(9.87e14) == "987,000,000,000,000"


@pytest.mark.parametrize("layers", ["0", "65", "100", "256", "1000"])
def test_a_number_of_layers_that_is_not_covered_is_told_the_allowed_ones(layers):
    with pytest.raises(InputError, match=r"linear-<layers> with 1 to 64 layers"):
        jssl.predict(views(), loss="jepa", dim=2, kernel=f"linear-{layers}")


def test_the_command_names_the_start(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.savez("views.npz", *views())
    given = ["predict", "--pairs", "views.npz", "--loss", "jepa", "--dim", "2", "--scale"]
    for scale, reason in (("2", "starts too large"), ("1e-300", "start so small")):
        assert cli.run([*given, scale, "--overwrite"]) == 0
        out, err = capsys.readouterr()
        assert reason in out.splitlines()[0]
        assert "e+299" not in out
        assert not err
