"""Figures: theory dashed over simulation solid, one colour per mode, colour-blind safe."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogFormatter, NullFormatter

from jssl.errors import printable

if TYPE_CHECKING:  # at run time it would import JAX
    from jssl.types import Trajectory

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
"""Colours that colour-blind readers can distinguish (Okabe and Ito), used in this order."""
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
LONGEST_TEXT = 40
"""Largest number of letters of a value that a figure shows."""


def new_figure(
    columns: int,
    rows: int = 1,
    *,
    width: float = 4.2,
    height: float = 3.2,
    margins: tuple[float, float, float, float] | None = None,
) -> Any:
    """Return a figure with its axes, `(figure, axes)`, outside matplotlib's global state.

    Example:
        >>> figure, axes = new_figure(2)
        >>> print(len(axes))
        2

    Args:
        columns: number of panels side by side. A single row of more than three is wrapped into
            two rows, so that its text stays legible on a page.
        rows: number of rows of panels.
        width: width of a panel in inches.
        height: height of a panel in inches.
        margins: space around the axes of a panel in inches: left, right, bottom, top. None to
            measure all texts, which takes as long as to draw the figure.

    Returns:
        The figure and a flat list of its axes.
    """
    panels = columns * rows
    if rows == 1 and columns > 3:
        columns, rows = -(-columns // 2), 2
    figure = Figure(
        figsize=(width * columns, height * rows),
        layout="constrained" if margins is None else None,
    )
    FigureCanvasAgg(figure)
    if margins is not None:
        left, right, bottom, top = margins
        figure.subplots_adjust(
            left=left / (width * columns),
            right=1 - right / (width * columns),
            bottom=bottom / (height * rows),
            top=1 - top / (height * rows),
            wspace=(left + right) / (width - left - right),
            hspace=(bottom + top) / (height - bottom - top),
        )
    axes = list(np.ravel(figure.subplots(rows, columns, squeeze=False)))
    while len(axes) > panels:
        axes.pop().remove()
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(visible=True, alpha=0.25, linewidth=0.6)
        ax.set_prop_cycle(color=COLOURS)
    return figure, axes


def thin_labels(figure: Any) -> None:
    """Label logarithmic axes with few texts, and powers of ten without mathematics.

    Between powers of ten, 2 and 5 have labels if an axis spans one power, and nothing has if it
    spans more. Powers are plain text such as 10³: to lay out mathematics takes longer than to draw.

    Example:
        >>> figure, (ax,) = new_figure(1)
        >>> ax.set(xscale="log", xlim=(256, 4096))  # doctest: +ELLIPSIS
        [...]
        >>> thin_labels(figure)
        >>> print([ax.xaxis.get_minor_formatter()(x, 0) for x in (200, 300, 500)])
        ['200', '', '500']

    Args:
        figure: a matplotlib figure; axes that are not logarithmic, or span less, are not changed.
    """
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            if isinstance(own := axis.get_major_formatter(), LogFormatter):
                axis.set_major_formatter(FuncFormatter(functools.partial(_power, own)))
            low, high = np.sort(axis.get_view_interval())
            if not isinstance(axis.get_minor_formatter(), LogFormatter) or low <= 0:
                continue
            powers = np.floor(np.log10(high)) - np.ceil(np.log10(low)) + 1
            if powers >= 2:
                axis.set_minor_formatter(NullFormatter())
            elif high >= 5 * low:
                axis.set_minor_formatter(FuncFormatter(_two_or_five))


def figure_text(value: Any) -> str:
    r"""Return a value as a figure shows it literally: one line, no mathematics, at most 40 letters.

    Example:
        >>> print(figure_text("$x$"), figure_text("a\nb"), figure_text("_a"))
        \$x\$ a\nb  _a

    Matplotlib reads text between two dollar signs as mathematics, leaves labels that begin with an
    underscore out of legends, and warns of letters that its font does not have; these become
    escapes.

    Args:
        value: anything; it is converted with `str`.
    """
    known = _letters()
    text = printable(str(value))
    text = "".join(c if ord(c) in known else c.encode("unicode_escape").decode() for c in text)
    if len(text) > LONGEST_TEXT:
        text = f"{text[: LONGEST_TEXT // 2 - 3]} ... {text[3 - LONGEST_TEXT // 2 :]}"
    return (" " if text.startswith("_") else "") + text.replace("$", r"\$")


@functools.cache
def _letters() -> frozenset[int]:
    """Return the code points that the font of figures has."""
    font = font_manager.get_font(font_manager.findfont("DejaVu Sans"))
    return frozenset(font.get_charmap())


def mode_colours(count: int) -> np.ndarray:
    """Return one colour per mode, dark to light, distinct in greyscale as well."""
    import matplotlib as mpl

    return mpl.colormaps["viridis"](np.linspace(0.0, 0.88, max(count, 1)))


def draw_modes(ax: Axes, x: Any, values: Any, *, dashed: bool = False, label: str = "") -> None:
    """Draw eigenvalues (points, dim), a line per mode: dashed for theory, solid for simulation."""
    values = np.asarray(values)
    for j, colour in enumerate(mode_colours(values.shape[1])):
        if dashed:
            ax.plot(
                x, values[:, j], "--", color="black", linewidth=1.0, label=label if j == 0 else ""
            )
        else:
            ax.plot(x, values[:, j], color=colour, label=label if j == 0 else "", linewidth=1.4)


def plot(prediction: Trajectory, simulation: Trajectory, *, title: str = "") -> Any:
    """Draw a prediction and a simulation of the same problem: eigenvalues and loss against t.

    Example:
        >>> from jssl.types import Trajectory
        >>> t = np.linspace(0, 9, 10)
        >>> one = Trajectory(np.arange(10), t, {"loss": 9 - t, "eigenvalues": t[:, None] / 9})
        >>> figure = plot(one, one, title="demo")
        >>> print(len(figure.axes))
        2

    Args:
        prediction: drawn dashed, black.
        simulation: drawn solid, one colour per mode.
        title: of the whole figure.

    Returns:
        A matplotlib Figure.

    Raises:
        InputError: as `jssl.compare` does, if either has no gradient-flow time.
    """
    from jssl.comparison import compare

    both = compare(prediction, simulation)
    names = [n for n in ("eigenvalues", "loss") if n in both.predicted] or list(both.predicted)
    figure, axes = new_figure(len(names))
    for ax, name in zip(axes, names, strict=True):
        simulated = both.simulated[name].reshape(len(both.t), -1)
        predicted = both.predicted[name].reshape(len(both.t), -1)
        draw_modes(ax, both.t, simulated, label="simulation")
        draw_modes(ax, both.t, predicted, dashed=True, label="theory")
        ax.set_xlabel("effective time t = learning rate × step")
        known = {"eigenvalues": "eigenvalues of C", "loss": "loss"}
        ax.set_ylabel(known.get(name, figure_text(name)))
        if np.all(both.t[1:] > 0):
            ax.set_xscale("log")
        ax.legend(frameon=False)
    if title:
        figure.suptitle(title)
    return figure


def _power(own: Any, value: float, position: int | None) -> str:
    """Return a power of ten as plain text, and any other value as the axis's own formatter does."""
    exponent = np.round(np.log10(abs(value))) if value else np.nan
    if not np.isclose(abs(value), 10.0**exponent, rtol=1e-9, atol=0):
        return str(own(value, position))
    return "-" * bool(value < 0) + "10" + str(int(exponent)).translate(_SUPERSCRIPTS)


