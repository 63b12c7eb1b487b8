import numpy as np
import pytest
import xarray as xr
from scipy import stats
from sweep_problems import linear_problem

from jssl.errors import InputError
from jssl.sweeps import Target, open_dataset, sweep_until
from jssl.sweeps.sweep import interval

AXES = {"scale": [0.01, 0.5], "seed": 64}
TARGET = Target("eigenvalues", half_width=0.05, least=4, select={"mode": 0})


def until(target=TARGET, **options):
    return sweep_until(linear_problem, AXES, target, record_steps=[0, 1], **options)


def test_seeds_are_added_until_the_interval_is_tight_point_by_point(tmp_path):
    result = until(store=tmp_path / "store", chunk_seconds=1e-9)
    ran = (result.first_bad_step == -1).values
    counts = ran.sum(1)
    assert counts[0] == 4  # a small start hardly varies
    assert 4 < counts[1] <= 64
    for values, n in zip(result.eigenvalues.values[:, :, -1, 0], counts, strict=True):
        assert np.isfinite(values[:n]).all()
        assert np.isnan(values[n:]).all()

        def half(k, values=values):
            return stats.t.ppf(0.975, k - 1) * values[:k].std(ddof=1) / np.sqrt(k)

        assert half(n) <= 0.05 or n == 64
        assert all(half(k) > 0.05 for k in range(4, n, 4))
    again = until(store=tmp_path / "store", chunk_seconds=1e-9)
    np.testing.assert_array_equal(again.eigenvalues, open_dataset(tmp_path / "store").eigenvalues)


def test_the_interval_is_students_over_the_seeds_that_stayed_finite():
    values = np.random.default_rng(0).normal(size=(1, 6, 1))
    bad = np.array([[-1, -1, 5, -1, -1, -2]])
    found = xr.Dataset(
        {"loss": (("scale", "seed", "step"), values), "first_bad_step": (("scale", "seed"), bad)}
    )
    half, mean = interval(found, Target("loss", level=0.9))
    kept = values[0, [0, 1, 3, 4], 0]
    low, high = stats.t.interval(0.9, 3, kept.mean(), stats.sem(kept))
    assert (mean[0] - half[0], mean[0] + half[0]) == pytest.approx((low, high))


def test_the_most_seeds_are_never_exceeded():
    result = until(TARGET._replace(half_width=1e-9))
    assert ((result.first_bad_step == -1).sum("seed") == 64).all()


@pytest.mark.parametrize(
    ("target", "says"),
    [
        (TARGET._replace(observable="eigenvalue"), "did you mean 'eigenvalues'"),
        (TARGET._replace(half_width=0.0), "half_width or relative"),
        (TARGET._replace(level=1.0), "level of the target must be a number above 0 and below 1"),
        (TARGET._replace(select={}), "select an index"),
    ],
)
def test_targets_that_cannot_be_are_refused(target, says):
    with pytest.raises(InputError, match=says):
        until(target)
