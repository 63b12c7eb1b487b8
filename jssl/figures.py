"""Figures: theory dashed over simulation solid, one colour a mode, colour-blind safe."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from jssl.types import Trajectory


def new_figure(columns: int, rows: int = 1, *, width: float = 4.2, height: float = 3.2) -> Any:
    """Return a figure with its axes, `(figure, axes)`, outside matplotlib's global state.

    Example:
        >>> figure, axes = new_figure(2)
        >>> print(len(axes))
        2

    Args:
        columns: number of panels side by side.
        rows: number of rows of panels.
        width: width of a panel in inches.
        height: height of a panel in inches.

    Returns:
        The figure and a flat list of its axes.
    """
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(np.ravel(figure.subplots(rows, columns, squeeze=False)))
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(visible=True, alpha=0.25, linewidth=0.6)
    return figure, axes


def mode_colours(count: int) -> np.ndarray:
    """Return one colour a mode, dark to light, distinct in greyscale as well."""
    import matplotlib as mpl

    return mpl.colormaps["viridis"](np.linspace(0.0, 0.88, max(count, 1)))


def draw_modes(ax: Axes, x: Any, values: Any, *, dashed: bool = False, label: str = "") -> None:
    """Draw eigenvalues (points, dim), one line a mode: dashed for theory, solid for simulation."""
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
        >>> t = np.linspace(0, 9, 10)
        >>> one = Trajectory(np.arange(10), t, {"loss": 9 - t, "eigenvalues": t[:, None] / 9})
        >>> figure = plot(one, one, title="demo")
        >>> print(len(figure.axes))
        2

    Args:
        prediction: drawn dashed, black.
        simulation: drawn solid, one colour a mode.
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
        ax.set_ylabel({"eigenvalues": "eigenvalues of C", "loss": "loss"}.get(name, name))
        if np.all(both.t[1:] > 0):
            ax.set_xscale("log")
        ax.legend(frameon=False)
    if title:
        figure.suptitle(title)
    return figure
