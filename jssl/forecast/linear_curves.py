"""The curves of a forecast of JEPA or LeJEPA, from its numbers alone."""

import numpy as np

from jssl.forecast.distilled import ModeStart, amplitude_curves
from jssl.forecast.isotropic import isotropic_curves
from jssl.forecast.values import Values
from jssl.precision import float64


def linear_shares(forecast: Values, steps: np.ndarray) -> np.ndarray:
    """Return each dimension's share of its final eigenvalue over the steps, (points, dim).

    Under LeJEPA a dimension rises above its final value while others are empty, and under JEPA
    until a mode of larger regression coefficient displaces it.

    Args:
        forecast: of `jepa` or `lejepa`.
        steps: (points,) >= 0.
    """
    dim, columns = len(forecast.steps), forecast.columns
    learned = np.isfinite(forecast.steps)
    shares = np.zeros((len(steps), dim))
    settings, rate = forecast.settings, forecast.learning_rate
    if forecast.curves:
        at, values = forecast.curves["steps"], forecast.curves["eigenvalues"]
        for j in np.flatnonzero(learned & (forecast.final > 0)):
            shares[:, j] = np.interp(steps, at, values[:, j]) / forecast.final[j]
        return shares
    with float64():
        if settings["loss"] == "lejepa":
            ends = columns["embedding eigenvalue at the end"]
            points, back = np.unique(steps, return_inverse=True)
            path = isotropic_curves(
                points,
                columns["start"],
                columns["view variance"],
                columns["noise share"],
                settings["strength"],
                settings["loss factor"] * rate,
                settings["batch"],
            )[back]
            shares[:, learned] = path[:, learned] / ends[learned]
            return shares
        k = int(min(dim, len(columns["first layer at the start"])))
        start = ModeStart(columns["first layer at the start"][:k], forecast.scale)
        lam, rho = columns["covariance"][:k], columns["regression coefficient"][:k]
        shares[:, :k] = amplitude_curves(steps, start, lam, rho, settings["layers"], rate)
    shares[:, ~learned] = 0
    return shares
