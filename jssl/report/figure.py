"""A figure with its title and description."""

from typing import Any, NamedTuple


class Figure(NamedTuple):
    """A figure of a report.

    Attributes:
        name: usable as a file name, unique within a paper or a page.
        title: one line.
        description: what the figure shows; also its alternative text.
        figure: a matplotlib Figure, or `jssl.report.html.Drawn` of one.
        claims: names of the claims that it shows, where a study has several figures.
    """

    name: str
    title: str
    description: str
    figure: Any
    claims: tuple[str, ...] = ()
