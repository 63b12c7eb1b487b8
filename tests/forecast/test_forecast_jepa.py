"""Forecasts of JEPA whose modes are not independent, against plain descent in NumPy."""

import re

import numpy as np
import pytest

import jssl
from jssl.data.moments import Moments
from jssl.errors import InputError
from jssl.forecast import moment_solvers
from jssl.forecast.distilled import mode_start, rate_of_start, steps_to
from jssl.forecast.moment_flow import first_steps, follow, start_of
from jssl.forecast.moment_solvers import velocity
from jssl.theory import distillation

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")


def common_pairs(n=300):
    draws = np.random.default_rng(0)
    sizes = 0.6 ** np.arange(6)
    shared = draws.normal(size=(n, 6)) * sizes
    return tuple(shared + 0.5 * sizes * draws.normal(size=(n, 6)) for _ in range(2))


def moments_of(pairs):
    a, b = pairs
    return a.T @ a / len(a), b.T @ a / len(a)


def random_rows(count, dim, inputs, seed=7):
    draws = np.random.default_rng(seed)
    return np.stack(
        [np.linalg.qr(draws.normal(size=(inputs, inputs)))[0][:dim] for _ in range(count)]
    )


def descend(moments, rows, scale, rate, depth, last, levels):
    """Plain descent; return the first steps at which eigenvalues of C reach levels, and the end.

    Layers W_1 = scale x rows and scale x I, predictor scale x I, gradients by hand for depth 1 and
    2: R = W S_yx - V W S_x, one matrix at a time.
    """
    sx, cross = moments
    symmetric, dim = (cross + cross.T) / 2, rows.shape[1]
    first, v = scale * rows, np.tile(scale * np.eye(dim), (len(rows), 1, 1))
    second = v.copy()
    found = np.full(rows.shape[:2], np.inf)
    for step in range(last + 1):
        w = second @ first if depth == 2 else first
        if step % 20 == 0 or step < 200:
            values = np.linalg.eigvalsh(w @ symmetric @ w.transpose(0, 2, 1))[:, ::-1]
            found = np.where((values >= levels) & np.isinf(found), step, found)
        rest = w @ cross - v @ w @ sx
        back = v.transpose(0, 2, 1) @ rest
        v = v + rate * rest @ w.transpose(0, 2, 1)
        if depth == 2:
            moved = first + rate * second.transpose(0, 2, 1) @ back
            second = second + rate * back @ first.transpose(0, 2, 1)
            first = moved
        else:
            first = first + rate * back
    return found, values


def of_independent_modes(seen, pairs, depth, starts=None):
    """The rival: modes of the cross moment, each learned alone."""
    sx, cross = moments_of(pairs)
    found = distillation.regression_modes(Moments(sx, cross))
    dim = len(seen.steps)
    typical, drawn = mode_start(seen.scale, dim, 6, np.random.default_rng(0), dim)
    start = typical if starts is None else drawn
    return steps_to(
        0.5, start, found.covariances[:dim], found.coefficients[:dim], depth, seen.learning_rate
    )


@pytest.mark.parametrize("depth", [1, 2])
def test_as_many_outputs_as_inputs_are_learned_at_the_steps_of_descent(depth):
    """2 %, besides the grid of 20 steps at which descent is looked at."""
    pairs = common_pairs()
    seen = jssl.predict(pairs, loss="jepa", dim=6, kernel=f"linear-{depth}")
    rows = random_rows(1, 6, 6)
    given = seen.scale, seen.learning_rate, depth, 15_000 if depth == 1 else 60_000
    trained, end = descend(moments_of(pairs), rows, *given, seen.final / 2)
    error = np.abs(seen.steps - trained[0])
    assert (error <= 0.02 * trained[0] + 20 * (trained[0] > 200)).all()
    np.testing.assert_allclose(seen.final, end[0], rtol=0.01)
    assert (np.abs(of_independent_modes(seen, pairs, depth) - trained[0]) > 4 * error).any()
    assert (of_independent_modes(seen, pairs, depth)[3:] > 1.2 * trained[0][3:]).all()


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("steps", ["implicit", "explicit"])
def test_paths_of_fewer_outputs_are_those_of_descent_from_the_same_starts(
    depth, steps, monkeypatch
):
    if steps == "explicit":
        monkeypatch.setattr(moment_solvers, "LARGEST", 0)
    pairs = common_pairs()
    scale, rate, last = 0.08, 0.23, 4_000 if depth == 1 else 40_000
    rows = random_rows(4, 4, 6)
    own = Moments(*moments_of(pairs))
    paths = [follow(own, start_of(scale * x, scale, depth), rate, 0.0, float(last)) for x in rows]
    end = np.array([x.values[-1] for x in paths])
    trained, seen = descend(moments_of(pairs), rows, scale, rate, depth, last, end / 2)
    np.testing.assert_allclose(end, seen, rtol=0.02)
    found = np.array([first_steps(x, x.values[-1] / 2) for x in paths])
    assert (np.abs(found - trained) <= 0.02 * trained + 20 * (trained > 200)).all()


