"""What the results of commands share: each has a page, which is written or shown in a notebook."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # at run time it would import matplotlib
    from jssl.report.page import Page


class Written:
    """A result with a page; a subclass has a method `page() -> Page`.

    Example:
        >>> from jssl.report.page import Page
        >>> class Answer(Written):
        ...     def page(self):
        ...         return Page("answer", ("It is 42.",))
        >>> "It is 42." in Answer()._repr_html_()
        True
    """

    __slots__ = ()

    def page(self) -> Page:
        """Return the page."""
        raise NotImplementedError

    def write(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Write report.html and report.json into a folder; return the path of the page.

        Args:
            folder: created if needed.
            overwrite: whether an earlier report in it is replaced.

        Raises:
            InputError: for a folder that cannot be written or that contains a report.
        """
        from jssl.report.files import new_report_folder
        from jssl.report.page import write_page

        target = new_report_folder(Path(folder), overwrite=overwrite)
        return write_page(self.page(), target)[0]

    def _repr_html_(self) -> str:
        from jssl.report.page import notebook_html

        return notebook_html(self.page())
