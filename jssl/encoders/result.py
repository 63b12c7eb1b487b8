"""The result of `jssl.compare_encoders`: values that can be drawn and written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jssl.encoders.values import Values
from jssl.report.metrics import key_of
from jssl.report.written import Written

if TYPE_CHECKING:  # at run time it would import matplotlib
    from matplotlib.figure import Figure

    from jssl.report.page import Page


class EncoderComparison(Written, Values):
    """Encoders on the same rows. `print` shows the summary.

    Its attributes are those of `jssl.encoders.values.Values`.
    """

    __slots__ = ()

    def metrics(self) -> dict[str, float]:
        """Return all numbers as a flat dictionary, for a logger."""
        flat: dict[str, float] = {}
        for i, name in enumerate(self.names):
            flat |= {
                f"{name}/{key}": value for key, value in self.diagnoses[name].metrics().items()
            }
            flat[f"{name}/probability_first"] = float(self.ranking.first[i])
            flat[f"{name}/{key_of(self.criterion)}_compared"] = float(self.ranking.values[i])
            flat[f"{name}/{key_of(self.criterion)}_compared_error"] = float(self.ranking.errors[i])
        for (a, b), cka in self.cka.items():
            pair, shared = f"{a}|{b}", self.overlaps[a, b]
            flat |= {f"{pair}/cka": cka.value, f"{pair}/cka_error": cka.error}
            flat |= {f"{pair}/overlap": shared.value, f"{pair}/overlap_chance": shared.chance}
        return flat

    def plot(self) -> Figure:
        """Draw spectra, CKA, shared subspaces and the ranking; return a matplotlib Figure."""
        from jssl.encoders.drawing import comparison_figure

        return comparison_figure(self).figure

    def page(self) -> Page:
        """Return the page of the result, as `write` writes it."""
        from jssl.encoders.page import page_of

        return page_of(self, {})