def test_intervals_of_fewer_outputs_hold_random_starts_and_ends_are_those_of_descent():
    """40 random starts, 4 dimensions: 80 to 98 % of the steps lie in the 90 % interval."""
    pairs = common_pairs()
    seen = jssl.predict(pairs, loss="jepa", dim=4)
    rows = random_rows(40, 4, 6)
    given = moments_of(pairs), rows, seen.scale, seen.learning_rate, 1, 12_000
    trained, end = descend(*given, seen.final / 2)
    inside = (trained >= seen.low) & (trained <= seen.high)
    assert 0.8 <= inside.mean() <= 0.98
    np.testing.assert_allclose(np.median(end, axis=0), seen.final, rtol=0.02)
    rival = of_independent_modes(seen, pairs, 1, starts="random")
    low, high = np.quantile(rival, (0.05, 0.95), axis=0)
    assert ((trained >= low) & (trained <= high)).mean() < 0.8


def test_many_weights_are_integrated_together_as_well():
    """9 outputs of 12 inputs; the oracle is plain descent in NumPy from 24 other starts."""
    draws = np.random.default_rng(3)
    sizes = 0.6 ** np.arange(12)
    shared = draws.normal(size=(200, 12)) * sizes
    pairs = tuple(shared + 0.5 * sizes * draws.normal(size=(200, 12)) for _ in range(2))
    seen = jssl.predict(pairs, loss="jepa", dim=9)
    assert seen.settings["modes"] == "integrated together"
    first = slice(0, 5)  # later ones take ten times as long
    last = int(1.5 * seen.high[first].max())
    rows = random_rows(24, 9, 12)
    levels = np.where(np.isfinite(seen.steps), seen.final, np.inf) / 2
    trained, _ = descend(moments_of(pairs), rows, seen.scale, seen.learning_rate, 1, last, levels)
    inside = (trained >= seen.low) & (trained <= seen.high)
    assert 0.75 <= inside[:, first].mean() <= 0.98
    found = distillation.regression_modes(Moments(*moments_of(pairs)))
    typical, _ = mode_start(seen.scale, 9, 12, np.random.default_rng(0), 9)
    values = found.covariances[:9], found.coefficients[:9]
    alone = steps_to(0.5, typical, *values, 1, seen.learning_rate)[first]
    middle = np.median(trained[:, first], axis=0)
    assert np.abs(seen.steps[first] / middle - 1).max() < np.abs(alone / middle - 1).max() / 2


def test_a_start_above_every_end_is_integrated_as_well():
    """The predictor ends at B = S_yx S_x^-1 in the directions that are learned (D-15, D-16)."""
    draws = np.random.default_rng(9)
    shared = draws.normal(size=(400, 6)) * 0.8 ** np.arange(6)
    first = shared + 0.5 * draws.normal(size=(400, 6)) * [1.5, 0.1, 0.1, 0.1, 0.1, 0.1]
    mixing = np.eye(6) + 0.5 * np.triu(np.ones((6, 6)), 1)
    second = shared @ mixing + 0.3 * draws.normal(size=(400, 6))
    seen = jssl.predict((first, second), loss="jepa", dim=3, scale=10.0)
    assert seen.settings["modes"] == "integrated together"
    assert (seen.steps == 0).all()
    context, cross = moments_of((first, second))
    exact = np.sort(np.linalg.eigvals(cross @ np.linalg.inv(context)).real)[::-1][:3]
    found = seen.columns["eigenvalue of the predictor at the end"]
    np.testing.assert_allclose(found, exact, rtol=0.01)


