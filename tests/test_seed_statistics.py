import numpy as np
import pytest
import xarray as xr
from scipy import stats

from jssl.seed_statistics import fit_exponent, over_seeds


def test_the_exponent_interval_covers_the_truth_as_often_as_it_says():
    random = np.random.default_rng(0)
    widths = np.array([16, 32, 64, 128, 256, 512.0])
    truth, seeds, hits = -0.7, 40, 0
    for _ in range(2000):
        runs = widths**truth * (1 + 0.2 * random.standard_normal((seeds, len(widths))))
        fit = fit_exponent(widths, runs.mean(0), runs.std(0, ddof=1) / np.sqrt(seeds))
        hits += abs(fit.exponent - truth) <= fit.half_width
    # the wider of two 95 % intervals: at least 95 %, and no more than 99.5 %
    assert 0.945 < hits / 2000 < 0.995


def test_a_curve_that_is_no_power_law_gets_a_wide_interval():
    widths = np.array([16, 32, 64, 128.0])
    bent = np.exp(-0.3 * np.log2(widths / 16) ** 2)
    straight = widths**-0.5
    error = 1e-4 * bent
    assert fit_exponent(widths, bent, error).half_width > 0.3
    assert fit_exponent(widths, straight, 1e-4 * straight).half_width < 1e-3


def test_weights_favour_the_precise_points():
    widths = np.array([1, 10, 100, 1000.0])
    mean = np.array([1, 0.1, 0.01, 1.0])  # the last is off and says so
    fit = fit_exponent(widths, mean, [1e-3, 1e-4, 1e-5, 10.0])
    assert fit.exponent == pytest.approx(-1, abs=0.01)
    assert fit.prefactor == pytest.approx(1, rel=0.02)


def test_the_interval_is_the_wider_of_errors_and_scatter():
    widths = np.array([16, 32, 64, 128, 256.0])
    square = np.sum((np.log(widths) - np.log(widths).mean()) ** 2)
    line = fit_exponent(widths, widths**-1.0, 0.02 * widths**-1.0)
    assert line.half_width == pytest.approx(stats.norm.ppf(0.975) * 0.02 / np.sqrt(square))
    scattered = widths**-1.0 * np.array([1.1, 0.9, 1.05, 1.0, 0.93])
    by_scipy = stats.linregress(np.log(widths), np.log(scattered))
    fit = fit_exponent(widths, scattered, np.zeros(5))
    assert fit.exponent == pytest.approx(by_scipy.slope)
    assert fit.half_width == pytest.approx(stats.t.ppf(0.975, 3) * by_scipy.stderr)


def test_too_few_positive_means_have_no_exponent():
    assert fit_exponent([1, 2, 3], [1.0, -1.0, np.nan], [0.1, 0.1, 0.1]) is None


def test_means_and_errors_leave_out_diverged_seeds():
    values = xr.DataArray([[1.0, 2.0, 9.0, np.nan]], dims=("width", "seed"))
    bad = xr.DataArray([[-1, -1, 4, -2]], dims=("width", "seed"))
    mean, error, count = over_seeds(values, bad)
    assert (float(mean[0]), int(count[0])) == (1.5, 2)
    assert float(error[0]) == pytest.approx(np.std([1, 2], ddof=1) / np.sqrt(2))
