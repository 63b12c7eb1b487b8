"""The result of `jssl.predict`: values that can be drawn and written."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from jssl.errors import InputError
from jssl.forecast.values import Values
from jssl.host_arithmetic import host_float64
from jssl.report.written import Written
from jssl.types import Trajectory

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from jssl.report.page import Page


def along(curves: Mapping[str, np.ndarray], steps: np.ndarray) -> np.ndarray:
    """Return the eigenvalues of curves at some steps (points, dim), the last ones after the end.

    Example:
        >>> curves = {"steps": np.array([0.0, 2.0]), "eigenvalues": np.array([[1e-4], [1e-2]])}
        >>> along(curves, np.array([1.0, 3.0])).round(6).tolist()  # exponential between two steps
        [[0.001], [0.01]]
    """
    logs = np.log(np.maximum(curves["eigenvalues"], 1e-300))
    return np.exp(np.stack([np.interp(steps, curves["steps"], each) for each in logs.T], axis=1))


class Forecast(Written, Values):
    """Predicted training, mode by mode in the order of the eigenvalues. `print` shows the summary.

    Its attributes are those of `jssl.forecast.values.Values`.
    """

    __slots__ = ()

    def trajectory(self, steps: np.ndarray | None = None) -> Trajectory:
        """Return the predicted eigenvalues of C over the steps, for `jssl.compare`.

        Args:
            steps: (points,) of gradient descent; by default, from before the first dimension is
                learned until after the last.

        Raises:
            InputError: for steps that are not one or more numbers >= 0, or where no step is
                predicted.
        """
        from jssl.forecast.drawing import range_of, staircase

        if self.diverges:
            message = f"no step is predicted at learning rate {self.learning_rate:.3g}"
            raise InputError(message)
        steps = range_of(self) if steps is None else host_float64("steps", steps)
        if steps.ndim != 1 or not len(steps) or not ((steps >= 0) & (steps < np.inf)).all():
            message = "steps must be (points,) finite numbers >= 0, at least one"
            raise InputError(message)
        order = np.argsort(np.where(np.isfinite(self.steps), self.steps, np.inf))
        if self.columns:  # their final eigenvalues are in the order of the modes
            order = np.arange(len(order))
        values = staircase(self, steps)[:, order] * self.final
        values = np.sort(values, axis=1)[:, ::-1]
        if self.curves and not self.columns:
            values = along(self.curves, steps)
        return Trajectory(steps, steps * self.learning_rate, {"eigenvalues": values})  # type: ignore[arg-type, dict-item]

    def plot(self) -> "Axes":
        """Draw the predicted number of learned dimensions over the steps; return the axes."""
        from jssl.forecast.drawing import draw_staircase

        return draw_staircase(self)

    def metrics(self) -> dict[str, float]:
        """Return the numbers of the forecast as a flat dictionary, for a logger.

        `step_1`, `step_2` ... are the steps at which the dimensions are half-learned, for those
        that are learned.
        """
        learned = self.steps[np.isfinite(self.steps)]
        single = (
            ("distinguishable", self.distinguishable),
            ("learned", np.nan if self.diverges else len(learned)),
            ("leakage", self.leakage),
            ("learning_rate", self.learning_rate),
            ("stable_rate", self.stable_rate),
            ("scale", self.scale),
            ("relative_start", self.relative_start),
        )
        flat = {name: float(value) for name, value in single}
        return flat | {f"step_{j}": float(step) for j, step in enumerate(learned, 1)}

    def page(self) -> "Page":
        """Return the page of the result, as `write` writes it."""
        from jssl.forecast.page import page_of

        return page_of(self, {}, [])