@pytest.mark.parametrize("loss", ["jepa", "lejepa"])
def test_views_that_are_zero_are_refused_by_what_they_are(loss):
    with pytest.raises(InputError, match="all views are zero"):
        jssl.predict((np.zeros((50, 5)), np.zeros((50, 5))), loss=loss, dim=3)


def test_the_velocity_is_that_of_the_theory():
    draws = np.random.default_rng(0)
    layers = [draws.normal(size=x) for x in ((2, 3), (2, 2), (2, 2))]
    v, context = draws.normal(size=(2, 2)), draws.normal(size=(5, 3))
    moments = Moments(context.T @ context, draws.normal(size=(3, 3)))
    exact = distillation.velocity(distillation.Weights(tuple(layers), v), moments)
    flat = np.concatenate([x.ravel() for x in (*layers, v)])
    found = velocity(flat, moments, tuple(x.shape for x in (*layers, v)))
    expected = np.concatenate([np.ravel(x) for x in (*exact.layers, exact.predictor)])
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("depth", [1, 2])
def test_where_moments_commute_the_path_is_the_closed_form(depth):
    lam, rho, scale, rate = np.array([1.0, 0.4]), np.array([0.8, 0.6]), 0.1, 0.1
    moments = Moments(np.diag(lam / rho), np.diag(lam))
    start = start_of(scale * np.eye(2), scale, depth)
    path = follow(moments, start, rate, 0.0, 3_000.0 if depth == 1 else 60_000.0)
    found = first_steps(path, lam * rho ** (2 * depth) / 2)
    times = distillation.descent_critical_time(
        lam, rho, scale, rate, depth=depth, share=0.5 ** (1 / (2 * depth))
    )
    np.testing.assert_allclose(found, np.asarray(times) / rate, rtol=2e-3)


def test_the_trajectory_shows_eigenvalues_that_fall_again():
    """The first eigenvalue rises to twice its end, before other modes displace its own."""
    pairs = common_pairs()
    seen = jssl.predict(pairs, loss="jepa", dim=4)
    path = seen.trajectory(np.array([0.0, 1000.0, 30_000.0]))
    values = np.asarray(path.observables["eigenvalues"])
    rows = random_rows(40, 4, 6)
    given = moments_of(pairs), rows, seen.scale, seen.learning_rate, 1, 1000
    trained = np.median(descend(*given, seen.final / 2)[1], axis=0)
    np.testing.assert_allclose(values[1, :3], trained[:3], rtol=0.1)
    assert values[1, 0] > 1.5 * values[2, 0]


@pytest.mark.parametrize("depth", [1, 2])
def test_the_rate_of_a_large_start_is_that_of_the_scalar_jacobian(depth):
    """Layers and predictor of one mode at w_0, by central differences."""
    lam, s, w = 1.0, 2.0, 50.0

    def speed(x):
        *layers, v = x
        rest = np.prod(layers) * (lam - s * v)
        return np.array([*(v * np.prod(layers) / y * rest for y in layers), np.prod(layers) * rest])

    at = np.full(depth + 1, w)
    jacobian = np.stack(
        [(speed(at + e) - speed(at - e)) / 2e-3 for e in 1e-3 * np.eye(depth + 1)], axis=1
    )
    most = -np.linalg.eigvals(jacobian).real.min()
    np.testing.assert_allclose(rate_of_start(w, s, depth), most, rtol=0.02)


def test_work_beyond_its_bounds_is_a_caveat():
    draws = np.random.default_rng(0)
    x = draws.normal(size=(200, 300)) * np.linspace(1, 0.5, 300)
    pairs = [x + 0.3 * draws.normal(size=x.shape) for _ in range(2)]
    seen = jssl.predict(pairs, loss="jepa", dim=20)
    assert "as if it were learned alone" in " ".join(seen.caveats)
    tiny = jssl.predict(common_pairs(), loss="jepa", dim=6, scale=1e-50)
    assert np.isfinite(tiny.steps).all()
    assert "as if it were learned alone" in " ".join(tiny.caveats)
    assert "about their regression coefficients" in tiny.summary[-1]


