"""The report: claims, figures and settings as one HTML page and as JSON."""

from jssl._lazy import attach

__getattr__, __dir__ = attach(
    __name__,
    modules=("html",),
    members={"environment": "html", "write_report": "html"},
)
