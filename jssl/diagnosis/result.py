"""The result of `jssl.diagnose`: values that can be drawn and written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jssl.diagnosis.values import TOLERANCE, Values
from jssl.report.written import Written

if TYPE_CHECKING:  # at run time it would import matplotlib
    from matplotlib.figure import Figure

    from jssl.report.page import Page


class Diagnosis(Written, Values):
    """The metrics of embeddings, and a summary of them. `print` shows the summary.

    Its attributes are those of `jssl.diagnosis.values.Values`.
    """

    __slots__ = ()

    def plot(self) -> Figure:
        """Draw the spectrum, or with checkpoints its history; return a matplotlib Figure."""
        from jssl.diagnosis.drawing import diagnosis_figures

        return diagnosis_figures(self, TOLERANCE)[-1].figure

    def page(self) -> Page:
        """Return the page of the result, as `write` writes it."""
        from jssl.diagnosis.page import page_of

        return page_of(self, dict(self.settings))