def test_many_weights_far_above_their_ends_are_a_caveat_and_end():
    """At scale 1e20 the end is some 1e43 steps away, which no explicit steps reach."""
    draws = np.random.default_rng(0)
    x = draws.normal(size=(200, 20))
    pairs = (x, x + 0.3 * draws.normal(size=x.shape))
    seen = jssl.predict(pairs, loss="jepa", dim=8, scale=1e20)
    assert "as if it were learned alone" in " ".join(seen.caveats)


def test_modes_that_are_rounding_are_not_learned_at_any_start():
    draws = np.random.default_rng(0)
    a = draws.normal(size=(300, 6))
    b = a + 0.5 * draws.normal(size=a.shape)
    pairs = (a, b[:, :1] @ np.ones((1, 6)))
    seen = jssl.predict(pairs, loss="jepa", dim=4)
    said = " ".join((*seen.summary, *seen.caveats))
    assert "too large" not in said
    assert "e-1" not in said
    assert np.isfinite(seen.steps).tolist() == [True, False, False, False]
    assert "zero up to rounding" in said
    sx, cross = moments_of(pairs)
    largest = np.linalg.eigvals(cross @ np.linalg.inv(sx)).real.max()
    told = float(re.search(r"the predictor has the eigenvalue (\d\.\d+)", said)[1])
    assert abs(told - largest) < 0.02  # the symmetric part alone would say 1.83


@pytest.mark.parametrize("loss", ["jepa", "lejepa"])
def test_directions_that_are_left_out_are_not_said_to_be_never_learned(loss):
    a, b = common_pairs()
    stretched = np.array([1.0, 1, 1, 1, 1, 1e-4]) if loss == "lejepa" else 1.0
    shift = 0.0 if loss == "lejepa" else 1e3
    pairs = (stretched * a + shift, stretched * b + shift)
    seen = jssl.predict(pairs, loss=loss, dim=4)
    said = " ".join((*seen.summary, *seen.caveats))
    assert "learn nothing" not in said
    assert "not computed: their moment is below" in said or "1 direction is not computed" in said
    if loss == "jepa":
        assert "5 directions are not computed" in said
        assert "Subtract the mean" in said


@pytest.mark.parametrize("loss", ["jepa", "lejepa"])
def test_no_larger_dimension_is_advised_where_it_is_refused(loss):
    a, b = common_pairs(3000)
    seen = jssl.predict((a[:, :2], b[:, :2]), loss=loss, dim=2)
    assert seen.summary[0].startswith("Take a dimension of 2 under")
    fewer = jssl.predict((a[:, :3], b[:, :3]), loss=loss, dim=2)
    assert fewer.summary[0].startswith("Take a dimension of 2 or more under")


def test_a_large_start_is_spoken_of_in_the_plural_and_not_of_its_half():
    seen = jssl.predict(common_pairs(), loss="jepa", dim=4, scale=0.9)
    assert "all 4 dimensions" in seen.summary[0]
    assert "When it is learned" not in seen.summary[-1]
    assert "half as large" not in " ".join(seen.caveats)


@pytest.mark.parametrize("loss", ["jepa", "lejepa", "barlow_twins_linearized"])
def test_modes_without_an_output_are_not_called_optimistic(loss):
    """Two strong modes, and noise in 20 inputs whose in-sample eigenvalues are far too large."""
    draws = np.random.default_rng(0)
    sizes = np.append([3.0, 2.0], np.full(20, 0.3))
    x = draws.normal(size=(40, 22)) * sizes
    pairs = [x, x + 0.01 * draws.normal(size=x.shape)]
    given = {"loss": loss, "kernel": "linear"}
    few = " ".join(jssl.predict(pairs, dim=2, **given).caveats)
    assert "From mode 3" not in few
    off = jssl.predict(pairs, dim=10, **given)
    assert (np.abs(off.eigenvalues - off.held_out) > 3.9 * off.errors)[2:10].any()
    assert "the in-sample eigenvalues are optimistic" in " ".join(off.caveats)
