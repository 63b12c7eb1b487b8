"""The stabilised method for large states, against exact solutions."""

import numpy as np
import pytest

from jssl.theory.finite_width.host_stabilised import follow_on_host


class _Linear:
    """b + start grows or decays at fixed rates; y are the same numbers, two outputs a mode."""

    beside = 1e-3

    def __init__(self, rates, start=1.0):
        self.rates, self.start = np.asarray(rates, float), start
        self.size = len(self.rates)

    def slope(self, b):
        return self.rates * (self.start + b)

    def observe(self, b):
        return (self.start + b).reshape(-1, 2)

    def moved(self, b, change):
        del b
        return change.reshape(-1, 2)

    def exact(self, times):
        values = self.start * np.exp(self.rates * np.asarray(times)[:, None])
        return values.reshape(len(times), -1, 2)


class _Logistic(_Linear):
    """C = y^2 of independent modes: dy/dt = rate y (1 - y^2), as a learned dimension."""

    def slope(self, b):
        y = self.start + b
        return self.rates * y * (1 - y**2)

    def exact(self, times):
        odds = (1 / self.start**2 - 1) * np.exp(-2 * self.rates * np.asarray(times)[:, None])
        return ((1 + odds) ** -0.5).reshape(len(times), -1, 2)


def never(time, y):
    return False


def test_growth_is_exact_beside_rates_that_decay_a_thousand_times_faster():
    """Below half of the slopes of Euler's method, whose steps would have to be below 2 / 1000."""
    system = _Linear([1.0, 0.5, -1000.0, -300.0])
    record = follow_on_host(system, 5.0, never)
    assert record.complete
    assert record.times[-1] == 5.0
    np.testing.assert_allclose(record.coordinates[-1, 0], system.exact([5.0])[0, 0], rtol=0.05)
    assert record.slopes < 5 * 1000 / 2 / 2
    assert record.rates.max() == pytest.approx(1000, rel=0.05)


def test_a_smaller_tolerance_gives_a_smaller_error():
    """Second order: an eighth of the tolerance of a step is half of its length."""
    system = _Linear([1.0, 0.7])
    errors = []
    for tolerance in (1e-2, 1e-2 / 64):
        record = follow_on_host(system, 4.0, never, tolerance=tolerance)
        exact = system.exact(record.times)
        errors.append(np.abs(record.coordinates / exact - 1).max())
    assert errors[1] < errors[0] / 16 * 2  # 4 times shorter steps; factor 2 for the first steps


def test_learned_dimensions_rise_when_they_should():
    """Half of C = 1: log(1 / s^2 - 1) / (2 rate), from s = 1e-3."""
    system = _Logistic([1.0, 0.3, 0.1, 0.05], start=1e-3)
    record = follow_on_host(system, 200.0, never)
    y = record.coordinates.reshape(len(record.times), 4)
    expected = np.log(1e6 - 1) / (2 * system.rates)
    for j in range(4):
        found = np.interp(0.0, np.log(y[:, j] ** 2) - np.log(0.5), record.times)
        assert found == pytest.approx(expected[j], rel=0.03)


def test_the_flow_ends_where_it_is_told_and_says_where_it_could_not_go_on():
    system = _Logistic([1.0, 0.3], start=1e-3)
    ended = follow_on_host(system, 1e3, lambda time, y: time > 5)
    assert ended.complete
    assert 5 < ended.times[-1] < 50
    short = follow_on_host(system, 1e3, never, most=40)
    assert not short.complete
    assert short.finite
    assert short.slopes >= 40


def test_a_slope_that_is_not_finite_ends_the_flow():
    class _Breaks(_Linear):
        def slope(self, b):
            return np.full(2, np.nan) if b.max() > 1 else super().slope(b)

    record = follow_on_host(_Breaks([1.0, 0.5]), 10.0, never, most=2000)
    assert not record.complete
    assert not record.finite
    assert record.slopes < 1000
    assert np.isfinite(record.coordinates).all()
    assert record.times[-1] < np.log(2.1)


def test_a_state_at_rest_stays_at_rest():
    record = follow_on_host(_Linear([0.0, 0.0]), 3.0, never)
    assert record.complete
    np.testing.assert_allclose(record.coordinates[-1], 1)
