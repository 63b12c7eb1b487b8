"""The result of `jssl.predict`: values that can be drawn and written."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jssl.errors import InputError
from jssl.forecast.values import Values
from jssl.host_arithmetic import host_float64
from jssl.types import Trajectory

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Forecast(Values):
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
            InputError: for steps that are not one or more numbers >= 0.
        """
        from jssl.forecast.drawing import range_of, staircase

        steps = range_of(self) if steps is None else host_float64("steps", steps)
        if steps.ndim != 1 or not len(steps) or not ((steps >= 0) & (steps < np.inf)).all():
            message = "steps must be (points,) finite numbers >= 0, at least one"
            raise InputError(message)
        order = np.argsort(np.where(np.isfinite(self.steps), self.steps, np.inf))
        values = staircase(self, steps)[:, order] * self.final
        values = np.sort(values, axis=1)[:, ::-1]
        return Trajectory(steps, steps * self.learning_rate, {"eigenvalues": values})  # type: ignore[arg-type, dict-item]

    def plot(self) -> "Axes":
        """Draw the predicted number of learned dimensions over the steps; return the axes."""
        from jssl.forecast.drawing import draw_staircase

        return draw_staircase(self)

    def write(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Write report.html and report.json into a folder; return the path of the page.

        Args:
            folder: created if needed.
            overwrite: whether an earlier report in it is replaced.

        Raises:
            InputError: for a folder that cannot be written or that contains a report.
        """
        from jssl.forecast.page import page_of
        from jssl.report.files import new_report_folder
        from jssl.report.page import write_page

        target = new_report_folder(Path(folder), overwrite=overwrite)
        return write_page(page_of(self, {}, []), target)[0]
