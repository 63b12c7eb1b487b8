"""Statistics over seeds: means with errors, confidence intervals, and power laws in the width.

    log mean(w) = log prefactor + exponent log w,   weights (mean / standard error)^2

The exponent's interval is the wider of two: one from the standard errors over seeds, one from the
scatter about the line (Student's t with n - 2 degrees of freedom). A curve that is not a power law
therefore has a wide interval.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

LEVEL = 0.95
FINITE = -1
"""`first_bad_step` of a run whose loss and parameters stayed finite."""
NOT_RUN = -2
"""`first_bad_step` of a run that has not been computed."""


class Fit(NamedTuple):
    """A power law, value = prefactor x width^exponent.

    Attributes:
        exponent: the slope in log-log axes.
        half_width: half width of its 95 % interval.
        prefactor: the value at width 1.
    """

    exponent: float
    half_width: float
    prefactor: float


def over_seeds(values: "xr.DataArray", first_bad_step: "xr.DataArray") -> tuple[Any, Any, Any]:
    """Return mean, standard error and number of the seeds that stayed finite.

    Example:
        >>> import xarray as xr
        >>> values = xr.DataArray([1.0, 3.0, np.nan], dims="seed")
        >>> mean, error, count = over_seeds(values, xr.DataArray([-1, -1, 7], dims="seed"))
        >>> print(float(mean), float(error), int(count))
        2.0 1.0 2

    Args:
        values: with a dimension `seed`.
        first_bad_step: -1 where a run stayed finite.
    """
    kept = values.where(first_bad_step == FINITE)
    count = kept.notnull().sum("seed")
    mean = kept.mean("seed")
    spread = ((kept - mean) ** 2).sum("seed") / (count - 1).where(count > 1)
    return mean, np.sqrt(spread / count.where(count > 0)), count


def fit_exponent(widths: Any, mean: Any, error: Any) -> Fit | None:
    """Fit a power law to positive means; None with fewer than three of them.

    Example:
        >>> fit = fit_exponent([10, 100, 1000], [1.0, 0.1, 0.01], [0.01, 0.001, 0.0001])
        >>> print(round(fit.exponent, 6), round(fit.half_width, 4))
        -1.0 0.006

    Args:
        widths: (n,) positive.
        mean: (n,) means; those that are not positive and finite are left out.
        error: (n,) standard errors; where one is not positive all count alike.
    """
    widths, mean, error = (np.asarray(a, float) for a in (widths, mean, error))
    good = np.isfinite(mean) & (mean > 0)
    if good.sum() < 3:
        return None
    x, y = np.log(widths[good]), np.log(mean[good])
    relative = error[good] / mean[good]
    known = bool(np.all(np.isfinite(relative) & (relative > 0)))
    weight = 1 / relative**2 if known else np.ones_like(x)
    centre = np.average(x, weights=weight)
    square = float(np.sum(weight * (x - centre) ** 2))
    slope = float(np.sum(weight * (x - centre) * y)) / square
    level = np.average(y, weights=weight)
    scatter = np.sum(weight * (y - level - slope * (x - centre)) ** 2) / (len(x) - 2)
    from scipy.special import ndtri, stdtrit

    by_scatter = stdtrit(len(x) - 2, (1 + LEVEL) / 2) * np.sqrt(scatter / square)
    by_seeds = ndtri((1 + LEVEL) / 2) / np.sqrt(square) if known else 0.0
    prefactor = float(np.exp(level - slope * centre))
    return Fit(slope, float(max(by_scatter, by_seeds)), prefactor)


def student_interval(values: Any, finite: Any, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Return (half width, mean) of the interval of a mean over seeds.

        half width = t_{n-1}((1 + level) / 2) s / sqrt(n)

    over the n seeds that stayed finite, with their standard deviation s.

    Example:
        >>> half, mean = student_interval([[1.0, 3.0, 9.0]], [[True, True, False]], 0.5)
        >>> print(half.round(6), mean)
        [1.] [2.]

    Args:
        values: (..., seeds) numbers.
        finite: (..., seeds) whether a run stayed finite.
        level: in (0, 1).

    Returns:
        Two arrays (...); (inf, NaN) where fewer than two seeds stayed finite.
    """
    finite = np.asarray(finite)
    x = np.where(finite, values, np.nan)
    n = finite.sum(-1)
    few = n < 2
    total = np.where(few, 1, n)
    mean = np.nansum(x, -1) / total
    spread = np.sqrt(np.nansum((x - mean[..., None]) ** 2, -1) / np.maximum(n - 1, 1))
    from scipy.special import stdtrit

    factor = stdtrit(np.maximum(n - 1, 1), (1 + level) / 2) / np.sqrt(total)
    return np.where(few, np.inf, factor * spread), np.where(few, np.nan, mean)
