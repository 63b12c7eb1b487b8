"""A figure with the text that a page shows beside it."""

from typing import Any, NamedTuple


class Figure(NamedTuple):
    """A figure of a report.

    Attributes:
        name: file-like name, unique in its paper.
        title: one line.
        description: what is to be seen, also the alternative text.
        figure: a matplotlib Figure, or `jssl.report.html.Drawn` of one.
    """

    name: str
    title: str
    description: str
    figure: Any
