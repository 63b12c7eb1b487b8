"""Exponents in the width from root mean squares over seeds.

A distance to the limit is, to leading order, the absolute value of a few Gaussian fluctuations of
the kernel. Its logarithm varies much over seeds (by 1.1 where there is one fluctuation), and the
logarithm of its mean square does so less (by 0.71). The mean square is also even in the
fluctuations, so that its next order is smaller by 1 / width and not by width^(-1/2).
"""

from typing import Any

import numpy as np
from scipy.special import stdtrit

from jssl.diagnostics import Exponent


def rms_exponent(widths: Any, values: np.ndarray) -> Exponent:
    """Return the exponent in the width of the root mean square of values over seeds.

    Example:
        >>> widths = np.array([64, 256, 1024])
        >>> fit = rms_exponent(widths, np.array([2.0, 3.0]) / widths[:, None])
        >>> print(round(fit.exponent, 6), fit.error < 1e-12)
        -1.0 True

    The exponent is the slope of log rms over log width. Seeds are paired across widths; the
    standard error is that of the mean over seeds of the linear change of the slope,
    (v^2 / mean v^2 - 1) / 2 at each width.

    Args:
        widths: (n,) positive, two or more that differ.
        values: (n, seeds) positive, two seeds or more.
    """
    squares = np.asarray(values, np.float64) ** 2
    mean = squares.mean(1, keepdims=True)
    seeds = squares.shape[1]
    slope = np.polyfit(np.log(widths), np.log(mean[:, 0]) / 2, 1)[0]
    changes = np.polyfit(np.log(widths), (squares / mean - 1) / 2, 1)[0]
    error = float(changes.std(ddof=1) / np.sqrt(seeds))
    return Exponent(float(slope), error, float(stdtrit(seeds - 1, 0.975)) * error)
