"""Reports: figures, tables and text as one self-contained HTML file, and as JSON."""

from jssl._lazy import attach

__getattr__, __dir__ = attach(
    __name__,
    modules=("figure", "files", "html", "markdown", "metrics", "page", "sweep_page", "written"),
    members={
        "Figure": "figure",
        "Page": "page",
        "environment": "html",
        "write_page": "page",
        "write_sweep_report": "sweep_page",
    },
)
