"""The result of `jssl.predict`: values that can be drawn and written."""

from pathlib import Path
from typing import TYPE_CHECKING

from jssl.forecast.values import Values

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Forecast(Values):
    """Predicted training, mode by mode in the order of the eigenvalues. `print` shows the summary.

    Its attributes are those of `jssl.forecast.values.Values`.
    """

    __slots__ = ()

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
