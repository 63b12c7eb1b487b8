"""Starts of JEPA that are large or too small."""

import re

import numpy as np
import pytest

import jssl
from jssl.commands import main as cli
from jssl.errors import InputError
from jssl.forecast.distilled import ModeStart, steps_to
from jssl.forecast.summary import count_of
from jssl.theory import distillation

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")


def views(n=400, inputs=6):
    x = np.random.default_rng(0).normal(size=(n, inputs)) * np.linspace(2, 1, inputs)
    return x, 0.5 * x + 0.01 * np.random.default_rng(1).normal(size=x.shape)


@pytest.mark.parametrize("scale", [0.6, 0.8, 2.0])
def test_no_start_is_so_large_that_modes_shrink(scale):
    """W_1 W_1^T = w_0^2 I balances the predictor, so descent ends with V = rho whatever the start.

    The first layer keeps a third of each mode; if each had to balance the predictor with its share
    alone, modes would shrink to zero from 0.6 on.
    """
    a, b = views()
    seen = jssl.predict((a, b), loss="jepa", dim=2, scale=scale)
    context, cross = a.T @ a / len(a), b.T @ a / len(a)
    w = scale * np.linalg.qr(np.random.default_rng(3).normal(size=(6, 6)))[0][:2]
    v = scale * np.eye(2)
    for _ in range(3000 if scale < 1 else 30_000):
        rest = w @ cross - v @ w @ context
        w, v = w + seen.learning_rate * v.T @ rest, v + seen.learning_rate * rest @ w.T
    np.testing.assert_allclose(np.linalg.eigvals(v).real, 0.5, atol=0.01)
    values = np.linalg.eigvalsh(w @ (cross + cross.T) / 2 @ w.T)
    assert values.min() > 0.1
    assert np.isfinite(seen.steps).all()
    assert (seen.final > 0.1).all()
    assert "shrink" not in " ".join((*seen.summary, *seen.caveats))


def test_a_start_above_the_end_lowers_the_stable_rate():
    """Descent from it diverges at the rate that is stable from a small start."""
    a, b = views()
    small, large = (jssl.predict((a, b), loss="jepa", dim=6, scale=x) for x in (0.05, 5.0))
    assert large.stable_rate < 0.02 * small.stable_rate
    assert np.isfinite(large.steps).all()
    context, cross = a.T @ a / len(a), b.T @ a / len(a)
    ends = []
    for rate in (small.learning_rate, large.learning_rate):
        w, v = 5.0 * np.eye(6), 5.0 * np.eye(6)
        with np.errstate(all="ignore"):
            for _ in range(2000):
                rest = w @ cross - v @ w @ context
                w, v = w + rate * v.T @ rest, v + rate * rest @ w.T
        ends.append(bool(np.isfinite(w).all()))
    assert ends == [False, True]


def test_a_start_beyond_float64_is_refused():
    with pytest.raises(InputError, match=r"start \(scale\) of 1e\+200 is too large"):
        jssl.predict(views(), loss="jepa", dim=2, scale=1e200)


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
    for scale, reason in (("2", "too large for separate steps"), ("1e-300", "start so small")):
        assert cli.run([*given, scale, "--overwrite"]) == 0
        out, err = capsys.readouterr()
        assert reason in out
        assert "e+299" not in out
        assert not err