def _two_or_five(value: float, _: int) -> str:
    mantissa = value / 10.0 ** np.floor(np.log10(value))
    return f"{value:g}" if np.isclose(mantissa, (2, 5)).any() else ""


def draw_legend(figure: Any, ax: Any, *, size: float = 7) -> None:
    """Draw the legend of a panel: inside if it is short, otherwise beside the whole figure.

    Args:
        figure: of `new_figure`.
        ax: the panel whose labels are shown.
        size: of the font, in points.
    """
    handles, labels = ax.get_legend_handles_labels()
    if len(labels) <= 14:
        ax.legend(frameon=False, fontsize=size)
    else:
        size = min(size, 140 / len(labels))
        figure.legend(handles, labels, loc="outside right center", frameon=False, fontsize=size)


def widen_for(figure: Any, labels: Iterable[str], *, size: float = 8) -> None:
    """Make a figure wider by the width of a legend beside it.

    Example:
        >>> figure, _ = new_figure(1)
        >>> widen_for(figure, ["a label of a few words that is rather long"])
        >>> print(figure.get_figwidth() > 4.2)
        True

    Args:
        figure: of `new_figure`.
        labels: of the legend.
        size: of its font, in points.
    """
    longest = max((len(label) for label in labels), default=0)
    beyond = max(0, longest - 15) * 0.7 * size / 72  # a letter is some 0.7 of its size wide
    figure.set_figwidth(figure.get_figwidth() + beyond)
